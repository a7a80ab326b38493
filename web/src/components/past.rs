//! An account's past, page by page: orders, fills and ledger. What is new comes by itself, what is older when
//! asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use leptos::leptos_dom::helpers::set_timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::key::PublicKey;
use zellbook_core::transaction::Side;
use zellbook_core::wire::{
    FillBody, FillsResponse, LedgerEntryBody, LedgerKind, LedgerResponse, OrderBody, OrderStatus,
    OrdersResponse,
};

use super::csv;
use crate::api::{self, ApiResult};
use crate::format::{self, verb};
use crate::state::{State, use_state};

/// Rows of a page.
const PAGE: usize = 50;
/// Rows of a page where all are asked for: as many as a replica gives.
const PAGE_LARGEST: usize = 200;
/// How long a table waits after a change of the account, so that it asks once for many.
const REFRESH_AFTER: Duration = Duration::from_millis(300);

/// A list of an account.
pub struct Past {
    /// The last part of its path.
    path: &'static str,
    columns: &'static [&'static str],
    /// What stands where there is nothing.
    empty: &'static str,
    /// The columns of its file; none where there is no file.
    file: &'static [&'static str],
    read: fn(State, &str) -> ApiResult<Vec<Entry>>,
}

/// A row.
#[derive(Clone)]
struct Entry {
    number: u64,
    cells: Vec<Cell>,
    /// What stands in the file.
    values: Vec<String>,
}

/// A cell: text, and more of it on hover.
#[derive(Clone, Default)]
struct Cell {
    text: String,
    title: Option<String>,
    class: &'static str,
    link: Option<String>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

fn number(text: &str) -> Cell {
    format::number(text, 0).into()
}

fn time(milliseconds: &str) -> Cell {
    let title = Some(format::utc(milliseconds));
    Cell { text: format::date_time(milliseconds), title, ..Cell::default() }
}

fn side(side: Side) -> Cell {
    let class = if side == Side::Buy { "bid" } else { "ask" };
    Cell { text: verb(side).into(), class, ..Cell::default() }
}

fn batch(index: &str) -> Cell {
    Cell { link: Some(format!("/batches/{index}")), ..number(index) }
}

/// Orders that are not open any more.
pub const HISTORY: Past = Past {
    path: "orders",
    columns: &["Time", "Market", "Side", "Price", "Quantity", "Filled", "Outcome"],
    empty: "No past orders. Filled and cancelled orders are listed here.",
    file: &[],
    read: |state, json| {
        let orders = api::parse::<OrdersResponse>(json)?.orders;
        Ok(orders.iter().map(|body| order(state, body)).collect())
    },
};

fn order(state: State, order: &OrderBody) -> Entry {
    let steps = state.steps(&order.market);
    let outcome = match (order.status, order.reason.as_deref()) {
        (OrderStatus::Cancelled, Some(reason)) if reason != "requested" => {
            Cell { title: Some(reason.replace('_', " ")), ..Cell::from("cancelled".to_string()) }
        }
        (OrderStatus::Cancelled, _) => "cancelled".to_string().into(),
        (OrderStatus::Filled, _) => "filled".to_string().into(),
        (OrderStatus::Open, _) => "open".to_string().into(),
    };
    let cells = vec![
        time(&order.time_ms),
        order.market.clone().into(),
        side(order.side),
        steps.price(&order.price).into(),
        steps.quantity(&order.quantity).into(),
        steps.quantity(&order.filled).into(),
        outcome,
    ];
    Entry { number: order.id.parse().unwrap_or(0), cells, values: Vec::new() }
}

/// Trades of the account.
pub const FILLS: Past = Past {
    path: "fills",
    columns: &["Time", "Market", "Side", "Price", "Quantity", "Role", "Fee", "Batch"],
    empty: "No fills yet. Each trade of yours is listed here with the batch that proves it.",
    file: &[
        "time",
        "trade",
        "market",
        "side",
        "price",
        "quantity",
        "role",
        "fee",
        "fee token",
        "order",
        "batch",
    ],
    read: |state, json| {
        let fills = api::parse::<FillsResponse>(json)?.fills;
        Ok(fills.iter().map(|body| fill(state, body)).collect())
    },
};

fn fill(state: State, fill: &FillBody) -> Entry {
    let trade = &fill.trade;
    let steps = state.steps(&trade.market);
    let quote = trade.market.split_once('/').map_or("", |(_, quote)| quote);
    let role = if fill.is_maker { "maker" } else { "taker" };
    let cells = vec![
        time(&trade.time_ms),
        trade.market.clone().into(),
        side(fill.side),
        steps.price(&trade.price).into(),
        steps.quantity(&trade.quantity).into(),
        role.to_string().into(),
        format!("{} {quote}", format::number(&fill.fee, 0)).into(),
        batch(&trade.batch),
    ];
    let values = vec![
        format::utc(&trade.time_ms),
        trade.id.clone(),
        trade.market.clone(),
        fill.side.to_string(),
        trade.price.clone(),
        trade.quantity.clone(),
        role.into(),
        fill.fee.clone(),
        quote.into(),
        fill.order.clone(),
        trade.batch.clone(),
    ];
    Entry { number: trade.id.parse().unwrap_or(0), cells, values }
}

/// What came and left without trades.
pub const LEDGER: Past = Past {
    path: "ledger",
    columns: &["Time", "What", "Token", "Amount", "With", "Batch"],
    empty: "Nothing came or left yet. Deposits, withdrawals and transfers are listed here.",
    file: &["time", "what", "token", "amount", "with", "batch", "position"],
    read: |_, json| Ok(api::parse::<LedgerResponse>(json)?.entries.iter().map(ledger).collect()),
};

fn ledger(entry: &LedgerEntryBody) -> Entry {
    let (words, sign, class) = match entry.kind {
        LedgerKind::Deposit => ("Deposit", "+", "bid"),
        LedgerKind::Withdrawal => ("Withdrawal", "−", "ask"),
        LedgerKind::TransferOut => ("Sent", "−", "ask"),
        LedgerKind::TransferIn => ("Received", "+", "bid"),
    };
    let amount = format!("{sign}{}", format::number(&entry.amount, 0));
    let with = Cell {
        text: format::short(&entry.with),
        title: Some(entry.with.clone()),
        ..Cell::default()
    };
    let cells = vec![
        time(&entry.time_ms),
        words.to_string().into(),
        entry.token.clone().into(),
        Cell { text: amount, class, ..Cell::default() },
        with,
        batch(&entry.batch),
    ];
    let values = vec![
        format::utc(&entry.time_ms),
        entry.kind.name().into(),
        entry.token.clone(),
        entry.amount.clone(),
        entry.with.clone(),
        entry.batch.clone(),
        entry.position.clone(),
    ];
    Entry { number: entry.number.parse().unwrap_or(0), cells, values }
}

/// Asks for a page of entries with lower numbers.
async fn ask(
    Shown { past, state, .. }: Shown,
    account: &str,
    before: Option<u64>,
    limit: usize,
) -> ApiResult<Vec<Entry>> {
    let before = before.map(|number| format!("&before={number}")).unwrap_or_default();
    let path = format!("/v1/accounts/{account}/{}?limit={limit}{before}", past.path);
    let json = api::text(&path).await?;
    untrack(|| (past.read)(state, &json))
}

/// What a table has.
#[derive(Clone, Copy)]
struct Shown {
    past: &'static Past,
    state: State,
    entries: RwSignal<Option<BTreeMap<u64, Entry>>>,
    has_older: RwSignal<bool>,
    is_busy: RwSignal<bool>,
    problem: RwSignal<Option<String>>,
}

impl Shown {
    /// Whose past it is, once it is known how its numbers are written.
    fn account(self) -> Option<PublicKey> {
        self.state.listing.read().as_ref()?;
        self.state.wallet.with(crate::wallet::Wallet::account)
    }

