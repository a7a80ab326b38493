//! One account: balances, open orders, session keys, and its past page by page.

use zellbook_core::wire::{
    AccountBody, BalanceBody, FillBody, FillsResponse, LedgerEntryBody, LedgerKind, LedgerResponse,
    OrderBody, OrderStatus, OrdersResponse, SessionKeyBody,
};

use super::context::{Context, View};
use super::load::load;
use super::parts::{self, Row};
use super::past::Past;
use crate::features::evidence::{Numbers, Subject};
use crate::platform::dom::{Node, button, element, text, with};
use crate::platform::format;

const BALANCES: &[&str] = &["Token", "#Available", "#Locked in orders"];
const ORDERS: &[&str] =
    &["Order", "Time", "Market", "Side", "#Price", "#Quantity", "#Filled", "Status", "Transaction"];
const KEYS: &[&str] = &["Key", "Expires", "Market", "#Spent", "#Spending limit"];
const FILLS: &[&str] =
    &["Trade", "Time", "Market", "Side", "#Price", "#Quantity", "Role", "#Fee", "Batch"];
const LEDGER: &[&str] = &["Time", "Type", "Token", "#Amount", "Details", "Batch"];

pub fn account(context: Context, key: String) -> View {
    let path = format!("/v1/accounts/{key}");
    let of_account = path.clone();
    let load = load(move || of_account.clone()).live(context);
    let past = |what: &str| Past::new(format!("{path}/{what}")).live(context);
    let (ledger, fills, orders) = (past("ledger"), past("fills"), past("orders"));
    Box::new(move || {
        let own = context.session.key();
        // With the numbers as they are shown here. The check asks for them again.
        let check = move |subject: &Subject, numbers: fn(&AccountBody) -> Numbers| {
            let shown = load.read().and_then(Result::ok);
            context.evidence.check_shown(subject.clone(), shown.as_ref().map(numbers));
        };
        let subject = Subject::Balances(key.clone());
        let check_balances = move || check(&subject, Numbers::of_balances);
        let mut tags = vec![button("Check", &key, check_balances)];
        if own.is_some_and(|own| own.to_string() == key) {
            tags.push(element("span", "tag", vec![text("yours")]));
        }
        // Everything else is shown inside the account's answer, so that a key that is not valid is explained once.
        let mut view = vec![parts::heading("Account", tags), parts::lead_hash(&key)];
        view.extend(load.show(|body: AccountBody| {
            let balances = body.balances.iter().map(balance).collect();
            let balances = parts::table("Balances", BALANCES, balances, "No tokens.");
            let open = body.open_orders.iter().map(|one| order(context, one)).collect();
            let empty = "No open orders.";
            let mut open = vec![parts::table("Open orders", ORDERS, open, empty)];
            if !body.open_orders.is_empty() {
                // The value `orders` tells this button from the other one named "Check", which checks the balances.
                let subject = Subject::Orders(key.clone());
                let check = button("Check", "orders", move || check(&subject, Numbers::of_orders));
                let check = with(check, "aria-label", "Check open orders");
                open.push(element("p", "actions", vec![check]));
            }
            vec![
                parts::section("Balances", vec![balances]),
                parts::section("Open orders", open),
                parts::section(
                    "Ledger",
                    ledger.show(
                        "Ledger",
                        LEDGER,
                        "No deposits, withdrawals or transfers yet.",
                        |page: &LedgerResponse| {
                            (
                                page.entries.iter().map(entry).collect(),
                                page.entries.last().map(|entry| entry.number.clone()),
                            )
                        },
                    ),
                ),
                parts::section(
                    "Fills",
                    fills.show(
                        "Fills",
                        FILLS,
                        "No fills yet. Trades of this account appear here with their batch.",
                        |page: &FillsResponse| {
                            (
                                page.fills.iter().map(|one| fill(context, one)).collect(),
                                page.fills.last().map(|fill| fill.trade.id.clone()),
                            )
                        },
                    ),
                ),
                parts::section(
                    "Order history",
                    orders.show(
                        "Order history",
                        ORDERS,
                        "No past orders. Filled and cancelled orders appear here.",
                        |page: &OrdersResponse| {
                            (
                                page.orders.iter().map(|one| order(context, one)).collect(),
                                page.orders.last().map(|order| order.id.clone()),
                            )
                        },
                    ),
                ),
                parts::section("Trading keys", session_keys(&body)),
            ]
        }));
        view
    })
}

