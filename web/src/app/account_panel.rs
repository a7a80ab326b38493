//! The lower panel: tabs of what the account has, what it did, and what this page sent.

use leptos::prelude::*;

use crate::features::account::{Balances, FILLS, HISTORY, LEDGER, PastView, SentList, TradingKeys};
use crate::features::order::{OpenOrders, RENEWAL};
use crate::features::signing::{Sent, use_signing};
use crate::features::wallet::use_session;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Orders,
    History,
    Fills,
    Balances,
    Ledger,
    Keys,
    Sent,
}

#[component]
pub fn AccountPanel() -> impl IntoView {
    let (session, signing) = (use_session(), use_signing());
    let tab = RwSignal::new(Tab::Balances);
    // Whoever has just signed something wants to see what becomes of it. Renewals of the dead-man's switch sign
    // themselves, and a transaction without a text was signed by somebody else.
    let is_signed = |sent: &&Sent| sent.is_new && !sent.text.is_empty() && sent.title != RENEWAL;
    // A memo, because the list changes with each step of each transaction. The newest one and not their number: the list
    // has a limit.
    let newest = Memo::new(move |_| {
        signing.sent.with(|list| list.iter().find(is_signed).map(|sent| sent.hash.clone()))
    });
    Effect::new(move |before: Option<Option<String>>| {
        let now = newest.get();
        if before.is_some_and(|before| now.is_some() && now != before) {
            tab.set(Tab::Sent);
        }
        now
    });
    let open = move || {
        session
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
                {button(Tab::History, named("Order history"))} {button(Tab::Fills, named("Fills"))}
                {button(Tab::Ledger, named("Ledger"))} {button(Tab::Keys, named("Trading keys"))}
                {button(Tab::Sent, named("Activity"))}
            </div>
            <div class="tab-body" role="tabpanel">
                {move || match tab.get() {
                    // A first visit shows this tab, so only the others are loaded later.
                    Tab::Balances => view! { <Balances /> }.into_any(),
                    Tab::Orders => view! { <Later part=|| Box::pin(orders_tab()) /> }.into_any(),
                    Tab::History => view! { <Later part=|| Box::pin(history_tab()) /> }.into_any(),
                    Tab::Fills => view! { <Later part=|| Box::pin(fills_tab()) /> }.into_any(),
                    Tab::Ledger => view! { <Later part=|| Box::pin(ledger_tab()) /> }.into_any(),
                    Tab::Keys => view! { <Later part=|| Box::pin(trading_keys_tab()) /> }.into_any(),
                    Tab::Sent => view! { <Later part=|| Box::pin(sent_tab()) /> }.into_any(),
                }}
            </div>
        </section>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn orders_tab() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <OpenOrders /> }.into_any())
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn history_tab() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <PastView past=&HISTORY /> }.into_any())
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn fills_tab() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <PastView past=&FILLS /> }.into_any())
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn ledger_tab() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <PastView past=&LEDGER /> }.into_any())
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn sent_tab() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <SentList /> }.into_any())
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn trading_keys_tab() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <TradingKeys /> }.into_any())
}
