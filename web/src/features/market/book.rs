//! The order book of the market shown, kept up to date by the feed.
//!
//! A channel snapshot replaces the book. A change has the new values of the levels that changed, so applying one twice does
//! no harm, but a missing one does. The feed passes on no change after a gap until the next snapshot.

use std::collections::BTreeMap;

use zellbook_core::engine::Maker;
use zellbook_core::wire::{BookBody, LevelBody};
use zellbook_core::{Decimal, Market, Side, Ticks};

/// The most levels that are stored for each side. It is more than a replica sends, so that no replica can fill the
/// memory of this page.
const LEVELS_MAX: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub price: Ticks,
    /// The open quantity in lots.
    pub lots: u128,
    /// The number of open orders.
    pub orders: u32,
}

impl Level {
    /// Reads a level. One without lots says that the level is empty now.
    fn read(market: &Market, (price, quantity, orders): &LevelBody) -> Option<Self> {
        Some(Self {
            price: ticks(market, price)?,
            lots: lots(market, quantity)?,
            orders: orders.parse().ok()?,
        })
    }
}

/// A side of the book by price. It is sorted, so that both the best and the worst price are at an end.
type Levels = BTreeMap<Ticks, Level>;

/// Reads a price as the replica writes it.
pub fn ticks(market: &Market, text: &str) -> Option<Ticks> {
    let ticks = Decimal::parse(text).ok()?.in_steps_of(market.tick_size).ok()?;
    u64::try_from(ticks).ok().map(Ticks)
}

/// Reads a quantity as the replica writes it. Returns lots.
pub fn lots(market: &Market, text: &str) -> Option<u128> {
    Decimal::parse(text).ok()?.in_steps_of(market.lot_size).ok()
}

/// The book of a market.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    bids: Levels,
    asks: Levels,
    /// Whether its channel snapshot has arrived. Before that, nothing says that the book is empty.
    pub is_there: bool,
}

impl Book {
    /// Applies a channel snapshot, or the levels that changed.
    pub fn apply(&mut self, body: &BookBody, market: &Market, is_snapshot: bool) {
        self.is_there |= is_snapshot;
        for (levels, rows) in [(&mut self.bids, &body.bids), (&mut self.asks, &body.asks)] {
            if is_snapshot {
                levels.clear();
            }
            // A level that cannot be read is left out. One bad number must not hide the rest of the book.
            for level in rows.iter().filter_map(|row| Level::read(market, row)) {
                if level.lots == 0 {
                    levels.remove(&level.price);
                } else {
                    levels.insert(level.price, level);
                }
            }
        }
        // After all changes: the last of them may remove a level. The levels farthest from the spread go, since orders reach
        // them last.
        while self.bids.len() > LEVELS_MAX {
            self.bids.pop_first();
        }
        while self.asks.len() > LEVELS_MAX {
            self.asks.pop_last();
        }
    }

    /// The levels of a side, best price first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = Level> + '_> {
        // Boxed, because the two directions are iterators of different types.
        match side {
            Side::Buy => Box::new(self.bids.values().rev().copied()),
            Side::Sell => Box::new(self.asks.values().copied()),
        }
    }

    pub fn best(&self, side: Side) -> Option<Ticks> {
        self.levels(side).next().map(|level| level.price)
    }

    /// The resting orders that an order would trade with, best price first. Each level is one order of all other
    /// accounts together, followed by the account's own orders, which `own` gives by price and lots. The feed does not
    /// say which orders of a level came first, so a simulation cannot know either.
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
            // Both are what the replica reports. An overflow stops the page, so even false ones must not cause one.
            let own_lots = own.clone().fold(0, |sum: u128, own| sum.saturating_add(own.remaining));
            let own_orders = own.clone().fold(0, |sum: u32, own| sum.saturating_add(own.orders));
            // Book and account come in separate channels. For a moment the account may have more at a price than the book.
            let left = lots.saturating_sub(own_lots);
            // What is left belongs to one order at least, and counts as such against `makers_per_order`.
            let orders = orders.saturating_sub(own_orders).max(1);
            (left > 0).then(|| maker(left, orders, false)).into_iter().chain(own)
        })
    }
}
