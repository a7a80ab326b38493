//! The outbox in memory: which transactions wait, when each is due to be posted, and what became of those
//! that left.
//!
//! Entries are numbered by arrival, and every index below refers to that number, so that they are always
//! posted in order of arrival. An entry is either fresh (to be posted for the first time), under way on a
//! lane, or due again at a known time.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::protocol::CheckedTransaction;
use zellbook_core::wire::Stage;

use super::body::Body;
use super::disk::{Changes, ENDED_MAX};
use super::entry::{Ended, Entry, Hash, Progress, Reason};
use super::lanes::{self, Lanes};
use super::latency::Latency;
use super::pending::Pending;
use zellular::client::LANES_MAX;

/// The outbox is full when it reaches this number of transactions, or the number of bytes below.
pub const ENTRIES_MAX: usize = 100_000;
pub const BYTES_MAX: usize = 64 << 20;
/// The number of applied transactions whose times of receipt and posting are remembered.
const RECENT_MAX: usize = 10_000;

/// How much longer to wait before posting again while this replica does not see all finalized batches: the
/// transaction may be in one of them already.
const BLIND_WAIT: Duration = Duration::from_secs(60);

/// The most fresh transactions to examine in one round. Those that wait for a slow gateway would otherwise
/// make every round long.
const LOOKED_AT_MAX: usize = 20_000;

/// A map that forgets its oldest keys beyond a maximum size.
#[derive(Debug)]
struct RecentMap<T> {
    // Hash maps are banned only from `core`. Nothing here depends on the order of iteration, and each map has
    // a random seed, so that nobody can choose hashes that collide.
    by_hash: HashMap<Hash, T>,
    order: VecDeque<Hash>,
    len_max: usize,
}

impl<T> RecentMap<T> {
    fn new(len_max: usize) -> Self {
        Self { by_hash: HashMap::new(), order: VecDeque::new(), len_max }
    }

    fn insert(&mut self, hash: Hash, value: T) {
        if self.by_hash.insert(hash, value).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > self.len_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_hash.remove(&oldest);
        }
    }
}

/// The number of transactions since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub taken: u64,
    pub posted: u64,
    pub posted_again: u64,
    pub duplicates: u64,
    pub expired: u64,
    pub superseded: u64,
}

#[derive(Debug)]
pub struct Entries {
    /// By order of arrival.
    by_sequence: BTreeMap<u64, Entry>,
    by_hash: HashMap<Hash, u64>,
    /// Never posted, and not part of a body that is being posted.
    fresh: BTreeSet<u64>,
    lanes: Lanes,
    pub pending: Pending,
    /// Posted but not seen in a batch, by the time at which they are posted again.
    due: BTreeSet<(Instant, u64)>,
    bytes: usize,
    next: u64,
    /// Whether this replica sees all finalized batches, as far as it knows.
    sees_all: bool,
    /// When it last did not.
    blind_at: Option<Instant>,
    /// Transactions that were applied.
    recent: RecentMap<Progress>,
    ended: RecentMap<Ended>,
    pub latency: Latency,
    pub counts: Counts,
    pub changes: Changes,
}

impl Entries {
    /// An empty outbox that remembers the given-up transactions. `repost_after` is the time before a first
    /// repost until the network's latency has been measured.
    pub fn new(ended: Vec<(Hash, Ended)>, repost_after: Duration) -> Self {
        let mut entries = Self {
            by_sequence: BTreeMap::new(),
            by_hash: HashMap::new(),
            fresh: BTreeSet::new(),
            lanes: Lanes::default(),
            pending: Pending::default(),
            due: BTreeSet::new(),
            bytes: 0,
            next: 0,
            // Until this replica follows the network, transactions of an earlier run may be in batches that
            // it has not read.
            sees_all: false,
            blind_at: None,
            recent: RecentMap::new(RECENT_MAX),
            ended: RecentMap::new(ENDED_MAX),
            latency: Latency::new(repost_after),
            counts: Counts::default(),
            changes: Changes::default(),
        };
        for (hash, ended) in ended {
            entries.ended.insert(hash, ended);
        }
        entries
    }

