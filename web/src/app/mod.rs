//! The page: what stands where.

use std::sync::Arc;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::wire::MarketsResponse;

use crate::account::{self, AccountSheets};
use crate::api;
use crate::components::dead_man::DeadMan;
use crate::components::header::{Banner, Header};
use crate::components::settings::{Settings, SettingsSheet};
use crate::components::shortcuts::{self, ShortcutsSheet};
use crate::components::toasts::Toasts;
use crate::components::trading::Trading;
use crate::components::wallet::{AccountBanners, WalletDialog};
use crate::evidence::{Evidence, EvidenceSheet};
use crate::feed;
use crate::later::Later;
use crate::pages;
use crate::route::{self, Route};
use crate::state::State;

/// How often the markets' figures are asked for.
const MARKETS_EVERY_MS: u32 = 5000;

/// Wait before the markets are asked for again, where none are known.
const RETRY_MS: u32 = 2000;

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let state = State::new();
    provide_context(state);
    let settings = Settings::load();
    provide_context(settings);
    Evidence::provide();
    shortcuts::listen(state, settings);
    route::follow(state.route);
    feed::start(state);
    let switch = DeadMan::new();
    provide_context(switch);
    account::start(state, switch);
    spawn_local(load(state));
    let is_trading = Memo::new(move |_| state.route.with(|route| *route == Route::Trade));
    view! {
        <SkipLink is_trading />
        <Header />
        <div class="banners">
            <Banner />
            <AccountBanners />
        </div>
        <Show when=move || is_trading.get()>
            <Trading />
        </Show>
        <Show when=move || !is_trading.get()>
            <Later part=|| Box::pin(pages::explorer()) />
        </Show>
        <AccountSheets />
        <WalletDialog />
        <SettingsSheet />
        <ShortcutsSheet />
        <EvidenceSheet />
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

/// Loads tokens and markets until they are there, then keeps the markets' figures fresh.
async fn load(state: State) {
    loop {
        let has_listing = state.listing.with_untracked(Option::is_some);
        match api::markets().await {
            Ok(markets) => {
                if !has_listing {
                    show_listing(state, &markets);
                }
                state.markets.set(Some(markets));
            }
            Err(problem) if !has_listing => state.problem.set(Some(problem.to_string())),
            // What is there is marked as old.
            Err(_) => {}
        }
        let has_listing = state.listing.with_untracked(Option::is_some);
        TimeoutFuture::new(if has_listing { MARKETS_EVERY_MS } else { RETRY_MS }).await;
    }
}

fn show_listing(state: State, markets: &MarketsResponse) {
    let Some(listing) = markets.listing() else {
        let text = "The replica sent a list of markets that this page cannot read.";
        return state.problem.set(Some(text.into()));
    };
    let first = listing.markets.first().map(|market| market.name.clone());
    state.listing.set(Some(Arc::new(listing)));
    state.market.set(first.unwrap_or_default());
    state.problem.set(None);
}