    fn account_text(self) -> Option<String> {
        untrack(|| self.account()).map(|account| account.to_string())
    }

    /// Asks for the newest entries, or for those before the oldest that is there.
    async fn load(self, is_older: bool) {
        let Some(account) = self.account_text() else { return };
        let lowest = move || {
            let lowest = self.entries.try_with_untracked(|entries| {
                entries.as_ref().and_then(|entries| entries.keys().next().copied())
            });
            lowest.flatten()
        };
        let before = if is_older { lowest() } else { None };
        let answer = ask(self, &account, before, PAGE).await;
        if self.account_text() != Some(account) {
            return;
        }
        let page = match answer {
            Ok(page) => page,
            Err(problem) => {
                let _ = self.problem.try_set(Some(problem.to_string()));
                return;
            }
        };
        let is_full = page.len() >= PAGE;
        // The newest of a page that meets nothing known leaves a gap: what was known is asked for again.
        let is_apart =
            !is_older && is_full && page.last().map(|entry| entry.number) > self.highest();
        let is_first = self.entries.try_with_untracked(Option::is_none).unwrap_or(true);
        if is_older || is_first || is_apart {
            let _ = self.has_older.try_set(is_full);
        }
        let _ = self.entries.try_update(|entries| {
            let entries = entries.get_or_insert_default();
            if is_apart {
                entries.clear();
            }
            entries.extend(page.into_iter().map(|entry| (entry.number, entry)));
        });
        let _ = self.problem.try_set(None);
    }

