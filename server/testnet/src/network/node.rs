//! The state of one emulated node: for each app, the waiting, sequenced, locked and finalized batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;
use zellular::bls::{BlsPublicKey, BlsSecretKey};
use zellular::chain;

use super::lie::Lie;
use zellbook_server::sequencer::node::{Aggregated, Indexes, LastBatch, NodePage, SignedBatch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Up,
    /// It does not respond, but keeps its memory.
    Frozen,
    /// It is killed, and its memory is lost.
    Down,
}

#[derive(Clone, Debug)]
pub(super) struct Sequenced {
    pub body: Arc<str>,
    pub chaining_hash: Arc<str>,
}

/// A lock: nodes with enough stake signed that they have the sequence up to an index.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    /// The epoch of the leader that made it.
    pub epoch: u64,
    pub index: u64,
    /// `None` if this node was reset to a part of the locked sequence.
    pub signed: Option<Aggregated>,
}

/// A node's batches of one app.
#[derive(Debug, Default)]
pub(super) struct AppLog {
    /// Accepted from clients, but not seen in the leader's sequence yet.
    pub queue: VecDeque<Arc<str>>,
    pub sequence: Vec<Sequenced>,
    pub lock: Option<Lock>,
    /// The finality signatures that this node has seen, by index.
    pub finalized: BTreeMap<u64, Arc<SignedBatch>>,
}