    pub fn len(&self) -> usize {
        self.by_sequence.len()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= ENTRIES_MAX || self.bytes >= BYTES_MAX
    }

    /// When a waiting transaction was received.
    pub fn received_ms(&self, hash: &Hash) -> Option<u64> {
        let sequence = self.by_hash.get(hash)?;
        self.by_sequence.get(sequence).map(|entry| entry.received_ms)
    }

    /// The JSON of a waiting transaction.
    pub fn element(&self, hash: &Hash) -> Option<Arc<str>> {
        let entry = self.by_sequence.get(self.by_hash.get(hash)?)?;
        Some(Arc::clone(&entry.element))
    }

    pub fn progress(&self, hash: &Hash) -> Option<Progress> {
        let waiting = self.by_hash.get(hash).and_then(|sequence| self.by_sequence.get(sequence));
        let ended = |ended: &Ended| {
            let stage = match ended.reason {
                Reason::Expired => Stage::Expired,
                Reason::Superseded => Stage::Superseded,
            };
            let Ended { received_ms, posted_ms, posts, .. } = *ended;
            Progress { stage, received_ms, posted_ms, posts }
        };
        waiting
            .map(Entry::progress)
            .or_else(|| self.recent.by_hash.get(hash).copied())
            .or_else(|| self.ended.by_hash.get(hash).map(ended))
    }

    /// Adds a transaction that is on disk, and returns when it was received. One that is already here stays as
    /// it is.
    pub fn insert(
        &mut self,
        checked: Arc<CheckedTransaction>,
        element: Arc<str>,
        received_ms: u64,
    ) -> u64 {
        let hash = checked.hash.0;
        if let Some(received_ms) = self.received_ms(&hash) {
            return received_ms;
        }
        self.next += 1;
        self.bytes += element.len();
        self.pending.add(self.next, &checked);
        let entry = Entry {
            checked,
            element,
            received_ms,
            posted_ms: None,
            posts: 0,
            first_posted: None,
            last_posted: None,
            due: None,
            gateway: None,
            is_under_way: false,
            is_finalized: false,
        };
        self.by_sequence.insert(self.next, entry);
        self.by_hash.insert(hash, self.next);
        self.fresh.insert(self.next);
        received_ms
    }

    /// Restores that a transaction was posted before a restart. It may still appear in a batch, so it is
    /// not posted again at once.
    pub fn was_posted(&mut self, hash: &Hash, posted_ms: u64, posts: u32) {
        let Some(&sequence) = self.by_hash.get(hash) else { return };
        let Some(entry) = self.by_sequence.get_mut(&sequence) else { return };
        // How long ago it was posted is known only by the wall clock, which can jump. So the whole wait
        // starts again.
        let due = Instant::now() + self.latency.wait();
        (entry.posted_ms, entry.posts, entry.due) = (Some(posted_ms), posts, Some(due));
        self.fresh.remove(&sequence);
        self.due.insert((due, sequence));
    }

    fn remove(&mut self, hash: &Hash) -> Option<Entry> {
        let sequence = self.by_hash.remove(hash)?;
        let mut entry = self.by_sequence.remove(&sequence)?;
        entry.leave(&mut self.lanes);
        self.pending.remove(sequence, &entry.checked);
        self.bytes -= entry.element.len();
        self.fresh.remove(&sequence);
        if let Some(due) = entry.due {
            self.due.remove(&(due, sequence));
        }
        Some(entry)
    }

    /// Records that transactions are in a proven batch.
    pub fn finalized(&mut self, hashes: impl IntoIterator<Item = Hash>) {
        let mut is_measured = false;
        for hash in hashes {
            let sequence = self.by_hash.get(&hash).copied();
            let entry = sequence.and_then(|sequence| self.by_sequence.get_mut(&sequence));
            let Some((entry, sequence)) = entry.zip(sequence) else {
                self.counts.duplicates += u64::from(self.recent.by_hash.contains_key(&hash));
                continue;
            };
            if entry.is_finalized {
                self.counts.duplicates += 1;
                continue;
            }
            entry.is_finalized = true;
            // Its place in the sequence is fixed, so later transactions of the account may use any lane. The
            // entry itself stays: until the commit, the store cannot tell its status.
            entry.leave(&mut self.lanes);
            // It can be fresh: clients may send a transaction to several replicas, and another one can be
            // faster.
            self.fresh.remove(&sequence);
            if let Some(due) = entry.due.take() {
                self.due.remove(&(due, sequence));
            }
            // One measurement per batch, because its transactions were posted together. Measurements that
            // include a time when this replica saw nothing would not be the network's latency.
            if let Some((first, last)) = entry.first_posted.zip(entry.last_posted)
                && self.blind_at.is_none_or(|at| at < first)
                && !is_measured
            {
                is_measured = true;
                let posts = entry.posts;
                self.latency.observe(first.elapsed(), last.elapsed(), posts);
            }
        }
    }

