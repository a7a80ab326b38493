//! One account: balances, orders, session keys, and its past page by page.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;
use zellbook_core::wire::{
    AccountBody, BalanceBody, FillBody, FillsResponse, LedgerEntryBody, LedgerKind, LedgerResponse,
    OrderBody, OrderStatus, OrdersResponse, SessionKeyBody,
};

use super::View;
use super::dom::{Node, button, element, text, with};
use super::load::load;
use super::parts::{self, Row};
use crate::api::{self, ApiResult};
use crate::evidence::{Evidence, Subject};
use crate::format;
use crate::state::State;

/// Rows of a page of the past.
const PAGE: usize = 25;
/// Rows that are asked for anew with each commit, at most: as many as one answer has.
const ROWS_LIVE_MAX: usize = 200;
const BALANCES: &[&str] = &["Token", "#Available", "#Locked in orders"];
const ORDERS: &[&str] =
    &["Order", "Time", "Market", "Side", "#Price", "#Quantity", "#Filled", "Status", "Transaction"];
const KEYS: &[&str] = &["Key", "Expires", "Market", "#Spent", "#Spending limit"];
const FILLS: &[&str] =
    &["Trade", "Time", "Market", "Side", "#Price", "#Quantity", "Role", "#Fee", "Batch"];
const LEDGER: &[&str] = &["Time", "Type", "Token", "#Amount", "Details", "Batch"];

