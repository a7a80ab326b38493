//! Holds back users' transactions after an outage until the exchange's time is right again.
//!
//! The exchange's time comes from attestations alone, so it stands still while nothing is sequenced. Right after an
//! outage, orders that should have expired would still fill, and session keys and switches would still wait whose time
//! has come. The gate closes once no post has succeeded for two seconds, and at a start with transactions of an earlier
//! process. It opens when the exchange's time has reached the end of the outage.
//!
//! While it is closed, only a *probe* is posted: an attestation, or an empty batch from a replica that cannot attest.
//! Either makes the other replicas attest too. If posting fails, the outage goes on, and nothing could be released.
//!
//! **The wait is bounded.** While replicas with half of the weight are down, the exchange's time stands still for good,
//! and the exchange has to go on without it. No replica can tell that from attestations that are still on their way,
//! except by time. So the bound begins when the network takes posts again, and is four times the network's latency: one
//! for the probe, one for the attestations that answer it, one for the next batch, in which the time moves, and one to
//! spare. What is past its own end by this replica's clock is not posted then either (`Entries::stop_late`).

use std::time::Duration;

use tokio::time::Instant;

/// Posting must fail for this long to count as an outage: a single failure is settled within a second.
const OUTAGE: Duration = Duration::from_secs(2);
/// The bound, as a multiple of the network's latency.
const LATENCIES: u32 = 4;
/// The least bound. Replicas attest at most once a second, and ask for batches every few seconds after failures.
const BOUND_MIN: Duration = Duration::from_secs(10);
/// The greatest bound, for a latency that was measured while the network was in trouble.
const BOUND_MAX: Duration = Duration::from_secs(300);
/// The least bound while this replica does not follow the network: reading can fail although posting works.
const BLIND_MIN: Duration = Duration::from_secs(30);
/// The shortest time between two probes.
const PROBE_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Gate {
    /// Since when no post succeeded.
    failing: Option<Instant>,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    /// The end of the outage by this replica's clock, as far as it is known: when a post failed last.
    end_ms: u64,
    /// Since when the network takes posts again.
    taking: Option<Instant>,
    /// Since when this replica follows the network again.
    following: Option<Instant>,
    /// When the last probe was taken.
    probed: Option<Instant>,
}

/// What the gate depends on.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub now: Instant,
    /// The present time by this replica's clock.
    pub now_ms: u64,
    pub is_following: bool,
    /// The exchange's time.
    pub time_ms: u64,
    /// The usual time from posting to being sequenced.
    pub latency: Duration,
}

impl Gate {
    /// Closes the gate at the start of the process, if transactions of an earlier one wait: while it was down, the
    /// exchange may have stood still.
    pub fn close(&mut self, now_ms: u64) {
        self.closed = Some(Closed { end_ms: now_ms, taking: None, following: None, probed: None });
    }

    /// Records whether a post succeeded.
    pub fn posted(&mut self, has_failed: bool, now: Instant, now_ms: u64) {
        self.failing = has_failed.then(|| self.failing.unwrap_or(now));
        let Some(closed) = &mut self.closed else { return };
        if has_failed {
            (closed.end_ms, closed.taking, closed.probed) = (now_ms, None, None);
        } else {
            closed.taking.get_or_insert(now);
            closed.probed = Some(now);
        }
    }

    /// Whether users' transactions may be posted.
    pub fn is_open(&mut self, seen: &Seen) -> bool {
        let Seen { now, now_ms, is_following, time_ms, latency } = *seen;
        if self.closed.is_none() && self.failing.is_some_and(|since| now - since >= OUTAGE) {
            self.close(now_ms);
        }
        let Some(closed) = &mut self.closed else { return true };
        closed.following = is_following.then(|| closed.following.unwrap_or(now));
        // Only attestations that were signed after the last failed post can bring the exchange's time there.
        let is_attested = time_ms >= closed.end_ms;
        let bound = (latency * LATENCIES).clamp(BOUND_MIN, BOUND_MAX);
        let is_long = closed.taking.is_some_and(|taking| match closed.following {
            Some(following) => now - following.max(taking) >= bound,
            None => now - taking >= bound.max(BLIND_MIN),
        });
        if is_attested || is_long {
            if !is_attested {
                tracing::warn!(
                    "too few replicas attest, so the exchange's time is still behind; transactions are posted all the same"
                );
            }
            // If posting fails again, that is another outage.
            (self.closed, self.failing) = (None, None);
        }
        self.closed.is_none()
    }

