//! What comes due between two batches.

use super::engine::{Engine, market_of};
use crate::protocol::{CancelReason, Event};
use crate::rules::Rules;
use crate::state::{LeafKey, Timer};
use crate::types::limits::DUE_PER_BATCH_MAX;
use crate::types::{AccountIndex, Corrupt};

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
