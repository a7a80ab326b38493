//! The outbox: delivers signed transactions to the sequencer, at least once.
//!
//! A gateway that accepts a batch promises nothing: the batch can be lost. So a transaction is written to
//! disk before it is acknowledged, posted in a batch, and posted again (after a time that follows the
//! network's latency, and through another gateway) until it is seen in a finalized batch or can have no
//! effect any more. Copies are harmless, because the exchange accepts a nonce only once.
//!
//! Every transaction that was accepted has an end that survives a restart: applied or rejected (in the
//! store), or expired or superseded (here).

mod body;
mod disk;
mod entries;
mod entry;
mod flights;
#[cfg(test)]
mod flow_tests;
mod gate;
mod lanes;
mod latency;
mod options;
mod pending;
mod quotas;
mod recent;
mod round;
mod schedule;
#[cfg(test)]
mod spread_tests;
mod submission;
mod task;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_tests;
mod turns;
mod windows;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Notify, mpsc, oneshot};
use zellbook_core::protocol::{CheckedTransaction, check_element};
use zellbook_core::wire::PostingBody;
use zellbook_core::{PublicKey, Rules};

use crate::clock::Clock;
use crate::store::{Reader, StoreError};
use body::BodyLimit;
use disk::Disk;
use entries::Entries;
use quotas::ENTRIES_MAX;
use submission::Submission;

pub use entry::{Hash, Progress};
pub use options::OutboxOptions;
pub use quotas::Allowance;
pub use submission::{Enqueued, SubmitError};
pub use task::OutboxTask;

pub struct OutboxParts<'a> {
    /// The database; created if it does not exist.
    pub path: &'a Path,
    pub rules: &'a Rules,
    /// Tells which transactions have been applied.
    pub store: Reader,
    pub options: OutboxOptions,
    /// Notified after every post, so that the replica soon asks for the new batch.
    pub posted: Arc<Notify>,
    pub clock: Clock,
    /// For jitter.
    pub random: Rng,
}

/// The outbox's handle for the API and the replica.
#[derive(Clone)]
pub struct Outbox {
    // A blocking mutex: it is never held across an await or a write to disk, so nobody waits for it for long.
    entries: Arc<Mutex<Entries>>,
    submits: mpsc::Sender<Submission>,
    clock: Clock,
    /// When a transaction of this outbox was last seen applied, in Unix milliseconds; 0 if never.
    came_back_ms: Arc<AtomicU64>,
}

