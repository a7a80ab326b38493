//! The order book of one market: price levels, each a queue of orders in order of arrival
//! (price-time priority).
//!
//! Orders and levels are in two arrays, and a removed entry is used again for the next one. An
//! order is linked to its neighbours in the queue and to its level, so filling or cancelling it
//! needs no search. For each side, a map from price to level keeps the levels in order. The map
//! only changes when a level appears or disappears. An order that arrives usually finds its level
//! without the map: a table of hints, indexed by the low bits of the price, points to the level
//! that last had such a price. A hint can be stale, so whoever follows it checks that the level
//! there has this price and side and is not empty. The best price of each side is stored beside the
//! map, since every order is compared with it.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use zellbook_prefetch::prefetch;

use crate::types::{AccountIndex, Corrupt, Lots, Side, Ticks};

/// Where an order is in the memory of its book. Not part of the state: replicas may use
/// different slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(NonZeroU32);

#[cfg(test)]
impl Slot {
    pub(crate) fn test(number: u32) -> Self {
        Self(NonZeroU32::new(number).unwrap())
    }

    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }
}

/// Where a level is in the memory of its book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LevelSlot(NonZeroU32);

/// The first bytes of the hash of the transaction that placed an order: enough to tell an account's
/// open orders apart.
pub type HashPrefix = [u8; 8];

/// An order in the book, with the price and side of its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    /// The order id. Ids count accepted orders, so their order is the order of arrival (I4).
    pub id: u64,
    /// The account that placed the order.
    pub account: AccountIndex,
    /// Buy or sell.
    pub side: Side,
    /// The limit price, which is also the price of its trades.
    pub price: Ticks,
    /// The quantity of the order: what it was accepted with, less what a `replace` took off.
    pub quantity: Lots,
    /// Quantity when the order entered the book. The maker fee is charged on this part only: what
    /// was filled before paid the taker fee.
    pub rested: Lots,
    /// The unfilled part of `rested`; more than zero.
    pub remaining: Lots,
    /// The first bytes of the hash of the transaction that placed the order.
    pub hash: HashPrefix,
}

/// A resting order in memory: 56 bytes. Side and price are in the level. A node with nothing
/// remaining is vacant, and its `next` is the next vacant node.
#[derive(Clone, Debug)]
struct Node {
    id: u64,
    quantity: Lots,
    rested: Lots,
    remaining: Lots,
    hash: HashPrefix,
    account: AccountIndex,
    level: LevelSlot,
    previous: Option<Slot>,
    next: Option<Slot>,
}

const _: () = assert!(size_of::<Node>() == 56);

/// The orders of one side at one price. A level in the book is never empty (I5).
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// The sum of what remains of its orders, in lots. A `u128`, since each order can be close to
    /// 2^64.
    pub quantity: u128,
    /// The price of its orders.
    pub price: Ticks,
    /// The number of its orders.
    pub orders: u32,
    /// The side of its orders.
    pub side: Side,
    head: Option<Slot>,
    tail: Option<Slot>,
}

/// The price levels of one side.
#[derive(Clone, Debug, Default)]
struct Levels {
    by_price: BTreeMap<Ticks, LevelSlot>,
    /// The best price: the highest of the bids, the lowest of the asks.
    best: Option<Ticks>,
    /// For the low bits of a price, the level that was last set for such a price. May be stale. The
    /// length is a power of two, at least twice the number of levels when a level is added.
    hints: Vec<Option<LevelSlot>>,
}

impl Levels {
    fn hint(&self, price: Ticks) -> Option<LevelSlot> {
        self.hints.get(self.hint_index(price)).copied().flatten()
    }

    fn hint_index(&self, price: Ticks) -> usize {
        // A usize has 32 bits in wasm. The low half of the price fits there too.
        let low = usize::try_from(price.0 & u64::from(u32::MAX)).unwrap_or(0);
        // The length is a power of two, so this is the remainder. Without any hints the mask is all ones, and
        // the caller finds nothing at that index.
        low & self.hints.len().wrapping_sub(1)
    }

    fn set_hint(&mut self, price: Ticks, slot: LevelSlot) {
        let index = self.hint_index(price);
        if let Some(hint) = self.hints.get_mut(index) {
            *hint = Some(slot);
        }
    }

    /// Updates the best price and the hints for a level that was added to `by_price`.
    fn added(&mut self, side: Side, price: Ticks, slot: LevelSlot) {
        if self.best.is_none_or(|best| crosses(side, price, best)) {
            self.best = Some(price);
        }
        // The table grows to at least four times the number of levels, so that it is rebuilt only when this
        // number has doubled.
        if self.hints.len() < self.by_price.len().saturating_mul(2) {
            let length = self.by_price.len().saturating_mul(4).next_power_of_two().max(64);
            self.hints = core::iter::repeat_n(None, length).collect();
            // Two prices with the same low bits share a hint, and the last one set wins. The other level is
            // found by the map.
            let levels = core::mem::take(&mut self.by_price);
            levels.iter().for_each(|(price, slot)| self.set_hint(*price, *slot));
            self.by_price = levels;
        }
        self.set_hint(price, slot);
    }

