//! What the page shows, as signals that components share.

use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::*;
use zellbook_core::engine::Maker;
use zellbook_core::wire::{
    AccountBody, BookBody, LevelBody, MarketsResponse, OrderBody, ReplicaState, StatusBody,
    TradeBody,
};
use zellbook_core::{Action, Decimal, Listing, Market, Rules, Side, Ticks};

use crate::format::Steps;
use crate::route::Route;
use crate::sending::Sent;
use crate::wallet::Wallet;

/// Trades that the tape keeps.
const TRADES_KEPT: usize = 60;
/// Levels of a side that are kept: more than a replica sends, so that none can fill the memory.
const LEVELS_KEPT: usize = 1000;

/// A price level of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its price.
    pub price: Ticks,
    /// The open quantity, in lots.
    pub lots: u128,
    /// How many orders that is.
    pub orders: u32,
}

impl Level {
    /// Reads a level; with no lots it is one that is gone.
    fn read(market: &Market, (price, quantity, orders): &LevelBody) -> Option<Self> {
        Some(Self {
            price: ticks(market, price)?,
            lots: lots(market, quantity)?,
            orders: orders.parse().ok()?,
        })
    }
}

/// One side of the book by price.
type Levels = BTreeMap<Ticks, Level>;

/// A price as the replica writes it.
pub fn ticks(market: &Market, text: &str) -> Option<Ticks> {
    let ticks = Decimal::parse(text).ok()?.in_steps_of(market.tick_size).ok()?;
    u64::try_from(ticks).ok().map(Ticks)
}

/// A quantity as the replica writes it, in lots.
pub fn lots(market: &Market, text: &str) -> Option<u128> {
    Decimal::parse(text).ok()?.in_steps_of(market.lot_size).ok()
}

/// The book of the market on show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    bids: Levels,
    asks: Levels,
    /// Whether its snapshot has come: a book that is not known is no empty one.
    pub is_there: bool,
}

impl Book {
    /// Takes a snapshot, or the levels that changed.
    pub fn take(&mut self, body: &BookBody, market: &Market, is_snapshot: bool) {
        self.is_there |= is_snapshot;
        for (levels, rows) in [(&mut self.bids, &body.bids), (&mut self.asks, &body.asks)] {
            if is_snapshot {
                levels.clear();
            }
            for level in rows.iter().filter_map(|row| Level::read(market, row)) {
                if level.lots == 0 {
                    levels.remove(&level.price);
                } else {
                    levels.insert(level.price, level);
                }
            }
        }
        while self.bids.len() > LEVELS_KEPT {
            self.bids.pop_first();
        }
        while self.asks.len() > LEVELS_KEPT {
            self.asks.pop_last();
        }
    }

    /// Levels of a side, best first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = Level> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.values().rev().copied()),
            Side::Sell => Box::new(self.asks.values().copied()),
        }
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<Ticks> {
        self.levels(side).next().map(|level| level.price)
    }

    /// What an order meets on a side, best first: of each level the orders of others as one, then
    /// the account's own, given by price and lots. Which of a level stands first is not known here.
    pub fn makers<'a>(
        &'a self,
        side: Side,
        own: &'a [(Ticks, u128)],
    ) -> impl Iterator<Item = Maker<()>> + 'a {
        self.levels(side).flat_map(move |Level { price, lots, orders }| {
            let maker = move |remaining, orders, is_own| Maker {
                price,
                remaining,
                orders,
                is_own,
                key: (),
            };
            let own = own.iter().filter(move |(at, _)| *at == price);
            let own = own.map(move |(_, remaining)| maker(*remaining, 1, true));
            let own_lots: u128 = own.clone().map(|maker| maker.remaining).sum();
            let own_orders: u32 = own.clone().map(|maker| maker.orders).sum();
            let left = lots.saturating_sub(own_lots);
            let orders = orders.saturating_sub(own_orders).max(1);
            (left > 0).then(|| maker(left, orders, false)).into_iter().chain(own)
        })
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
    /// The view on show.
    pub route: RwSignal<Route>,
    /// The tokens and markets that there are, once known: as the replica lists them, then as genesis does.
    pub listing: RwSignal<Option<Arc<Listing>>>,
    /// Genesis, once something is to be signed or checked by it: see [`crate::genesis`].
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
    /// Why the replica ended the last connection, if it said so.
    pub parting: RwSignal<Option<String>>,
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
    /// Id of the open order that is edited.
    pub edited: RwSignal<Option<String>>,
    /// Whether the order form is open where the page is narrow.
    pub form_open: RwSignal<bool>,
    /// Whether the wallet's dialog is open.
    pub wallet_open: RwSignal<bool>,
    /// Something that went wrong, for the user.
    pub problem: RwSignal<Option<String>>,
}

