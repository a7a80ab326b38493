//! Balances with their actions, and withdrawals.

use leptos::prelude::*;
use zellbook_core::Decimal;
use zellbook_core::wire::{BalanceBody, WithdrawalBody};

use super::faucet::ask_faucet;
use super::first_steps::{FirstSteps, Welcome};
use super::funds_sheet::FundsSheet;
use super::payment::{Funds, Kind};
use crate::features::evidence::{Known, Subject};
use crate::features::replica::{Connection, use_connection};
use crate::features::signing::use_signing;
use crate::features::wallet::{Reminder, Session, use_session};
use crate::platform::format;
use crate::ui::flash::flash;
use crate::ui::interface::use_interface;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};

/// The exact sum of available and locked.
fn total(balance: &BalanceBody) -> Option<String> {
    let read = |text: &str| Decimal::parse(text).ok();
    let (available, locked) = (read(&balance.available)?, read(&balance.locked)?);
    // The replica writes no needless zeros, so the scales can differ. Atoms of the finer scale hold both numbers
    // exactly, and genesis is not needed for that.
    let atom = Decimal::one_atom(available.scale().max(locked.scale()));
    let atoms = available.in_steps_of(atom).ok()?.checked_add(locked.in_steps_of(atom).ok()?)?;
    Some(Decimal::of_steps(atoms, atom)?.to_string())
}

/// The class of a cell whose number may have changed.
fn changed(before: Option<&str>, now: &str) -> &'static str {
    // Numbers with the same count of digits before the point have the order of their texts.
    let size = |text: &str| text.split('.').next().map_or(0, str::len);
    // Rows are made anew, and a new element always runs its animation. So no earlier class matters to `flash`.
    match before {
        Some(before) if before != now => flash((size(now), now) > (size(before), before), ""),
        _ => "",
    }
}

/// Whether the account has had a fill. None until that is known.
fn has_traded(session: Session, connection: Connection) -> Option<bool> {
    // A replica that started from a snapshot reports no fills from before it. There, somebody with tokens counts as
    // somebody who has traded: the steps of a newcomer would be wrong for most.
    let is_of_snapshot =
        connection.status.with(|status| status.as_ref().map(|status| status.start != "0"))?;
    session.account.with(|account| {
        let account = account.as_ref()?;
        let has_tokens = account.balances.iter().any(|it| it.available != "0" || it.locked != "0");
        Some(!account.fills.is_empty() || is_of_snapshot && has_tokens)
    })
}

/// The balances, below the steps to the first trade until that is done.
#[component]
pub fn Balances() -> impl IntoView {
    let session = use_session();
    let has_key = session.has_account();
    // Memos: the view below is made anew with each change of what it reads, and most changes of the wallet change
    // neither.
    let is_loaded = Memo::new(move |_| session.wallet.with(|wallet| wallet.is_loaded));
    move || match (has_key.get(), is_loaded.get()) {
        (true, _) => view! { <Later part=|| Box::pin(balances_part()) /> }.into_any(),
        (false, true) => view! { <Welcome /> }.into_any(),
        // Not known yet. People with a wallet should not see for a moment how to create one.
        (false, false) => ().into_any(),
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn balances_part() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <BalancesPart /> }.into_any())
}

#[component]
fn BalancesPart() -> impl IntoView {
    let (session, connection) = (use_session(), use_connection());
    let (signing, interface) = (use_signing(), use_interface());
    let has_traded = Memo::new(move |_| has_traded(session, connection));
    view! {
        // Not while it is unknown: somebody who has traded should not see the steps for a moment.
        <Show when=move || has_traded.get() == Some(false)>
            <FirstSteps />
        </Show>
        <Table has_traded />
        <Show when=move || has_traded.get() == Some(true) && connection.has_faucet()>
            <p class="actions">
                <button type="button" on:click=move |_| ask_faucet(session, signing, interface)>"Get test tokens"</button>
            </p>
        </Show>
    }
}

#[component]
fn Table(has_traded: Memo<Option<bool>>) -> impl IntoView {
    let (session, interface) = (use_session(), use_interface());
    let asked: RwSignal<Option<Funds>> = RwSignal::new(None);
    let subject = Signal::derive(move || {
        let account = session.key()?;
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
    // The account changes with each batch. The rows are made again, which takes the focus from their buttons, only when
    // the balances themselves change.
    let balances = Memo::new(move |_| {
        session.account.with(|account| account.as_ref().map(|account| account.balances.clone()))
    });
    // What the rows showed last, to find the cells that changed. Not a signal, because writing it would make the rows
    // again.
    let shown = StoredValue::new(Vec::new());
    let rows = move || {
        let now = balances.get().unwrap_or_default();
        let before = shown.get_value();
        shown.set_value(now.clone());
        now.into_iter().map(|balance| row(&before, balance)).collect_view()
    };
    view! {
        // Until the first trade, the steps to it ask for the backup.
        <Show when=move || has_traded.get() == Some(true)>
            <Reminder>
                <button type="button" class="small" on:click=move |_| interface.open_wallet()>"Back up now"</button>
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

/// Withdrawals, each with the number by which its issuer knows it and the batch that it is in.
#[component]
fn Withdrawals() -> impl IntoView {
    let session = use_session();
    let connection = use_connection();
    let withdrawals = Memo::new(move |_| {
        session.account.with(|account| {
            account.as_ref().map(|account| account.withdrawals.clone()).unwrap_or_default()
        })
    });
    let row = move |withdrawal: WithdrawalBody| {
        let batch = format!("/batches/{}", withdrawal.batch);
        let index = withdrawal.batch.parse().ok();
        view! {
            <tr role="row">
                <th scope="row" role="rowheader">{format::number(&withdrawal.number, 0)}</th>
                <td role="cell" data-label="Amount">{format!("{} {}", format::number(&withdrawal.amount, 0), withdrawal.token)}</td>
                <td role="cell" data-label="Destination" title=withdrawal.destination.clone()>{format::short(&withdrawal.destination)}</td>
                <td role="cell" data-label="Batch">
                    <a href=batch>{format!("batch {}", format::number(&withdrawal.batch, 0))}</a>
                    " "
                    <small>{move || if index.is_some_and(|index| connection.is_certified(index)) { "certified" } else { "sequenced" }}</small>
                </td>
            </tr>
        }
    };
    view! {
        <Show when=move || withdrawals.with(|withdrawals| !withdrawals.is_empty())>
            <h3>"Withdrawals"</h3>
            <p class="note">"Give the issuer the withdrawal number. The issuer pays once its batch is certified."</p>
            <div class="table-scroll">
                <table role="table">
                    <thead role="rowgroup">
                        <tr role="row">
                            <th scope="col" role="columnheader">"Number"</th>
                            <th scope="col" role="columnheader">"Amount"</th>
                            <th scope="col" role="columnheader">"Destination"</th>
                            <th scope="col" role="columnheader">"Batch"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">{move || withdrawals.get().into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        </Show>
    }
}
