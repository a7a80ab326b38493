//! Balances, what can be done with them, and what was withdrawn.

use leptos::prelude::*;
use zellbook_core::Decimal;
use zellbook_core::wire::{BalanceBody, WithdrawalBody};

use super::book::flash;
use super::faucet::{ask_faucet, has_faucet};
use super::funds_sheet::{Funds, FundsSheet, Kind};
use super::wallet::{FirstSteps, Reminder, Welcome};
use crate::evidence::{Known, Subject};
use crate::format;
use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::state::{State, use_state};

/// Available and locked, exactly.
fn total(balance: &BalanceBody) -> Option<String> {
    let read = |text: &str| Decimal::parse(text).ok();
    let (available, locked) = (read(&balance.available)?, read(&balance.locked)?);
    let atom = Decimal::one_atom(available.scale().max(locked.scale()));
    let atoms = available.in_steps_of(atom).ok()?.checked_add(locked.in_steps_of(atom).ok()?)?;
    Some(Decimal::of_steps(atoms, atom)?.to_string())
}

/// The class of a cell whose number may have been another.
fn changed(before: Option<&str>, now: &str) -> &'static str {
    // With as many digits before the point, the order of numbers is that of their texts.
    let size = |text: &str| text.split('.').next().map_or(0, str::len);
    match before {
        Some(before) if before != now => flash((size(now), now) > (size(before), before), ""),
        _ => "",
    }
}

/// Whether the account has had a fill.
fn has_traded(state: State) -> bool {
    state.account.with(|account| account.as_ref().is_some_and(|account| !account.fills.is_empty()))
}

/// The balances, and before the first trade the way to it.
#[component]
pub fn Balances() -> impl IntoView {
    let state = use_state();
    let has_key = state.has_key();
    let is_loaded = Memo::new(move |_| state.wallet.with(|wallet| wallet.is_loaded));
    move || match (has_key.get(), is_loaded.get()) {
        (true, _) => view! { <Later part=|| Box::pin(what_it_has()) /> }.into_any(),
        (false, true) => view! { <Welcome /> }.into_any(),
        // Whoever has a key need not read how to get one.
        (false, false) => ().into_any(),
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn what_it_has() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <WhatItHas /> }.into_any())
}

#[component]
fn WhatItHas() -> impl IntoView {
    let state = use_state();
    let has_traded = Memo::new(move |_| has_traded(state));
    view! {
        <Show when=move || !has_traded.get()>
            <FirstSteps />
        </Show>
        <Table />
        <Show when=move || has_traded.get() && has_faucet(state)>
            <p class="actions">
                <button type="button" on:click=move |_| ask_faucet(state)>"Get test tokens"</button>
            </p>
        </Show>
    }
}

#[component]
fn Table() -> impl IntoView {
    let state = use_state();
    let asked: RwSignal<Option<Funds>> = RwSignal::new(None);
    let subject = Signal::derive(move || {
        let account = state.wallet.with(crate::wallet::Wallet::account)?;
        Some(Subject::Balances(account.to_string()))
    });
    let button = move |kind: Kind, token: String| {
        let label = format!("{} {token}", kind.verb());
        view! {
            <button
                type="button"
                class="small"
                aria-label=label
                on:click=move |_| asked.set(Some(Funds { kind, token: token.clone() }))
            >
                {kind.verb()}
            </button>
        }
    };
    let row = move |before: &[BalanceBody], balance: BalanceBody| {
        let before = before.iter().find(|before| before.token == balance.token);
        let (total_now, total_before) = (total(&balance), before.and_then(total));
        let available = changed(before.map(|it| &*it.available), &balance.available);
        let locked = changed(before.map(|it| &*it.locked), &balance.locked);
        let whole = changed(total_before.as_deref(), total_now.as_deref().unwrap_or_default());
        let token = balance.token.clone();
        let buttons = Kind::ALL.map(|kind| button(kind, token.clone())).collect_view();
        view! {
            <tr role="row">
                <th scope="row" role="rowheader">{balance.token.clone()}</th>
                <td role="cell" data-label="Available" class=available>{format::number(&balance.available, 0)}</td>
                <td role="cell" data-label="Locked" class=locked>{format::number(&balance.locked, 0)}</td>
                <td role="cell" data-label="Total" class=whole>{total_now.map(|total| format::number(&total, 0))}</td>
                <td role="cell" class="buttons">{buttons}</td>
            </tr>
        }
    };
    // Only a change of the balances themselves shows them anew, and takes the focus from their buttons.
    let balances = Memo::new(move |_| {
        state.account.with(|account| account.as_ref().map(|account| account.balances.clone()))
    });
    let shown = StoredValue::new(Vec::new());
    let rows = move || {
        let now = balances.get().unwrap_or_default();
        let before = shown.get_value();
        shown.set_value(now.clone());
        now.into_iter().map(|balance| row(&before, balance)).collect_view()
    };
    view! {
        <Show when=move || has_traded(state)>
            <Reminder>
                <button type="button" class="small" on:click=move |_| state.wallet_open.set(true)>"Back up now"</button>
            </Reminder>
        </Show>
        <div class="table-scroll">
            <table role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        <th scope="col" role="columnheader">"Token"</th>
                        <th scope="col" role="columnheader">"Available"</th>
                        <th scope="col" role="columnheader">"Locked in orders"</th>
                        <th scope="col" role="columnheader">"Total"</th>
                        <th scope="col" role="columnheader"><span class="visually-hidden">"Actions"</span></th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
        <p class="note">"Source: " <Known subject of="Balances" /></p>
        <Withdrawals />
        <FundsSheet asked />
    }
}

/// What was withdrawn, with the number that the issuer knows it by and the batch that proves it.
#[component]
fn Withdrawals() -> impl IntoView {
    let state = use_state();
    let withdrawals = Memo::new(move |_| {
        state.account.with(|account| {
            account.as_ref().map(|account| account.withdrawals.clone()).unwrap_or_default()
        })
    });
    let row = |withdrawal: WithdrawalBody| {
        let batch = format!("/batches/{}", withdrawal.batch);
        view! {
            <tr role="row">
                <th scope="row" role="rowheader">{format::number(&withdrawal.number, 0)}</th>
                <td role="cell" data-label="Amount">{format!("{} {}", format::number(&withdrawal.amount, 0), withdrawal.token)}</td>
                <td role="cell" data-label="Destination" title=withdrawal.destination.clone()>{format::short(&withdrawal.destination)}</td>
                <td role="cell" data-label="Proof"><a href=batch>{format!("batch {}", format::number(&withdrawal.batch, 0))}</a></td>
            </tr>
        }
    };
    view! {
        <Show when=move || withdrawals.with(|withdrawals| !withdrawals.is_empty())>
            <h3>"Withdrawals"</h3>
            <p class="note">"Give the issuer the withdrawal number. The batch contains the signatures that prove it."</p>
            <div class="table-scroll">
                <table role="table">
                    <thead role="rowgroup">
                        <tr role="row">
                            <th scope="col" role="columnheader">"Number"</th>
                            <th scope="col" role="columnheader">"Amount"</th>
                            <th scope="col" role="columnheader">"Destination"</th>
                            <th scope="col" role="columnheader">"Proof"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">{move || withdrawals.get().into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        </Show>
    }
}
