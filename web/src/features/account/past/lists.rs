//! The lists of an account's past: their columns, rows and files.

use zellbook_core::Side;
use zellbook_core::wire::{
    FillBody, FillsResponse, LedgerEntryBody, LedgerKind, LedgerResponse, OrderBody, OrderStatus,
    OrdersResponse,
};

use crate::features::market::Markets;
use crate::platform::api::{self, ApiResult};
use crate::platform::format::{self, verb};

/// A list of an account's past.
pub struct Past {
    /// The last part of its path in the API.
    pub(super) path: &'static str,
    pub(super) columns: &'static [&'static str],
    /// The text of an empty list.
    pub(super) empty: &'static str,
    /// The columns of the file. Empty if the list cannot be saved.
    pub(super) file: &'static [&'static str],
    pub(super) read: fn(Markets, &str) -> ApiResult<Vec<Entry>>,
}

/// A row.
#[derive(Clone)]
pub struct Entry {
    pub(super) number: u64,
    pub(super) cells: Vec<Cell>,
    /// The values in the file, exactly as the replica writes them.
    pub(super) values: Vec<String>,
}

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

/// Orders that are filled or cancelled.
pub const HISTORY: Past = Past {
    path: "orders",
    columns: &["Time", "Market", "Side", "Price", "Quantity", "Filled", "Status"],
    empty: "No past orders. Filled and cancelled orders appear here.",
    file: &[],
    read: |markets, json| {
        let orders = api::parse::<OrdersResponse>(json)?.orders;
        Ok(orders.iter().map(|body| order(markets, body)).collect())
    },
};

fn order(markets: Markets, order: &OrderBody) -> Entry {
    let steps = markets.steps(&order.market);
    let outcome = match (order.status, order.reason.as_deref()) {
        // The owner has cancelled it and needs no reason.
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

pub const FILLS: Past = Past {
    path: "fills",
    columns: &["Time", "Market", "Side", "Price", "Quantity", "Role", "Fee", "Batch"],
    empty: "No fills yet. Your trades appear here, each with its batch.",
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
    read: |markets, json| {
        let fills = api::parse::<FillsResponse>(json)?.fills;
        Ok(fills.iter().map(|body| fill(markets, body)).collect())
    },
};

fn fill(markets: Markets, fill: &FillBody) -> Entry {
    let trade = &fill.trade;
    let steps = markets.steps(&trade.market);
    // All fees are in quote, so the API does not name the token.
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
    // UTC, and no separators: programs read the file, and people in other time zones.
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

/// Deposits, withdrawals and transfers.
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
