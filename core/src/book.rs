//! The order book of one market: price levels of orders in arrival order.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::event::Corrupt;
use crate::ledger::AccountIndex;
use crate::transaction::Side;
use crate::units::{Lots, Ticks};

/// Where an order lies in its book's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// An order in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    /// Its id: the sequence of acceptance, so arrival order within a level (I4).
    pub id: u64,
    /// Whose.
    pub account: AccountIndex,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: Ticks,
    /// Quantity when it was accepted.
    pub quantity: Lots,
    /// What is left of it; more than zero.
    pub remaining: Lots,
}

#[derive(Clone, Debug)]
struct Node {
    order: RestingOrder,
    previous: Option<Slot>,
    next: Option<Slot>,
}

/// The orders of one side at one price. Never empty (I5).
#[derive(Clone, Copy, Debug)]
pub struct Level {
    head: Slot,
    tail: Slot,
    /// What is left of its orders, all told. A `u128`, since each may be near 2^64.
    pub quantity: u128,
    /// How many orders it has.
    pub orders: u32,
}

/// The order book of one market.
#[derive(Clone, Debug, Default)]
pub struct Book {
    bids: BTreeMap<Ticks, Level>,
    asks: BTreeMap<Ticks, Level>,
    nodes: Vec<Option<Node>>,
    free: Vec<Slot>,
}

const MISSING: Corrupt = Corrupt("an order is missing from its book");

impl Book {
    fn levels_of(&self, side: Side) -> &BTreeMap<Ticks, Level> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn levels_of_mut(&mut self, side: Side) -> &mut BTreeMap<Ticks, Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn node(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(usize::try_from(slot.0).ok()?)?.as_ref()
    }

    fn node_mut(&mut self, slot: Slot) -> Result<&mut Node, Corrupt> {
        usize::try_from(slot.0)
            .ok()
            .and_then(|index| self.nodes.get_mut(index))
            .and_then(Option::as_mut)
            .ok_or(MISSING)
    }

    /// The order at a slot.
    pub fn order(&self, slot: Slot) -> Option<&RestingOrder> {
        self.node(slot).map(|node| &node.order)
    }

    /// The price levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (Ticks, &Level)> {
        let levels = self.levels_of(side);
        let (bids, asks) = match side {
            Side::Buy => (Some(levels.iter().rev()), None),
            Side::Sell => (None, Some(levels.iter())),
        };
        let bids = bids.into_iter().flatten();
        bids.chain(asks.into_iter().flatten()).map(|(price, level)| (*price, level))
    }

    /// The level of a side at a price.
    pub fn level(&self, side: Side, price: Ticks) -> Option<&Level> {
        self.levels_of(side).get(&price)
    }

    /// The orders of a side in priority order: best price first, then arrival.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = &RestingOrder> {
        self.levels(side).flat_map(|(_, level)| self.queue(level))
    }

    /// The orders of one level in arrival order.
    pub fn queue<'a>(&'a self, level: &Level) -> impl Iterator<Item = &'a RestingOrder> {
        let first = self.node(level.head);
        core::iter::successors(first, |node| self.node(node.next?)).map(|node| &node.order)
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<Ticks> {
        let levels = self.levels_of(side);
        let best = match side {
            Side::Buy => levels.last_key_value(),
            Side::Sell => levels.first_key_value(),
        };
        best.map(|(price, _)| *price)
    }

    /// The first order of the best level of a side, if an order of the other side with this
    /// limit would meet it.
    pub fn first_crossing(&self, side: Side, limit: Ticks) -> Option<(Slot, &RestingOrder)> {
        let price = self.best(side)?;
        let crosses = match side {
            Side::Buy => price >= limit,
            Side::Sell => price <= limit,
        };
        if !crosses {
            return None;
        }
        let slot = self.level(side, price)?.head;
        self.order(slot).map(|order| (slot, order))
    }

    /// Adds an order behind those of its price.
    pub fn insert(&mut self, order: RestingOrder) -> Result<Slot, Corrupt> {
        let tail = self.level(order.side, order.price).map(|level| level.tail);
        let node = Node { order, previous: tail, next: None };
        let slot = match self.free.pop() {
            Some(slot) => {
                let index = usize::try_from(slot.0).map_err(|_| MISSING)?;
                *self.nodes.get_mut(index).ok_or(MISSING)? = Some(node);
                slot
            }
            None => {
                let slot = u32::try_from(self.nodes.len())
                    .map(Slot)
                    .map_err(|_| Corrupt("more open orders than can be numbered"))?;
                self.nodes.push(Some(node));
                slot
            }
        };
        if let Some(tail) = tail {
            self.node_mut(tail)?.next = Some(slot);
        }
        let remaining = u128::from(order.remaining.0);
        let level = self.levels_of_mut(order.side).entry(order.price).or_insert(Level {
            head: slot,
            tail: slot,
            quantity: 0,
            orders: 0,
        });
        level.tail = slot;
        level.quantity =
            level.quantity.checked_add(remaining).ok_or(Corrupt("a level's quantity overflows"))?;
        level.orders = level.orders.checked_add(1).ok_or(Corrupt("a level's count overflows"))?;
        Ok(slot)
    }

    /// Takes a filled quantity off an order, which stays in its place, or leaves if nothing is left.
    pub fn fill(&mut self, slot: Slot, filled: Lots) -> Result<(), Corrupt> {
        let node = self.node_mut(slot)?;
        let remaining =
            node.order.remaining.checked_sub(filled).ok_or(Corrupt("a fill exceeds its order"))?;
        if remaining == Lots(0) {
            return self.remove(slot).map(drop);
        }
        node.order.remaining = remaining;
        let (side, price) = (node.order.side, node.order.price);
        let level = self.levels_of_mut(side).get_mut(&price).ok_or(MISSING)?;
        level.quantity = level
            .quantity
            .checked_sub(u128::from(filled.0))
            .ok_or(Corrupt("a level's quantity went below zero"))?;
        Ok(())
    }

    /// Takes an order out.
    pub fn remove(&mut self, slot: Slot) -> Result<RestingOrder, Corrupt> {
        let index = usize::try_from(slot.0).map_err(|_| MISSING)?;
        let node = self.nodes.get_mut(index).and_then(Option::take).ok_or(MISSING)?;
        self.free.push(slot);
        if let Some(previous) = node.previous {
            self.node_mut(previous)?.next = node.next;
        }
        if let Some(next) = node.next {
            self.node_mut(next)?.previous = node.previous;
        }
        let order = node.order;
        let levels = self.levels_of_mut(order.side);
        let level = levels.get_mut(&order.price).ok_or(MISSING)?;
        match (node.previous, node.next) {
            (None, None) => {
                levels.remove(&order.price);
                return Ok(order);
            }
            (None, Some(next)) => level.head = next,
            (Some(previous), None) => level.tail = previous,
            (Some(_), Some(_)) => {}
        }
        level.quantity = level
            .quantity
            .checked_sub(u128::from(order.remaining.0))
            .ok_or(Corrupt("a level's quantity went below zero"))?;
        level.orders =
            level.orders.checked_sub(1).ok_or(Corrupt("a level's count went below zero"))?;
        Ok(order)
    }
}
