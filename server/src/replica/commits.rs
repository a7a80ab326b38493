//! The last stage: writes what was applied to disk, and then shows it.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use zellbook_core::wire::BookBody;

use crate::metrics::Counts;
use crate::outbox::Outbox;
use crate::published::{Published, Update};
use crate::store::{AppliedBatch, Proof, Storage, StoreError};

/// The most batches in one message of the feed. A follower can lag by many messages, which stay in memory.
const BATCHES_PER_UPDATE: usize = 64;

/// Commits and shows.
pub(super) struct Committer<S> {
    pub storage: Arc<Mutex<S>>,
    pub counts: Arc<Counts>,
    pub published: watch::Sender<Arc<Published>>,
    pub outbox: Outbox,
    pub feed: broadcast::Sender<Arc<Update>>,
}

// Derived, it would demand that the storage can be cloned.
impl<S> Clone for Committer<S> {
    fn clone(&self) -> Self {
        let Self { storage, counts, published, outbox, feed } = self;
        let (storage, counts) = (Arc::clone(storage), Arc::clone(counts));
        let (published, outbox, feed) = (published.clone(), outbox.clone(), feed.clone());
        Self { storage, counts, published, outbox, feed }
    }
}

impl<S: Storage> Committer<S> {
    pub fn storage(&self) -> MutexGuard<'_, S> {
        // After a panic in a commit, the connection has rolled it back.
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes batches to disk and counts them. `busy` is the time that it took to apply them.
    pub fn commit(
        &self,
        applied: &[AppliedBatch],
        proofs: &[Arc<Proof>],
        busy: Duration,
    ) -> Result<(), StoreError> {
        let began = std::time::Instant::now();
        let duplicates = self.storage().commit(applied, proofs)?;
        let busy = (busy + began.elapsed()).as_micros();
        self.counts.busy_us.fetch_add(u64::try_from(busy).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.counts.commit(applied, duplicates);
        Ok(())
    }

    /// Tells the outbox and the followers of the feed about a commit, after the published view has it. `before` are the
    /// published books before it.
    pub fn announce(&self, applied: Vec<AppliedBatch>, before: &[Arc<BookBody>]) {
        // After the view, so that a transaction is always visible in the outbox or in the store.
        let outcomes = applied.iter().flat_map(|batch| &batch.outcome.transactions);
        self.outbox.applied(outcomes.filter_map(|outcome| outcome.hash).map(|hash| hash.0));
        let after = Arc::clone(&self.published.borrow());
        let certified = after.certified.map(|(batch, _)| batch);
        let mut rest = applied.into_iter();
        while rest.len() > BATCHES_PER_UPDATE {
            let batches = rest.by_ref().take(BATCHES_PER_UPDATE).collect();
            // The books are only known as they are after the last batch.
            let _ = self.feed.send(Arc::new(Update::new(batches, certified, &[], &[])));
        }
        let batches = rest.collect();
        // Fails if nobody follows the feed.
        let _ = self.feed.send(Arc::new(Update::new(batches, certified, before, &after.books)));
    }
}

/// Batches to commit.
pub(super) struct Job {
    pub applied: Vec<AppliedBatch>,
    pub proofs: Vec<Arc<Proof>>,
    /// The view after them, and the books before them; `None` if they must not be shown.
    pub shown: Option<(Published, Vec<Arc<BookBody>>)>,
    /// The time that it took to apply them.
    pub busy: Duration,
}

/// A thread that commits, one job after the other, until one fails. Dropping this waits for it.
pub(super) struct Commits {
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Result<(), StoreError>>,
    /// How many jobs are not known to be done.
    in_flight: usize,
    thread: Option<JoinHandle<()>>,
}

impl Commits {
    pub fn start<S: Storage>(committer: Committer<S>) -> Self {
        let (jobs, receiver) = sync_channel::<Job>(1);
        let (report, done) = channel();
        let thread = thread::spawn(move || {
            for Job { applied, proofs, shown, busy } in receiver {
                let result = committer.commit(&applied, &proofs, busy);
                let is_failed = result.is_err();
                if let (Ok(()), Some((view, before))) = (&result, shown) {
                    committer.published.send_replace(Arc::new(view));
                    committer.announce(applied, &before);
                }
                // Nothing later may reach the disk after a commit that did not.
                if report.send(result).is_err() || is_failed {
                    return;
                }
            }
        });
        Self { jobs: Some(jobs), done, in_flight: 0, thread: Some(thread) }
    }

    /// Passes a job on. Waits while another one waits. Fails if an earlier one has failed.
    pub fn send(&mut self, job: Job) -> Result<(), StoreError> {
        while let Ok(result) = self.done.try_recv() {
            self.in_flight = self.in_flight.saturating_sub(1);
            result?;
        }
        self.in_flight += 1;
        let is_taken = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        // Not taken if the thread has ended, and then its error is among the results.
        if is_taken { Ok(()) } else { self.settle() }
    }

    /// Waits until all jobs are done. Fails if one has failed.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        while self.in_flight > 0 {
            let result = self.done.recv();
            self.in_flight -= 1;
            result.unwrap_or_else(|_| panic!("the thread that commits has panicked"))?;
        }
        Ok(())
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // An error means that it panicked, which has been reported.
            let _ = thread.join();
        }
    }
}
