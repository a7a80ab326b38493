//! The open orders of an account in one market: where each of them is in the book.
//!
//! A list must be small, since there are millions, and must find an order by its id without a
//! search through memory. A short list (at most 32 entries) is unordered and without gaps: it is
//! searched from the end, and the last entry fills a gap. A long list is in ascending order of ids
//! and marks a removed order as gone instead of moving the others; when more than half of it is
//! gone, or a quarter when it needs more memory, the gaps are closed. Since an account's orders arrive at a roughly steady rate, the
//! position of an id in a long list is guessed by interpolation between the first and the last id,
//! and two cache lines on each side of the guess are searched first.
//!
//! An entry stores the low half of the id (4 bytes) and the slot (4 bytes). Two open orders of one
//! account may share the low half if their ids differ by a multiple of 2^32, so a match is only
//! likely: the caller asks the book for the whole id.

use alloc::vec::Vec;

use zellbook_prefetch::prefetch;

use super::book::Slot;
use crate::types::MarketIndex;

/// The open orders of one account in one market.
#[derive(Clone, Debug)]
pub struct OpenOrders {
    /// The market.
    pub market: MarketIndex,
    /// The number of entries that are not gone.
    open: u32,
    /// In a long list, the low half of the first id.
    oldest: u32,
    /// The low half of the last id that was added.
    newest: u32,
    orders: Vec<OpenOrder>,
}

/// One order in 8 bytes. `slot` is `None` for an order that is gone from a long list.
#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    low: u32,
    slot: Option<Slot>,
}

/// The maximum length of a short list.
const SHORT: usize = 32;

/// Entries on each side of the guessed position that are searched first: two cache lines.
const NEAR: usize = 16;

#[expect(clippy::as_conversions, reason = "the low half of a number")]
const fn low_half(id: u64) -> u32 {
    id as u32
}

impl OpenOrders {
    pub(crate) const fn new(market: MarketIndex) -> Self {
        Self { market, open: 0, oldest: 0, newest: 0, orders: Vec::new() }
    }

    /// The number of open orders.
    pub fn count(&self) -> usize {
        usize::try_from(self.open).unwrap_or(usize::MAX)
    }

