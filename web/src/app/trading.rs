//! The trading page: chart, book, trades, order form and account, and what is on show where it is narrow.

use leptos::prelude::*;
use zellbook_core::Side;

use super::account_panel::AccountPanel;
use super::book::BookView;
use super::chart::ChartPanel;
use super::market_info::MarketInfo;
use super::order_form::OrderForm;
use super::splitter::Splitter;
use super::trades::TradesView;
use crate::route;
use crate::state::use_state;

/// Which part is on show where the page is narrow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Chart,
    Book,
    Trades,
    Info,
}

/// The trading page below its header.
#[component]
pub fn Trading() -> impl IntoView {
    let state = use_state();
    let segment = RwSignal::new(Segment::Chart);
    let tab = move |name: &'static str, value: Segment| {
        view! {
            <button
                type="button"
                role="tab"
                aria-selected=move || (segment.get() == value).to_string()
                class:active=move || segment.get() == value
                on:click=move |_| segment.set(value)
            >
                {name}
            </button>
        }
    };
    let is_shown = move |value: Segment| move || segment.get() == value;
    view! {
        <main class="trading-page" class:stale=move || state.is_stale()>
            <h1 class="visually-hidden" id=route::HEADING tabindex="-1">"Trading"</h1>
            <div class="segments" role="tablist" aria-label="Market data">
                {tab("Chart", Segment::Chart)} {tab("Book", Segment::Book)}
                {tab("Trades", Segment::Trades)} {tab("Info", Segment::Info)}
            </div>
            <div class="panel chart-panel" class:shown=is_shown(Segment::Chart)>
                <ChartPanel />
            </div>
            <div class="panel book-panel" class:shown=is_shown(Segment::Book)>
                <BookView />
            </div>
            <div class="panel trades-panel" class:shown=is_shown(Segment::Trades)>
                <TradesView />
            </div>
            <div class="panel info-panel" class:shown=is_shown(Segment::Info)>
                <MarketInfo />
            </div>
            <OrderForm />
            <Splitter />
            <AccountPanel />
        </main>
        <SideBar />
    }
}

/// The bar at the foot of a narrow page that opens the order form.
#[component]
fn SideBar() -> impl IntoView {
    let state = use_state();
    let open = move |side| {
        state.side.set(side);
        state.form_open.set(true);
    };
    view! {
        <div class="side-bar" class:hidden=move || state.form_open.get()>
            <button type="button" class="buy" on:click=move |_| open(Side::Buy)>"Buy"</button>
            <button type="button" class="sell" on:click=move |_| open(Side::Sell)>"Sell"</button>
        </div>
    }
}
