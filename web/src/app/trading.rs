//! The trading page: chart, book, trades, order form and account. A narrow page shows one of the first three at a time.

use leptos::prelude::*;
use zellbook_core::Side;

use super::account_panel::AccountPanel;
use super::splitter::Splitter;
use crate::features::book::{Ladder, Tape};
use crate::features::chart::ChartPanel;
use crate::features::market::info::MarketInfo;
use crate::features::order::{OrderForm, use_form};
use crate::features::replica::use_connection;
use crate::platform::route;

/// The part shown where the page is narrow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Chart,
    Book,
    Trades,
    Info,
}

#[component]
pub fn Trading() -> impl IntoView {
    let connection = use_connection();
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
    // All parts are there at any width. Only the style sheet of a narrow page hides those that are not shown.
    let is_shown = move |value: Segment| move || segment.get() == value;
    view! {
        <main class="trading-page" class:stale=move || connection.is_stale()>
            <h1 class="visually-hidden" id=route::HEADING tabindex="-1">"Trading"</h1>
            <div class="segments" role="tablist" aria-label="Market data">
                {tab("Chart", Segment::Chart)} {tab("Book", Segment::Book)}
                {tab("Trades", Segment::Trades)} {tab("Info", Segment::Info)}
            </div>
            <div class="panel chart-panel" class:shown=is_shown(Segment::Chart)>
                <ChartPanel />
            </div>
            <div class="panel book-panel" class:shown=is_shown(Segment::Book)>
                <Ladder />
            </div>
            <div class="panel trades-panel" class:shown=is_shown(Segment::Trades)>
                <Tape />
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
    let form = use_form();
    let open = move |side| form.open(side);
    view! {
        <div class="side-bar" class:hidden=move || form.is_open.get()>
            <button type="button" class="buy" on:click=move |_| open(Side::Buy)>"Buy"</button>
            <button type="button" class="sell" on:click=move |_| open(Side::Sell)>"Sell"</button>
        </div>
    }
}
