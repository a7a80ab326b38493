//! Holds back users' transactions after an outage until the exchange's time is right again.
//!
//! The exchange's time stands still while nothing is sequenced. A transaction that was valid for three seconds could
//! then take effect much later, and orders could fill that should have expired. So after an outage a replica that
//! attests first posts an attestation alone, and waits a bounded time until the exchange's time has passed the outage.

use std::time::Duration;

use tokio::time::Instant;

/// Posting must fail for this long to count as an outage: a single failure is settled within a second.
const OUTAGE: Duration = Duration::from_secs(2);
/// The longest wait for the exchange's time, once this replica follows the network.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest wait while it does not follow: reading can fail although posting works.
const BLIND_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Gate {
    /// Whether this replica attests. If not, the gate is always open.
    attests: bool,
    /// Since when no post succeeded.
    failing: Option<Instant>,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    since: Instant,
    /// The same by this replica's clock.
    since_ms: u64,
    /// Since when this replica follows the network again.
    following: Option<Instant>,
}

/// What the gate depends on.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub now: Instant,
    /// This replica's clock.
    pub now_ms: u64,
    pub is_following: bool,
    /// The exchange's time.
    pub time_ms: u64,
}

impl Gate {
    pub const fn new(attests: bool) -> Self {
        Self { attests, failing: None, closed: None }
    }

    /// Closes the gate at the start of the process, if transactions of an earlier one wait: while it was down, the
    /// exchange may have stood still.
    pub fn close(&mut self, seen: &Seen) {
        let Seen { now, now_ms, .. } = *seen;
        if self.attests {
            self.closed = Some(Closed { since: now, since_ms: now_ms, following: None });
        }
    }

    /// Records whether a post succeeded.
    pub fn posted(&mut self, has_failed: bool, now: Instant) {
        self.failing = has_failed.then(|| self.failing.unwrap_or(now));
    }

    /// Whether users' transactions may be posted.
    pub fn is_open(&mut self, seen: &Seen) -> bool {
        let Seen { now, is_following, time_ms, .. } = *seen;
        if self.closed.is_none() && self.failing.is_some_and(|since| now - since >= OUTAGE) {
            self.close(seen);
        }
        let Some(closed) = &mut self.closed else { return true };
        closed.following = is_following.then(|| closed.following.unwrap_or(now));
        // Only attestations that were signed after the gate closed can bring the exchange's time there.
        let is_attested = time_ms >= closed.since_ms;
        let is_long = match closed.following {
            Some(following) => now - following >= WAIT_MAX,
            None => now - closed.since >= BLIND_MAX,
        };
        if is_attested || is_long {
            // If posting fails again, that is another outage.
            (self.closed, self.failing) = (None, None);
        }
        self.closed.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64, is_following: bool, time_ms: u64) -> Seen {
        let now = start + Duration::from_secs(seconds);
        Seen { now, now_ms: 1_000_000 + seconds * 1000, is_following, time_ms }
    }

    #[test]
    fn after_an_outage_the_gate_opens_with_an_attestation_or_after_a_bounded_wait() {
        let start = Instant::now();
        let at = |seconds, is_following, time_ms| after(start, seconds, is_following, time_ms);
        let mut gate = Gate::new(true);
        gate.posted(true, start);
        assert!(gate.is_open(&at(1, true, 5)), "a short failure is no outage");
        gate.posted(false, at(1, true, 5).now);
        gate.posted(true, at(2, true, 5).now);
        assert!(gate.is_open(&at(3, true, 5)), "the failures before a success do not count");
        assert!(!gate.is_open(&at(4, false, 5)));
        assert!(!gate.is_open(&at(20, true, 1_003_000)), "an attestation of before the outage");
        assert!(gate.is_open(&at(21, true, 1_020_000)));
        gate.posted(true, at(22, true, 1_020_000).now);
        assert!(!gate.is_open(&at(30, true, 1_020_000)), "another outage");
        assert!(!gate.is_open(&at(39, true, 1_020_000)));
        assert!(gate.is_open(&at(40, true, 1_020_000)), "it waits ten seconds at most");
        gate.close(&at(50, false, 0));
        assert!(!gate.is_open(&at(79, false, 0)));
        assert!(gate.is_open(&at(80, false, 0)), "and thirty while it does not follow");
        let mut gate = Gate::new(false);
        gate.posted(true, start);
        gate.close(&at(1, false, 0));
        assert!(gate.is_open(&at(60, false, 0)), "a replica that does not attest has no gate");
    }
}
