//! The page: what stands where.

use std::sync::Arc;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::components::dead_man::DeadMan;
use crate::components::edit_sheet::EditSheet;
use crate::components::header::{Banner, Header};
use crate::components::settings::{Settings, SettingsSheet};
use crate::components::shortcuts::{self, ShortcutsSheet};
use crate::components::sign_sheet::SignSheet;
use crate::components::toasts::Toasts;
use crate::components::trading::Trading;
use crate::components::wallet::WalletDialog;
use crate::evidence::{Evidence, EvidenceSheet};
use crate::feed;
use crate::later::Later;
use crate::pages;
use crate::route::{self, Route};
use crate::state::State;

/// How often the markets' figures are asked for.
const MARKETS_EVERY_MS: u32 = 5000;

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
    provide_context(DeadMan::start(state));
    crate::wallet::start(state.wallet);
    spawn_local(crate::sending::resume(state));
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
            <Later part=|| Box::pin(pages::explorer()) />
        </Show>
        <EditSheet />
        <SignSheet />
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