fn balance(balance: &BalanceBody) -> Row {
    let (available, locked) = (&balance.available, &balance.locked);
    vec![text(&balance.token), parts::number(available), parts::number(locked)]
}

fn order(context: Context, order: &OrderBody) -> Row {
    let steps = context.markets.steps(&order.market);
    let became = match order.status {
        OrderStatus::Open => "open".to_string(),
        OrderStatus::Filled => "filled".into(),
        OrderStatus::Cancelled => {
            let reason = order.reason.as_deref().unwrap_or_default();
            format!("cancelled ({})", reason.replace('_', " "))
        }
    };
    vec![
        parts::number(&order.id),
        parts::time(&order.time_ms),
        parts::market_link(&order.market),
        parts::side(order.side),
        text(&steps.price(&order.price)),
        text(&steps.quantity(&order.quantity)),
        text(&steps.quantity(&order.filled)),
        text(&became),
        parts::transaction_link(&order.hash),
    ]
}

fn session_keys(body: &AccountBody) -> Vec<Node> {
    let empty = "No trading keys. Only the account’s own key signs for it.";
    let rows = body.session_keys.iter().map(session_key).collect();
    let mut view = vec![parts::table("Trading keys", KEYS, rows, empty)];
    if let Some(time) = &body.switch_ms {
        let message = vec![
            text("The dead-man’s switch cancels all orders at "),
            parts::time(time),
            text(", unless it is extended before then."),
        ];
        view.push(element("p", "note", message));
    }
    view
}

fn session_key(key: &SessionKeyBody) -> Row {
    // A key without a spending limit has no spent amount either.
    let amount = |amount: &Option<String>, without_limit: &str| match (amount, &key.spend_token) {
        (Some(amount), Some(token)) => parts::amount(amount, token),
        _ => text(without_limit),
    };
    vec![
        parts::whole(&key.key),
        parts::time(&key.expires_ms),
        key.market.as_ref().map_or_else(|| text("all"), |market| parts::market_link(market)),
        amount(&key.spent, "–"),
        amount(&key.spend_limit, "none"),
    ]
}

fn fill(context: Context, fill: &FillBody) -> Row {
    let steps = context.markets.steps(&fill.trade.market);
    let quote = fill.trade.market.split_once('/').map_or("", |(_, quote)| quote);
    vec![
        parts::number(&fill.trade.id),
        parts::time(&fill.trade.time_ms),
        parts::market_link(&fill.trade.market),
        parts::side(fill.side),
        text(&steps.price(&fill.trade.price)),
        text(&steps.quantity(&fill.trade.quantity)),
        text(if fill.is_maker { "maker" } else { "taker" }),
        parts::amount(&fill.fee, quote),
        parts::batch_link(&fill.trade.batch),
    ]
}

fn entry(entry: &LedgerEntryBody) -> Row {
    let (what, sign) = match entry.kind {
        LedgerKind::Deposit => ("deposit", "+"),
        LedgerKind::Withdrawal => ("withdrawal", "−"),
        LedgerKind::TransferOut => ("transfer out", "−"),
        LedgerKind::TransferIn => ("transfer in", "+"),
    };
    // References and destinations are names outside of this exchange, so there is no view to link to.
    let with = match entry.kind {
        LedgerKind::TransferOut | LedgerKind::TransferIn => parts::account_link(&entry.with),
        LedgerKind::Deposit | LedgerKind::Withdrawal => parts::whole(&entry.with),
    };
    vec![
        parts::time(&entry.time_ms),
        text(what),
        text(&entry.token),
        text(&format!("{sign}{}", format::number(&entry.amount, 0))),
        with,
        parts::batch_link(&entry.batch),
    ]
}
