//! What waits for a time: orders that expire, session keys that end, switches that fire.

use alloc::collections::BTreeSet;

use crate::engine::{Engine, market_of};
use crate::event::{CancelReason, Corrupt, Event};
use crate::genesis::Rules;
use crate::key::PublicKey;
use crate::leaf::LeafKey;
use crate::ledger::AccountIndex;
use crate::limits::DUE_PER_BATCH_MAX;

/// Something that waits for a time. In the order in which what is due at one time happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// An order expires: its id, and whose it is.
    Order(u64, AccountIndex),
    /// A session key ends: the account, and the key.
    SessionKey(PublicKey, PublicKey),
    /// All orders of an account are cancelled.
    Switch(PublicKey),
}

/// All timers, by time. Derived from the orders, session keys and switches.
#[derive(Clone, Debug, Default)]
pub struct Timers(BTreeSet<(u64, Timer)>);

impl Timers {
    pub(crate) fn add(&mut self, time: u64, timer: Timer) {
        self.0.insert((time, timer));
    }

    pub(crate) fn remove(&mut self, time: u64, timer: Timer) {
        self.0.remove(&(time, timer));
    }

    /// The earliest, if it is due.
    fn due(&self, time: u64) -> Option<(u64, Timer)> {
        self.0.first().copied().filter(|(due, _)| *due <= time)
    }

    /// The earliest time that something waits for.
    pub fn first(&self) -> Option<u64> {
        self.0.first().map(|(time, _)| *time)
    }

    pub(crate) fn has(&self, time: u64, timer: Timer) -> bool {
        self.0.contains(&(time, timer))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Engine {
    /// The earliest time that an open order, a session key or a switch waits for.
    pub fn next_due(&self) -> Option<u64> {
        self.timers.first()
    }

    /// Lets the state's time go on to what the replicas' clocks say, and does what comes due. After
    /// so much of it that one batch may do no more, the time stops short of the next.
    pub(crate) fn advance(&mut self, rules: &Rules) -> Result<(), Corrupt> {
        let mut time = self.attestations.time(rules);
        let mut done = 0_usize;
        while let Some((due, timer)) = self.timers.due(time) {
            if done >= DUE_PER_BATCH_MAX {
                time = due.saturating_sub(1);
                break;
            }
            self.timers.remove(due, timer);
            done = done.wrapping_add(1);
            match timer {
                Timer::Order(id, account) => self.expire(rules, id, account)?,
                Timer::SessionKey(account, key) => self.end_session_key(account, key, false),
                Timer::Switch(key) => {
                    self.switches.remove(&key);
                    self.touch(LeafKey::Switch(key));
                    self.note(Event::SwitchFired { account: key });
                    let account = self.ledger.intern(&key)?;
                    let reason = CancelReason::Switch;
                    let cancelled = self.cancel_within(rules, account, None, reason)?;
                    done = done.saturating_add(cancelled);
                }
            }
        }
        self.counters.time = self.counters.time.max(time);
        Ok(())
    }

    fn expire(&mut self, rules: &Rules, id: u64, account: AccountIndex) -> Result<(), Corrupt> {
        let found = self.open_order(self.ledger.account(account)?, id);
        let (market, slot, order) = found.ok_or(Corrupt("an order that expires is not open"))?;
        self.cancel_resting(market_of(rules, market)?, slot, &order, CancelReason::Expired)
    }
}

#[cfg(test)]
mod tests {
    use super::{Timer, Timers};
    use crate::ledger::AccountIndex;

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