fn position(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl AppLog {
    pub fn len(&self) -> u64 {
        self.sequence.len() as u64
    }

    pub fn indexes(&self) -> Indexes {
        let finalized = self.finalized_index();
        let locked = self.lock.as_ref().map_or(0, |lock| lock.index).max(finalized);
        Indexes { sequenced: self.len(), locked, finalized }
    }

    pub fn finalized_index(&self) -> u64 {
        self.finalized.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// The chaining hash at an index; empty at 0.
    pub fn hash(&self, index: u64) -> Option<&str> {
        if index == 0 {
            return Some("");
        }
        self.sequence.get(position(index) - 1).map(|entry| &*entry.chaining_hash)
    }

    /// Whether two logs have the same history up to an index.
    pub fn agrees(&self, other: &Self, index: u64) -> bool {
        self.hash(index).is_some() && self.hash(index) == other.hash(index)
    }

    pub fn append(&mut self, body: Arc<str>) {
        let previous = self.hash(self.len()).unwrap_or_default();
        let chaining_hash = chain(previous, &body).into();
        self.sequence.push(Sequenced { body, chaining_hash });
    }

    /// Adopts another log's sequence up to an index. Returns the own bodies that were dropped for it.
    pub fn adopt(&mut self, other: &Self, index: u64) -> Vec<Arc<str>> {
        let mut common = self.len().min(index);
        // This ends at 0 at the latest, where both hashes are empty.
        while !self.agrees(other, common) {
            common -= 1;
        }
        // Only a threshold of half of the stake or less permits this. The emulation stops, because any
        // failure after it would be blamed on the replicas.
        assert!(
            common >= self.finalized_index(),
            "a finalized batch would change: the emulated network is unsound"
        );
        // The signature covers batches that this node no longer has. What remains is still locked in that epoch.
        if let Some(lock) = self.lock.as_mut().filter(|lock| lock.index > common) {
            (lock.index, lock.signed) = (common, None);
        }
        let dropped = self.sequence.split_off(position(common));
        let taken = other.sequence.get(position(common)..position(index)).unwrap_or_default();
        self.sequence.extend_from_slice(taken);
        dropped.into_iter().map(|entry| entry.body).collect()
    }

    /// Copies the lock and the finality of another log, as far as the sequences agree.
    pub fn learn(&mut self, other: &Self) {
        if let Some(lock) = &other.lock
            && self.agrees(other, lock.index)
            && self
                .lock
                .as_ref()
                .is_none_or(|own| (own.epoch, own.index) < (lock.epoch, lock.index))
        {
            self.lock = Some(lock.clone());
        }
        // A deceived node has other batches at these indexes, and must not pass them off as final.
        for (index, signed) in other.finalized.range(self.finalized_index() + 1..) {
            if self.agrees(other, *index) {
                self.finalized.insert(*index, Arc::clone(signed));
            }
        }
    }

    /// The finalized bodies after an index, up to `until` or until their length reaches `bytes_max`.
    pub fn page(&self, after: u64, until: u64, bytes_max: usize) -> Option<NodePage> {
        let until = until.min(self.finalized_index());
        if after >= until {
            return None;
        }
        let entries = self.sequence.get(position(after)..position(until))?;
        let first_chaining_hash = entries.first()?.chaining_hash.to_string();
        let mut bytes = 0_usize;
        let bodies: Vec<Arc<str>> = entries
            .iter()
            .take_while(|entry| {
                // A page has at least one body, however long.
                let is_first = bytes == 0;
                bytes += entry.body.len();
                is_first || bytes <= bytes_max
            })
            .map(|entry| Arc::clone(&entry.body))
            .collect();
        let last = after + bodies.len() as u64;
        let signatures =
            self.finalized.range(after + 1..=last).map(|(_, s)| Arc::clone(s)).collect();
        Some(NodePage { bodies, first_chaining_hash, signatures })
    }

    pub fn last_finalized(&self) -> Option<LastBatch> {
        let (index, signed) = self.finalized.last_key_value()?;
        let body = Arc::clone(&self.sequence.get(position(*index) - 1)?.body);
        Some(LastBatch { signed: Arc::clone(signed), body })
    }

    pub fn last_locked(&self) -> Option<LastBatch> {
        let finalized = self.finalized_index();
        let Some(lock) = self.lock.as_ref().filter(|lock| lock.index > finalized) else {
            return self.last_finalized();
        };
        // A lock that was cut back has no signature to show.
        let locked = lock.signed.clone()?;
        let entry = self.sequence.get(position(lock.index) - 1)?;
        let signed = SignedBatch {
            index: lock.index,
            parent_index: finalized,
            timestamp: 0,
            chaining_hash: entry.chaining_hash.to_string(),
            locked,
            finalized: None,
        };
        Some(LastBatch { signed: Arc::new(signed), body: Arc::clone(&entry.body) })
    }
}

pub(super) struct NodeCore {
    pub id: String,
    pub key: BlsSecretKey,
    pub public_key: BlsPublicKey,
    pub stake: u64,
    pub condition: Condition,
    /// Whether it accepts batches at all.
    pub is_posting: bool,
    /// Whether it has been in contact with a leader since its start.
    pub is_synced: bool,
    /// The number of leader changes up to the leader that it follows.
    pub epoch: u64,
    /// The end of the pause for a leader change.
    pub paused_until: Option<Instant>,
    /// When it last heard from the leader.
    pub heard_leader: Instant,
    /// Whether it lacks history that the others have pruned. It accepts batches, but never catches up.
    pub is_pruned: bool,
    /// Its side of a partition.
    pub side: u8,
    pub lie: Option<Lie>,
    pub apps: BTreeMap<String, AppLog>,
    /// The start of its bandwidth window, and the bytes in it.
    pub window: (Instant, usize),
}

impl NodeCore {
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// Whether it takes part in the rounds. The gateway of a paused node still answers reads.
    pub fn works(&self, now: Instant) -> bool {
        self.condition == Condition::Up && !self.is_paused(now)
    }

    /// Loses what a node has only in memory: the queue, and batches that are not locked.
    pub fn forget_memory(&mut self) {
        for log in self.apps.values_mut() {
            log.queue.clear();
            // A real node has locked batches on disk. Finality relies on that: they must survive the crash of
            // all signers.
            let locked = log.indexes().locked;
            log.sequence.truncate(position(locked));
        }
        self.is_synced = false;
    }

    pub fn log(&self, app: &str) -> Option<&AppLog> {
        self.apps.get(app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(bodies: &[&str]) -> AppLog {
        let mut log = AppLog::default();
        bodies.iter().for_each(|body| log.append(Arc::from(*body)));
        log
    }

    #[test]
    fn adopting_another_log_returns_the_bodies_that_were_dropped() {
        let mut ours = log(&["a", "b", "x", "y"]);
        let theirs = log(&["a", "b", "c", "d"]);
        let dropped = ours.adopt(&theirs, 3);
        assert_eq!(dropped, [Arc::from("x"), Arc::from("y")]);
        assert_eq!(ours.len(), 3);
        assert!(ours.agrees(&theirs, 3));
    }

    #[test]
    fn a_page_is_limited_in_bytes_but_has_at_least_one_body() {
        let mut log = log(&["12345", "67", "", "8"]);
        assert_eq!(log.page(0, u64::MAX, 100), None, "nothing is final");
        let signed = SignedBatch {
            index: 4,
            parent_index: 0,
            timestamp: 0,
            chaining_hash: String::new(),
            locked: Aggregated { signature: String::new(), nonsigners: Vec::new() },
            finalized: None,
        };
        log.finalized.insert(4, Arc::new(signed));
        let lengths = |after, bytes| {
            let page = log.page(after, u64::MAX, bytes);
            page.map(|page| (page.bodies.len(), page.signatures.len()))
        };
        assert_eq!(lengths(0, 1), Some((1, 0)));
        assert_eq!(lengths(0, 7), Some((3, 0)));
        assert_eq!(lengths(0, 8), Some((4, 1)));
        assert_eq!(lengths(3, 0), Some((1, 1)));
        assert_eq!(lengths(4, 8), None);
    }
}
