//! The task behind the outbox: writes what is submitted, posts what is due, and gives up what can have
//! no effect any more.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use zellbook_core::leaf::LeafKey;
use zellbook_core::limits::NONCES_KEPT;
use zellbook_core::wire::ReplicaState;

use super::body::{Body, BodyLimit};
use super::disk::{Changes, Disk};
use super::entries::{Entries, Entry, Reason, Validity};
use super::{OutboxOptions, Submit};
use crate::attester::Attester;
use crate::clock::Clock;
use crate::published::Published;
use crate::replica::Health;
use crate::sequencer::{GatewayError, Sequencer};
use crate::store::{Reader, View};

/// Submissions that one commit takes together, at most.
const SUBMITS_PER_COMMIT: usize = 1000;
/// Bodies that are posted in one round, at most, and of them bodies of what was posted before.
const BODIES_PER_ROUND: usize = 128;
const AGAIN_PER_ROUND: usize = 32;
/// Transactions that are looked at before they are posted again, at most.
const OVERDUE_PER_ROUND: usize = 1024;
/// Bytes of bodies that one bulk call carries, at most.
const BULK_BYTES_MAX: usize = 512 << 10;
/// After an error of the gateways, how long until the next try: doubled from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// How long until a transaction that alone is too large for the network is tried again.
const TOO_LARGE_WAIT: Duration = Duration::from_secs(300);
/// How often it is noted on disk what was posted.
const NOTE_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked for what is too late.
const LATE_EVERY: Duration = Duration::from_secs(1);

