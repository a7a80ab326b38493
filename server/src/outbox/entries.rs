//! The outbox in memory: what waits, when it is due, and what became of what left.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::batch::{CheckedTransaction, Once};
use zellbook_core::key::PublicKey;
use zellbook_core::wire::Stage;

use super::body::Body;
use super::disk::{Changes, ENDED_MAX};
use super::latency::Latency;

/// Transactions in the outbox, at most.
pub const ENTRIES_MAX: usize = 100_000;
/// Bytes of them, at most.
pub const BYTES_MAX: usize = 64 << 20;
/// Sightings kept of transactions that were applied.
const RECENT_MAX: usize = 10_000;

/// How much longer what is due waits while we do not see all that is final: it may be there already.
const BLIND_WAIT: Duration = Duration::from_secs(60);

/// A transaction's hash.
pub type Hash = [u8; 32];

/// What ends a transaction's usefulness, as far as it is in its text.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// Whose nonce it uses.
    pub signer: PublicKey,
    /// The nonce; an order in the guide's format has none.
    pub nonce: Option<u64>,
    /// The state's time from which on it is too late.
    pub valid_until: Option<u64>,
}

impl From<&CheckedTransaction> for Validity {
    fn from(checked: &CheckedTransaction) -> Self {
        let nonce = match checked.once {
            Once::Nonce(nonce) => Some(nonce),
            Once::Signature => None,
        };
        Self { signer: checked.signer, nonce, valid_until: checked.valid_until }
    }
}

/// Why a transaction was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The state's time passed its `valid_until`.
    Expired,
    /// Its nonce was used by another, or is too old.
    Superseded,
}

impl Reason {
    /// As the disk names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

/// A transaction that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub reason: Reason,
    pub received_ms: u64,
    pub posted_ms: Option<u64>,
    pub posts: u32,
}

/// What the outbox knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// `Received`, `Posted`, `Finalized`, `Expired` or `Superseded`.
    pub stage: Stage,
    /// When it was taken.
    pub received_ms: u64,
    /// When it was last posted.
    pub posted_ms: Option<u64>,
    /// How often.
    pub posts: u32,
}

/// A transaction that waits.
#[derive(Clone, Debug)]
pub struct Entry {
    pub hash: Hash,
    pub element: Arc<str>,
    pub validity: Validity,
    received_ms: u64,
    posted_ms: Option<u64>,
    /// How often it was posted.
    pub posts: u32,
    /// When it was first and last posted since the start.
    first_posted: Option<Instant>,
    last_posted: Option<Instant>,
    /// When it is to be posted again, if it was posted.
    due: Option<Instant>,
    /// Who took it last.
    pub gateway: Option<Arc<str>>,
    is_finalized: bool,
}

impl Entry {
    /// What is kept of it when it is given up.
    pub const fn ended(&self, reason: Reason) -> Ended {
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Ended { reason, received_ms, posted_ms, posts }
    }

    const fn sighting(&self) -> Sighting {
        let stage = match self {
            Self { is_finalized: true, .. } => Stage::Finalized,
            Self { posted_ms: Some(_), .. } => Stage::Posted,
            _ => Stage::Received,
        };
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Sighting { stage, received_ms, posted_ms, posts }
    }
}

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
    /// Not posted yet.
    fresh: BTreeSet<u64>,
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
        let entry = self.by_sequence.remove(&sequence)?;
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
            }
        }
        overdue
    }

    /// What is due, as bodies under a limit: first what was posted before, then what is new, each in
    /// order of arrival.
    pub fn bodies(&self, bytes_max: usize, again_max: usize, most: usize) -> Vec<Body> {
        let until = self.due_until();
        let again = self.due.iter().take_while(|(due, _)| Some(*due) <= until);
        let again = again.map(|(_, sequence)| sequence);
        // Those that are due by time, in the order in which they came.
        let again: BTreeSet<u64> = again.copied().take(ENTRIES_MAX).collect();
        let mut bodies = self.fill(again, true, bytes_max, again_max);
        let left = most.saturating_sub(bodies.len());
        bodies.extend(self.fill(self.fresh.iter().copied(), false, bytes_max, left));
        bodies
    }

    fn fill(
        &self,
        sequences: impl IntoIterator<Item = u64>,
        is_again: bool,
        bytes_max: usize,
        most: usize,
    ) -> Vec<Body> {
        let mut bodies: Vec<Body> = Vec::new();
        for sequence in sequences {
            let Some(entry) = self.by_sequence.get(&sequence) else { continue };
            let count = bodies.len();
            match bodies.last_mut().filter(|body| body.takes(&entry.element, bytes_max)) {
                Some(body) => body.add(&entry.element),
                None if count >= most => break,
                None => bodies.push(Body::new(&entry.element, is_again)),
            }
            if let Some(body) = bodies.last_mut() {
                body.sequences.push(sequence);
            }
        }
        bodies
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
            self.fresh.remove(sequence);
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
