//! The open orders of an account, as the account knows them: where they lie in their books.

use alloc::vec::Vec;

use zellbook_prefetch::prefetch;

use super::book::Slot;
use crate::types::MarketIndex;

/// The open orders of one account in one market where it ever had any.
///
/// A short list has them in no order and without gaps. A long one has them by ascending id, and in the
/// places of those that went lately nothing yet: so taking one out moves nothing, and where one stands
/// can be guessed from its id, for orders come at a steady rate.
#[derive(Clone, Debug)]
pub struct OpenOrders {
    /// The market.
    pub market: MarketIndex,
    /// How many are open.
    open: u32,
    /// The low half of the first id, in a long list.
    oldest: u32,
    /// The low half of the last id that came.
    newest: u32,
    orders: Vec<OpenOrder>,
}

/// 8 bytes an order. Half of an id tells the orders of one account apart but for the rarest cases, in
/// which the book must be asked.
#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    low: u32,
    slot: Option<Slot>,
}

/// Entries of a short list, at most.
const SHORT: usize = 32;

/// How far from its guessed place an order is looked for first, in entries: two lines of memory.
const NEAR: usize = 16;

#[expect(clippy::as_conversions, reason = "the low half of a number")]
const fn low_half(id: u64) -> u32 {
    id as u32
}

impl OpenOrders {
    pub(crate) const fn new(market: MarketIndex) -> Self {
        Self { market, open: 0, oldest: 0, newest: 0, orders: Vec::new() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        usize::try_from(self.open).unwrap_or(usize::MAX)
    }

    /// Where they lie, in no order of meaning.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.orders.iter().filter_map(|order| order.slot)
    }

    /// Where the order with this id most likely lies. Only its book knows.
    pub fn likely(&self, id: u64) -> Option<Slot> {
        self.orders.get(self.search(low_half(id))?)?.slot
    }

    /// Where those lie whose id is this, or has the same low half.
    pub fn with_low_half_of(&self, id: u64) -> impl Iterator<Item = Slot> {
        let low = low_half(id);
        self.orders.iter().filter(move |order| order.low == low).filter_map(|order| order.slot)
    }

    const fn is_short(&self) -> bool {
        self.orders.len() <= SHORT
    }

    /// The position of an order whose id has this low half. In a long list it may miss one if the ids
    /// there are not within 2^32 of each other.
    fn search(&self, low: u32) -> Option<usize> {
        if self.is_short() {
            return self.orders.iter().rposition(|order| order.low == low);
        }
        let after = |low: u32| low.wrapping_sub(self.oldest);
        let guess = self.guess(low);
        let start = guess.saturating_sub(NEAR);
        let end = guess.saturating_add(NEAR).min(self.orders.len());
        let near = self.orders.get(start..end).unwrap_or_default();
        if let [first, .., last] = near
            && (after(first.low)..=after(last.low)).contains(&after(low))
        {
            let position = near.iter().position(|order| order.low == low)?;
            return start.checked_add(position);
        }
        self.orders.binary_search_by_key(&after(low), |order| after(order.low)).ok()
    }

    /// About where an order stands in a long list whose id has this low half.
    fn guess(&self, low: u32) -> usize {
        let after = |low: u32| u128::from(low.wrapping_sub(self.oldest));
        let last = u128::try_from(self.orders.len().saturating_sub(1)).unwrap_or(0);
        let share = after(low).saturating_mul(last).checked_div(after(self.newest)).unwrap_or(0);
        usize::try_from(share.min(last)).unwrap_or(0)
    }

    /// Adds an order, whose id is above all others.
    pub(crate) fn push(&mut self, id: u64, slot: Slot) {
        if self.orders.len() == self.orders.capacity() {
            self.drop_gone();
        }
        self.newest = low_half(id);
        self.orders.push(OpenOrder { low: self.newest, slot: Some(slot) });
        self.open = self.open.saturating_add(1);
        if self.orders.len() == SHORT + 1 {
            // It is long from now on.
            let newest = self.newest;
            self.orders.sort_unstable_by_key(|order| !newest.wrapping_sub(order.low));
            self.oldest = self.orders.first().map_or(0, |order| order.low);
        }
    }

    /// Takes out the order at a slot. Returns whether it was there.
    pub(crate) fn remove(&mut self, id: u64, slot: Slot) -> bool {
        let is_it = |order: &OpenOrder| order.slot == Some(slot);
        if self.is_short() {
            let position = self.orders.iter().rposition(is_it);
            self.open = self.open.saturating_sub(u32::from(position.is_some()));
            return position.map(|at| self.orders.swap_remove(at)).is_some();
        }
        let likely = self.search(low_half(id));
        let likely = likely.filter(|at| self.orders.get(*at).is_some_and(is_it));
        let position = likely.or_else(|| self.orders.iter().position(is_it));
        let Some(order) = position.and_then(|at| self.orders.get_mut(at)) else { return false };
        order.slot = None;
        self.open = self.open.saturating_sub(1);
        if self.count() < self.orders.len() >> 1 {
            self.drop_gone();
        }
        true
    }