    /// Whether to probe again: the last probe, or what it asked for, may be lost.
    pub fn wants_probe(&self, seen: &Seen) -> bool {
        let is_late = |probed| seen.now - probed >= seen.latency.max(PROBE_EVERY);
        self.closed.as_ref().is_some_and(|closed| closed.probed.is_none_or(is_late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_secs(1);
    const START_MS: u64 = 1_000_000;

    struct Scene {
        gate: Gate,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self { gate: Gate::default(), start: Instant::now() }
        }

        fn at(&self, seconds: u64) -> (Instant, u64) {
            (self.start + Duration::from_secs(seconds), START_MS + seconds * 1000)
        }

        fn posts(&mut self, seconds: u64, has_failed: bool) {
            let (now, now_ms) = self.at(seconds);
            self.gate.posted(has_failed, now, now_ms);
        }

        fn seen(&self, seconds: u64, is_following: bool, time_ms: u64) -> Seen {
            let (now, now_ms) = self.at(seconds);
            Seen { now, now_ms, is_following, time_ms, latency: LATENCY }
        }

        /// Whether it is open while the replica follows the network.
        fn is_open(&mut self, seconds: u64, time_ms: u64) -> bool {
            let seen = self.seen(seconds, true, time_ms);
            self.gate.is_open(&seen)
        }

        fn is_open_blind(&mut self, seconds: u64) -> bool {
            let seen = self.seen(seconds, false, 5);
            self.gate.is_open(&seen)
        }
    }

    #[test]
    fn after_an_outage_the_gate_opens_when_the_exchanges_time_has_reached_its_end() {
        let mut scene = Scene::new();
        scene.posts(0, true);
        assert!(scene.is_open(1, 5), "a short failure is no outage");
        scene.posts(1, false);
        scene.posts(2, true);
        assert!(scene.is_open(3, 5), "the failures before a success do not count");
        assert!(!scene.is_open(4, 5));
        scene.posts(20, true);
        scene.posts(21, false);
        assert!(!scene.is_open(22, START_MS + 4_000), "an attestation from within the outage");
        assert!(scene.is_open(22, START_MS + 20_000));
        assert!(scene.is_open(23, START_MS + 20_000), "and it stays open");
        scene.posts(24, true);
        assert!(!scene.is_open(26, START_MS + 20_000), "another outage");
    }

    #[test]
    fn the_wait_is_bounded_from_when_the_network_takes_posts_again() {
        let mut scene = Scene::new();
        scene.posts(0, true);
        assert!(!scene.is_open(2, 5));
        scene.posts(99, true);
        assert!(!scene.is_open(100, 5), "the outage goes on, so nothing could be released");
        scene.posts(101, false);
        assert!(!scene.is_open(110, 5));
        assert!(scene.is_open(111, 5));
        scene.gate.close(START_MS + 120_000);
        scene.posts(121, false);
        assert!(!scene.is_open_blind(150));
        assert!(scene.is_open_blind(151), "it waits longer while it does not follow the network");
        scene.gate.close(START_MS + 200_000);
        scene.posts(201, false);
        assert!(!scene.is_open_blind(220));
        assert!(!scene.is_open(221, 5));
        assert!(!scene.is_open(230, 5), "time in which it did not follow does not count");
        assert!(scene.is_open(231, 5));
    }

    #[test]
    fn a_slow_network_gets_more_time() {
        let mut scene = Scene::new();
        scene.gate.close(START_MS);
        scene.posts(1, false);
        let at = |scene: &Scene, seconds, latency| {
            let latency = Duration::from_secs(latency);
            Seen { latency, ..scene.seen(seconds, true, 5) }
        };
        for (seconds, is_open) in [(1, false), (240, false), (241, true)] {
            let seen = at(&scene, seconds, 60);
            assert_eq!(scene.gate.is_open(&seen), is_open, "{seconds}");
        }
        // But not for ever, if the latency was measured in an outage.
        scene.gate.close(START_MS + 300_000);
        scene.posts(300, false);
        for (seconds, is_open) in [(300, false), (599, false), (600, true)] {
            let seen = at(&scene, seconds, 1000);
            assert_eq!(scene.gate.is_open(&seen), is_open, "{seconds}");
        }
    }

    #[test]
    fn a_probe_is_repeated_when_nothing_answers_it() {
        let mut scene = Scene::new();
        let wants = |scene: &Scene, seconds| scene.gate.wants_probe(&scene.seen(seconds, true, 5));
        assert!(!wants(&scene, 0), "the gate is open");
        scene.gate.close(START_MS);
        assert!(wants(&scene, 0));
        scene.posts(1, false);
        assert!(!wants(&scene, 1));
        assert!(wants(&scene, 2));
        scene.posts(2, true);
        assert!(wants(&scene, 2));
    }
}