    /// The slots of all open orders, in no particular order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.orders.iter().filter_map(|order| order.slot)
    }

    /// The likely slot of the order with this id. Only the book can confirm it.
    pub fn likely(&self, id: u64) -> Option<Slot> {
        self.orders.get(self.search(low_half(id))?)?.slot
    }

    /// The slots of the orders whose id has the same low half as this one.
    pub fn with_low_half_of(&self, id: u64) -> impl Iterator<Item = Slot> {
        let low = low_half(id);
        self.orders.iter().filter(move |order| order.low == low).filter_map(|order| order.slot)
    }

    const fn is_short(&self) -> bool {
        self.orders.len() <= SHORT
    }

    /// The position of an order whose id has this low half. In a long list it can miss an order if
    /// the ids in the list span more than 2^32; the callers then search the whole list.
    fn search(&self, low: u32) -> Option<usize> {
        if self.is_short() {
            // From the end, where the newest orders usually are.
            return self.orders.iter().rposition(|order| order.low == low);
        }
        // Compared by their distance from the oldest id, ids stay in order where the low half wraps around.
        let after = |low: u32| low.wrapping_sub(self.oldest);
        let guess = self.guess(low);
        let start = guess.saturating_sub(NEAR);
        let end = guess.saturating_add(NEAR).min(self.orders.len());
        let near = self.orders.get(start..end).unwrap_or_default();
        if let [first, .., last] = near
            && (after(first.low)..=after(last.low)).contains(&after(low))
        {
            // The list ascends, so an id within this range is here or nowhere.
            let position = near.iter().position(|order| order.low == low)?;
            return start.checked_add(position);
        }
        self.orders.binary_search_by_key(&after(low), |order| after(order.low)).ok()
    }

    /// The position in a long list at which an id with this low half is expected, by interpolation.
    fn guess(&self, low: u32) -> usize {
        // 128 bits, so that the product of a distance and a position cannot overflow.
        let after = |low: u32| u128::from(low.wrapping_sub(self.oldest));
        let last = u128::try_from(self.orders.len().saturating_sub(1)).unwrap_or(0);
        let share = after(low).saturating_mul(last).checked_div(after(self.newest)).unwrap_or(0);
        usize::try_from(share.min(last)).unwrap_or(0)
    }

    /// Adds an order. Its id is above all others in the list.
    pub(crate) fn push(&mut self, id: u64, slot: Slot) {
        // Gaps are closed before the memory grows, if there are many: up to half of a long list is gone. For
        // one gap it would not pay: an account that always cancels one order and places another would move
        // its whole list each time.
        let gone = self.orders.len().saturating_sub(self.count());
        if self.orders.len() == self.orders.capacity() && gone >= self.orders.len() >> 2 {
            self.drop_gone();
        }
        self.newest = low_half(id);
        self.orders.push(OpenOrder { low: self.newest, slot: Some(slot) });
        self.open = self.open.saturating_add(1);
        if self.orders.len() == SHORT + 1 {
            // The list becomes long. The newest id is the highest, so ids are ordered by how far
            // they are before it, which is also right where the low half wrapped around.
            let newest = self.newest;
            self.orders.sort_unstable_by_key(|order| !newest.wrapping_sub(order.low));
            self.oldest = self.orders.first().map_or(0, |order| order.low);
        }
    }

    /// Removes the order at a slot. Returns whether the list had it.
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
        // The low half stays, so that the list is still in order and can be searched.
        order.slot = None;
        self.open = self.open.saturating_sub(1);
        // Closing the gaps moves the orders that are left, after at least as many removals, so it costs a
        // constant for each removal on average. A list that becomes short has no gaps, as a short list must.
        if self.count() < self.orders.len() >> 1 {
            self.drop_gone();
        }
        true
    }

    /// Removes the entries of orders that are gone.
    fn drop_gone(&mut self) {
        if self.count() < self.orders.len() {
            self.orders.retain(|order| order.slot.is_some());
            self.oldest = self.orders.first().map_or(0, |order| order.low);
        }
    }

    /// Removes all orders and frees the memory.
    pub(crate) fn clear(&mut self) {
        // Not `Vec::clear`, which would keep the memory: there are millions of lists.
        *self = Self::new(self.market);
    }

    /// Bytes of memory that the list allocated.
    #[cfg(feature = "bench")]
    pub const fn memory(&self) -> usize {
        self.orders.capacity().wrapping_mul(size_of::<OpenOrder>())
    }

    /// Prefetches the end of the list, where the next order is added.
    pub(crate) fn prefetch_end(&self) {
        self.orders.last().into_iter().for_each(|order| prefetch(&order.low));
    }

    /// Prefetches the entries among which an order with this id is searched.
    pub(crate) fn prefetch_order(&self, id: u64) {
        const LINE: usize = 64 / size_of::<OpenOrder>();
        let [.., last] = self.orders.as_slice() else { return };
        if self.is_short() {
            prefetch(&last.low);
            // The last two lines, where a search from the end begins.
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

    /// Adds orders with growing ids and removes them at random, so that the list becomes long and
    /// short again.
    fn live(first: u64, steps: &[u64]) {
        let mut orders = OpenOrders::new(MarketIndex(0));
        let mut open: BTreeMap<u64, Slot> = BTreeMap::new();
        let (mut id, mut random) = (first, 1_u64);
        for round in 0..4000_u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // For a thousand rounds more orders are added than removed, then the other way round.
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
                // If ids are close together, the likely slot is the right one, and long lists
                // ascend.
                if steps.iter().all(|step| *step < 1000) {
                    assert!(open.iter().all(|(id, slot)| orders.likely(*id) == Some(*slot)));
                    let oldest = orders.oldest;
                    let after = |order: &OpenOrder| order.low.wrapping_sub(oldest);
                    assert!(orders.is_short() || orders.orders.is_sorted_by_key(after));
                }
            }
            // A list never has more gaps than orders.
            assert!(orders.orders.len() <= (2 * open.len()).max(SHORT) + 1);
        }
        orders.clear();
        assert_eq!((orders.count(), orders.slots().count(), orders.memory()), (0, 0, 0));
    }

    #[test]
    fn an_account_that_always_replaces_its_orders_moves_few_of_them_each_time() {
        for count in [64_u32, 1000, 1024, 5000] {
            let mut orders = OpenOrders::new(MarketIndex(0));
            for number in 1..=count {
                orders.push(number.into(), Slot::test(number));
            }
            let (mut moved, rounds) = (0, 4 * count);
            for number in 1..=rounds {
                let before = orders.orders.len();
                assert!(orders.remove(number.into(), Slot::test(number)));
                let between = orders.orders.len();
                moved += if between < before { between } else { 0 };
                let new = number + count;
                orders.push(new.into(), Slot::test(new));
                let after = orders.orders.len();
                moved += if after <= between { after } else { 0 };
            }
            assert!(
                moved <= 4 * rounds as usize,
                "{count} orders: {moved} moves in {rounds} rounds"
            );
            assert_eq!(orders.count(), count as usize);
        }
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