    /// Closes the gaps of a long list.
    fn drop_gone(&mut self) {
        if self.count() < self.orders.len() {
            self.orders.retain(|order| order.slot.is_some());
            self.oldest = self.orders.first().map_or(0, |order| order.low);
        }
    }

    /// Takes all out; the memory is given back.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.market);
    }

    /// Bytes of memory that the list holds.
    pub const fn memory(&self) -> usize {
        self.orders.capacity().wrapping_mul(size_of::<OpenOrder>())
    }

    /// Asks for the end of the list, where the next order will be added; for looking ahead.
    pub(crate) fn prefetch_end(&self) {
        self.orders.last().into_iter().for_each(|order| prefetch(&order.low));
    }

    /// Asks for where an order stands in the list.
    pub(crate) fn prefetch_order(&self, id: u64) {
        const LINE: usize = 64 / size_of::<OpenOrder>();
        let [.., last] = self.orders.as_slice() else { return };
        if self.is_short() {
            prefetch(&last.low);
            let before = self.orders.len().checked_sub(LINE + 1);
            before
                .and_then(|at| self.orders.get(at))
                .into_iter()
                .for_each(|order| prefetch(&order.low));
            return;
        }
        let guess = self.guess(low_half(id));
        for at in [guess.saturating_sub(LINE), guess, guess.saturating_add(LINE)] {
            self.orders.get(at).into_iter().for_each(|order| prefetch(&order.low));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    #[test]
    fn ids_with_the_same_low_half_are_told_apart_by_their_slots() {
        let mut orders = OpenOrders::new(MarketIndex(0));
        let (one, two) = (Slot::test(1), Slot::test(2));
        orders.push(7, one);
        orders.push((1 << 32) | 7, two);
        assert_eq!(orders.likely(7), Some(two));
        assert_eq!(orders.with_low_half_of(7).collect::<Vec<_>>(), [one, two]);
        assert!(orders.remove(7, one));
        assert!(!orders.remove(7, one));
        assert_eq!(orders.with_low_half_of(7).collect::<Vec<_>>(), [two]);
        assert_eq!(orders.count(), 1);
    }

    /// Orders come with growing ids and go at random, in lists that grow long and short again.
    fn live(first: u64, steps: &[u64]) {
        let mut orders = OpenOrders::new(MarketIndex(0));
        let mut open: BTreeMap<u64, Slot> = BTreeMap::new();
        let (mut id, mut random) = (first, 1_u64);
        for round in 0..4000_u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // For a thousand rounds more come than go, then more go than come.
            let comes = (random >> 33) % 10 < if (round / 1000) % 2 == 0 { 7 } else { 3 };
            if comes || open.is_empty() {
                id += steps[(random >> 40) as usize % steps.len()];
                let slot = Slot::test(round + 1);
                orders.push(id, slot);
                open.insert(id, slot);
            } else {
                let at = (random >> 40) as usize % open.len();
                let (id, slot) = open.iter().nth(at).map(|(id, slot)| (*id, *slot)).unwrap();
                assert!(orders.remove(id, slot), "{id}");
                assert!(!orders.remove(id, slot), "{id}");
                open.remove(&id);
            }
            assert_eq!(orders.count(), open.len());
            if round % 50 == 0 {
                let mut slots: Vec<u32> = orders.slots().map(Slot::number).collect();
                slots.sort_unstable();
                let mut expected: Vec<u32> = open.values().copied().map(Slot::number).collect();
                expected.sort_unstable();
                assert_eq!(slots, expected);
                for (id, slot) in &open {
                    assert!(orders.with_low_half_of(*id).any(|found| found == *slot), "{id}");
                }
                assert_eq!(orders.with_low_half_of(id + 1).count(), 0);
                // Where ids are near each other the likely one is the right one, and long lists ascend.
                if steps.iter().all(|step| *step < 1000) {
                    assert!(open.iter().all(|(id, slot)| orders.likely(*id) == Some(*slot)));
                    let oldest = orders.oldest;
                    let after = |order: &OpenOrder| order.low.wrapping_sub(oldest);
                    assert!(orders.is_short() || orders.orders.is_sorted_by_key(after));
                }
            }
            // There are no more gaps than orders.
            assert!(orders.orders.len() <= (2 * open.len()).max(SHORT) + 1);
        }
        orders.clear();
        assert_eq!((orders.count(), orders.slots().count(), orders.memory()), (0, 0, 0));
    }

    #[test]
    fn long_lists_find_their_orders_at_a_steady_rate_and_in_bursts() {
        live(0, &[1, 2, 3]);
        live(5, &[1, 1, 1, 1, 900]);
    }

    #[test]
    fn long_lists_find_their_orders_over_the_end_of_the_low_half() {
        live((1 << 32) - 2000, &[1, 2, 3]);
        live((1 << 33) - 9, &[7]);
    }

    #[test]
    fn long_lists_find_their_orders_though_ids_are_further_apart_than_the_low_half_can_tell() {
        live(0, &[1, 2, (1 << 31) + 5]);
        live(0, &[3, (1 << 32) + 1]);
    }
}
