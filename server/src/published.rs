//! What the API reads without touching the writer: the last committed batch, the books and the
//! 24-hour figures, replaced whole after each commit.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use zellbook_core::exchange::Exchange;
use zellbook_core::key::PublicKey;
use zellbook_core::listing::{Market, MarketIndex};
use zellbook_core::state_root::Hash;
use zellbook_core::transaction::Side;
use zellbook_core::units::Ticks;
use zellbook_core::wire::{BookBody, LevelBody};

use crate::attester::Attestable;
use crate::store::{AppliedBatch, TradeRow};

/// Levels of a side that are published, at most.
pub const BOOK_DEPTH_MAX: usize = 500;
const DAY_MINUTES: u64 = 24 * 60;

/// The state after a committed batch, as far as the API shows it.
#[derive(Clone, Debug)]
pub struct Published {
    /// The last committed batch.
    pub batch: u64,
    /// The state root after it.
    pub root: Hash,
    /// The exchange's time, Unix milliseconds.
    pub time_ms: u64,
    /// The last batch whose root is certified, with that root.
    pub certified: Option<(u64, Hash)>,
    /// What this replica can attest to.
    pub attestable: Attestable,
    /// The network's chaining hash there.
    pub chaining_hash: String,
    /// When it was applied, if since the start of this process.
    pub applied_ms: Option<u64>,
    /// By market.
    pub books: Vec<Arc<BookBody>>,
    /// By market.
    pub tickers: Vec<Arc<Ticker>>,
}

impl Published {
    /// What a freshly loaded state looks like.
    pub fn new(
        exchange: &Exchange,
        root: Hash,
        chaining_hash: String,
        attestable: Attestable,
    ) -> Self {
        let batch = exchange.counters().batch;
        let markets = &exchange.rules().listing.markets;
        Self {
            batch,
            root,
            time_ms: exchange.counters().time,
            certified: certified(exchange),
            attestable,
            chaining_hash,
            applied_ms: None,
            books: markets.iter().map(|market| Arc::new(book(exchange, market, batch))).collect(),
            tickers: markets.iter().map(|_| Arc::default()).collect(),
        }
    }

    /// Follows a commit of batches, of which `exchange` has applied the last.
    pub fn follow(
        &mut self,
        exchange: &Exchange,
        batches: &[AppliedBatch],
        attestable: Attestable,
    ) {
        let Some(last) = batches.last() else { return };
        self.batch = last.index;
        self.root = last.outcome.root;
        self.time_ms = exchange.counters().time;
        self.certified = certified(exchange);
        self.attestable = attestable;
        self.chaining_hash.clone_from(&last.chaining_hash);
        self.applied_ms = Some(last.applied_ms);
        let trades = batches.iter().flat_map(|batch| &batch.rows.trades);
        for trade in trades {
            if let Some(ticker) = self.tickers.get_mut(usize::from(trade.fill.market.0)) {
                Arc::make_mut(ticker).add(trade.fill.price, trade.fill.quantity.0, trade.time_ms);
            }
        }
        let changed: BTreeSet<MarketIndex> = batches
            .iter()
            .flat_map(AppliedBatch::touched_levels)
            .map(|(market, ..)| market)
            .collect();
        for index in changed {
            let market = exchange.rules().listing.market_at(index);
            let slot = self.books.get_mut(usize::from(index.0));
            if let (Some(market), Some(slot)) = (market, slot) {
                *slot = Arc::new(book(exchange, market, last.index));
            }
        }
    }
}

fn certified(exchange: &Exchange) -> Option<(u64, Hash)> {
    exchange.engine().attestations().last_certified().map(|(batch, root)| (batch, *root))
}

fn level(market: &Market, price: Ticks, quantity: u128, orders: u32) -> LevelBody {
    (market.format_price(price), market.format_quantity(quantity), orders.to_string())
}

fn book(exchange: &Exchange, market: &Market, batch: u64) -> BookBody {
    let side = |side| {
        let book = exchange.engine().book(market.index).into_iter();
        book.flat_map(|book| book.levels(side))
            .take(BOOK_DEPTH_MAX)
            .map(|row| level(market, row.price, row.quantity, row.orders))
            .collect()
    };
    BookBody {
        market: market.name.clone(),
        batch: batch.to_string(),
        bids: side(Side::Buy),
        asks: side(Side::Sell),
    }
}

/// What followers of the feed are told of a commit.
#[derive(Clone, Debug)]
pub struct Update {
    /// The last batch of the commit.
    pub batch: u64,
    /// Changed levels of the published books, by market; a quantity of `0` for one that is gone or
    /// beyond the last that is published.
    pub books: Vec<BookBody>,
    /// New trades, oldest first.
    pub trades: Vec<TradeRow>,
    /// Accounts of which something changed.
    pub accounts: BTreeSet<PublicKey>,
}

