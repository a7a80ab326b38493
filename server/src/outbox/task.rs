//! The task of the outbox: writes submissions to disk, posts what is due, and gives up transactions that
//! can have no effect any more.
//!
//! On every tick it asks the entries which bodies are due, and posts them on each route that is not busy: one
//! route for each lane, for fresh transactions in order, and one for reposts. A route posts one call after the
//! other, so that its order is kept. All routes run concurrently with each other and with the disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use zellbook_core::LeafKey;
use zellbook_core::types::limits::NONCES_KEPT;
use zellbook_core::wire::ReplicaState;
use zellular::client::{Backoff, jitter};

use super::body::{Body, BodyLimit};
use super::disk::{Changes, Disk};
use super::entries::Entries;
use super::entry::{Entry, Reason};
use super::flights::CREDIT_MAX;
use super::gate::{Gate, Seen};
use super::options::OutboxOptions;
use super::round::{Posted, Round};
use super::submission::Submission;
use crate::attester::Attester;
use crate::clock::Clock;
use crate::published::Health;
use crate::published::Published;
use crate::sequencer::Sequencer;
use crate::store::{QueryError, Reader, StoreError, View};
use zellular::client::{LANES_MAX, Route};

/// The most submissions in one commit.
const SUBMITS_PER_COMMIT: usize = 1000;
/// The most bodies that one round posts on a lane.
const BODIES_PER_ROUND: usize = 128;
/// The most transactions that one round checks before they are posted again.
const OVERDUE_PER_ROUND: usize = 1024;
/// The waits after failures of all gateways.
const RETRY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(4));
/// How long to wait before retrying a transaction that is too large for the network by itself.
const TOO_LARGE_WAIT: Duration = Duration::from_secs(300);
/// How often the times of posts are written to disk.
const NOTE_EVERY: Duration = Duration::from_millis(500);
/// How often to look for transactions that have expired.
const LATE_EVERY: Duration = Duration::from_secs(1);

pub struct OutboxTask {
    pub(super) disk: Disk,
    pub(super) store: Reader,
    pub(super) entries: Arc<Mutex<Entries>>,
    pub(super) submits: mpsc::Receiver<Submission>,
    pub(super) options: OutboxOptions,
    pub(super) limit: BodyLimit,
    pub(super) posted: Arc<Notify>,
    pub(super) clock: Clock,
    pub(super) random: Rng,
}

fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OutboxTask {
    /// Runs until all handles are dropped or the disk fails. If this replica attests, its attestations ride
    /// in the batches that it posts. Needs its own thread, because it blocks while it writes to disk.
    pub async fn run<S: Sequencer>(
        mut self,
        sequencer: Arc<S>,
        published: watch::Receiver<Arc<Published>>,
        health: watch::Receiver<Health>,
        mut attester: Option<Attester>,
    ) -> Result<(), StoreError> {
        let mut tick = tokio::time::interval(self.options.gather);
        // After a slow commit, the missed ticks must not follow in a burst.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut not_before, mut retry) = (Instant::now(), RETRY);
        let (mut noted, mut looked) = (Instant::now(), Instant::now());
        // Rounds run in the background: posting must not delay the storing of submissions, and a slow
        // gateway must not delay the others.
        let mut rounds: FuturesUnordered<Pin<Box<dyn Future<Output = Posted> + Send>>> =
            FuturesUnordered::new();
        let mut busy = Busy::default();
        let clock = self.clock;
        let reading = || published.borrow().clock(clock.now_ms());
        let mut gate = Gate::default();
        if lock(&self.entries).len() > 0 {
            gate.close(reading().best_ms());
        }
        loop {
            tokio::select! {
                // In this order, so that a flood of submissions cannot keep the outbox from posting.
                biased;
                // Without rounds this is `None`, and `select!` waits for the other branches only.
                Some(round) = rounds.next() => {
                    *busy.of(round.route) = false;
                    // A failed call was refused by up to five gateways, so all routes wait, not only this
                    // one.
                    self.settle(&round);
                    let has_failed = round.has_failed && !round.has_succeeded;
                    gate.posted(has_failed, Instant::now(), reading().best_ms());
                    if has_failed && let Some(attester) = &mut attester {
                        attester.refused();
                    }
                    if round.has_failed {
                        not_before = Instant::now() + jitter(retry.fail(), &mut self.random);
                    } else {
                        retry.reset();
                    }
                }
                _ = tick.tick() => {
                    let now_ms = reading().due_by_ms();
                    let never_posted = lock(&self.entries).stop_late(now_ms);
                    self.give_up(&never_posted, now_ms)?;
                    if looked.elapsed() >= LATE_EVERY {
                        looked = Instant::now();
                        // Read before the store is, so that the store is never older than this time: see
                        // `end_of`.
                        let time_ms = published.borrow().time_ms;
                        let late = lock(&self.entries).late(time_ms);
                        self.give_up(&late, time_ms)?;
                    }
                    let is_time = noted.elapsed() >= NOTE_EVERY;
                    if self.write(is_time)? {
                        noted = Instant::now();
                    }
                    let Health { state, network_is_behind, .. } = *health.borrow();
                    let is_following = state == ReplicaState::Following;
                    let (is_empty, is_awaited, latency) = {
                        let mut entries = lock(&self.entries);
                        entries.look(is_following);
                        (entries.len() == 0, entries.are_awaited(), entries.latency)
                    };
                    let seen = Seen {
                        now: Instant::now(),
                        now_ms: reading().best_ms(),
                        is_following,
                        time_ms: published.borrow().time_ms,
                        latency: latency.smoothed().unwrap_or_else(|| latency.wait()),
                        wait: latency.wait(),
                        batch: published.borrow().batch,
                        is_awaited,
                    };
                    // What is posted to a network that has lost its history becomes part of another one.
                    if seen.now >= not_before && !network_is_behind {
                        let is_open = gate.is_open(&seen);
                        // In a stall too, though nothing is posted again: a gateway that loses what it takes must be
                        // reported, or the probes would go there too.
                        if (is_open || gate.is_stalled()) && !busy.again {
                            // A repost is useless, and would go on for ever, if the transaction can
                            // have no effect any more.
                            let time_ms = published.borrow().time_ms;
                            let bytes_max = self.limit.bytes_max();
                            let overdue =
                                lock(&self.entries).overdue(bytes_max, OVERDUE_PER_ROUND);
                            self.give_up(&overdue, time_ms)?;
                            report_unseen(&overdue, &*sequencer);
                        }
                        if gate.is_stalled()
                            && gate.wants_probe(&seen)
                            && let Some(attester) = &mut attester
                        {
                            attester.refused();
                        }
                        let lanes = sequencer.lanes();
                        let mut due = self.due(&busy, lanes, attester.as_mut(), is_open);
                        let can_attest = attester.is_some() && is_following;
                        let is_probed = is_open || is_empty || can_attest || busy.lanes[0];
                        if !is_probed && gate.wants_probe(&seen) {
                            due.push((Route::Lane(0), vec![Body::new("")]));
                        }
                        for (route, bodies) in due {
                            *busy.of(route) = true;
                            let round = self.post(Arc::clone(&sequencer), route, bodies);
                            rounds.push(Box::pin(round));
                        }
                    }
                }
                submit = self.submits.recv() => match submit {
                    Some(submit) => self.take(submit)?,
                    // The process is stopping. Everything that waits is on disk.
                    None => return Ok(()),
                },
            }
        }
    }

    /// Writes all waiting submissions in one commit, then acknowledges them.
    fn take(&mut self, first: Submission) -> Result<(), StoreError> {
        let mut submits = vec![first];
        while submits.len() < SUBMITS_PER_COMMIT
            && let Ok(submit) = self.submits.try_recv()
        {
            submits.push(submit);
        }
        let received_ms = self.clock.now_ms();
        // Pending deletions go first: one of these transactions may have left and been submitted again.
        self.write(true)?;
        let elements =
            submits.iter().map(|submit| (&submit.checked.hash.0, submit.element.as_str()));
        // On disk first: what is in memory may be posted or acknowledged at any moment, and must survive a
        // crash.
        self.disk.take(elements, received_ms)?;
        let mut entries = lock(&self.entries);
        for Submission { sequence, checked, element, done } in submits {
            entries.counts.taken += u64::from(entries.received_ms(&checked.hash.0).is_none());
            // For a transaction that came twice this is the time of the first submission, so both receipts
            // are the same.
            let received_ms = entries.insert(sequence, checked, element.into(), received_ms);
            // Fails if the client has disconnected; the transaction stays in the outbox all the same.
            let _ = done.send(received_ms);
        }
        Ok(())
    }

    /// Writes the changes to disk if they are urgent or if it is time. Returns whether it did.
    fn write(&mut self, is_time: bool) -> Result<bool, StoreError> {
        // Taken under the lock and written without it, so that no request waits for the disk. If the write
        // fails, the changes are lost, but then the task ends and the replica with it.
        let changes = {
            let mut entries = lock(&self.entries);
            if entries.changes.is_empty() || !(is_time || entries.changes.is_urgent()) {
                return Ok(false);
            }
            std::mem::take(&mut entries.changes)
        };
        self.disk.write(&changes)?;
        Ok(true)
    }

    /// Gives up those entries that can have no effect any more at this time of the exchange.
    fn give_up(&mut self, suspects: &[Entry], time_ms: u64) -> Result<(), StoreError> {
        if suspects.is_empty() {
            return Ok(());
        }
        let (mut done, mut ended) = (Vec::new(), Vec::new());
        let read = self.store.read_now(|view| {
            for entry in suspects {
                match end_of(view, entry, time_ms)? {
                    // The replica commits a batch first and then tells the outbox, and this task can come in
                    // between.
                    Some(End::Done) => done.push(entry.hash()),
                    Some(End::GivenUp(reason)) => ended.push((entry.hash(), entry.ended(reason))),
                    None => {}
                }
            }
            Ok(())
        });
        read.map_err(|error| self.store.error(error))?;
        // Disk first: a status that clients have seen must not change back after a crash.
        let changes = Changes { ended, ..Changes::default() };
        if changes.is_urgent() {
            self.disk.write(&changes)?;
        }
        let mut entries = lock(&self.entries);
        entries.applied(done);
        for (hash, ended) in &changes.ended {
            entries.end(hash, *ended);
        }
        Ok(())
    }

    /// The bodies that are due on the routes that are not busy; only an attestation while the gate is closed.
    fn due(
        &self,
        busy: &Busy,
        lanes: usize,
        attester: Option<&mut Attester>,
        is_open: bool,
    ) -> Vec<(Route, Vec<Body>)> {
        let bytes_max = self.limit.bytes_max();
        let mut entries = lock(&self.entries);
        let (mut again, mut new) = (Vec::new(), [const { Vec::new() }; LANES_MAX]);
        if is_open {
            if !busy.again {
                again = entries.again(bytes_max, CREDIT_MAX);
            }
            new = entries.take_new(lanes, busy.lanes, bytes_max, BODIES_PER_ROUND);
        }
        let is_wanted = entries.waits_for_time() || (!is_open && entries.len() > 0);
        drop(entries);
        let first = &mut new[0];
        let goes_along = !first.is_empty();
        // Always on the first lane, so that a later attestation, with a later clock, cannot overtake it.
        if !busy.lanes[0]
            && let Some(element) = attester.and_then(|attester| {
                attester.want(is_wanted);
                attester.next(goes_along)
            })
        {
            match first.first_mut().filter(|body| body.takes(&element, bytes_max)) {
                Some(body) => body.put_first(&element),
                // The body names no entry for the attestation. If it is refused or lost, the attester signs a
                // new one.
                None => first.insert(0, Body::new(&element)),
            }
        }
        let lanes = new.into_iter().enumerate().map(|(lane, bodies)| (Route::Lane(lane), bodies));
        let mut due: Vec<_> = [(Route::Repost, again)].into_iter().chain(lanes).collect();
        due.retain(|(_, bodies)| !bodies.is_empty());
        due
    }

    /// Starts a round of posts.
    fn post<S: Sequencer>(
        &mut self,
        sequencer: Arc<S>,
        route: Route,
        bodies: Vec<Body>,
    ) -> impl Future<Output = Posted> + Send + use<S> {
        // The round owns all that it needs, since this task goes on to change itself while the round runs.
        let round = Round {
            sequencer,
            route,
            bodies,
            known_good: self.limit.known_good(),
            entries: Arc::clone(&self.entries),
            posted: Arc::clone(&self.posted),
            clock: self.clock,
            random: self.random.fork(),
        };
        round.run()
    }

    /// Processes a finished round: gives back their turns to what no gateway accepted, and learns the network's
    /// size limit.
    fn settle(&mut self, round: &Posted) {
        self.limit.takes(round.taken);
        let mut entries = lock(&self.entries);
        // Reposts are still listed as overdue, so a later round tries them again without help.
        if round.route != Route::Repost {
            round.left.iter().for_each(|body| entries.take_back(body));
        }
        if let Some((bytes, alone)) = round.too_large {
            self.limit.refuses(bytes);
            // A body of one transaction cannot be made smaller. It would be refused again in every round.
            if let Some(sequence) = alone {
                entries.put_off(sequence, TOO_LARGE_WAIT);
            }
            tracing::warn!(
                "the gateways refused a batch as too large; new batches have at most {} bytes",
                self.limit.bytes_max()
            );
        }
    }
}

