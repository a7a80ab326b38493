//! The lists of an account's past: what their rows and files have.

use zellbook_core::Side;
use zellbook_core::wire::{
    FillBody, FillsResponse, LedgerEntryBody, LedgerKind, LedgerResponse, OrderBody, OrderStatus,
    OrdersResponse,
};

use crate::api::{self, ApiResult};
use crate::format::{self, verb};
use crate::state::State;

/// A list of an account.
pub struct Past {
    /// The last part of its path.
    pub(super) path: &'static str,
    pub(super) columns: &'static [&'static str],
    /// What stands where there is nothing.
    pub(super) empty: &'static str,
    /// The columns of its file; none where there is no file.
    pub(super) file: &'static [&'static str],
    pub(super) read: fn(State, &str) -> ApiResult<Vec<Entry>>,
}

/// A row.
#[derive(Clone)]
pub struct Entry {
    pub(super) number: u64,
    pub(super) cells: Vec<Cell>,
    /// What stands in the file.
    pub(super) values: Vec<String>,
}

/// A cell: text, and more of it on hover.
#[derive(Clone, Default)]
pub struct Cell {
    pub(super) text: String,
    pub(super) title: Option<String>,
    pub(super) class: &'static str,
    pub(super) link: Option<String>,
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
    columns: &["Time", "Market", "Side", "Price", "Quantity", "Filled", "Status"],
    empty: "No past orders. Filled and cancelled orders appear here.",
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
    empty: "No fills yet. Your trades appear here, each with the batch that proves it.",
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
    columns: &["Time", "Type", "Token", "Amount", "Details", "Batch"],
    empty: "No deposits, withdrawals or transfers yet.",
    file: &["time", "type", "token", "amount", "details", "batch", "position"],
    read: |_, json| Ok(api::parse::<LedgerResponse>(json)?.entries.iter().map(ledger).collect()),
};

fn ledger(entry: &LedgerEntryBody) -> Entry {
    let (words, sign, class) = match entry.kind {
        LedgerKind::Deposit => ("Deposit", "+", "bid"),
        LedgerKind::Withdrawal => ("Withdrawal", "−", "ask"),
        LedgerKind::TransferOut => ("Transfer out", "−", "ask"),
        LedgerKind::TransferIn => ("Transfer in", "+", "bid"),
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