impl Update {
    /// Of batches, with the published books before them and after them.
    pub fn new(
        fee_account: PublicKey,
        batches: &[AppliedBatch],
        before: &[Arc<BookBody>],
        after: &[Arc<BookBody>],
    ) -> Self {
        let books = before.iter().zip(after).filter(|(before, after)| !Arc::ptr_eq(before, after));
        let books = books.map(|(before, after)| BookBody {
            market: after.market.clone(),
            batch: after.batch.clone(),
            bids: changed_levels(&before.bids, &after.bids),
            asks: changed_levels(&before.asks, &after.asks),
        });
        Self {
            batch: batches.last().map_or(0, |batch| batch.index),
            books: books.filter(|body| !body.bids.is_empty() || !body.asks.is_empty()).collect(),
            trades: batches.iter().flat_map(|batch| batch.rows.trades.iter().copied()).collect(),
            accounts: batches
                .iter()
                .flat_map(|batch| batch.touched_accounts(fee_account))
                .collect(),
        }
    }
}

/// What makes one side of a published book out of the one before it.
fn changed_levels(before: &[LevelBody], after: &[LevelBody]) -> Vec<LevelBody> {
    let old: HashMap<&str, &LevelBody> =
        before.iter().map(|level| (level.0.as_str(), level)).collect();
    let new: HashSet<&str> = after.iter().map(|level| level.0.as_str()).collect();
    let gone = before.iter().filter(|level| !new.contains(level.0.as_str()));
    let gone = gone.map(|level| (level.0.clone(), "0".into(), "0".into()));
    let changed = after.iter().filter(|level| old.get(level.0.as_str()) != Some(level));
    gone.chain(changed.cloned()).collect()
}

/// The trades of the last 24 hours in minutes.
#[derive(Clone, Debug, Default)]
pub struct Ticker {
    minutes: VecDeque<Minute>,
    last: Option<Ticks>,
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    minute: u64,
    open: Ticks,
    high: Ticks,
    low: Ticks,
    quantity: u128,
}

/// Figures of the last 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// First, highest and lowest price, if there was a trade.
    pub prices: Option<(Ticks, Ticks, Ticks)>,
    /// Lots traded.
    pub quantity: u128,
}

impl Ticker {
    /// Adds a trade, which is not older than those before it by more than clocks differ.
    pub fn add(&mut self, price: Ticks, quantity: u64, time_ms: u64) {
        self.last = Some(price);
        let minute = time_ms / 60_000;
        match self.minutes.back_mut() {
            Some(back) if back.minute >= minute => {
                back.high = back.high.max(price);
                back.low = back.low.min(price);
                back.quantity += u128::from(quantity);
            }
            _ => self.minutes.push_back(Minute {
                minute,
                open: price,
                high: price,
                low: price,
                quantity: quantity.into(),
            }),
        }
        while self.minutes.front().is_some_and(|front| front.minute + DAY_MINUTES < minute) {
            self.minutes.pop_front();
        }
    }

    /// The price of the last trade, however old.
    pub const fn last(&self) -> Option<Ticks> {
        self.last
    }

    /// Sets the last price where no trade of the last day is known.
    pub fn set_last(&mut self, price: Ticks) {
        self.last = Some(price);
    }

    /// The figures of the 24 hours before a time.
    pub fn day(&self, now_ms: u64) -> Day {
        let since = (now_ms / 60_000).saturating_sub(DAY_MINUTES);
        let mut day = Day::default();
        for minute in self.minutes.iter().filter(|minute| minute.minute > since) {
            day.quantity += minute.quantity;
            day.prices = Some(match day.prices {
                Some((open, high, low)) => (open, high.max(minute.high), low.min(minute.low)),
                None => (minute.open, minute.high, minute.low),
            });
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_last_24_hours_and_no_more() {
        let mut ticker = Ticker::default();
        let minute = 60_000;
        ticker.add(Ticks(50), 1, minute);
        ticker.add(Ticks(10), 2, 100 * minute);
        ticker.add(Ticks(30), 3, 100 * minute + 5);
        ticker.add(Ticks(20), 4, 1500 * minute);
        let day = ticker.day(1500 * minute);
        assert_eq!(day, Day { prices: Some((Ticks(10), Ticks(30), Ticks(10))), quantity: 9 });
        assert_eq!(ticker.day(1600 * minute).quantity, 4);
        assert_eq!(ticker.day(5000 * minute), Day::default());
        assert_eq!(ticker.last(), Some(Ticks(20)));
    }
}
