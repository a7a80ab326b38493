//! What happens by itself at the start of a batch: the exchange's time advances, and what comes due is
//! done.
//!
//! The state has no clock. Its time is the median of the clocks that the replicas attested to, and
//! only changes between batches. All orders, session keys and switches whose time has come are
//! processed before the first transaction of the batch. A batch does a bounded amount of this work:
//! if more is due, the exchange's time stops just before the next timer, and the following batch
//! continues. So I10 holds after every batch: nothing is left whose time has come.

use super::engine::{Engine, market_of};
use crate::protocol::{CancelReason, Event};
use crate::rules::Rules;
use crate::state::{LeafKey, Timer};
use crate::types::limits::DUE_PER_BATCH_MAX;
use crate::types::{AccountIndex, Corrupt};

impl Engine {
    /// The earliest time at which an open order, a session key or a switch ends.
    pub fn next_due(&self) -> Option<u64> {
        self.timers.first()
    }

    /// Advances the exchange's time to the median of the replicas' clocks, and processes what comes due.
    pub(crate) fn advance(&mut self, rules: &Rules) -> Result<(), Corrupt> {
        let mut time = self.attestations.time(rules);
        let mut done = 0_usize;
        while let Some((due, timer)) = self.timers.due(time) {
            if done >= DUE_PER_BATCH_MAX {
                // Enough for one batch. The time stays before this timer, which is then due in the
                // next batch.
                time = due.saturating_sub(1);
                break;
            }
            // Removed before it is processed: ending a session key leaves its timer to the caller,
            // and the loop would meet the same timer again.
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
                    // A switch is never split over two batches. It can exceed the bound by the
                    // orders of one account, at most 5000 (`OPEN_ORDERS_MAX`).
                    let cancelled = self.cancel_within(rules, account, None, reason)?;
                    done = done.saturating_add(cancelled);
                }
            }
        }
        // The median can go down, because a replica may attest to an earlier clock than before. The
        // exchange's time never does.
        self.counters.time = self.counters.time.max(time);
        Ok(())
    }

    fn expire(&mut self, rules: &Rules, id: u64, account: AccountIndex) -> Result<(), Corrupt> {
        // An order that is filled or cancelled takes its timer with it (`forget`), so a timer
        // always finds its order (I6).
        let found = self.open_order(self.ledger.account(account)?, id);
        let (market, slot, order) = found.ok_or(Corrupt("an order that expires is not open"))?;
        self.cancel_resting(market_of(rules, market)?, slot, &order, CancelReason::Expired)
    }
}
