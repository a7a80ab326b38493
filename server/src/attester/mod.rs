//! Attesting: a replica that genesis names signs what it has seen (the root after a batch) and its
//! clock, from which roots are certified and the exchange's time is made. An attestation is kept
//! nowhere but in memory: if it is lost, the next one says as much.

mod vote;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use zellbook_core::genesis::Rules;
use zellbook_core::key::SecretKey;
use zellbook_core::transaction::{Action, Transaction};
use zellbook_core::wire::ReplicaState;

use crate::clock::Clock;
use crate::published::Published;
use crate::replica::{Health, Watch};

pub use vote::{Attestable, Vote, replica_index};

/// The least time between two attestations.
const EVERY: Duration = Duration::from_secs(1);
/// How long one is taken to be on its way before that was measured.
const FLIGHT_FIRST: Duration = Duration::from_secs(2);
/// How long one that did not come back is waited for, at most.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// How often that wait doubles, at most.
const DOUBLINGS_MAX: u32 = 6;
/// After so many flights without a certified root the highest open vote is followed.
const FLIGHTS_OF_PATIENCE: u32 = 8;

/// An attestation that was posted and is not in the state yet.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    vote: Vote,
    /// The nonce that it was first posted with.
    nonce: u64,
    first: Instant,
    last: Instant,
    tries: u32,
}

/// Signs attestations, at most one a second.
pub struct Attester {
    rules: Arc<Rules>,
    key: SecretKey,
    published: watch::Receiver<Arc<Published>>,
    health: watch::Receiver<Health>,
    clock: Clock,
    random: fastrand::Rng,
    /// The last nonce that was used here.
    nonce: u64,
    last: Option<Instant>,
    in_flight: Option<InFlight>,
    /// How long attestations are on their way, about.
    flight: Duration,
    /// Since when votes are open after the same certified batch, and that batch.
    open_since: Option<(Instant, u64)>,
}

impl Attester {
    /// Of a replica that genesis names by this key.
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
            open_since: None,
        }
    }

    /// The next attestation, if it is time for one, as an element of a batch. `goes_along` says that a
    /// batch is posted anyway; alone it goes only when it is awaited.
    pub fn next(&mut self, goes_along: bool) -> Option<String> {
        let now = Instant::now();
        let is_early = self.last.is_some_and(|last| now - last < EVERY);
        // One that is behind has nothing to say that others do not know.
        if is_early || self.health.borrow().state != ReplicaState::Following {
            return None;
        }
        let attestable = self.published.borrow().attestable;
        let clock = self.clock.now_ms();
        self.land(now, &attestable);
        let is_stuck = self.is_stuck(now, &attestable);
        let answer = attestable.answer.or(attestable.highest.filter(|_| is_stuck));
        let is_due = attestable.due_ms.is_some_and(|due| due <= clock);
        let (vote, is_awaited) = match (self.in_flight, answer) {
            // What was posted is never taken back: the state takes no batch below our last.
            (Some(flight), Some(answer)) if answer.batch > flight.vote.batch => (answer, true),
            (Some(flight), answer) => {
                let is_late = now - flight.last >= self.wait(flight.tries);
                (flight.vote, (answer.is_some() || is_due) && is_late)
            }
            (None, Some(answer)) => (answer, true),
            // While votes are open, only the clock is new.
            (None, None) if attestable.is_open && !is_stuck => {
                (attestable.own.unwrap_or(attestable.tip), is_due)
            }
            (None, None) => (attestable.tip, is_due),
        };
        if !goes_along && !is_awaited {
            return None;
        }
        if is_stuck {
            // Patience begins again with what is voted for now.
            self.open_since = None;
        }
        Some(self.sign(now, vote, clock, attestable.nonce, is_awaited))
    }

    /// Notes that what was posted is in the state, and how long that took.
    fn land(&mut self, now: Instant, attestable: &Attestable) {
        if let Some(flight) = self.in_flight.take_if(|flight| flight.nonce <= attestable.nonce) {
            self.flight = (self.flight * 3 + (now - flight.first)) / 4;
        }
    }

    /// Whether votes are open for so long that they will not come together.
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
        now - since > self.flight.max(EVERY) * FLIGHTS_OF_PATIENCE
    }

    /// How long to wait for what was posted so many times: longer each time, and not in step with
    /// other replicas.
    fn wait(&mut self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(DOUBLINGS_MAX);
        let wait = (self.flight.max(EVERY) * 2 * (1 << doublings)).min(WAIT_MAX);
        wait * self.random.u32(750..=1000) / 1000
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
        self.nonce = clock.max(self.nonce.saturating_add(1)).max(nonce_seen.saturating_add(1));
        let again = self.in_flight.filter(|flight| flight.vote == vote);
        self.in_flight = Some(InFlight {
            vote,
            nonce: again.map_or(self.nonce, |flight| flight.nonce),
            first: again.map_or(now, |flight| flight.first),
            last: now,
            // One that only goes along says nothing about those before it.
            tries: again.map_or(1, |flight| flight.tries.saturating_add(is_awaited.into())),
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