    fn remove(&mut self, side: Side, price: Ticks) {
        // The hint of the level stays: whoever follows it finds a level without orders.
        if self.best != Some(price) {
            self.by_price.remove(&price);
            return;
        }
        // The best level is at an end of its map, so the next best one is beside it and needs no search.
        let next = match side {
            Side::Buy => {
                self.by_price.pop_last();
                self.by_price.last_key_value()
            }
            Side::Sell => {
                self.by_price.pop_first();
                self.by_price.first_key_value()
            }
        };
        self.best = next.map(|(price, _)| *price);
    }
}

/// The order book of one market.
#[derive(Clone, Debug, Default)]
pub struct Book {
    bids: Levels,
    asks: Levels,
    levels: Vec<Level>,
    vacant_levels: Vec<LevelSlot>,
    nodes: Vec<Node>,
    vacant: Option<Slot>,
}

const MISSING: Corrupt = Corrupt("an order is missing from its book");

const BELOW_ZERO: Corrupt = Corrupt("a level's quantity went below zero");

/// The array index of a slot. Slots count from 1, so that an optional slot takes no extra memory.
fn index(number: NonZeroU32) -> Option<usize> {
    usize::try_from(number.get().wrapping_sub(1)).ok()
}

/// The number of the slot that is pushed next onto an array of this length.
fn number(length: usize) -> Result<NonZeroU32, Corrupt> {
    u32::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(1))
        .and_then(NonZeroU32::new)
        .ok_or(Corrupt("a book has more open orders than 32 bits can number"))
}

impl Book {
    fn side(&self, side: Side) -> &Levels {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Levels {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn node(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(index(slot.0)?)
    }

    fn node_mut(&mut self, slot: Slot) -> Result<&mut Node, Corrupt> {
        index(slot.0).and_then(|index| self.nodes.get_mut(index)).ok_or(MISSING)
    }

    fn level_at(&self, slot: LevelSlot) -> Option<&Level> {
        self.levels.get(index(slot.0)?)
    }

    fn level_mut(&mut self, slot: LevelSlot) -> Result<&mut Level, Corrupt> {
        index(slot.0).and_then(|index| self.levels.get_mut(index)).ok_or(MISSING)
    }

    fn view(&self, node: &Node, level: &Level) -> RestingOrder {
        RestingOrder {
            id: node.id,
            account: node.account,
            side: level.side,
            price: level.price,
            quantity: node.quantity,
            rested: node.rested,
            remaining: node.remaining,
            hash: node.hash,
        }
    }

    /// The order at a slot; `None` if the slot is vacant.
    pub fn order(&self, slot: Slot) -> Option<RestingOrder> {
        let node = self.node(slot).filter(|node| node.remaining > Lots(0))?;
        Some(self.view(node, self.level_at(node.level)?))
    }

    /// Prefetches an order.
    pub(crate) fn prefetch(&self, slot: Slot) {
        if let Some(node) = self.node(slot) {
            prefetch(node);
        }
    }

    /// Prefetches the links that change in the neighbours of an order when it leaves.
    pub(crate) fn prefetch_neighbours(&self, slot: Slot) {
        let beside = self.node(slot).map_or([None; 2], |node| [node.previous, node.next]);
        for node in beside.into_iter().flatten().filter_map(|slot| self.node(slot)) {
            prefetch(&node.next);
        }
    }

    /// Prefetches the link that changes in the last order of a level when another one arrives.
    pub(crate) fn prefetch_tail(&self, side: Side, price: Ticks) {
        let level = self.hinted(side, price).and_then(|slot| self.level_at(slot));
        let tail = level.and_then(|level| level.tail).and_then(|slot| self.node(slot));
        if let Some(node) = tail {
            prefetch(&node.next);
        }
    }

    /// The price levels of a side, the best price first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = &Level> {
        let map = &self.side(side).by_price;
        // The two directions have different types. One of the two is always `None`, so this needs no boxed
        // iterator.
        let (bids, asks) = match side {
            Side::Buy => (Some(map.values().rev()), None),
            Side::Sell => (None, Some(map.values())),
        };
        let slots = bids.into_iter().flatten().chain(asks.into_iter().flatten());
        slots.filter_map(|slot| self.level_at(*slot))
    }

    /// The level of a side at a price.
    pub fn level(&self, side: Side, price: Ticks) -> Option<&Level> {
        self.level_at(self.find(side, price)?)
    }

    /// The slot of the level of a side at a price.
    fn find(&self, side: Side, price: Ticks) -> Option<LevelSlot> {
        let found = || self.side(side).by_price.get(&price).copied();
        self.hinted(side, price).or_else(found)
    }

    /// The same, if the hint for the price is right.
    fn hinted(&self, side: Side, price: Ticks) -> Option<LevelSlot> {
        let hint = self.side(side).hint(price)?;
        let level = self.level_at(hint)?;
        // A level that was removed keeps its price and its side until its slot is used again. Only its count
        // shows that it is gone.
        let is_right = level.price == price && level.side == side && level.orders > 0;
        is_right.then_some(hint)
    }

    /// The orders of a side in priority order: best price first, then arrival.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = RestingOrder> {
        self.levels(side).flat_map(|level| self.queue(level)).map(|(_, order)| order)
    }