/// The task behind the outbox.
pub struct OutboxTask {
    pub(super) disk: Disk,
    pub(super) store: Reader,
    pub(super) entries: Arc<Mutex<Entries>>,
    pub(super) submits: mpsc::Receiver<Submit>,
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
    /// Takes submissions and posts until all handles are gone or the disk fails. What is posted is
    /// gone along with by attestations, if this replica makes any. It blocks while it writes: it is
    /// made for a thread of its own.
    pub async fn run<S: Sequencer>(
        mut self,
        sequencer: Arc<S>,
        published: watch::Receiver<Arc<Published>>,
        health: watch::Receiver<Health>,
        mut attester: Option<Attester>,
    ) -> rusqlite::Result<()> {
        let mut tick = tokio::time::interval(self.options.gather);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut not_before, mut retry) = (Instant::now(), RETRY.0);
        let (mut noted, mut looked) = (Instant::now(), Instant::now());
        // Posting must not keep submissions from the disk.
        let mut posting: Option<Pin<Box<dyn Future<Output = Round> + Send>>> = None;
        loop {
            let round = async {
                match &mut posting {
                    Some(round) => round.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                round = round => {
                    posting = None;
                    if self.settle(&round) {
                        let jitter = 0.5 + self.random.f64() / 2.0;
                        not_before = Instant::now() + retry.mul_f64(jitter);
                        retry = (retry * 2).min(RETRY.1);
                    } else {
                        retry = RETRY.0;
                    }
                }
                _ = tick.tick() => {
                    if looked.elapsed() >= LATE_EVERY {
                        looked = Instant::now();
                        let time_ms = published.borrow().time_ms;
                        let late = lock(&self.entries).late(time_ms);
                        self.give_up(&late, time_ms)?;
                    }
                    let is_time = noted.elapsed() >= NOTE_EVERY;
                    if self.write(is_time)? {
                        noted = Instant::now();
                    }
                    let sees_all = health.borrow().state == ReplicaState::Following;
                    lock(&self.entries).look(sees_all);
                    if posting.is_none() && Instant::now() >= not_before {
                        // Before something is posted again, it is looked whether that can be of use.
                        let time_ms = published.borrow().time_ms;
                        let overdue = lock(&self.entries).overdue(OVERDUE_PER_ROUND);
                        self.give_up(&overdue, time_ms)?;
                        tell_unseen(&overdue, &*sequencer);
                        let bodies = self.bodies(attester.as_mut());
                        if !bodies.is_empty() {
                            posting = Some(Box::pin(self.post(Arc::clone(&sequencer), bodies)));
                        }
                    }
                }
                submit = self.submits.recv() => match submit {
                    Some(submit) => self.take(submit)?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Writes what waits in one commit, then answers.
    fn take(&mut self, first: Submit) -> rusqlite::Result<()> {
        let mut submits = vec![first];
        while submits.len() < SUBMITS_PER_COMMIT
            && let Ok(submit) = self.submits.try_recv()
        {
            submits.push(submit);
        }
        let received_ms = self.clock.now_ms();
        // What is to be deleted goes first: one of these may be there again.
        self.write(true)?;
        let elements = submits.iter().map(|submit| (&submit.hash, submit.element.as_str()));
        self.disk.take(elements, received_ms)?;
        let mut entries = lock(&self.entries);
        for Submit { hash, element, validity, done } in submits {
            entries.counts.taken += u64::from(entries.received_ms(&hash).is_none());
            let received_ms = entries.insert(hash, element.into(), validity, received_ms);
            // A client that went away needs no answer.
            let _ = done.send(received_ms);
        }
        Ok(())
    }

    /// Writes what changed, if it is urgent or it is time.
    fn write(&mut self, is_time: bool) -> rusqlite::Result<bool> {
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

    /// Gives up those that can have no effect any more at a time of the state.
    fn give_up(&mut self, suspects: &[Entry], time_ms: u64) -> rusqlite::Result<()> {
        if suspects.is_empty() {
            return Ok(());
        }
        let (mut done, mut ended) = (Vec::new(), Vec::new());
        self.store.read_now(|view| {
            for entry in suspects {
                match end_of(view, entry, time_ms)? {
                    Some(End::Done) => done.push(entry.hash),
                    Some(End::GivenUp(reason)) => ended.push((entry.hash, entry.ended(reason))),
                    None => {}
                }
            }
            Ok(())
        })?;
        // What is told of it is told after a kill too.
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

    /// What is due, as bodies under the limit. An attestation goes last.
    fn bodies(&self, attester: Option<&mut Attester>) -> Vec<Body> {
        let bytes_max = self.limit.bytes_max();
        let mut bodies = lock(&self.entries).bodies(bytes_max, AGAIN_PER_ROUND, BODIES_PER_ROUND);
        if let Some(element) = attester.and_then(|attester| attester.next(!bodies.is_empty())) {
            match bodies.last_mut().filter(|body| body.takes(&element, bytes_max)) {
                Some(body) => body.add(&element),
                None => bodies.push(Body::new(&element, false)),
            }
        }
        for body in &mut bodies {
            body.text.push(']');
        }
        bodies
    }

    /// Posts bodies one after the other, to keep their order, until one fails. One that is too large
    /// does not hold up the others.
    fn post<S: Sequencer>(
        &mut self,
        sequencer: Arc<S>,
        bodies: Vec<Body>,
    ) -> impl Future<Output = Round> + Send + use<S> {
        let (entries, posted, clock) =
            (Arc::clone(&self.entries), Arc::clone(&self.posted), self.clock);
        let (mut random, known_good) = (self.random.fork(), self.limit.known_good());
        async move {
            let mut round = Round::default();
            for call in calls(bodies, known_good) {
                let is_again = call.iter().any(|body| body.is_again);
                let texts: Vec<String> = call.iter().map(|body| body.text.clone()).collect();
                let longest = texts.iter().map(String::len).max().unwrap_or(0);
                match sequencer.post(&texts, is_again).await {
                    Ok(gateway) => {
                        let mut entries = lock(&entries);
                        for body in &call {
                            entries.posted(body, &gateway, clock.now_ms(), &mut random);
                        }
                        drop(entries);
                        if let [_] = texts.as_slice() {
                            round.taken = round.taken.max(longest);
                        }
                        posted.notify_one();
                    }
                    Err(GatewayError::BatchTooLarge) => {
                        round.too_large.extend(call.into_iter().map(|body| {
                            let alone = body.sequences.first().copied();
                            (longest, alone.filter(|_| body.sequences.len() == 1))
                        }));
                    }
                    Err(error) => {
                        tracing::debug!("nothing is posted for now: {error}");
                        round.has_failed = true;
                        break;
                    }
                }
            }
            round
        }
    }

    /// After a round: learns what the network takes. Returns whether to wait before the next.
    fn settle(&mut self, round: &Round) -> bool {
        self.limit.takes(round.taken);
        let mut entries = lock(&self.entries);
        for (bytes, alone) in &round.too_large {
            self.limit.refuses(*bytes);
            if let Some(sequence) = alone {
                entries.put_off(*sequence, TOO_LARGE_WAIT);
            }
        }
        drop(entries);
        if !round.too_large.is_empty() {
            tracing::warn!(
                "the gateways find our batches too large; they have at most {} bytes from now on",
                self.limit.bytes_max()
            );
        }
        round.has_failed
    }
}

/// Tells of the gateways that took what was not seen.
fn tell_unseen<S: Sequencer>(overdue: &[Entry], sequencer: &S) {
    let mut gateways: Vec<&str> =
        overdue.iter().filter_map(|entry| entry.gateway.as_deref()).collect();
    gateways.sort_unstable();
    gateways.dedup();
    gateways.into_iter().for_each(|gateway| sequencer.unseen(gateway));
}

/// The calls in which bodies are posted, in order: the bulk call for new ones that are known not to be
/// too large, the single call for others.
fn calls(bodies: Vec<Body>, known_good: usize) -> Vec<Vec<Body>> {
    let mut calls: Vec<Vec<Body>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        let length = body.text.len();
        let is_good = |body: &Body| !body.is_again && body.text.len() <= known_good;
        let joins = is_good(&body)
            && bytes + length <= BULK_BYTES_MAX
            && calls.last().is_some_and(|call| call.iter().all(is_good));
        if let Some(call) = calls.last_mut().filter(|_| joins) {
            bytes += length;
            call.push(body);
        } else {
            bytes = length;
            calls.push(vec![body]);
        }
    }
    calls
}

/// What became of a round of posts.
#[derive(Debug, Default)]
struct Round {
    has_failed: bool,
    /// The longest body that was taken by a single call.
    taken: usize,
    /// Bodies that were too large: their bytes, and the entry of one that has no other.
    too_large: Vec<(usize, Option<u64>)>,
}

enum End {
    /// It has its outcome.
    Done,
    GivenUp(Reason),
}

/// Whether a transaction is at its end, after the last batch of a view that is not older than the time.
fn end_of(view: &View<'_>, entry: &Entry, time_ms: u64) -> rusqlite::Result<Option<End>> {
    let Validity { signer, nonce, valid_until } = entry.validity;
    if view.has_transaction(&entry.hash)? {
        return Ok(Some(End::Done));
    }
    if valid_until.is_some_and(|until| until <= time_ms) {
        return Ok(Some(End::GivenUp(Reason::Expired)));
    }
    let Some(nonce) = nonce else { return Ok(None) };
    let kept = view.leaf(&LeafKey::Nonces(signer))?.unwrap_or_default();
    let (kept, _) = kept.as_chunks::<8>();
    let is_used = kept.contains(&nonce.to_be_bytes());
    let is_old = kept.len() >= NONCES_KEPT
        && kept.first().is_some_and(|lowest| nonce < u64::from_be_bytes(*lowest));
    Ok((is_used || is_old).then_some(End::GivenUp(Reason::Superseded)))
}
