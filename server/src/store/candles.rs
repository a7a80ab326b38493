//! Candles: open, high, low, close and volume of a market for each interval of time.
//!
//! Each commit updates them, so that a query reads ready candles and never the trades. Times are those of
//! the sequence proofs.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};
use zellbook_core::types::MarketIndex;
use zellbook_core::wire::CandleBody;
use zellbook_core::{Market, Ticks};

use super::error::QueryError;
use super::reader::{Unsigned, View};
use super::rows::{AppliedBatch, TradeRow};

const MINUTE_MS: u64 = 60_000;

/// The length of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// The name in the API.
    pub name: &'static str,
    minutes: u64,
}

impl Interval {
    /// All intervals, shortest first. Candles start at whole multiples of their length, in UTC.
    pub const ALL: [Self; 6] = [
        Self { name: "1m", minutes: 1 },
        Self { name: "5m", minutes: 5 },
        Self { name: "15m", minutes: 15 },
        Self { name: "1h", minutes: 60 },
        Self { name: "4h", minutes: 240 },
        Self { name: "1d", minutes: 1440 },
    ];

    const fn start_of(self, time_ms: u64) -> u64 {
        let length = self.minutes * MINUTE_MS;
        time_ms / length * length
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candle {
    open: Ticks,
    high: Ticks,
    low: Ticks,
    close: Ticks,
    quantity: u128,
}

impl Candle {
    /// Joins it with a later candle.
    fn and(self, later: Self) -> Self {
        Self {
            open: self.open,
            high: self.high.max(later.high),
            low: self.low.min(later.low),
            // Later in the sequence of trades, not in time. The times of sequence proofs can go back a
            // little, and a trade then joins a candle that is not the newest.
            close: later.close,
            quantity: self.quantity.saturating_add(later.quantity),
        }
    }
}

type Key = (MarketIndex, Interval, u64);

/// The candles of some trades, for all intervals.
fn candles_of<'a>(trades: impl IntoIterator<Item = &'a TradeRow>) -> BTreeMap<Key, Candle> {
    let mut candles: BTreeMap<Key, Candle> = BTreeMap::new();
    for TradeRow { fill, time_ms, .. } in trades {
        let (price, quantity) = (fill.price, u128::from(fill.quantity.0));
        let trade = Candle { open: price, high: price, low: price, close: price, quantity };
        // Joined in memory first, so that a commit with many trades writes the row of each candle once.
        for interval in Interval::ALL {
            let key = (fill.market, interval, interval.start_of(*time_ms));
            candles.entry(key).and_modify(|candle| *candle = candle.and(trade)).or_insert(trade);
        }
    }
    candles
}

/// Adds the trades of a commit to the candles.
pub(super) fn write_candles(
    transaction: &Transaction<'_>,
    batches: &[AppliedBatch],
) -> rusqlite::Result<()> {
    let mut read = transaction.prepare_cached(
        "SELECT open, high, low, close, quantity FROM candles
         WHERE market = ?1 AND minutes = ?2 AND start_ms = ?3",
    )?;
    let mut write = transaction
        .prepare_cached("INSERT OR REPLACE INTO candles VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for ((market, interval, start), new) in
        candles_of(batches.iter().flat_map(|batch| &batch.rows.trades))
    {
        let (minutes, start) = (interval.minutes.cast_signed(), start.cast_signed());
        // Read and written back, because SQLite cannot add volumes that are stored as text.
        let old =
            read.query_row(params![market.0, minutes, start], |row| candle(row, 0)).optional()?;
        let Candle { open, high, low, close, quantity } = old.map_or(new, |old| old.and(new));
        write.execute(params![
            market.0,
            minutes,
            start,
            open.0.cast_signed(),
            high.0.cast_signed(),
            low.0.cast_signed(),
            close.0.cast_signed(),
            quantity.to_string(),
        ])?;
    }
    Ok(())
}

fn candle(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Candle> {
    let price = |column| row.get::<_, Unsigned>(first + column).map(|price| Ticks(price.0));
    let quantity = row.get_ref(first + 4)?.as_str()?.parse();
    Ok(Candle {
        open: price(0)?,
        high: price(1)?,
        low: price(2)?,
        close: price(3)?,
        quantity: quantity.map_err(|_| rusqlite::Error::InvalidColumnIndex(first + 4))?,
    })
}

pub(super) const CANDLES: &str = "SELECT start_ms, open, high, low, close, quantity FROM candles
     WHERE market = ?1 AND minutes = ?2 AND start_ms < ?3 ORDER BY start_ms DESC LIMIT ?4";

impl View<'_> {
    /// The candles of a market that start before a time, newest first. Intervals without a trade have no
    /// candle.
    pub fn candles(
        &self,
        market: &Market,
        interval: Interval,
        before_ms: u64,
        limit: u32,
    ) -> Result<Vec<CandleBody>, QueryError> {
        // As an integer of SQLite, a bound of 2^63 and above would be negative and exclude every candle.
        let before = i64::try_from(before_ms).unwrap_or(i64::MAX);
        let price = |price| market.format_price(price);
        Ok(self
            .connection
            .prepare_cached(CANDLES)?
            .query_map(
                params![market.index.0, interval.minutes.cast_signed(), before, limit],
                |row| {
                    let candle = candle(row, 1)?;
                    Ok(CandleBody {
                        start_ms: row.get::<_, Unsigned>(0)?.0.to_string(),
                        open: price(candle.open),
                        high: price(candle.high),
                        low: price(candle.low),
                        close: price(candle.close),
                        volume: market.format_quantity(candle.quantity),
                    })
                },
            )?
            .collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use zellbook_core::protocol::Fill;
    use zellbook_core::types::MarketIndex;
    use zellbook_core::{Atoms, Lots, SecretKey, Side, Ticks};

    use super::{Candle, Interval, candles_of};
    use crate::store::TradeRow;

    fn trade(time_ms: u64, price: u64, quantity: u64) -> TradeRow {
        let trader = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        let fill = Fill {
            trade: 1,
            market: MarketIndex(0),
            price: Ticks(price),
            quantity: Lots(quantity),
            taker_side: Side::Buy,
            maker_order: 1,
            taker_order: 2,
            maker: trader,
            taker: trader,
            maker_fee: Atoms::ZERO,
            taker_fee: Atoms::ZERO,
        };
        TradeRow { fill, batch: 1, time_ms }
    }

    #[test]
    fn a_candle_covers_exactly_the_trades_of_its_interval() {
        let (minute, day) = (60_000, 86_400_000);
        let candles = candles_of(&[
            trade(day + 5 * minute - 1, 20, u64::MAX),
            trade(day + 5 * minute, 30, 2),
            trade(day + 5 * minute + 999, 10, u64::MAX),
            trade(day + 6 * minute - 1, 25, 1),
        ]);
        let of = |name: &str, start: u64| {
            let interval = Interval::ALL.into_iter().find(|interval| interval.name == name);
            candles.get(&(MarketIndex(0), interval.unwrap(), start)).copied()
        };
        let candle = |open, high, low, close, quantity| {
            let [open, high, low, close] = [open, high, low, close].map(Ticks);
            Some(Candle { open, high, low, close, quantity })
        };
        let most = u128::from(u64::MAX);
        assert_eq!(of("1m", day + 4 * minute), candle(20, 20, 20, 20, most));
        assert_eq!(of("1m", day + 5 * minute), candle(30, 30, 10, 25, most + 3));
        assert_eq!(of("5m", day), candle(20, 20, 20, 20, most));
        assert_eq!(of("5m", day + 5 * minute), candle(30, 30, 10, 25, most + 3));
        assert_eq!(of("1d", day), candle(20, 30, 10, 25, 2 * most + 3));
        assert_eq!(candles.len(), 2 + 2 + 4);
    }
}