pub fn account(state: State, key: String) -> View {
    let path = format!("/v1/accounts/{key}");
    let of_account = path.clone();
    let load = load(move || of_account.clone()).live(state);
    let past = |what: &str| Past::new(format!("{path}/{what}")).live(state);
    let (ledger, fills, orders) = (past("ledger"), past("fills"), past("orders"));
    let evidence = Evidence::of_page();
    Box::new(move || {
        let own = state.wallet.with(crate::wallet::Wallet::account);
        let subject = Subject::Balances(key.clone());
        let mut tags = vec![button("Check", &key, move || evidence.check(subject.clone()))];
        if own.is_some_and(|own| own.to_string() == key) {
            tags.push(element("span", "tag", vec![text("yours")]));
        }
        let mut view = vec![parts::heading("Account", tags), parts::lead_hash(&key)];
        view.extend(load.show(|body: AccountBody| {
            let balances = body.balances.iter().map(balance).collect();
            let balances = parts::table("Balances", BALANCES, balances, "No tokens.");
            let open = body.open_orders.iter().map(|one| order(state, one)).collect();
            let empty = "No open orders.";
            let mut open = vec![parts::table("Open orders", ORDERS, open, empty)];
            if !body.open_orders.is_empty() {
                let subject = Subject::Orders(key.clone());
                let check = button("Check", "orders", move || evidence.check(subject.clone()));
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
                                page.fills.iter().map(|one| fill(state, one)).collect(),
                                page.fills.last().map(|fill| fill.trade.id.clone()),
                            )
                        },
                    ),
                ),
                parts::section(
                    "Past orders",
                    orders.show(
                        "Past orders",
                        ORDERS,
                        "No past orders. Filled and cancelled orders appear here.",
                        |page: &OrdersResponse| {
                            (
                                page.orders.iter().map(|one| order(state, one)).collect(),
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

/// An answer, and for how many rows it was asked.
struct Page {
    text: String,
    rows: usize,
}

/// What is asked for page by page, newest first.
#[derive(Clone, Copy)]
struct Past {
    path: StoredValue<String>,
    pages: RwSignal<Vec<Page>>,
    /// How often something was asked for.
    asked: StoredValue<u32>,
    /// Whether an answer is waited for.
    waits: StoredValue<bool>,
    /// Whether there was a commit since that was asked for.
    is_old: StoredValue<bool>,
    problem: RwSignal<Option<String>>,
}

impl Past {
    fn new(path: String) -> Self {
        let past = Self {
            path: StoredValue::new(path),
            pages: RwSignal::default(),
            asked: StoredValue::default(),
            waits: StoredValue::default(),
            is_old: StoredValue::default(),
            problem: RwSignal::default(),
        };
        past.ask(None, PAGE);
        past
    }

    /// Asks anew for what is on show, and for what came since, with each commit of the replica.
    fn live(self, state: State) -> Self {
        let batch = Memo::new(move |_| {
            state.status.with(|status| status.as_ref().map(|status| status.batch.clone()))
        });
        Effect::new(move |before: Option<Option<String>>| {
            let now = batch.get();
            if before.flatten().is_some_and(|before| Some(before) != now) {
                self.refresh();
            }
            now
        });
        self
    }

    /// Asks for all that is on show anew; once for many commits, and never instead of what the reader asks for.
    fn refresh(self) {
        if self.waits.get_value() {
            self.is_old.set_value(true);
            return;
        }
        let shown: usize =
            self.pages.with_untracked(|pages| pages.iter().map(|page| page.rows).sum());
        if shown <= ROWS_LIVE_MAX {
            self.ask(None, shown.max(PAGE));
        }
    }

    /// Asks for so many rows before an id; for the newest, which take the place of all, without one.
    fn ask(self, before: Option<String>, rows: usize) {
        let is_all = before.is_none();
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        let path = format!("{}?limit={rows}{before}", self.path.get_value());
        let asked = self.asked.get_value().wrapping_add(1);
        self.asked.set_value(asked);
        self.waits.set_value(true);
        spawn_local(async move {
            let answer = api::text(&path).await;
            // A view that is gone takes nothing, and of two answers the one that was asked for later counts.
            if self.asked.try_get_value() != Some(asked) {
                return;
            }
            self.waits.set_value(false);
            self.problem.set(answer.as_ref().err().map(ToString::to_string));
            if let Ok(text) = answer {
                self.pages.update(|pages| {
                    if is_all {
                        pages.clear();
                    }
                    pages.push(Page { text, rows });
                });
                if self.is_old.get_value() {
                    self.is_old.set_value(false);
                    self.refresh();
                }
            }
        });
    }

    /// All pages that are there, in one table. `rows` are those of a page, with the last one's id.
    fn show<T: DeserializeOwned>(
        self,
        caption: &str,
        columns: &[&str],
        empty: &str,
        rows: impl Fn(&T) -> (Vec<Row>, Option<String>),
    ) -> Vec<Node> {
        let pages: Vec<ApiResult<T>> =
            self.pages.with(|pages| pages.iter().map(|page| api::parse(&page.text)).collect());
        let (mut all, mut oldest, mut is_more) = (Vec::new(), None, false);
        let asked: Vec<usize> =
            self.pages.with(|pages| pages.iter().map(|page| page.rows).collect());
        for (page, asked) in pages.iter().zip(asked) {
            let Ok(page) = page else { continue };
            let (rows, last) = rows(page);
            is_more = rows.len() == asked;
            all.extend(rows);
            oldest = last.or(oldest);
        }
        let mut view = Vec::new();
        if !pages.is_empty() {
            view.push(parts::table(caption, columns, all, empty));
        }
        let problem = self.problem.get();
        let label = if problem.is_some() { "Try again" } else { "Older" };
        let is_failed = problem.is_some();
        view.extend(
            problem
                .map(|problem| with(element("p", "fault", vec![text(&problem)]), "role", "alert")),
        );
        if is_more || is_failed {
            let value = oldest.clone().unwrap_or_default();
            let button = button(label, &value, move || self.ask(oldest.clone(), PAGE));
            let button =
                with(button, "aria-label", &format!("{label}: {}", caption.to_ascii_lowercase()));
            view.push(element("p", "actions", vec![button]));
        }
        view
    }
}

fn balance(balance: &BalanceBody) -> Row {
    let (available, locked) = (&balance.available, &balance.locked);
    vec![text(&balance.token), parts::number(available), parts::number(locked)]
}

fn order(state: State, order: &OrderBody) -> Row {
    let steps = state.steps(&order.market);
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
        let said = vec![
            text("The dead-man’s switch cancels all orders at "),
            parts::time(time),
            text(", unless it is extended before then."),
        ];
        view.push(element("p", "note", said));
    }
    view
}

fn session_key(key: &SessionKeyBody) -> Row {
    let amount = |amount: &Option<String>| match (amount, &key.spend_token) {
        (Some(amount), Some(token)) => parts::amount(amount, token),
        _ => text("any"),
    };
    vec![
        parts::whole(&key.key),
        parts::time(&key.expires_ms),
        key.market.as_ref().map_or_else(|| text("all"), |market| parts::market_link(market)),
        amount(&key.spent),
        amount(&key.spend_limit),
    ]
}

fn fill(state: State, fill: &FillBody) -> Row {
    let steps = state.steps(&fill.trade.market);
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
