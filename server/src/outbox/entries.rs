//! The outbox in memory: what waits, when it is due, and what became of what left.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::wire::Stage;

use super::body::Body;
use super::disk::{Changes, ENDED_MAX};
use super::entry::{Ended, Entry, Hash, Reason, Sighting, Validity};
use super::lanes::{self, Lanes};
use super::latency::Latency;
use crate::sequencer::LANES_MAX;

/// Transactions in the outbox, at most.
pub const ENTRIES_MAX: usize = 100_000;
/// Bytes of them, at most.
pub const BYTES_MAX: usize = 64 << 20;
/// Sightings kept of transactions that were applied.
const RECENT_MAX: usize = 10_000;

/// How much longer what is due waits while we do not see all that is final: it may be there already.
const BLIND_WAIT: Duration = Duration::from_secs(60);

/// New transactions that are looked at for one round, at most: what waits for a slow gateway must not
/// make every round long.
const LOOKED_AT_MAX: usize = 20_000;

/// The last of many by hash.
#[derive(Debug)]
struct Lately<T> {
    by_hash: HashMap<Hash, T>,
    order: VecDeque<Hash>,
    most: usize,
}

impl<T> Lately<T> {
    fn new(most: usize) -> Self {
        Self { by_hash: HashMap::new(), order: VecDeque::new(), most }
    }

    fn insert(&mut self, hash: Hash, value: T) {
        if self.by_hash.insert(hash, value).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_hash.remove(&oldest);
        }
    }
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub taken: u64,
    pub posted: u64,
    pub posted_again: u64,
    pub duplicates: u64,
    pub expired: u64,
    pub superseded: u64,
}

/// All of it.
#[derive(Debug)]
pub struct Entries {
    by_sequence: BTreeMap<u64, Entry>,
    by_hash: HashMap<Hash, u64>,
    /// Not posted yet, and in no body.
    fresh: BTreeSet<u64>,
    lanes: Lanes,
    /// Posted and not seen, by when they are due again.
    due: BTreeSet<(Instant, u64)>,
    bytes: usize,
    next: u64,
    /// Whether we see all that is final.
    sees_all: bool,
    /// When we last did not see all that is final.
    blind_at: Option<Instant>,
    recent: Lately<Sighting>,
    ended: Lately<Ended>,
    pub latency: Latency,
    pub counts: Counts,
    pub changes: Changes,
}

