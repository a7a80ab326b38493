//! The attester: signs attestations of a replica that genesis names.
//!
//! An attestation states the root after a batch and the replica's clock. From those of all replicas the
//! exchange certifies roots and derives its time. At most one is signed per second: it rides in a batch
//! that is posted anyway, or gets a batch of its own if other replicas or a timer wait for it, if batches have stopped
//! before the last content was attested, or if a batch comes in long after the clock that this replica attested last.
//! It is kept in memory only, because after a loss the next attestation replaces it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use zellbook_core::types::ReplicaIndex;
use zellbook_core::wire::ReplicaState;
use zellbook_core::{Action, Rules, SecretKey, Transaction};
use zellular::client::Backoff;

use crate::clock::Clock;
use crate::metrics::Counts;
use crate::published::{Attestable, Health, Published, Vote, Watch};

/// The shortest time between two attestations.
const EVERY: Duration = Duration::from_secs(1);
/// The assumed time from posting an attestation to seeing it applied, until it has been measured.
const FLIGHT_FIRST: Duration = Duration::from_secs(2);
/// The longest wait before an attestation that did not appear is posted again.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Further posts of one vote do not make its wait longer.
const TRIES_MAX: u32 = 7;
/// The votes are stuck if no root is certified for this many flight times.
const STUCK_AFTER_FLIGHTS: u32 = 8;

/// This replica's clock is old in the state if a batch comes in so much later than it was attested. An attestation's own
/// batch comes in after one flight, and must not count, or attestations would answer each other for ever.
const OLD_AFTER: Duration = Duration::from_secs(10);
const OLD_AFTER_FLIGHTS: u32 = 4;
/// Batches have stopped if none came for this many flight times: then nothing that this replica posted is under way.
const QUIET_AFTER_FLIGHTS: u32 = 2;

/// An attestation that was posted but is not in the state yet.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    vote: Vote,
    /// The nonce of its first post. Reposts have higher ones, and any of them may be applied.
    nonce: u64,
    first: Instant,
    last: Instant,
    tries: u32,
    /// No gateway took its last post.
    is_refused: bool,
}

/// The last batch, since this replica has it.
#[derive(Clone, Copy, Debug)]
struct Tip {
    batch: u64,
    since: Instant,
    /// What this replica would have attested as its clock then; `None` for the batch that it started with, which may
    /// have come in long before.
    clock_ms: Option<u64>,
}

pub struct Attester {
    rules: Arc<Rules>,
    key: SecretKey,
    published: watch::Receiver<Arc<Published>>,
    health: watch::Receiver<Health>,
    clock: Clock,
    random: fastrand::Rng,
    /// The last nonce that this process used.
    nonce: u64,
    last: Option<Instant>,
    in_flight: Option<InFlight>,
    /// The smoothed time from posting an attestation to seeing it applied.
    flight: Duration,
    /// Whether this replica waits for the exchange's time to advance.
    is_wanted: bool,
    /// Since when votes have been open without a new certified batch, and the last certified batch.
    open_since: Option<(Instant, u64)>,
    tip: Option<Tip>,
    counts: Arc<Counts>,
}

impl Attester {
    /// `key` must be the key of a replica in genesis.
    pub fn new(
        rules: Arc<Rules>,
        key: SecretKey,
        watch: &Watch,
        clock: Clock,
        random: fastrand::Rng,
    ) -> Self {
        Self {
            rules,
            key,
            published: watch.published.clone(),
            health: watch.health.clone(),
            clock,
            random,
            nonce: 0,
            last: None,
            in_flight: None,
            flight: FLIGHT_FIRST,
            is_wanted: false,
            open_since: None,
            tip: None,
            counts: Arc::clone(&watch.counts),
        }
    }

