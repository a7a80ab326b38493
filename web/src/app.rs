//! The page: what stands where.

use std::sync::Arc;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::components::account_panel::AccountPanel;
use crate::components::book::BookView;
use crate::components::edit_sheet::EditSheet;
use crate::components::header::{Banner, Header};
use crate::components::order_form::OrderForm;
use crate::components::settings::{Settings, SettingsSheet};
use crate::components::shortcuts::{self, ShortcutsSheet};
use crate::components::sign_sheet::SignSheet;
use crate::components::toasts::Toasts;
use crate::components::trades::TradesView;
use crate::components::welcome::WalletDialog;
use crate::feed;
use crate::pages::Explorer;
use crate::route::{self, Route};
use crate::state::State;

/// How often the markets' figures are asked for.
const MARKETS_EVERY_MS: u32 = 5000;

/// Which part is on show where the page is narrow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Book,
    Trades,
}

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let state = State::new();
    provide_context(state);
    let settings = Settings::load();
    provide_context(settings);
    shortcuts::listen(state, settings);
    route::follow(state.route);
    feed::start(state);
    crate::wallet::follow_other_tabs(state.wallet);
    spawn_local(load(state));
    let is_trading = Memo::new(move |_| state.route.with(|route| *route == Route::Trade));
    view! {
        <SkipLink is_trading />
        <Header />
        <Banner />
        <Show when=move || is_trading.get()>
            <Trading />
        </Show>
        <Show when=move || !is_trading.get()>
            <Explorer />
        </Show>
        <EditSheet />
        <SignSheet />
        <WalletDialog />
        <SettingsSheet />
        <ShortcutsSheet />
        <Toasts />
    }
}

/// Leads past the header.
#[component]
fn SkipLink(is_trading: Memo<bool>) -> impl IntoView {
    move || {
        if is_trading.get() {
            view! { <a class="skip" href="#order-form">"Skip to the order form"</a> }
        } else {
            view! { <a class="skip" href="#content">"Skip to the content"</a> }
        }
    }
}

/// The trading page below its header.
#[component]
fn Trading() -> impl IntoView {
    let state = crate::state::use_state();
    let segment = RwSignal::new(Segment::Book);
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
    view! {
        <main class:stale=move || !state.connected.get()>
            <h1 class="visually-hidden" id=route::HEADING tabindex="-1">"Trading"</h1>
            <div class="segments" role="tablist" aria-label="Market data">
                {tab("Book", Segment::Book)} {tab("Trades", Segment::Trades)}
            </div>
            <div class="panel book-panel" class:shown=move || segment.get() == Segment::Book>
                <BookView />
            </div>
            <div class="panel trades-panel" class:shown=move || segment.get() == Segment::Trades>
                <TradesView />
            </div>
            <OrderForm />
            <AccountPanel />
        </main>
        <SideBar />
    }
}

/// The bar at the foot of a narrow page that opens the order form.
#[component]
fn SideBar() -> impl IntoView {
    use zellbook_core::transaction::Side;
    let state = crate::state::use_state();
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

/// Loads genesis until it is there, then keeps the markets' figures fresh.
async fn load(state: State) {
    loop {
        match api::rules().await {
            Ok(rules) => {
                let first = rules.markets.first().map(|market| market.name.clone());
                state.rules.set(Some(Arc::new(rules)));
                state.market.set(first.unwrap_or_default());
                break;
            }
            Err(problem) => state.problem.set(Some(problem.to_string())),
        }
        TimeoutFuture::new(2000).await;
    }
    state.problem.set(None);
    loop {
        if let Ok(markets) = api::markets().await {
            state.markets.set(Some(markets));
        }
        TimeoutFuture::new(MARKETS_EVERY_MS).await;
    }
}
