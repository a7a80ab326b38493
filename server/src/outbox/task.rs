//! The task behind the outbox: writes what is submitted, posts what is due, and gives up what can have
//! no effect any more.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use zellbook_core::leaf::LeafKey;
use zellbook_core::limits::NONCES_KEPT;
use zellbook_core::wire::ReplicaState;

use super::body::{Body, BodyLimit};
use super::disk::{Changes, Disk};
use super::entries::Entries;
use super::entry::{Entry, Reason, Validity};
use super::{OutboxOptions, Submit};
use crate::attester::Attester;
use crate::clock::Clock;
use crate::published::Published;
use crate::replica::Health;
use crate::sequencer::{GatewayError, LANES_MAX, Sequencer, Way};
use crate::store::{Reader, View};

/// Submissions that one commit takes together, at most.
const SUBMITS_PER_COMMIT: usize = 1000;
/// Bodies that are posted in one round, at most: on a lane, and of what was posted before.
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
        // Posting must not keep submissions from the disk, nor one slow gateway the others from theirs.
        let mut rounds: FuturesUnordered<Pin<Box<dyn Future<Output = Round> + Send>>> =
            FuturesUnordered::new();
        let mut busy = Busy::default();
        loop {
            tokio::select! {
                biased;
                Some(round) = rounds.next() => {
                    *busy.of(round.way) = false;
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
                    if Instant::now() >= not_before {
                        if !busy.again {
                            // Before something is posted again, it is looked whether that can be of
                            // use.
                            let time_ms = published.borrow().time_ms;
                            let overdue = lock(&self.entries).overdue(OVERDUE_PER_ROUND);
                            self.give_up(&overdue, time_ms)?;
                            tell_unseen(&overdue, &*sequencer);
                        }
                        for (way, bodies) in self.due(&busy, sequencer.lanes(), attester.as_mut()) {
                            *busy.of(way) = true;
                            let round = self.post(Arc::clone(&sequencer), way, bodies);
                            rounds.push(Box::pin(round));
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

    /// What is due on ways that are not busy, as bodies under the limit. An attestation goes last on the
    /// first lane: what it says of the clock must not be overtaken by what it says later.
    fn due(
        &self,
        busy: &Busy,
        lanes: usize,
        attester: Option<&mut Attester>,
    ) -> Vec<(Way, Vec<Body>)> {
        let bytes_max = self.limit.bytes_max();
        let mut entries = lock(&self.entries);
        let again = if busy.again { Vec::new() } else { entries.again(bytes_max, AGAIN_PER_ROUND) };
        let mut new = entries.take_new(lanes, busy.lanes, bytes_max, BODIES_PER_ROUND);
        drop(entries);
        let first = &mut new[0];
        let goes_along = !first.is_empty();
        if !busy.lanes[0]
            && let Some(element) = attester.and_then(|attester| attester.next(goes_along))
        {
            match first.last_mut().filter(|body| body.takes(&element, bytes_max)) {
                Some(body) => body.add(&element),
                None => first.push(Body::new(&element)),
            }
        }
        let lanes = new.into_iter().enumerate().map(|(lane, bodies)| (Way::Lane(lane), bodies));
        let mut due: Vec<_> = [(Way::Again, again)].into_iter().chain(lanes).collect();
        due.retain(|(_, bodies)| !bodies.is_empty());
        due
    }

    /// Posts bodies on a way, one after the other, to keep their order, until one fails. One that is too
    /// large does not hold up the others.
    fn post<S: Sequencer>(
        &mut self,
        sequencer: Arc<S>,
        way: Way,
        mut bodies: Vec<Body>,
    ) -> impl Future<Output = Round> + Send + use<S> {
        let (entries, posted, clock) =
            (Arc::clone(&self.entries), Arc::clone(&self.posted), self.clock);
        let (mut random, known_good) = (self.random.fork(), self.limit.known_good());
        async move {
            let mut round =
                Round { way, has_failed: false, taken: 0, left: Vec::new(), too_large: Vec::new() };
            for body in &mut bodies {
                body.text.push(']');
            }
            // What was posted before goes alone: each body to another gateway.
            let known_good = if way == Way::Again { 0 } else { known_good };
            let mut calls = calls(bodies, known_good).into_iter();
            for call in calls.by_ref() {
                let texts: Vec<String> = call.iter().map(|body| body.text.clone()).collect();
                let longest = texts.iter().map(String::len).max().unwrap_or(0);
                match sequencer.post(&texts, way).await {
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
                        round.too_large.extend(call.iter().map(|body| {
                            let alone = body.sequences.first().copied();
                            (longest, alone.filter(|_| body.sequences.len() == 1))
                        }));
                        round.left.extend(call);
                    }
                    Err(error) => {
                        tracing::debug!("nothing is posted for now: {error}");
                        round.has_failed = true;
                        round.left.extend(call);
                        break;
                    }
                }
            }
            round.left.extend(calls.flatten());
            round
        }
    }

    /// After a round: takes back what went nowhere, and learns what the network takes. Returns whether to
    /// wait before the next.
    fn settle(&mut self, round: &Round) -> bool {
        self.limit.takes(round.taken);
        let mut entries = lock(&self.entries);
        if round.way != Way::Again {
            round.left.iter().for_each(|body| entries.take_back(body));
        }
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

/// The calls in which bodies are posted, in order: the bulk call for those that are known not to be too
/// large, the single call for others.
fn calls(bodies: Vec<Body>, known_good: usize) -> Vec<Vec<Body>> {
    let mut calls: Vec<Vec<Body>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        let length = body.text.len();
        let is_good = |body: &Body| body.text.len() <= known_good;
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

/// Which ways a round of posts is under way on.
#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    lanes: [bool; LANES_MAX],
    again: bool,
}

impl Busy {
    const fn of(&mut self, way: Way) -> &mut bool {
        match way {
            Way::Lane(lane) => &mut self.lanes[lane],
            Way::Again => &mut self.again,
        }
    }
}

/// What became of a round of posts.
#[derive(Debug)]
struct Round {
    way: Way,
    has_failed: bool,
    /// What no gateway took.
    left: Vec<Body>,
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
    let Validity { signer, nonce, valid_until, .. } = entry.validity;
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