    /// Says whether this replica waits for the exchange's time to advance.
    pub const fn want(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    /// Records that no gateway took the last attestation, or that nothing comes in of what gateways take. The wait for its
    /// batch would only grow in an outage, after which users' transactions wait for it.
    pub const fn refused(&mut self) {
        if let Some(flight) = &mut self.in_flight {
            flight.is_refused = true;
        }
    }

    /// The next attestation as an element of a batch, if it is time for one. If no batch is posted anyway
    /// (`goes_along` is false), it is time only if someone waits for it.
    pub fn next(&mut self, goes_along: bool) -> Option<String> {
        let now = Instant::now();
        let is_early = self.last.is_some_and(|last| now - last < EVERY);
        // A replica that is behind would attest to roots that others have certified already.
        if is_early || self.health.borrow().state != ReplicaState::Following {
            return None;
        }
        let (attestable, clock, exchange_ms, content) = {
            let published = self.published.borrow();
            let clock = published.clock(self.clock.now_ms());
            (published.attestable, clock, published.time_ms, published.content)
        };
        self.land(now, &attestable);
        let clock_now = clock.attested_ms(exchange_ms);
        self.see_tip(now, attestable.tip.batch, clock_now);
        let is_stuck = self.is_stuck(now, &attestable);
        let is_left = self.is_left(now, &attestable, content) || self.is_old(&attestable);
        // If votes were lost, the agreed proposal may never be certified. The highest vote is another rule that
        // all replicas can follow.
        let answer = attestable.answer.or(attestable.highest.filter(|_| is_stuck));
        // Not compared with the exchange's time, which cannot get there before replicas attest.
        let is_due =
            self.is_wanted || attestable.due_ms.is_some_and(|due| due <= clock.due_by_ms());
        let (vote, is_awaited) = match (self.in_flight, answer) {
            // A vote in flight is changed only upwards: the exchange rejects an attestation to a batch
            // below the replica's last one.
            (Some(flight), Some(answer)) if answer.batch > flight.vote.batch => (answer, true),
            (Some(flight), answer) => {
                let is_late = flight.is_refused || now - flight.last >= self.wait(flight.tries);
                (flight.vote, (answer.is_some() || is_due || is_left) && is_late)
            }
            (None, Some(answer)) => (answer, true),
            // While votes are open, the previous vote is repeated with a new clock: another proposal would
            // keep the votes apart.
            (None, None) if attestable.is_open && !is_stuck => {
                (attestable.own.unwrap_or(attestable.tip), is_due)
            }
            (None, None) => (attestable.tip, is_due || is_left),
        };
        if !goes_along && !is_awaited {
            return None;
        }
        if is_stuck {
            // The new vote gets the full time to be certified.
            self.open_since = None;
        }
        Some(self.sign(now, vote, clock_now, attestable.nonce, is_awaited))
    }

    /// Records that the attestation in flight was applied, and how long that took.
    fn land(&mut self, now: Instant, attestable: &Attestable) {
        if let Some(flight) = self.in_flight.take_if(|flight| flight.nonce <= attestable.nonce) {
            // From the first post on, because it is unknown which copy was applied.
            self.flight = (self.flight * 3 + (now - flight.first)) / 4;
        }
    }

    /// Whether batches have stopped although this replica has not voted on the last content yet. Roots that nobody
    /// certifies are of no use: a new replica could not start from them, and issuers would not pay withdrawals.
    fn is_left(&self, now: Instant, attestable: &Attestable, content: u64) -> bool {
        // A snapshot that others are to start from counts too, though nothing but attestations may be new in it.
        let content = content.max(Counts::get(&self.counts.snapshot));
        let own = attestable.own.map_or(0, |own| own.batch);
        // Only this replica's own vote ends it: the others may be down for long.
        let is_open = content > attestable.certified && content > own;
        let quiet = self.flight.max(EVERY) * QUIET_AFTER_FLIGHTS;
        is_open && self.tip.is_some_and(|tip| now - tip.since >= quiet)
    }

    fn see_tip(&mut self, now: Instant, batch: u64, clock_ms: u64) {
        if self.tip.is_none_or(|tip| tip.batch != batch) {
            let clock_ms = self.tip.is_some().then_some(clock_ms);
            self.tip = Some(Tip { batch, since: now, clock_ms });
        }
    }

    /// Whether this replica's clock in the state was old when the last batch came in, as after an outage. The exchange's
    /// time may then be old too, and other replicas hold back transactions until it is not.
    fn is_old(&self, attestable: &Attestable) -> bool {
        let old = OLD_AFTER.max(self.flight * OLD_AFTER_FLIGHTS);
        let came_in_ms = self.tip.and_then(|tip| tip.clock_ms).unwrap_or_default();
        u128::from(came_in_ms.saturating_sub(attestable.clock_ms)) >= old.as_millis()
    }

    /// Whether votes have been open for so long that they will not meet.
    fn is_stuck(&mut self, now: Instant, attestable: &Attestable) -> bool {
        let certified = attestable.certified;
        if !attestable.is_open {
            self.open_since = None;
            return false;
        }
        let since = match self.open_since {
            Some((since, before)) if before == certified => since,
            _ => now,
        };
        self.open_since = Some((since, certified));
        // Agreement takes two flights if nothing is lost. On a fast network the second between two
        // attestations takes longer than a flight.
        now - since > self.flight.max(EVERY) * STUCK_AFTER_FLIGHTS
    }

    /// The wait after this many posts of the same vote. It doubles each time, and is random so that replicas
    /// do not repeat their votes in step.
    fn wait(&mut self, tries: u32) -> Duration {
        // Twice the usual time, so that an attestation that is only a little late is not posted again.
        let backoff = Backoff::new(self.flight.max(EVERY) * 2, WAIT_MAX);
        // Less jitter than elsewhere: a repost that comes early costs a transaction in everybody's batches.
        backoff.after(tries.min(TRIES_MAX)) * self.random.u32(750..=1000) / 1000
    }

    fn sign(
        &mut self,
        now: Instant,
        vote: Vote,
        clock: u64,
        nonce_seen: u64,
        is_awaited: bool,
    ) -> String {
        self.last = Some(now);
        // The clock alone would not do: it can go back, and an earlier process with a wrong clock can have
        // used later nonces. A nonce below 64 higher ones is rejected.
        self.nonce =
            self.clock.now_ms().max(self.nonce.saturating_add(1)).max(nonce_seen.saturating_add(1));
        let again = self.in_flight.filter(|flight| flight.vote == vote);
        self.in_flight = Some(InFlight {
            vote,
            nonce: again.map_or(self.nonce, |flight| flight.nonce),
            first: again.map_or(now, |flight| flight.first),
            last: now,
            // Only awaited posts count as tries: one that rode along was not sent because others were lost.
            tries: again.map_or(1, |flight| {
                flight.tries.saturating_add((is_awaited && !flight.is_refused).into())
            }),
            is_refused: false,
        });
        let transaction = Transaction {
            account: self.key.public_key(),
            signer: None,
            nonce: self.nonce,
            valid_until: None,
            action: Action::Attest { batch: vote.batch, root: vote.root, clock },
        };
        transaction.sign(&self.rules.network, &self.key).to_json()
    }
}

/// The index of the replica with this key in genesis.
pub fn replica_index(rules: &Rules, key: &SecretKey) -> Option<ReplicaIndex> {
    let key = key.public_key();
    let index = rules.genesis.replicas.iter().position(|replica| replica.public_key == key)?;
    u16::try_from(index).ok().map(ReplicaIndex)
}
