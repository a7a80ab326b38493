//! Holds back users' transactions after an outage until the exchange's time is right again.
//!
//! The exchange's time comes from attestations alone, so it stands still while nothing is sequenced. Right after an
//! outage, orders that should have expired would still fill, and session keys and switches would still wait whose time
//! has come. The gate closes once no post has succeeded for two seconds, at a start with transactions of an earlier
//! process, and in a *stall*: gateways take what is posted, but nothing comes in any more, as when the network has no
//! leader. It opens when the exchange's time has reached the end of the outage.
//!
//! While it is closed, only a *probe* is posted: an attestation, or an empty batch from a replica that cannot attest.
//! Either makes the other replicas attest too. If posting fails, or nothing comes in, the outage goes on, and nothing
//! could be released. Gateways may sequence later what they took before a stall was noticed.
//!
//! **The wait is bounded.** While replicas with half of the weight are down, the exchange's time stands still for good,
//! and the exchange has to go on without it. No replica can tell that from attestations that are still on their way,
//! except by time. So the bound begins when the network takes posts and sequences again, and is four times the network's latency: one
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
/// How long nothing may come in, as a multiple of the wait before a post is repeated.
const STALL_WAITS: u32 = 3;
/// The time between probes in a stall, as a multiple of that: gateways may queue all of them.
const STALL_PROBES: u32 = 4;

#[derive(Debug, Default)]
pub struct Gate {
    /// Since when no post succeeded.
    failing: Option<Instant>,
    /// When a batch last came in, or nothing was awaited, and the last batch then.
    heard: Option<(Instant, u64)>,
    is_stalled: bool,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    /// The end of the outage by this replica's clock, as far as it is known: when a post failed last, or when a stall was
    /// last seen to go on.
    end_ms: u64,
    /// Since when the network takes posts again, and sequences them.
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
    /// The time after which what was posted is probably lost, and is posted again through another gateway.
    pub wait: Duration,
    /// The last batch.
    pub batch: u64,
    /// Whether a gateway took transactions that were not seen in a batch yet.
    pub is_awaited: bool,
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
            // What a gateway takes in a stall shows nothing.
            if !self.is_stalled {
                closed.taking.get_or_insert(now);
            }
            closed.probed = Some(now);
        }
    }

    /// Finds out whether anything comes in. A replica that does not see all batches cannot tell.
    fn listen(&mut self, seen: &Seen) {
        let is_news = !seen.is_following || self.heard.is_none_or(|(_, batch)| batch != seen.batch);
        self.is_stalled &= !is_news;
        let heard = match self.heard {
            Some((since, _)) if !is_news && (seen.is_awaited || self.is_stalled) => since,
            _ => seen.now,
        };
        self.heard = Some((heard, seen.batch));
        // Long enough for a post through another gateway to come in: one gateway that loses everything is no stall.
        self.is_stalled |= seen.now - heard >= (seen.wait * STALL_WAITS).max(OUTAGE);
    }

    /// Whether nothing comes in although gateways take what is posted.
    pub const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Whether users' transactions may be posted.
    pub fn is_open(&mut self, seen: &Seen) -> bool {
        let Seen { now, now_ms, is_following, time_ms, latency, .. } = *seen;
        self.listen(seen);
        let is_failing = self.failing.is_some_and(|since| now - since >= OUTAGE);
        if self.closed.is_none() && (is_failing || self.is_stalled) {
            self.close(now_ms);
        }
        let Some(closed) = &mut self.closed else { return true };
        if self.is_stalled {
            (closed.end_ms, closed.taking) = (now_ms, None);
        }
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
        let times = if self.is_stalled { STALL_PROBES } else { 1 };
        let is_late = |probed| seen.now - probed >= seen.latency.max(PROBE_EVERY) * times;
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
            let (latency, wait) = (LATENCY, LATENCY);
            let (batch, is_awaited) = (7, false);
            Seen { now, now_ms, is_following, time_ms, latency, wait, batch, is_awaited }
        }

        /// Whether it is open while a gateway has taken something that was not seen in a batch yet.
        fn is_open_waiting(&mut self, seconds: u64, batch: u64, time_ms: u64) -> bool {
            let seen = Seen { batch, is_awaited: true, ..self.seen(seconds, true, time_ms) };
            self.gate.is_open(&seen)
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
    fn the_gate_closes_when_nothing_comes_in_of_what_gateways_take() {
        let mut scene = Scene::new();
        let at = |seconds: u64| START_MS + seconds * 1000;
        scene.posts(0, false);
        assert!(scene.is_open(0, 5));
        assert!(scene.is_open(100, 5), "nothing is awaited");
        assert!(scene.is_open_waiting(101, 7, 5));
        assert!(scene.is_open_waiting(102, 7, 5), "the wait is not over");
        assert!(scene.is_open_waiting(103, 8, 5), "something comes in");
        assert!(scene.is_open_waiting(105, 8, 5));
        assert!(!scene.is_open_waiting(106, 8, 5));
        // Probes are taken too, what waited is given up, and the clock of an attestation on its way is older.
        scene.posts(107, false);
        for seconds in 108..=200 {
            let seen = Seen { batch: 8, ..scene.seen(seconds, true, at(seconds - 1)) };
            assert!(!scene.gate.is_open(&seen), "{seconds}");
        }
        // Something comes in: the last second of the stall was at 200 s.
        assert!(!scene.is_open_waiting(201, 9, at(199)));
        assert!(scene.is_open_waiting(201, 9, at(200)));
        // The same, where too few replicas attest. The bound begins with the first post that is taken afterwards.
        assert!(!scene.is_open_waiting(210, 9, at(200)));
        scene.posts(211, false);
        assert!(!scene.is_open_waiting(230, 9, at(200)), "a stall has no bound");
        assert!(!scene.is_open_waiting(231, 10, at(200)));
        scene.posts(232, false);
        for seconds in 233..242 {
            assert!(!scene.is_open_waiting(seconds, seconds, at(200)), "{seconds}");
        }
        assert!(scene.is_open_waiting(242, 242, at(200)));
    }

    #[test]
    fn a_replica_that_does_not_see_all_batches_knows_of_no_stall() {
        let mut scene = Scene::new();
        for seconds in 0..100 {
            let seen = Seen { is_awaited: true, ..scene.seen(seconds, false, 5) };
            assert!(scene.gate.is_open(&seen), "{seconds}");
        }
        assert!(scene.is_open_waiting(101, 7, 5));
        assert!(!scene.is_open_waiting(104, 7, 5));
    }

    #[test]
    fn in_a_stall_probes_are_rarer() {
        let mut scene = Scene::new();
        assert!(scene.is_open_waiting(0, 7, 5));
        assert!(!scene.is_open_waiting(3, 7, 5));
        scene.posts(3, false);
        for (seconds, wants) in [(4, false), (6, false), (7, true)] {
            assert!(!scene.is_open_waiting(seconds, 7, 5));
            assert_eq!(scene.gate.wants_probe(&scene.seen(seconds, true, 5)), wants, "{seconds}");
        }
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
