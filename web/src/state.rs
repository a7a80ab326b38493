//! What the page shows, as signals that components share.

use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::*;
use zellbook_core::genesis::{Market, Rules};
use zellbook_core::transaction::{Action, Side};
use zellbook_core::units::Decimal;
use zellbook_core::wire::{
    AccountBody, BookBody, LevelBody, MarketsResponse, StatusBody, TradeBody,
};

use crate::sending::Sent;
use crate::wallet::Wallet;

/// Trades that the tape keeps.
const TRADES_KEPT: usize = 60;

/// One side of the book by price in ticks: quantity and orders.
type Levels = BTreeMap<u128, LevelBody>;

/// The book of the market on show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    bids: Levels,
    asks: Levels,
}

impl Book {
    /// Takes a snapshot, or the levels that changed.
    pub fn take(&mut self, body: &BookBody, market: &Market, is_snapshot: bool) {
        for (levels, rows) in [(&mut self.bids, &body.bids), (&mut self.asks, &body.asks)] {
            if is_snapshot {
                levels.clear();
            }
            for row in rows {
                let ticks = Decimal::parse(&row.0).ok();
                let Some(ticks) = ticks.and_then(|price| price.in_steps_of(market.tick_size).ok())
                else {
                    continue;
                };
                if row.1 == "0" {
                    levels.remove(&ticks);
                } else {
                    levels.insert(ticks, row.clone());
                }
            }
        }
    }

    /// Levels of a side, best first.
    pub fn levels(&self, side: Side, count: usize) -> Vec<LevelBody> {
        match side {
            Side::Buy => self.bids.values().rev().take(count).cloned().collect(),
            Side::Sell => self.asks.values().take(count).cloned().collect(),
        }
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<Decimal> {
        self.levels(side, 1).first().and_then(|level| Decimal::parse(&level.0).ok())
    }
}

/// Something that waits for the user's signature.
#[derive(Clone, Debug)]
pub struct SignRequest {
    /// What it does, in words.
    pub title: String,
    /// Names and values to check before signing.
    pub lines: Vec<(&'static str, String)>,
    /// What will be signed.
    pub action: Action,
}

/// All signals.
#[derive(Clone, Copy)]
pub struct State {
    /// The rules of genesis, once loaded.
    pub rules: RwSignal<Option<Arc<Rules>>>,
    /// Tokens and markets with their figures.
    pub markets: RwSignal<Option<MarketsResponse>>,
    /// The market on show.
    pub market: RwSignal<String>,
    /// Its book.
    pub book: RwSignal<Book>,
    /// Its last trades, newest first.
    pub trades: RwSignal<Vec<TradeBody>>,
    /// The wallet's account, as the replica reports it.
    pub account: RwSignal<Option<AccountBody>>,
    /// The replica.
    pub status: RwSignal<Option<StatusBody>>,
    /// Whether the feed is connected.
    pub connected: RwSignal<bool>,
    /// The wallet.
    pub wallet: RwSignal<Wallet>,
    /// Transactions that this page sent, newest first.
    pub sent: RwSignal<Vec<Sent>>,
    /// What waits for a signature.
    pub request: RwSignal<Option<SignRequest>>,
    /// Side of the order form.
    pub side: RwSignal<Side>,
    /// Price field of the order form.
    pub price: RwSignal<String>,
    /// Quantity field of the order form.
    pub quantity: RwSignal<String>,
    /// Whether the order form is open where the page is narrow.
    pub form_open: RwSignal<bool>,
    /// Whether the key was exported since the page was opened.
    pub exported: RwSignal<bool>,
    /// Whether the wallet's dialog is open.
    pub wallet_open: RwSignal<bool>,
    /// Something that went wrong, for the user.
    pub problem: RwSignal<Option<String>>,
}

impl State {
    /// A page that has loaded nothing yet.
    pub fn new() -> Self {
        Self {
            rules: RwSignal::new(None),
            markets: RwSignal::new(None),
            market: RwSignal::new(String::new()),
            book: RwSignal::default(),
            trades: RwSignal::default(),
            account: RwSignal::new(None),
            status: RwSignal::new(None),
            connected: RwSignal::new(false),
            wallet: RwSignal::new(Wallet::load()),
            sent: RwSignal::default(),
            request: RwSignal::new(None),
            side: RwSignal::new(Side::Buy),
            price: RwSignal::default(),
            quantity: RwSignal::default(),
            form_open: RwSignal::new(false),
            exported: RwSignal::new(false),
            wallet_open: RwSignal::new(false),
            problem: RwSignal::new(None),
        }
    }

    /// The rules and the market on show, once both are known.
    pub fn market_rules(self) -> Option<(Arc<Rules>, Market)> {
        let rules = self.rules.get()?;
        let market = rules.market(&self.market.get())?.clone();
        Some((rules, market))
    }

    /// Shows another market, with an empty form: a price of one market is a mistake in another.
    pub fn show_market(self, name: String) {
        self.price.set(String::new());
        self.quantity.set(String::new());
        self.book.set(Book::default());
        self.trades.set(Vec::new());
        self.market.set(name);
    }

    /// Adds new trades of the market on show.
    pub fn add_trades(self, new: Vec<TradeBody>, is_snapshot: bool) {
        self.trades.update(|trades| {
            if is_snapshot {
                trades.clear();
            }
            trades.splice(0..0, new);
            trades.truncate(TRADES_KEPT);
        });
    }

    /// The available balance of a token, if it is known.
    pub fn available(self, token: &str) -> Option<Decimal> {
        self.account.with(|account| {
            let balances = &account.as_ref()?.balances;
            let balance = balances.iter().find(|balance| balance.token == token)?;
            Decimal::parse(&balance.available).ok()
        })
    }
}

/// The page's state, which [`crate::app::App`] provides.
pub fn use_state() -> State {
    expect_context()
}