/// Reports the gateways that accepted transactions which were not seen in time.
fn report_unseen<S: Sequencer>(overdue: &[Entry], sequencer: &S) {
    let mut gateways: Vec<&str> =
        overdue.iter().filter_map(|entry| entry.gateway.as_deref()).collect();
    gateways.sort_unstable();
    // One lost batch has many transactions but is one failure of its gateway.
    gateways.dedup();
    gateways.into_iter().for_each(|gateway| sequencer.unseen(gateway));
}

/// The routes on which a round is in progress.
#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    lanes: [bool; LANES_MAX],
    again: bool,
}

impl Busy {
    const fn of(&mut self, route: Route) -> &mut bool {
        match route {
            Route::Lane(lane) => &mut self.lanes[lane],
            Route::Repost => &mut self.again,
        }
    }
}

enum End {
    /// The store has its outcome.
    Done,
    GivenUp(Reason),
}

/// Whether a transaction can have no effect any more. The view must not be older than the time: otherwise
/// a transaction that was applied just before it expired would count as expired.
fn end_of(view: &View<'_>, entry: &Entry, time_ms: u64) -> Result<Option<End>, QueryError> {
    let signer = entry.checked.signer;
    // Its own outcome first: an applied transaction has used its nonce, and would count as superseded below.
    if view.has_transaction(&entry.hash())? {
        return Ok(Some(End::Done));
    }
    if entry.end_ms().is_some_and(|end_ms| end_ms <= time_ms) {
        return Ok(Some(End::GivenUp(Reason::Expired)));
    }
    // An order in the guide's format has no nonce. Only its own outcome ends it.
    let Some(nonce) = entry.nonce() else { return Ok(None) };
    let kept = view.leaf(&LeafKey::Nonces(signer))?.unwrap_or_default();
    // The leaf holds the nonce window in ascending order (section 17 of the protocol), so the first is the
    // lowest.
    let (kept, _) = kept.as_chunks::<8>();
    let is_used = kept.contains(&nonce.to_be_bytes());
    let is_old = kept.len() >= NONCES_KEPT
        && kept.first().is_some_and(|lowest| nonce < u64::from_be_bytes(*lowest));
    Ok((is_used || is_old).then_some(End::GivenUp(Reason::Superseded)))
}