    /// Removes transactions whose outcome is committed.
    pub fn applied(&mut self, hashes: impl IntoIterator<Item = Hash>) {
        for hash in hashes {
            if let Some(entry) = self.remove(&hash) {
                // The store has the outcome, but not when the transaction was received and posted. A status
                // shows that too, for as long as it is remembered.
                self.recent.insert(hash, entry.progress());
                self.changes.gone.push(hash);
            }
        }
    }

    /// Gives up a transaction that can have no effect any more. The caller has already written that to the
    /// disk.
    pub fn end(&mut self, hash: &Hash, ended: Ended) {
        if self.remove(hash).is_none() {
            return;
        }
        match ended.reason {
            Reason::Expired => self.counts.expired += 1,
            Reason::Superseded => self.counts.superseded += 1,
        }
        self.ended.insert(*hash, ended);
    }

    /// The waiting transactions that have expired at this time of the exchange.
    pub fn late(&self, time_ms: u64) -> Vec<Entry> {
        // One that is finalized gets its outcome from the exchange: its batch may be from before it expired.
        let late = |entry: &&Entry| {
            !entry.is_finalized && entry.checked.valid_until.is_some_and(|until| until <= time_ms)
        };
        // A scan over all entries is enough, since the task asks only once a second.
        self.by_sequence.values().filter(late).cloned().collect()
    }

    /// Records whether this replica sees all finalized batches.
    pub fn look(&mut self, sees_all: bool) {
        self.sees_all = sees_all;
        if !sees_all {
            self.blind_at = Some(Instant::now());
        }
    }

    /// Entries that were due by this time are posted again: by now, or by a minute ago while this replica
    /// does not see all finalized batches.
    fn due_until(&self) -> Option<Instant> {
        let now = Instant::now();
        // In the first minute after the machine started there is no such instant. `None` is less than every
        // due time, so nothing is due then.
        if self.sees_all { Some(now) } else { now.checked_sub(BLIND_WAIT) }
    }

    /// Up to `count` entries that are due again, the longest overdue first. Their gateway is cleared, so
    /// that each post is reported as unseen once.
    pub fn overdue(&mut self, count: usize) -> Vec<Entry> {
        let until = self.due_until();
        let due = self.due.iter().take_while(|(due, _)| Some(*due) <= until).take(count);
        let mut overdue = Vec::new();
        for (_, sequence) in due {
            if let Some(entry) = self.by_sequence.get_mut(sequence) {
                // Copies, because the caller compares them with the store and must not hold the lock during
                // that.
                overdue.push(entry.clone());
                entry.gateway = None;
                // What is overdue is probably lost, so it no longer ties its account to a lane.
                entry.leave(&mut self.lanes);
            }
        }
        overdue
    }

    /// Up to `bodies_max` bodies of transactions that are due again, in order of arrival.
    pub fn again(&self, bytes_max: usize, bodies_max: usize) -> Vec<Body> {
        let until = self.due_until();
        let again = self.due.iter().take_while(|(due, _)| Some(*due) <= until);
        // `due` is sorted by time; the set sorts by arrival.
        let again: BTreeSet<u64> = again.map(|(_, sequence)| *sequence).collect();
        let mut bodies = Vec::new();
        for sequence in again {
            let Some(entry) = self.by_sequence.get(&sequence) else { continue };
            if !Body::put(&mut bodies, (sequence, &entry.element), bytes_max, bodies_max) {
                break;
            }
        }
        bodies
    }

