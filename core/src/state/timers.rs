//! Timers: the orders, session keys and dead-man's switches that end at a time of the exchange.
//!
//! The set is derived from the leaves and is not a leaf itself. All timers of one moment are
//! processed in the order of the [`Timer`] enum, which is part of consensus: orders expire first,
//! then session keys end, then switches cancel what is left.

use alloc::collections::BTreeSet;

use crate::types::{AccountIndex, PublicKey};

/// Something that ends at a time. Timers that are due at the same time are processed in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// An order expires: its id and its account.
    // Replicas may number accounts differently, but no two orders share an id, so the index never decides the
    // order.
    Order(u64, AccountIndex),
    /// A session key ends: the account and the key.
    // Keys instead of an index, since they decide the order here.
    SessionKey(PublicKey, PublicKey),
    /// The dead-man's switch of an account cancels all of its orders.
    Switch(PublicKey),
}

/// All timers, the earliest first.
#[derive(Clone, Debug, Default)]
// A set and not a heap: an order that is filled or cancelled takes its timer with it, and a heap would have to
// search for it.
pub struct Timers(BTreeSet<(u64, Timer)>);

impl Timers {
    pub(crate) fn add(&mut self, time: u64, timer: Timer) {
        self.0.insert((time, timer));
    }

    pub(crate) fn remove(&mut self, time: u64, timer: Timer) {
        // A timer that is not there is ignored: one that is due was taken off before its order is cancelled,
        // which removes it again.
        self.0.remove(&(time, timer));
    }

    /// The earliest timer, if it is due at this time.
    pub(crate) fn due(&self, time: u64) -> Option<(u64, Timer)> {
        self.0.first().copied().filter(|(due, _)| *due <= time)
    }

    /// The time of the earliest timer.
    pub fn first(&self) -> Option<u64> {
        self.0.first().map(|(time, _)| *time)
    }

    pub(crate) fn has(&self, time: u64, timer: Timer) -> bool {
        self.0.contains(&(time, timer))
    }

    /// The number of timers.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Timer, Timers};
    use crate::types::AccountIndex;

    #[test]
    fn a_timer_is_there_at_its_time_until_it_is_removed() {
        let timer = |id| Timer::Order(id, AccountIndex(0));
        let mut timers = Timers::default();
        timers.add(5, timer(1));
        timers.add(5, timer(2));
        assert!(timers.has(5, timer(1)) && timers.has(5, timer(2)));
        assert!(!timers.has(6, timer(1)) && !timers.has(5, timer(3)));
        assert_eq!((timers.count(), timers.first()), (2, Some(5)));
        assert_eq!((timers.due(4), timers.due(5)), (None, Some((5, timer(1)))));
        timers.remove(5, timer(1));
        assert!(!timers.has(5, timer(1)));
        assert_eq!(timers.count(), 1);
    }
}
