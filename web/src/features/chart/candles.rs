//! Candles: those that the replica reported, with the trades that came after.
//!
//! The replica's answer names the last batch that it includes. The feed's list of trades, newest first, is read down to that
//! batch, and what is new is added to the last candles. If the whole list is new, trades before it may be missing, and the
//! replica is asked again.

use leptos::prelude::RwSignal;
use zellbook_core::wire::{CandleBody, CandlesResponse, TradeBody};
use zellbook_core::{Market, Ticks};

use crate::features::market::{lots, ticks};

const MINUTE_MS: u64 = 60_000;
pub const DAY_MS: u64 = 1440 * MINUTE_MS;
/// The number of trades in a snapshot of the feed. If this many are all new, others may have been missed.
const TAPE_MIN: usize = 50;

/// The length of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The name in the API.
    pub name: &'static str,
    /// The name for people.
    pub words: &'static str,
    pub length_ms: u64,
}

/// The intervals to choose from.
pub const INTERVALS: [Interval; 6] = [
    Interval { name: "1m", words: "1 minute", length_ms: MINUTE_MS },
    Interval { name: "5m", words: "5 minutes", length_ms: 5 * MINUTE_MS },
    Interval { name: "15m", words: "15 minutes", length_ms: 15 * MINUTE_MS },
    Interval { name: "1h", words: "1 hour", length_ms: 60 * MINUTE_MS },
    Interval { name: "4h", words: "4 hours", length_ms: 240 * MINUTE_MS },
    Interval { name: "1d", words: "1 day", length_ms: DAY_MS },
];

/// The user's choice. The chart is loaded later and gets it from its context.
#[derive(Clone, Copy)]
pub struct ChosenInterval(pub RwSignal<Interval>);

/// The trades of one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    pub start_ms: u64,
    pub open: Ticks,
    pub high: Ticks,
    pub low: Ticks,
    pub close: Ticks,
    /// Quantity, in lots.
    pub volume: u128,
}

impl Candle {
    fn read(market: &Market, body: &CandleBody) -> Option<Self> {
        Some(Self {
            start_ms: body.start_ms.parse().ok()?,
            open: ticks(market, &body.open)?,
            high: ticks(market, &body.high)?,
            low: ticks(market, &body.low)?,
            close: ticks(market, &body.close)?,
            volume: lots(market, &body.volume)?,
        })
    }
}

/// What new trades changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// Candles from this position on changed or are new.
    From(usize),
    /// Some trades may be missing, so the replica must be asked again.
    Gap,
}

/// The candles of a market, earliest first.
#[derive(Clone, Debug)]
pub struct Candles {
    pub market: Market,
    pub interval: Interval,
    pub list: Vec<Candle>,
    /// The last batch whose trades are included.
    batch: u64,
    /// Whether the market may have traded before the first candle.
    pub has_older: bool,
}

impl Candles {
    /// Reads the replica's answer to a request for at most `limit` candles.
    pub fn read(market: Market, interval: Interval, limit: usize, body: &CandlesResponse) -> Self {
        let mut list: Vec<Candle> =
            body.candles.iter().filter_map(|candle| Candle::read(&market, candle)).collect();
        // The replica answers newest first. Bisection and the chart's positions need ascending and unique starts, so the order of
        // the answer is not relied on.
        list.sort_by_key(|candle| candle.start_ms);
        list.dedup_by_key(|candle| candle.start_ms);
        let batch = body.batch.parse().unwrap_or(0);
        // Fewer candles than requested are all that there are.
        let has_older = body.candles.len() >= limit;
        Self { market, interval, list, batch, has_older }
    }

    /// Adds candles of the time before.
    pub fn add_older(&mut self, older: Self) {
        let first = self.list.first().map_or(u64::MAX, |candle| candle.start_ms);
        // Only candles from before, even if a replica ignores what was requested: `list` must stay in order.
        let before = older.list.into_iter().filter(|candle| candle.start_ms < first);
        let count = self.list.len();
        self.list.splice(0..0, before);
        // A replica that sends the same page again and again must not be asked for ever.
        self.has_older = older.has_older && self.list.len() > count;
    }

    /// Adds the trades of batches that are not included yet. `tape` is newest first.
    pub fn add_trades(&mut self, tape: &[TradeBody]) -> Change {
        // The answer includes all trades up to its batch and none after it, so the batch tells which trades are new.
        let is_new =
            |trade: &&TradeBody| trade.batch.parse().is_ok_and(|batch: u64| batch > self.batch);
        let new: Vec<&TradeBody> = tape.iter().take_while(is_new).collect();
        let Some(newest) = new.first() else { return Change::Nothing };
        // A shorter tape is all that the market ever traded, so nothing can be missing.
        if new.len() == tape.len() && tape.len() >= TAPE_MIN {
            return Change::Gap;
        }
        let batch = newest.batch.parse().unwrap_or(self.batch);
        let mut first = self.list.len();
        // Oldest first, because the last trade sets the close.
        for trade in new.into_iter().rev() {
            first = first.min(self.add(trade).unwrap_or(first));
        }
        self.batch = batch;
        Change::From(first)
    }

    fn add(&mut self, trade: &TradeBody) -> Option<usize> {
        let price = ticks(&self.market, &trade.price)?;
        let volume = lots(&self.market, &trade.quantity)?;
        let start_ms = self.start_of(trade.time_ms.parse().ok()?);
        let position = self.list.partition_point(|candle| candle.start_ms < start_ms);
        match self.list.get_mut(position).filter(|candle| candle.start_ms == start_ms) {
            Some(candle) => {
                candle.high = candle.high.max(price);
                candle.low = candle.low.min(price);
                candle.close = price;
                candle.volume = candle.volume.saturating_add(volume);
            }
            // An interval without a trade has no candle, so its first trade makes one.
            None => {
                let (open, high, low, close) = (price, price, price, price);
                self.list.insert(position, Candle { start_ms, open, high, low, close, volume });
            }
        }
        Some(position)
    }

    /// The start of the candle that a time is in.
    pub const fn start_of(&self, time_ms: u64) -> u64 {
        time_ms / self.interval.length_ms * self.interval.length_ms
    }
}