impl State {
    /// A page that has loaded nothing yet.
    pub fn new() -> Self {
        Self {
            route: RwSignal::new(Route::of_window()),
            listing: RwSignal::new(None),
            rules: RwSignal::new(None),
            markets: RwSignal::new(None),
            market: RwSignal::new(String::new()),
            book: RwSignal::default(),
            trades: RwSignal::default(),
            account: RwSignal::new(None),
            status: RwSignal::new(None),
            connected: RwSignal::new(false),
            parting: RwSignal::new(None),
            wallet: RwSignal::default(),
            sent: RwSignal::default(),
            request: RwSignal::new(None),
            side: RwSignal::new(Side::Buy),
            price: RwSignal::default(),
            quantity: RwSignal::default(),
            edited: RwSignal::new(None),
            form_open: RwSignal::new(false),
            wallet_open: RwSignal::new(false),
            problem: RwSignal::new(None),
        }
    }

    /// Whether what is on show may be old, or must not be trusted any more.
    pub fn is_stale(self) -> bool {
        let is_halted = |status: &StatusBody| status.state == ReplicaState::Halted;
        !self.connected.get() || self.status.with(|it| it.as_ref().is_some_and(is_halted))
    }

    /// What is listed, and the market on show, once both are known.
    pub fn listed_market(self) -> Option<(Arc<Listing>, Market)> {
        let listing = self.listing.get()?;
        let market = listing.market(&self.market.get())?.clone();
        Some((listing, market))
    }

    /// The symbol of base or quote of the market on show.
    pub fn symbol(self, is_base: bool) -> Option<String> {
        let (listing, market) = self.listed_market()?;
        let token = listing.token_at(if is_base { market.base } else { market.quote })?;
        Some(token.symbol.clone())
    }

    /// Shows another market, with an empty form: a price of one market is a mistake in another.
    pub fn show_market(self, name: String) {
        self.price.set(String::new());
        self.quantity.set(String::new());
        self.book.set(Book::default());
        self.trades.set(Vec::new());
        self.market.set(name);
    }

    /// Shows new trades of the market on show, newest first.
    pub fn add_trades(self, new: Vec<TradeBody>, is_snapshot: bool) {
        self.trades.update(|trades| {
            if is_snapshot {
                trades.clear();
            }
            trades.splice(0..0, new);
            trades.truncate(TRADES_KEPT);
        });
    }

    /// The open orders of the wallet's account in a market, newest first.
    pub fn open_orders(self, market: &str) -> Vec<OrderBody> {
        self.account.with(|account| {
            let orders = account.iter().flat_map(|account| &account.open_orders);
            orders.filter(|order| order.market == market).cloned().collect()
        })
    }

    /// How numbers of a market are written.
    pub fn steps(self, market: &str) -> Steps {
        let listing = &*self.listing.read();
        let market = listing.as_ref().and_then(|listing| listing.market(market));
        market.map_or_else(Steps::default, Steps::of)
    }

    /// Whether the wallet has an account.
    pub fn has_key(self) -> Memo<bool> {
        Memo::new(move |_| self.wallet.with(|wallet| wallet.account().is_some()))
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