    /// Takes fresh transactions as bodies, up to `bodies_max` for each of the first `good` lanes, in order
    /// of arrival within a lane. Lanes that `is_full` marks are busy and get nothing.
    pub fn take_new(
        &mut self,
        good: usize,
        mut is_full: [bool; LANES_MAX],
        bytes_max: usize,
        bodies_max: usize,
    ) -> [Vec<Body>; LANES_MAX] {
        let mut taken = [const { Vec::new() }; LANES_MAX];
        // With this many bytes all good lanes are used, so there is no need to count on.
        let used = lanes::used(self.backlog(good * bytes_max), bytes_max, good);
        let looked_at: Vec<u64> = self.fresh.iter().take(LOOKED_AT_MAX).copied().collect();
        for sequence in looked_at {
            if is_full.iter().take(good).all(|is_full| *is_full) {
                break;
            }
            let Some(entry) = self.by_sequence.get_mut(&sequence) else { continue };
            let lane = self.lanes.of(&entry.checked.account, used);
            // Once an entry does not fit on its lane, later entries of that lane wait too: a shorter one
            // must not overtake it.
            if is_full[lane] {
                continue;
            }
            if Body::put(&mut taken[lane], (sequence, &entry.element), bytes_max, bodies_max) {
                entry.is_under_way = true;
                self.lanes.enter(entry.checked.account, lane);
                self.fresh.remove(&sequence);
            } else {
                is_full[lane] = true;
            }
        }
        taken
    }

    /// The number of bytes of fresh transactions. Counting stops at `enough`.
    fn backlog(&self, enough: usize) -> usize {
        let mut bytes = 0;
        for entry in self.fresh.iter().filter_map(|sequence| self.by_sequence.get(sequence)) {
            bytes += entry.element.len();
            if bytes >= enough {
                break;
            }
        }
        bytes
    }

    /// Makes the transactions of a body fresh again, after no gateway accepted it.
    pub fn take_back(&mut self, body: &Body) {
        for sequence in &body.sequences {
            // One that is no longer under way was finalized, although no gateway reported success: the answer
            // was lost, or another replica posted it too. It must not become fresh again.
            if let Some(entry) = self.by_sequence.get_mut(sequence)
                && entry.is_under_way
            {
                entry.leave(&mut self.lanes);
                self.fresh.insert(*sequence);
            }
        }
    }

    /// Records that a gateway accepted a body.
    pub fn posted(&mut self, body: &Body, gateway: &Arc<str>, now_ms: u64, rng: &mut Rng) {
        for sequence in &body.sequences {
            // The entry may be gone: the batch can be finalized and applied before the gateway responds.
            let Some(entry) = self.by_sequence.get_mut(sequence) else { continue };
            entry.posts = entry.posts.saturating_add(1);
            entry.posted_ms = Some(now_ms);
            entry.gateway = Some(Arc::clone(gateway));
            let count = if entry.posts == 1 {
                &mut self.counts.posted
            } else {
                &mut self.counts.posted_again
            };
            *count += 1;
            self.changes.posted.push((entry.hash(), now_ms, entry.posts));
            let old = entry.due.take();
            // A batch can be final before the gateway answers. Then nothing is left to post again or to
            // measure.
            if !entry.is_finalized {
                let now = Instant::now();
                entry.first_posted.get_or_insert(now);
                entry.last_posted = Some(now);
                // The jitter spreads the reposts of transactions that were posted together.
                let wait = self.latency.wait_after(entry.posts);
                let due = now + wait.mul_f64(1.0 + rng.f64() / 4.0);
                entry.due = Some(due);
                self.due.insert((due, *sequence));
            }
            if let Some(old) = old {
                self.due.remove(&(old, *sequence));
            }
        }
    }

    /// Postpones a transaction that no gateway accepts.
    pub fn put_off(&mut self, sequence: u64, wait: Duration) {
        let Some(entry) = self.by_sequence.get_mut(&sequence) else { return };
        let due = Instant::now() + wait;
        if let Some(old) = entry.due.replace(due) {
            self.due.remove(&(old, sequence));
        }
        self.fresh.remove(&sequence);
        self.due.insert((due, sequence));
    }
}