    fn highest(self) -> Option<u64> {
        self.entries
            .try_with_untracked(|entries| entries.as_ref()?.keys().next_back().copied())
            .flatten()
    }

    /// All entries as a file.
    async fn save(self) {
        let Some(account) = self.account_text() else { return };
        let mut rows = vec![self.past.file.iter().map(ToString::to_string).collect()];
        let mut before = None;
        loop {
            match ask(self, &account, before, PAGE_LARGEST).await {
                Ok(page) => {
                    let is_full = page.len() >= PAGE_LARGEST;
                    before = page.last().map(|entry| entry.number);
                    rows.extend(page.into_iter().map(|entry| entry.values));
                    if !is_full {
                        break;
                    }
                }
                Err(problem) => {
                    let _ = self.problem.try_set(Some(problem.to_string()));
                    return;
                }
            }
        }
        let name = format!("zellbook-{}-{}.csv", self.past.path, account.get(..10).unwrap_or(""));
        if csv::save(&name, &rows).is_err() {
            let text = "The browser did not let this page save a file.";
            let _ = self.problem.try_set(Some(text.into()));
        }
    }

    /// Does one thing at a time.
    fn busy(self, work: impl Future<Output = ()> + 'static) {
        if self.is_busy.get_untracked() {
            return;
        }
        self.is_busy.set(true);
        spawn_local(async move {
            work.await;
            let _ = self.is_busy.try_set(false);
        });
    }
}

/// A list as a table.
#[component]
pub fn PastView(past: &'static Past) -> impl IntoView {
    let state = use_state();
    let shown = Shown {
        past,
        state,
        entries: RwSignal::new(None),
        has_older: RwSignal::new(false),
        is_busy: RwSignal::new(false),
        problem: RwSignal::new(None),
    };
    let account = Memo::new(move |_| shown.account());
    let waits = StoredValue::new(false);
    Effect::new(move |before: Option<Option<PublicKey>>| {
        let now = account.get();
        if before.flatten() != now {
            shown.entries.set(None);
            spawn_local(shown.load(false));
        }
        now
    });
    Effect::new(move |before: Option<()>| {
        state.account.track();
        if before.is_some() && !waits.get_value() {
            waits.set_value(true);
            let again = move || {
                waits.try_set_value(false);
                spawn_local(shown.load(false));
            };
            set_timeout(again, REFRESH_AFTER);
        }
    });
    let column = |name: &&'static str| view! { <th scope="col" role="columnheader">{*name}</th> };
    let head = move || past.columns.iter().map(column).collect_view();
    let rows = move || {
        shown.entries.with(|entries| {
            let entries = entries.iter().flat_map(|entries| entries.values().rev());
            entries.map(|entry| row(past, entry)).collect_view()
        })
    };
    let has_rows =
        move || shown.entries.with(|entries| entries.as_ref().is_some_and(|it| !it.is_empty()));
    let has_account = move || state.wallet.with(|wallet| wallet.account().is_some());
    let is_loading = move || has_account() && shown.entries.with(Option::is_none);
    view! {
        <Show when=has_rows>
            <div class="table-scroll" tabindex="0" role="region" aria-label=past.path>
                <table role="table" class="past">
                    <thead role="rowgroup"><tr role="row">{head()}</tr></thead>
                    <tbody role="rowgroup">{rows}</tbody>
                </table>
            </div>
        </Show>
        <Show when=move || !has_rows() && !is_loading()>
            <p class="empty">{past.empty}</p>
        </Show>
        <Show when=move || is_loading() && shown.problem.with(Option::is_none)>
            <p class="skeleton" role="status"><span class="visually-hidden">"Loading"</span></p>
        </Show>
        <p class="reason" role="status">{move || shown.problem.get()}</p>
        <p class="actions">
            <Show when=move || has_rows() && shown.has_older.get()>
                <button type="button" disabled=move || shown.is_busy.get() on:click=move |_| shown.busy(shown.load(true))>
                    "More"
                </button>
            </Show>
            <Show when=move || has_rows() && !past.file.is_empty()>
                <button type="button" disabled=move || shown.is_busy.get() on:click=move |_| shown.busy(shown.save())>
                    "Save all as CSV"
                </button>
            </Show>
        </p>
    }
}

fn row(past: &'static Past, entry: &Entry) -> impl IntoView + use<> {
    let cell = |(cell, label): (Cell, &&'static str)| {
        let inner = match cell.link {
            Some(link) => view! { <a href=link>{cell.text}</a> }.into_any(),
            None => cell.text.into_any(),
        };
        view! { <td role="cell" class=cell.class title=cell.title data-label=*label>{inner}</td> }
    };
    let cells = entry.cells.clone().into_iter().zip(past.columns).map(cell).collect_view();
    view! { <tr role="row">{cells}</tr> }
}