impl Entries {
    /// None, with what was given up before, and the wait before a first repost.
    pub fn new(ended: Vec<(Hash, Ended)>, repost_after: Duration) -> Self {
        let mut entries = Self {
            by_sequence: BTreeMap::new(),
            by_hash: HashMap::new(),
            fresh: BTreeSet::new(),
            lanes: Lanes::default(),
            due: BTreeSet::new(),
            bytes: 0,
            next: 0,
            sees_all: false,
            blind_at: None,
            recent: Lately::new(RECENT_MAX),
            ended: Lately::new(ENDED_MAX),
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

    /// When a transaction that waits was taken.
    pub fn received_ms(&self, hash: &Hash) -> Option<u64> {
        let sequence = self.by_hash.get(hash)?;
        self.by_sequence.get(sequence).map(|entry| entry.received_ms)
    }

    /// The element of a transaction that waits.
    pub fn element(&self, hash: &Hash) -> Option<Arc<str>> {
        let entry = self.by_sequence.get(self.by_hash.get(hash)?)?;
        Some(Arc::clone(&entry.element))
    }

    pub fn sighting(&self, hash: &Hash) -> Option<Sighting> {
        let waiting = self.by_hash.get(hash).and_then(|sequence| self.by_sequence.get(sequence));
        let ended = |ended: &Ended| {
            let stage = match ended.reason {
                Reason::Expired => Stage::Expired,
                Reason::Superseded => Stage::Superseded,
            };
            let Ended { received_ms, posted_ms, posts, .. } = *ended;
            Sighting { stage, received_ms, posted_ms, posts }
        };
        waiting
            .map(Entry::sighting)
            .or_else(|| self.recent.by_hash.get(hash).copied())
            .or_else(|| self.ended.by_hash.get(hash).map(ended))
    }

    /// Adds a transaction that is on disk. Returns when it was taken: one that is there already stays.
    pub fn insert(
        &mut self,
        hash: Hash,
        element: Arc<str>,
        validity: Validity,
        received_ms: u64,
    ) -> u64 {
        if let Some(received_ms) = self.received_ms(&hash) {
            return received_ms;
        }
        self.next += 1;
        self.bytes += element.len();
        let entry = Entry {
            hash,
            element,
            validity,
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

    /// After a restart: it was posted before, so what was posted may still appear.
    pub fn was_posted(&mut self, hash: &Hash, posted_ms: u64, posts: u32) {
        let Some(&sequence) = self.by_hash.get(hash) else { return };
        let Some(entry) = self.by_sequence.get_mut(&sequence) else { return };
        let due = Instant::now() + self.latency.wait();
        (entry.posted_ms, entry.posts, entry.due) = (Some(posted_ms), posts, Some(due));
        self.fresh.remove(&sequence);
        self.due.insert((due, sequence));
    }

    fn remove(&mut self, hash: &Hash) -> Option<Entry> {
        let sequence = self.by_hash.remove(hash)?;
        let mut entry = self.by_sequence.remove(&sequence)?;
        entry.leave(&mut self.lanes);
        self.bytes -= entry.element.len();
        self.fresh.remove(&sequence);
        if let Some(due) = entry.due {
            self.due.remove(&(due, sequence));
        }
        Some(entry)
    }

    /// Notes transactions that are in a proven batch.
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
            entry.leave(&mut self.lanes);
            self.fresh.remove(&sequence);
            if let Some(due) = entry.due.take() {
                self.due.remove(&(due, sequence));
            }
            // One measurement a batch: its transactions went together. How long we did not look is no
            // latency of the network.
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

    /// Drops transactions whose outcome is committed.
    pub fn applied(&mut self, hashes: impl IntoIterator<Item = Hash>) {
        for hash in hashes {
            if let Some(entry) = self.remove(&hash) {
                self.recent.insert(hash, entry.sighting());
                self.changes.gone.push(hash);
            }
        }
    }

    /// Gives up a transaction that cannot have an effect any more. That is on disk already.
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

    /// Those that wait and are too late at a time of the state.
    pub fn late(&self, time_ms: u64) -> Vec<Entry> {
        let late = |entry: &&Entry| {
            !entry.is_finalized && entry.validity.valid_until.is_some_and(|until| until <= time_ms)
        };
        self.by_sequence.values().filter(late).cloned().collect()
    }

    /// Notes whether we see all that is final.
    pub fn look(&mut self, sees_all: bool) {
        self.sees_all = sees_all;
        if !sees_all {
            self.blind_at = Some(Instant::now());
        }
    }

    /// Until when what was due is to be posted again: now, but later while it may be final already and
    /// we only do not see it.
    fn due_until(&self) -> Option<Instant> {
        let now = Instant::now();
        if self.sees_all { Some(now) } else { now.checked_sub(BLIND_WAIT) }
    }

    /// Those that are due again, longest first, at most so many. Each names its gateway once.
    pub fn overdue(&mut self, most: usize) -> Vec<Entry> {
        let until = self.due_until();
        let due = self.due.iter().take_while(|(due, _)| Some(*due) <= until).take(most);
        let mut overdue = Vec::new();
        for (_, sequence) in due {
            if let Some(entry) = self.by_sequence.get_mut(sequence) {
                overdue.push(entry.clone());
                entry.gateway = None;
                entry.leave(&mut self.lanes);
            }
        }
        overdue
    }

    /// What was posted before and is due again, as bodies under a limit, at most so many, in order of
    /// arrival.
    pub fn again(&self, bytes_max: usize, most: usize) -> Vec<Body> {
        let until = self.due_until();
        let again = self.due.iter().take_while(|(due, _)| Some(*due) <= until);
        // Those that are due by time, in the order in which they came.
        let again: BTreeSet<u64> = again.map(|(_, sequence)| *sequence).collect();
        let mut bodies = Vec::new();
        for sequence in again {
            let Some(entry) = self.by_sequence.get(&sequence) else { continue };
            if !Body::put(&mut bodies, (sequence, &entry.element), bytes_max, most) {
                break;
            }
        }
        bodies
    }

    /// Takes what is new, as bodies under a limit, at most so many a lane, in order of arrival in each.
    /// So many lanes are good; those that are busy take nothing now.
    pub fn take_new(
        &mut self,
        good: usize,
        mut is_full: [bool; LANES_MAX],
        bytes_max: usize,
        most: usize,
    ) -> [Vec<Body>; LANES_MAX] {
        let mut taken = [const { Vec::new() }; LANES_MAX];
        let used = lanes::used(self.backlog(good * bytes_max), bytes_max, good);
        let looked_at: Vec<u64> = self.fresh.iter().take(LOOKED_AT_MAX).copied().collect();
        for sequence in looked_at {
            if is_full.iter().take(good).all(|is_full| *is_full) {
                break;
            }
            let Some(entry) = self.by_sequence.get_mut(&sequence) else { continue };
            let lane = self.lanes.of(&entry.validity.account, used);
            // What comes after one that has no room waits too, for the order's sake.
            if is_full[lane] {
                continue;
            }
            if Body::put(&mut taken[lane], (sequence, &entry.element), bytes_max, most) {
                entry.is_under_way = true;
                self.lanes.enter(entry.validity.account, lane);
                self.fresh.remove(&sequence);
            } else {
                is_full[lane] = true;
            }
        }
        taken
    }

    /// Bytes of what is new; where it is more than enough, not all is counted.
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

    /// Takes back what was new and went nowhere.
    pub fn take_back(&mut self, body: &Body) {
        for sequence in &body.sequences {
            if let Some(entry) = self.by_sequence.get_mut(sequence)
                && entry.is_under_way
            {
                entry.leave(&mut self.lanes);
                self.fresh.insert(*sequence);
            }
        }
    }

    /// Notes that a gateway took a body.
    pub fn posted(&mut self, body: &Body, gateway: &Arc<str>, now_ms: u64, rng: &mut Rng) {
        for sequence in &body.sequences {
            // It may be applied already: the network can be faster than the answer.
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
            self.changes.posted.push((entry.hash, now_ms, entry.posts));
            let old = entry.due.take();
            if !entry.is_finalized {
                let now = Instant::now();
                entry.first_posted.get_or_insert(now);
                entry.last_posted = Some(now);
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

    /// Puts off a transaction that no gateway takes.
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