    /// The orders of one level in order of arrival, with their slots.
    pub fn queue(&self, level: &Level) -> impl Iterator<Item = (Slot, RestingOrder)> {
        // The nodes of a queue are never vacant (I5), so nothing remaining is not checked here.
        let next = |slot: Option<Slot>| slot.and_then(|slot| Some((slot, self.node(slot)?)));
        core::iter::successors(next(level.head), move |(_, node)| next(node.next))
            .map(move |(slot, node)| (slot, self.view(node, level)))
    }

    /// The orders of a side, in priority order and with their slots, that an order of the other
    /// side with this limit would trade with.
    pub fn crossing(&self, side: Side, limit: Ticks) -> impl Iterator<Item = (Slot, RestingOrder)> {
        self.levels(side)
            .take_while(move |level| crosses(side, level.price, limit))
            .flat_map(|level| self.queue(level))
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<Ticks> {
        self.side(side).best
    }

    /// Adds an order at the end of the queue of its price.
    pub(crate) fn insert(&mut self, order: &RestingOrder) -> Result<Slot, Corrupt> {
        // Behind all others of the price: ids ascend, and a restore inserts in the order of ids (I4).
        let level = match self.hinted(order.side, order.price) {
            Some(level) => level,
            None => self.find_or_add_level(order.side, order.price)?,
        };
        let previous = self.level_at(level).ok_or(MISSING)?.tail;
        let slot = self.add_node(Node {
            id: order.id,
            quantity: order.quantity,
            rested: order.rested,
            remaining: order.remaining,
            hash: order.hash,
            account: order.account,
            level,
            previous,
            next: None,
        })?;
        if let Some(previous) = previous {
            self.node_mut(previous)?.next = Some(slot);
        }
        let level = self.level_mut(level)?;
        level.tail = Some(slot);
        level.head = level.head.or(Some(slot));
        level.quantity = level
            .quantity
            .checked_add(u128::from(order.remaining.0))
            .ok_or(Corrupt("a level's quantity overflows"))?;
        level.orders = level.orders.checked_add(1).ok_or(Corrupt("a level's count overflows"))?;
        Ok(slot)
    }

    fn add_node(&mut self, node: Node) -> Result<Slot, Corrupt> {
        // Vacant nodes are a list through their own `next`, so that the largest array needs no second one
        // beside it.
        if let Some(slot) = self.vacant {
            let vacant = self.node_mut(slot)?;
            let next = vacant.next;
            *vacant = node;
            self.vacant = next;
            return Ok(slot);
        }
        let slot = Slot(number(self.nodes.len())?);
        if self.nodes.len() == self.nodes.capacity() {
            // Grow by a sixteenth instead of doubling: this array is most of a book's memory.
            self.nodes.reserve_exact((self.nodes.len() >> 4).max(64));
        }
        self.nodes.push(node);
        Ok(slot)
    }

    fn find_or_add_level(&mut self, side: Side, price: Ticks) -> Result<LevelSlot, Corrupt> {
        // Not `side_mut`, which would borrow the whole book: the slot below is taken from its other fields.
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let vacant = match levels.by_price.entry(price) {
            Entry::Occupied(found) => return Ok(*found.get()),
            Entry::Vacant(vacant) => vacant,
        };
        let level = Level { quantity: 0, price, orders: 0, side, head: None, tail: None };
        let slot = match self.vacant_levels.pop() {
            Some(slot) => {
                let vacated = index(slot.0).and_then(|index| self.levels.get_mut(index));
                *vacated.ok_or(MISSING)? = level;
                slot
            }
            None => {
                let slot = LevelSlot(number(self.levels.len())?);
                self.levels.push(level);
                slot
            }
        };
        vacant.insert(slot);
        levels.added(side, price, slot);
        Ok(slot)
    }

    /// Takes a filled quantity off an order. The order keeps its queue position, or leaves the book
    /// if nothing remains. Returns what remains.
    pub(crate) fn fill(&mut self, slot: Slot, filled: Lots) -> Result<Lots, Corrupt> {
        let node = self.node_mut(slot)?;
        let remaining =
            node.remaining.checked_sub(filled).ok_or(Corrupt("a fill exceeds its order"))?;
        if remaining == Lots(0) {
            // The node still has its old quantity here, which `remove` takes off the level. Set to zero first,
            // it would look vacant.
            self.remove(slot)?;
            return Ok(remaining);
        }
        node.remaining = remaining;
        let level = node.level;
        let level = self.level_mut(level)?;
        level.quantity = level.quantity.checked_sub(u128::from(filled.0)).ok_or(BELOW_ZERO)?;
        Ok(remaining)
    }

    /// Reduces the quantity of an order by less than what remains of it. The order keeps its queue
    /// position: giving up quantity harms nobody behind it.
    pub(crate) fn reduce(&mut self, slot: Slot, by: Lots) -> Result<(), Corrupt> {
        // Something must be left in each: a node with nothing remaining counts as vacant, but would still be in
        // its queue.
        let less = |lots: Lots| lots.checked_sub(by).filter(|lots| *lots > Lots(0)).ok_or(MISSING);
        let node = self.node_mut(slot)?;
        node.remaining = less(node.remaining)?;
        node.quantity = less(node.quantity)?;
        // `rested` too: the difference of `rested` and `remaining` is what was filled, and the maker fee is
        // charged on that.
        node.rested = less(node.rested)?;
        let level = node.level;
        let level = self.level_mut(level)?;
        level.quantity = level.quantity.checked_sub(u128::from(by.0)).ok_or(BELOW_ZERO)?;
        Ok(())
    }

    /// Removes an order.
    pub(crate) fn remove(&mut self, slot: Slot) -> Result<(), Corrupt> {
        // Changed before the checks, which is safe: after `Corrupt` the whole state is discarded.
        let vacant = self.vacant.replace(slot);
        let node = self.node_mut(slot)?;
        let (remaining, level_slot) = (node.remaining, node.level);
        let (previous, next) = (node.previous, node.next);
        if remaining == Lots(0) {
            return Err(MISSING);
        }
        // This marks the node as vacant, so its other numbers may stay.
        node.remaining = Lots(0);
        node.next = vacant;
        if let Some(previous) = previous {
            self.node_mut(previous)?.next = next;
        }
        if let Some(next) = next {
            self.node_mut(next)?.previous = previous;
        }
        let level = self.level_mut(level_slot)?;
        if previous.is_none() {
            level.head = next;
        }
        if next.is_none() {
            level.tail = previous;
        }
        level.quantity = level.quantity.checked_sub(u128::from(remaining.0)).ok_or(BELOW_ZERO)?;
        level.orders =
            level.orders.checked_sub(1).ok_or(Corrupt("a level's count went below zero"))?;
        // The last order takes its level with it (I5), so the best price never belongs to an empty level.
        if level.orders == 0 {
            let (side, price) = (level.side, level.price);
            self.side_mut(side).remove(side, price);
            self.vacant_levels.push(level_slot);
        }
        Ok(())
    }

    /// Bytes of memory that the book allocated for orders, levels and hints.
    #[cfg(feature = "bench")]
    pub fn memory(&self) -> usize {
        let nodes = self.nodes.capacity().wrapping_mul(size_of::<Node>());
        let levels = self.levels.capacity().wrapping_mul(size_of::<Level>());
        let hints = self.bids.hints.capacity().wrapping_add(self.asks.hints.capacity());
        let hints = hints.wrapping_mul(size_of::<Option<LevelSlot>>());
        nodes.wrapping_add(levels).wrapping_add(hints)
    }
}

/// Whether an order that rests on `side` at `price` would trade with an order of the other side
/// with this limit. On one side, the same test says whether `price` is at least as good as `limit`.
pub fn crosses(side: Side, price: Ticks, limit: Ticks) -> bool {
    match side {
        Side::Buy => price >= limit,
        Side::Sell => price <= limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_its_order_until_the_order_is_removed() {
        let mut book = Book::default();
        let order = |id| RestingOrder {
            id,
            account: AccountIndex(0),
            side: Side::Buy,
            price: Ticks(7),
            quantity: Lots(5),
            rested: Lots(4),
            remaining: Lots(3),
            hash: [0; 8],
        };
        let first = book.insert(&order(1)).unwrap();
        let second = book.insert(&order(2)).unwrap();
        assert_eq!(book.order(first), Some(order(1)));
        assert!(book.reduce(first, Lots(3)).is_err(), "something is always left");
        assert!(book.fill(second, Lots(4)).is_err());
        book.remove(second).unwrap();
        assert_eq!(book.order(second), None);
        assert!(book.remove(second).is_err());
    }
}