impl Outbox {
    /// Opens or creates an outbox. Transactions that the store has already applied are removed, and so is
    /// anything that is not a valid transaction of this network.
    pub fn open(parts: OutboxParts<'_>) -> Result<(Self, OutboxTask), StoreError> {
        let OutboxParts { path, rules, store, options, posted, clock, random } = parts;
        let disk = Disk::open(path)?;
        let mut entries = Entries::new(disk.ended()?, options.repost_after);
        for waiting in disk.waiting()? {
            let hash = waiting.hash;
            // A crash can come after the commit of a batch and before the outbox deletes its transactions.
            let is_done = store.read_now(|view| view.has_transaction(&hash));
            let is_done = is_done.map_err(|error| store.error(error))?;
            // An old back-up or an edited file can hold anything, and what is posted counts as checked.
            let checked = check_element(rules, &waiting.element);
            match checked.ok().filter(|checked| checked.hash.0 == hash && !is_done) {
                Some(checked) => {
                    // Without a look at its quota: what has a receipt stays.
                    let checked = Arc::new(checked);
                    let sequence = entries.reserve(&checked, waiting.element.len());
                    entries.insert(sequence, checked, waiting.element.into(), waiting.received_ms);
                    entries.restore(&hash, waiting.posted_ms.map(|at| (at, waiting.posts)));
                }
                None => {
                    if !is_done {
                        let (path, hash) = (path.display(), hex::encode(hash));
                        tracing::warn!(
                            "{path}: removed {hash}, which is not a valid transaction of this network"
                        );
                    }
                    entries.changes.gone.push(hash);
                }
            }
        }
        let entries = Arc::new(Mutex::new(entries));
        let (sender, submits) = mpsc::channel(ENTRIES_MAX);
        let outbox = Self {
            entries: Arc::clone(&entries),
            submits: sender,
            clock,
            came_back_ms: Arc::default(),
        };
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

    fn entries<T>(&self, with: impl FnOnce(&mut Entries) -> T) -> T {
        with(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stores a transaction and returns once it is on disk, with the time of its first submission in Unix
    /// milliseconds.
    pub async fn submit(
        &self,
        checked: &CheckedTransaction,
        element: String,
    ) -> Result<u64, SubmitError> {
        self.enqueue(checked, element)?.stored().await
    }

    /// Hands a transaction to the task that stores it. The order of calls is the order of arrival.
    pub fn enqueue(
        &self,
        checked: &CheckedTransaction,
        element: String,
    ) -> Result<Enqueued, SubmitError> {
        self.entries(|entries| {
            // A transaction that is already here takes no room, so a full outbox still confirms it.
            if let Some(received_ms) = entries.received_ms(&checked.hash.0) {
                return Ok(Enqueued::Known(received_ms));
            }
            let bytes = element.len();
            entries.check_room(checked, bytes)?;
            let checked = Arc::new(checked.clone());
            let (done, stored) = oneshot::channel();
            let sequence = entries.reserve(&checked, bytes);
            // Sent under the lock, so that the numbers are in the order of the queue.
            let submission = Submission { sequence, checked: Arc::clone(&checked), element, done };
            match self.submits.try_send(submission) {
                Ok(()) => Ok(Enqueued::Waiting(stored)),
                Err(error) => {
                    entries.release(sequence, &checked, bytes);
                    Err(match error {
                        mpsc::error::TrySendError::Full(_) => entries.full(),
                        mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
                    })
                }
            }
        })
    }

    /// How many transactions an account may have in the outbox, and how many more it may submit. Cancels, switches and
    /// attestations are not counted.
    pub fn allowance(&self, account: &PublicKey) -> Allowance {
        self.entries(|entries| entries.allowance(account))
    }

    /// The progress of a transaction that waits, was given up, or was applied not long ago.
    pub fn progress(&self, hash: &Hash) -> Option<Progress> {
        self.entries(|entries| entries.progress(hash))
    }

    /// The JSON of a waiting transaction.
    pub fn element(&self, hash: &Hash) -> Option<Arc<str>> {
        self.entries(|entries| entries.element(hash))
    }

    /// The transaction that this JSON holds, if exactly these bytes wait here. They were checked when they came in, or
    /// when the outbox was opened, so their signature needs no second check.
    pub fn checked(&self, element: &str) -> Option<CheckedTransaction> {
        self.entries(|entries| entries.checked(element).cloned())
    }

    /// The transactions that act for an account or bring funds to it, in order of arrival: also those that wait for
    /// the disk, and those that are finalized, until their outcome is committed.
    pub fn pending_of(&self, account: &PublicKey) -> Vec<Arc<CheckedTransaction>> {
        self.entries(|entries| entries.pending.of(account).map(|(_, of)| Arc::clone(of)).collect())
    }

    pub fn waiting(&self) -> usize {
        self.entries(|entries| entries.len())
    }

    /// How long the transaction has waited that has waited longest.
    pub fn oldest_waiting(&self) -> Option<Duration> {
        let received_ms = self.entries(|entries| entries.oldest_received_ms())?;
        Some(Duration::from_millis(self.clock.now_ms().saturating_sub(received_ms)))
    }

    /// How long nothing has come back, if anything waits. Unlike the longest wait, this stays short while one account
    /// has more under way than the network takes at once.
    pub fn stalled(&self) -> Option<Duration> {
        let came_back_ms = self.came_back_ms.load(Ordering::Relaxed);
        let since = Duration::from_millis(self.clock.now_ms().saturating_sub(came_back_ms));
        self.oldest_waiting().map(|oldest| oldest.min(since))
    }

    /// The number of reposts since the start.
    pub fn posted_again(&self) -> u64 {
        self.entries(|entries| entries.counts.posted_again)
    }

    /// The outbox's part of the replica's status.
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

    /// Records that transactions are in a proven batch.
    pub fn finalized(&self, hashes: impl IntoIterator<Item = Hash>) {
        self.entries(|entries| entries.finalized(hashes));
    }

    /// Removes transactions whose outcome is committed.
    pub fn applied(&self, hashes: impl IntoIterator<Item = Hash>) {
        let has_come_back = self.entries(|entries| {
            let before = entries.len();
            entries.applied(hashes);
            entries.len() < before
        });
        if has_come_back {
            self.came_back_ms.store(self.clock.now_ms(), Ordering::Relaxed);
        }
    }
}
