//! The outbox in memory: which transactions wait, and what became of those that left.
//!
//! Entries are numbered by arrival, and every index refers to that number. What each of them waits for is kept by
//! the schedule.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::PublicKey;
use zellbook_core::protocol::CheckedTransaction;
use zellbook_core::wire::Stage;
use zellular::client::LANES_MAX;

use super::body::Body;
use super::disk::{Changes, ENDED_MAX};
use super::entry::{Ended, Entry, Hash, Next, Progress, Reason, end_ms, is_urgent};
use super::latency::Latency;
use super::pending::Pending;
use super::quotas::{Allowance, NoRoom, Quotas};
use super::recent::RecentMap;
use super::schedule::Schedule;
use super::submission::SubmitError;

/// The number of applied transactions whose times of receipt and posting are remembered.
const RECENT_MAX: usize = 10_000;
/// The least and the greatest `Retry-After` of a refusal for lack of room, in seconds.
const RETRY_AFTER_S: (u64, u64) = (1, 30);
/// How much longer to wait before posting again while this replica does not see all finalized batches: the
/// transaction may be in one of them already.
const BLIND_WAIT: Duration = Duration::from_secs(60);

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
    by_order: BTreeMap<u64, Entry>,
    by_hash: HashMap<Hash, u64>,
    /// Their results of the check, by the exact bytes of their JSON.
    checked: HashMap<Arc<str>, Arc<CheckedTransaction>>,
    schedule: Schedule,
    quotas: Quotas,
    pub pending: Pending,
    /// Those that end, by that time; and those of them that are past it by this replica's clock.
    expiring: BTreeSet<(u64, u64)>,
    stopped: BTreeSet<(u64, u64)>,
    /// Those that are to be posted again, once the store was asked about them.
    overdue: Vec<u64>,
    last: u64,
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
            by_order: BTreeMap::new(),
            by_hash: HashMap::new(),
            checked: HashMap::new(),
            schedule: Schedule::default(),
            quotas: Quotas::default(),
            pending: Pending::default(),
            expiring: BTreeSet::new(),
            stopped: BTreeSet::new(),
            overdue: Vec::new(),
            last: 0,
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
        self.by_order.len()
    }

    /// Whether a gateway took transactions that were not seen in a batch yet.
    pub fn are_awaited(&self) -> bool {
        self.schedule.flights.len() > 0
    }

    /// When the transaction was received that has waited longest.
    pub fn oldest_received_ms(&self) -> Option<u64> {
        self.by_order.first_key_value().map(|(_, entry)| entry.received_ms)
    }

    fn get(&self, hash: &Hash) -> Option<&Entry> {
        self.by_order.get(self.by_hash.get(hash)?)
    }

    /// When a waiting transaction was received.
    pub fn received_ms(&self, hash: &Hash) -> Option<u64> {
        self.get(hash).map(|entry| entry.received_ms)
    }

    /// The JSON of a waiting transaction.
    pub fn element(&self, hash: &Hash) -> Option<Arc<str>> {
        self.get(hash).map(|entry| Arc::clone(&entry.element))
    }

    /// The transaction that this JSON holds, if it waits here. Only the exact bytes that were checked find it, since
    /// the same transaction with another signature can be invalid.
    pub fn checked(&self, element: &str) -> Option<&CheckedTransaction> {
        self.checked.get(element).map(Arc::as_ref)
    }

    pub fn progress(&self, hash: &Hash) -> Option<Progress> {
        let ended = |ended: &Ended| {
            let stage = match ended.reason {
                Reason::Expired => Stage::Expired,
                Reason::Superseded => Stage::Superseded,
            };
            let Ended { received_ms, posted_ms, posts, .. } = *ended;
            Progress { stage, received_ms, posted_ms, posts }
        };
        let waiting = self.get(hash).map(Entry::progress);
        waiting
            .or_else(|| self.recent.get(hash).copied())
            .or_else(|| self.ended.get(hash).map(ended))
    }

    /// What an account may still submit, apart from urgent transactions.
    pub fn allowance(&self, account: &PublicKey) -> Allowance {
        self.allowance_of(account, false)
    }

    fn allowance_of(&self, account: &PublicKey, is_urgent: bool) -> Allowance {
        let (limit, remaining) = self.quotas.limit(account, is_urgent);
        Allowance { limit, remaining, reset_s: self.retry_after_s() }
    }

    fn retry_after_s(&self) -> u32 {
        // By then most of what was posted last should be finalized, so that there is room again.
        let seconds = self.latency.wait().as_secs().clamp(RETRY_AFTER_S.0, RETRY_AFTER_S.1);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    pub fn full(&self) -> SubmitError {
        SubmitError::Full { retry_after_s: self.retry_after_s() }
    }

    pub fn check_room(
        &self,
        checked: &CheckedTransaction,
        bytes: usize,
    ) -> Result<(), SubmitError> {
        let (account, is_urgent) = (&checked.account, is_urgent(&checked.action));
        self.quotas.check(account, is_urgent, bytes).map_err(|why| match why {
            NoRoom::Full => self.full(),
            NoRoom::Quota => {
                let allowance = self.allowance_of(account, is_urgent);
                SubmitError::Quota(Allowance { remaining: 0, ..allowance })
            }
        })
    }

    /// Takes room for a transaction, and returns its number. From now on it counts as pending.
    pub fn reserve(&mut self, checked: &Arc<CheckedTransaction>, bytes: usize) -> u64 {
        self.last += 1;
        self.quotas.take(checked.account, is_urgent(&checked.action), bytes);
        self.pending.add(self.last, checked);
        self.last
    }

    /// Gives back what `reserve` took.
    pub fn release(&mut self, sequence: u64, checked: &CheckedTransaction, bytes: usize) {
        self.quotas.give_back(&checked.account, is_urgent(&checked.action), bytes);
        self.pending.remove(sequence, checked);
    }

    /// Adds a transaction that is on disk and has a number, and returns when it was received. One that is already
    /// here stays as it is.
    pub fn insert(
        &mut self,
        sequence: u64,
        checked: Arc<CheckedTransaction>,
        element: Arc<str>,
        received_ms: u64,
    ) -> u64 {
        let hash = checked.hash.0;
        if let Some(received_ms) = self.received_ms(&hash) {
            self.release(sequence, &checked, element.len());
            return received_ms;
        }
        if let Some(end_ms) = end_ms(&checked) {
            self.expiring.insert((end_ms, sequence));
        }
        let entry = Entry {
            after: self.pending.before(sequence, &checked),
            checked,
            element,
            sequence,
            received_ms,
            posted_ms: None,
            posts: 0,
            first_posted: None,
            last_posted: None,
            next: Next::Turn,
            gateway: None,
            was_handed_over: false,
            has_lane: false,
            is_counted: false,
        };
        self.by_hash.insert(hash, sequence);
        self.checked.insert(Arc::clone(&entry.element), Arc::clone(&entry.checked));
        self.schedule.add(&self.by_order, &entry);
        self.by_order.insert(sequence, entry);
        received_ms
    }

    /// Restores what an earlier process did with a transaction.
    pub fn restore(&mut self, hash: &Hash, posted: Option<(u64, u32)>) {
        let sequence = self.by_hash.get(hash).copied().unwrap_or_default();
        let Some(entry) = self.by_order.get_mut(&sequence) else { return };
        // Posts are written to disk with a delay, so that a gateway may have one that was never posted by the disk.
        entry.was_handed_over = true;
        if let Some((posted_ms, posts)) = posted {
            (entry.posted_ms, entry.posts) = (Some(posted_ms), posts);
            self.schedule.restore(&mut self.by_order, sequence, Instant::now());
        }
    }

    fn remove(&mut self, hash: &Hash) -> Option<Entry> {
        let sequence = self.by_hash.remove(hash)?;
        let is_final = self.by_order.get(&sequence)?.next == Next::Commit;
        let next = if is_final { Next::Commit } else { Next::Expiry };
        self.schedule.remove(&mut self.by_order, sequence, next);
        let entry = self.by_order.remove(&sequence)?;
        self.checked.remove(&entry.element);
        self.forget_expiry(&entry);
        self.release(sequence, &entry.checked, entry.element.len());
        Some(entry)
    }

    fn forget_expiry(&mut self, entry: &Entry) {
        if let Some(end_ms) = entry.end_ms() {
            self.expiring.remove(&(end_ms, entry.sequence));
            self.stopped.remove(&(end_ms, entry.sequence));
        }
    }

    /// Records that the transactions of a proven batch are final.
    pub fn finalized(&mut self, hashes: impl IntoIterator<Item = Hash>) {
        let (mut is_measured, now) = (false, Instant::now());
        for hash in hashes {
            let Some(entry) = self.get(&hash) else {
                self.counts.duplicates += u64::from(self.recent.get(&hash).is_some());
                continue;
            };
            if entry.next == Next::Commit {
                self.counts.duplicates += 1;
                continue;
            }
            // Once per batch, because its transactions were posted together.
            if !is_measured && let Next::Batch { first, last } = entry.next {
                is_measured = true;
                self.came_in(
                    (first, last),
                    entry.posts,
                    entry.first_posted.zip(entry.last_posted),
                    now,
                );
            }
            // Its position in the sequence is fixed, so later transactions of the account may use any lane. The
            // entry itself stays: until the commit, the store cannot tell its status.
            let sequence = self.by_hash.get(&hash).copied().unwrap_or_default();
            self.schedule.remove(&mut self.by_order, sequence, Next::Commit);
            if let Some(end_ms) = self.by_order.get(&sequence).and_then(Entry::end_ms) {
                self.expiring.remove(&(end_ms, sequence));
                self.stopped.remove(&(end_ms, sequence));
            }
        }
    }

    /// Records that a body came in that holds a transaction with these posts.
    fn came_in(
        &mut self,
        (first, last): (u64, u64),
        posts: u32,
        posted: Option<(Instant, Instant)>,
        now: Instant,
    ) {
        let Some((first_posted, last_posted)) = posted else {
            // It was posted by an earlier process, so when is unknown.
            return self.schedule.flights.came_in(last, now);
        };
        let is_last = posts <= 1 || self.latency.is_last_copy(now - last_posted);
        self.schedule.flights.came_in(if is_last { last } else { first }, now);
        // Measurements that include a time when this replica saw nothing would not be the network's latency.
        if self.blind_at.is_none_or(|at| at < first_posted) {
            self.latency.observe(now - first_posted, now - last_posted, posts);
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
        let until = ..=(time_ms, u64::MAX);
        let late = self.expiring.range(until).chain(self.stopped.range(until));
        late.filter_map(|(_, sequence)| self.by_order.get(sequence)).cloned().collect()
    }

    /// Stops posting what is past its end by this replica's clock: the exchange's time stands still in an outage, and
    /// such a transaction could then take effect long after its sender gave it up. Returns those that no gateway can
    /// have; the others wait until they are seen or the exchange's time has passed.
    pub fn stop_late(&mut self, now_ms: u64) -> Vec<Entry> {
        let late: Vec<_> = self.expiring.range(..=(now_ms, u64::MAX)).copied().collect();
        let mut never_posted = Vec::new();
        for (end_ms, sequence) in late {
            match self.by_order.get(&sequence) {
                // It is decided when the gateway has answered.
                Some(Entry { next: Next::Answer, .. }) => {}
                Some(entry) if !entry.was_handed_over => never_posted.push(entry.clone()),
                _ => {
                    self.schedule.remove(&mut self.by_order, sequence, Next::Expiry);
                    self.expiring.remove(&(end_ms, sequence));
                    self.stopped.insert((end_ms, sequence));
                }
            }
        }
        never_posted
    }

    /// Whether a transaction waits for nothing but the exchange's time.
    pub fn waits_for_time(&self) -> bool {
        !self.stopped.is_empty()
    }

    /// Records whether this replica sees all finalized batches.
    pub fn look(&mut self, sees_all: bool) {
        self.sees_all = sees_all;
        if !sees_all {
            self.blind_at = Some(Instant::now());
        }
    }

    /// Chooses up to `count` transactions to post again. Their gateway is cleared, so that each post is reported
    /// as unseen once.
    pub fn overdue(&mut self, bytes_max: usize, count: usize) -> Vec<Entry> {
        let now = Instant::now();
        // In the first minute after the machine started there is no such instant. `None` is less than every
        // due time, so nothing is due then.
        let until = if self.sees_all { Some(now) } else { now.checked_sub(BLIND_WAIT) };
        let Self { by_order, schedule, latency, .. } = self;
        self.overdue = schedule.overdue(by_order, latency, until, (bytes_max, count));
        // Copies, because the caller compares them with the store and must not hold the lock during that.
        let mut overdue = Vec::new();
        for sequence in &self.overdue {
            if let Some(entry) = self.by_order.get_mut(sequence) {
                overdue.push(entry.clone());
                entry.gateway = None;
                // What is overdue is probably lost, so it no longer ties its account to a lane.
                self.schedule.leave_lane(entry);
            }
        }
        overdue
    }

    /// The bodies of the transactions that `overdue` chose and that still wait: urgent ones first, then in order
    /// of arrival.
    pub fn again(&mut self, bytes_max: usize, bodies_max: usize) -> Vec<Body> {
        let chosen = std::mem::take(&mut self.overdue);
        let chosen = chosen.iter().filter_map(|sequence| self.by_order.get(sequence));
        let mut chosen: Vec<&Entry> =
            chosen.filter(|entry| matches!(entry.next, Next::Batch { .. })).collect();
        // One that must not overtake another keeps its position: both may have been lost.
        chosen.sort_by_key(|entry| (!entry.is_urgent() || entry.after.is_some(), entry.sequence));
        let mut bodies = Vec::new();
        for entry in chosen {
            if !Body::put(&mut bodies, entry, bytes_max, bodies_max) {
                break;
            }
        }
        bodies
    }

    /// The bodies to post for the first time, by lane. Lanes that `is_full` marks are busy and get nothing.
    pub fn take_new(
        &mut self,
        good: usize,
        is_full: [bool; LANES_MAX],
        bytes_max: usize,
        bodies_max: usize,
    ) -> [Vec<Body>; LANES_MAX] {
        self.schedule.take_new(&mut self.by_order, good, is_full, bytes_max, bodies_max)
    }

    /// Gives back their turns to the transactions of a body that no gateway accepted.
    pub fn take_back(&mut self, body: &Body) {
        self.schedule.take_back(&mut self.by_order, body);
    }

    /// Records that a gateway accepted a body.
    pub fn posted(&mut self, body: &Body, gateway: &Arc<str>, now_ms: u64, random: &mut Rng) {
        for sequence in &body.sequences {
            // The entry may be gone: the batch can be finalized and applied before the gateway responds.
            let Some(entry) = self.by_order.get_mut(sequence) else { continue };
            entry.posts = entry.posts.saturating_add(1);
            entry.posted_ms = Some(now_ms);
            let is_first = entry.posts == 1;
            self.counts.posted += u64::from(is_first);
            self.counts.posted_again += u64::from(!is_first);
            self.changes.posted.push((entry.hash(), now_ms, entry.posts));
        }
        self.schedule.posted(&mut self.by_order, body, gateway, Instant::now(), random);
    }

    /// Postpones a transaction that no gateway accepts.
    pub fn put_off(&mut self, sequence: u64, wait: Duration) {
        self.schedule.put_off(&mut self.by_order, sequence, Instant::now() + wait);
    }
}
