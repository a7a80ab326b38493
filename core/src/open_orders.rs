//! The open orders of an account, as the account knows them: where they lie in their books.

use alloc::vec::Vec;

use zellbook_prefetch::prefetch;

use crate::book::Slot;
use crate::genesis::MarketIndex;

/// The open orders of one account in one market where it ever had any, in no order of meaning.
#[derive(Clone, Debug)]
pub struct OpenOrders {
    /// The market.
    pub market: MarketIndex,
    orders: Vec<OpenOrder>,
}

/// 8 bytes an order. Half of an id tells the orders of one account apart but for the rarest cases, in
/// which the book must be asked.
#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    low: u32,
    slot: Slot,
}

#[expect(clippy::as_conversions, reason = "the low half of a number")]
const fn low_half(id: u64) -> u32 {
    id as u32
}

impl OpenOrders {
    pub(crate) const fn new(market: MarketIndex) -> Self {
        Self { market, orders: Vec::new() }
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.orders.len()
    }

    /// Where they lie.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.orders.iter().map(|order| order.slot)
    }

    /// Where those lie whose id is this, or has the same low half. The newest are looked at first: they
    /// are cancelled most.
    pub fn with_low_half_of(&self, id: u64) -> impl Iterator<Item = Slot> {
        let low = low_half(id);
        self.orders.iter().rev().filter(move |order| order.low == low).map(|order| order.slot)
    }

    pub(crate) fn push(&mut self, id: u64, slot: Slot) {
        self.orders.push(OpenOrder { low: low_half(id), slot });
    }

    /// Takes out the order at a slot. Returns whether it was there.
    pub(crate) fn remove(&mut self, slot: Slot) -> bool {
        let position = self.orders.iter().rposition(|order| order.slot == slot);
        position.map(|position| self.orders.swap_remove(position)).is_some()
    }

    /// Takes all out; the memory is given back.
    pub(crate) fn clear(&mut self) {
        self.orders = Vec::new();
    }

    /// Bytes of memory that the list holds.
    pub const fn memory(&self) -> usize {
        self.orders.capacity().wrapping_mul(size_of::<OpenOrder>())
    }

    /// Asks for the end of the list, where the newest orders are; for looking ahead.
    pub(crate) fn prefetch(&self) {
        const LINE: usize = 64 / size_of::<OpenOrder>();
        let [.., last] = self.orders.as_slice() else { return };
        prefetch(&last.low);
        if let Some(before) =
            self.orders.len().checked_sub(LINE + 1).and_then(|at| self.orders.get(at))
        {
            prefetch(&before.low);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_the_same_low_half_are_told_apart_by_their_slots() {
        let mut orders = OpenOrders::new(MarketIndex(0));
        let (one, two) = (Slot::test(1), Slot::test(2));
        orders.push(7, one);
        orders.push((1 << 32) | 7, two);
        assert_eq!(orders.with_low_half_of(7).collect::<Vec<_>>(), [two, one]);
        assert!(orders.remove(one));
        assert!(!orders.remove(one));
        assert_eq!(orders.with_low_half_of(7).collect::<Vec<_>>(), [two]);
        assert_eq!(orders.count(), 1);
    }
}
