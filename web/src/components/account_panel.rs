//! The panel below: what the account has, what it did, and what this page sent, by tabs.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::balances::Balances;
use super::dead_man::RENEWAL;
use super::lifecycle::SentList;
use super::orders::OpenOrders;
use super::past::{FILLS, HISTORY, LEDGER, PastView};
use crate::state::{State, use_state};
use crate::{api, sending};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Orders,
    History,
    Fills,
    Balances,
    Ledger,
    Sent,
}

/// The panel with its tabs.
#[component]
pub fn AccountPanel() -> impl IntoView {
    let state = use_state();
    let tab = RwSignal::new(Tab::Balances);
    // What was just signed is what the user wants to see.
    let is_signed = |sent: &&sending::Sent| !sent.text.is_empty() && sent.title != RENEWAL;
    let count = Memo::new(move |_| state.sent.with(|list| list.iter().filter(is_signed).count()));
    Effect::new(move |before: Option<usize>| {
        let now = count.get();
        if before.is_some_and(|before| now > before) {
            tab.set(Tab::Sent);
        }
        now
    });
    let open = move || {
        state
            .account
            .with(|account| account.as_ref().map_or(0, |account| account.open_orders.len()))
    };
    let button = move |value: Tab, name: Signal<String>| {
        view! {
            <button
                type="button"
                role="tab"
                aria-selected=move || (tab.get() == value).to_string()
                class:active=move || tab.get() == value
                on:click=move |_| tab.set(value)
            >
                {move || name.get()}
            </button>
        }
    };
    let named = |name: &'static str| Signal::derive(move || name.to_string());
    view! {
        <section class="panel account-panel" aria-label="Account">
            <div class="tabs" role="tablist">
                {button(Tab::Balances, named("Balances"))}
                {button(Tab::Orders, Signal::derive(move || format!("Open orders ({})", open())))}
                {button(Tab::History, named("History"))} {button(Tab::Fills, named("Fills"))}
                {button(Tab::Ledger, named("Ledger"))} {button(Tab::Sent, named("Sent"))}
            </div>
            <div class="tab-body" role="tabpanel">
                {move || match tab.get() {
                    Tab::Balances => view! { <Balances /> }.into_any(),
                    Tab::Orders => view! { <OpenOrders /> }.into_any(),
                    Tab::History => view! { <PastView past=&HISTORY /> }.into_any(),
                    Tab::Fills => view! { <PastView past=&FILLS /> }.into_any(),
                    Tab::Ledger => view! { <PastView past=&LEDGER /> }.into_any(),
                    Tab::Sent => view! { <SentList /> }.into_any(),
                }}
            </div>
        </section>
    }
}

/// Asks for test tokens.
pub fn ask_faucet(state: State) {
    let Some(account) = state.wallet.with_untracked(crate::wallet::Wallet::account) else { return };
    spawn_local(async move {
        match api::faucet(&account.to_string()).await {
            Ok(response) => {
                state.problem.set(None);
                // One token's deposit stands for all: they are in one batch.
                let last =
                    response.transactions.into_iter().filter_map(|entry| entry.hash).next_back();
                if let Some(hash) = last {
                    sending::follow(state, "Test tokens".into(), hash);
                }
            }
            Err(problem) => state.problem.set(Some(problem.to_string())),
        }
    });
}

/// The way from nothing to the first trade; it goes when that is done.
#[component]
pub fn FirstSteps() -> impl IntoView {
    let state = use_state();
    let has_key = move || state.wallet.with(|wallet| wallet.account().is_some());
    let has_tokens = move || {
        state.account.with(|account| {
            let mut balances = account.iter().flat_map(|account| &account.balances);
            balances.any(|balance| balance.available != "0" || balance.locked != "0")
        })
    };
    let open_wallet = move |_| state.wallet_open.set(true);
    let mark = |is_done: bool| if is_done { "✓" } else { "○" };
    let class = |is_done: bool| if is_done { "done" } else { "" };
    view! {
        <div class="welcome">
            <h3>"Your first trade in four steps"</h3>
            <ol>
                <li class=move || class(has_key())>
                    <span class="mark" aria-hidden="true">{move || mark(has_key())}</span>
                    "Make a key, or import one. It stays in this browser."
                    <Show when=move || !has_key()>
                        <button type="button" on:click=open_wallet>"Your key"</button>
                    </Show>
                </li>
                <li class=move || class(state.exported.get())>
                    <span class="mark" aria-hidden="true">{move || mark(state.exported.get())}</span>
                    "Export it to a safe place: nobody can restore it for you."
                    <Show when=move || has_key() && !state.exported.get()>
                        <button type="button" on:click=open_wallet>"Export"</button>
                    </Show>
                </li>
                <li class=move || class(has_tokens())>
                    <span class="mark" aria-hidden="true">{move || mark(has_tokens())}</span>
                    "Get test tokens to trade with."
                    <Show when=move || has_key() && !has_tokens() && has_faucet(state)>
                        <button type="button" on:click=move |_| ask_faucet(state)>"Get test tokens"</button>
                    </Show>
                </li>
                <li>
                    <span class="mark" aria-hidden="true">"○"</span>
                    "Place an order: the form says what it costs before you sign. A price from the book trades at once."
                </li>
            </ol>
        </div>
    }
}

/// Whether this replica gives test tokens.
pub fn has_faucet(state: State) -> bool {
    state.status.with(|status| status.as_ref().is_some_and(|status| status.faucet))
}
