//! The outbox: signed transactions stay here, on disk, until they are seen in a finalized batch, or can
//! have no effect any more. They are posted in batches, and again when they do not come back.
//!
//! Nothing that was taken is dropped in silence: it ends as applied or rejected (in the store), or as
//! expired or superseded (here), and what became of it is known after a restart too.

mod body;
mod disk;
mod entries;
mod entry;
mod lanes;
mod latency;
#[cfg(test)]
mod spread_tests;
mod task;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Notify, mpsc, oneshot};
use zellbook_core::batch::{CheckedTransaction, check_element};
use zellbook_core::genesis::Rules;
use zellbook_core::wire::PostingBody;

use crate::clock::Clock;
use crate::store::{Reader, StoreError};
use body::BodyLimit;
use disk::Disk;
use entries::Entries;
use entry::Validity;

pub use entry::{Hash, Sighting};
pub use task::OutboxTask;

/// Submissions that wait for the disk, at most.
const SUBMITS_WAITING_MAX: usize = 4096;
/// Seconds after which to try again when the outbox is full, from the least to the most.
const RETRY_AFTER_S: (u64, u64) = (1, 30);

/// How the outbox posts.
#[derive(Clone, Copy, Debug)]
pub struct OutboxOptions {
    /// Bytes of UTF-8 in a batch, at most.
    pub batch_bytes_max: usize,
    /// How long transactions are gathered for a batch.
    pub gather: Duration,
    /// How long until a transaction that was posted and not seen is posted again, while the network's
    /// latency is not known.
    pub repost_after: Duration,
}

/// What an outbox is made of.
pub struct OutboxParts<'a> {
    /// Where it is, or is made.
    pub path: &'a Path,
    /// The rules of genesis.
    pub rules: &'a Rules,
    /// What is applied already.
    pub store: Reader,
    /// How it posts.
    pub options: OutboxOptions,
    /// Told when something was posted, so that the replica looks for it at once.
    pub posted: Arc<Notify>,
    /// The time of day.
    pub clock: Clock,
    /// For jitter.
    pub random: Rng,
}

/// Why a submission was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The outbox is full.
    Full {
        /// Seconds after which to try again.
        retry_after_s: u32,
    },
    /// It cannot write to its disk, or the replica is stopping.
    Stopped,
}

struct Submit {
    hash: Hash,
    element: String,
    validity: Validity,
    /// Told when the transaction was taken, Unix milliseconds.
    done: oneshot::Sender<u64>,
}

/// The outbox, as the API and the replica see it.
#[derive(Clone)]
pub struct Outbox {
    entries: Arc<Mutex<Entries>>,
    submits: mpsc::Sender<Submit>,
}

impl Outbox {
    /// Opens or makes an outbox. What the store has applied already is dropped from it, and what is no
    /// transaction of this network.
    pub fn open(parts: OutboxParts<'_>) -> Result<(Self, OutboxTask), StoreError> {
        let OutboxParts { path, rules, store, options, posted, clock, random } = parts;
        let sqlite = |error| StoreError::Sqlite { path: path.to_path_buf(), error };
        let disk = Disk::open(path)?;
        let mut entries = Entries::new(disk.ended().map_err(sqlite)?, options.repost_after);
        for waiting in disk.waiting().map_err(sqlite)? {
            let hash = waiting.hash;
            let is_done = store.read_now(|view| view.has_transaction(&hash)).map_err(sqlite)?;
            let checked = check_element(rules, &waiting.element);
            match checked.ok().filter(|checked| checked.hash.0 == hash && !is_done) {
                Some(checked) => {
                    let validity = Validity::from(&checked);
                    entries.insert(hash, waiting.element.into(), validity, waiting.received_ms);
                    if let Some(posted_ms) = waiting.posted_ms {
                        entries.was_posted(&hash, posted_ms, waiting.posts);
                    }
                }
                None => {
                    if !is_done {
                        let (path, hash) = (path.display(), hex::encode(hash));
                        tracing::warn!("{path}: dropped {hash}, no transaction of this network");
                    }
                    entries.changes.gone.push(hash);
                }
            }
        }
        let entries = Arc::new(Mutex::new(entries));
        let (sender, submits) = mpsc::channel(SUBMITS_WAITING_MAX);
        let outbox = Self { entries: Arc::clone(&entries), submits: sender };
        let task = OutboxTask {
            disk,
            store,
            entries,
            submits,
            options,
            limit: BodyLimit::new(options.batch_bytes_max),
            posted,
            clock,
            random,
        };
        Ok((outbox, task))
    }

    fn entries<T>(&self, act: impl FnOnce(&mut Entries) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn full(entries: &Entries) -> SubmitError {
        let seconds = entries.latency.wait().as_secs().clamp(RETRY_AFTER_S.0, RETRY_AFTER_S.1);
        SubmitError::Full { retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX) }
    }

    /// Takes a transaction; returns when it is on disk, with when it was taken in Unix milliseconds. One
    /// that is there already stays as it is.
    pub async fn submit(
        &self,
        checked: &CheckedTransaction,
        element: String,
    ) -> Result<u64, SubmitError> {
        let hash = checked.hash.0;
        let known = self.entries(|entries| match entries.received_ms(&hash) {
            None if entries.is_full() => Err(Self::full(entries)),
            known => Ok(known),
        })?;
        if let Some(received_ms) = known {
            return Ok(received_ms);
        }
        let (done, wait) = oneshot::channel();
        let submit = Submit { hash, element, validity: checked.into(), done };
        self.submits.try_send(submit).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => self.entries(|entries| Self::full(entries)),
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
        })?;
        wait.await.map_err(|_| SubmitError::Stopped)
    }

    /// What the outbox knows of a transaction that waits in it, or left it.
    pub fn sighting(&self, hash: &Hash) -> Option<Sighting> {
        self.entries(|entries| entries.sighting(hash))
    }

    /// The element of a transaction that waits.
    pub fn element(&self, hash: &Hash) -> Option<Arc<str>> {
        self.entries(|entries| entries.element(hash))
    }

    /// How many transactions wait.
    pub fn len(&self) -> usize {
        self.entries(|entries| entries.len())
    }

    /// How many transactions it posted again since the start.
    pub fn posted_again(&self) -> u64 {
        self.entries(|entries| entries.counts.posted_again)
    }

    /// What it did since the start.
    pub fn posting(&self) -> PostingBody {
        self.entries(|entries| {
            let counts = entries.counts;
            PostingBody {
                taken: counts.taken.to_string(),
                posted: counts.posted.to_string(),
                posted_again: counts.posted_again.to_string(),
                duplicates: counts.duplicates.to_string(),
                expired: counts.expired.to_string(),
                superseded: counts.superseded.to_string(),
                repost_ms: entries.latency.wait().as_millis().to_string(),
                latency_ms: entries.latency.smoothed().map(|time| time.as_millis().to_string()),
            }
        })
    }

    /// Notes transactions that are in a proven batch.
    pub fn finalized(&self, hashes: impl IntoIterator<Item = Hash>) {
        self.entries(|entries| entries.finalized(hashes));
    }

    /// Drops transactions whose outcome is committed.
    pub fn applied(&self, hashes: impl IntoIterator<Item = Hash>) {
        self.entries(|entries| entries.applied(hashes));
    }
}
