//! Applying what is proven: each commit is on disk before it is shown.

use std::sync::atomic::Ordering;

use tokio::time::Instant;
use zellbook_core::batch::Batch;
use zellbook_core::finality::{Page, PageError, ProvenBatch, ProvenGroup};
use zellbook_core::state_root::Hash;

use super::{Halt, Replica};
use crate::attester::Attestable;
use crate::evidence::{Contradiction, Tail};
use crate::published::Update;
use crate::store::{AppliedBatch, Proof, Storage, StoreError, rows_of};

/// Batches that one commit takes together, at most.
const BATCHES_PER_COMMIT: usize = 64;

/// A certified root that is not ours.
struct Certified {
    batch: u64,
    root: Hash,
    halt: Halt,
}

impl<S: Storage> Replica<S> {
    /// Applies what a page proves. Returns what is wrong with the rest of it. Blocks its thread.
    pub fn take_page(&mut self, page: Page) -> Result<Option<PageError>, Halt> {
        let verifier = self.verifier.borrow().clone();
        let (groups, error) = self.walker.take(&verifier, page);
        for group in groups {
            self.apply_group(group)?;
        }
        Ok(error)
    }

    fn apply_group(&mut self, group: ProvenGroup) -> Result<(), Halt> {
        let time_ms = group.signature.timestamp.saturating_mul(1000);
        let last = group.batches.last();
        let chaining_hash = last.map_or_else(String::new, |last| last.chaining_hash.clone());
        let proof = Proof { signature: group.signature, chaining_hash };
        let mut batches = group.batches.into_iter().peekable();
        while batches.peek().is_some() {
            let began = Instant::now();
            let mut applied: Vec<AppliedBatch> = Vec::new();
            let mut contradicted = None;
            for proven in batches.by_ref().take(BATCHES_PER_COMMIT) {
                let rules = self.exchange.rules();
                let batch = Batch::check(rules, proven.index, proven.body.as_bytes());
                let hashes = batch.transactions.iter().flatten().map(|checked| checked.hash.0);
                self.outbox.finalized(hashes);
                let outcome = self.exchange.apply(&batch)?;
                let rows = rows_of(self.exchange.engine(), &batch, &outcome, time_ms);
                applied.push(AppliedBatch {
                    index: proven.index,
                    body: proven.body,
                    chaining_hash: proven.chaining_hash,
                    time_ms,
                    applied_ms: self.clock.now_ms(),
                    outcome,
                    rows,
                });
                contradicted = self.contradicted(&applied)?;
                if contradicted.is_some() {
                    break;
                }
            }
            let duplicates = self.storage.commit(&applied, &proof)?;
            let busy = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.counts.busy_us.fetch_add(busy, Ordering::Relaxed);
            self.counts.commit(&applied, duplicates);
            if let Some(Certified { batch, root, halt }) = contradicted {
                let tail: Vec<ProvenBatch> = batches.collect();
                let contradiction = self.reader.read_now(|view| {
                    Contradiction::certified_root(view, batch, &root, Tail(&tail)).map(Some)
                });
                self.keep_evidence(&halt, contradiction);
                return Err(halt);
            }
            self.publish(&applied)?;
            self.questions.answer_waiting(&mut self.exchange);
        }
        Ok(())
    }

    /// Whether the last of some batches certifies another root than ours. `applied` are those that are
    /// not in the store yet.
    fn contradicted(&self, applied: &[AppliedBatch]) -> Result<Option<Certified>, Halt> {
        let Some(last) = applied.last() else { return Ok(None) };
        for (index, certified) in last.certified() {
            // Of what was before the snapshot that the state began with, the root is not known.
            if index < self.start {
                continue;
            }
            let here = applied.iter().find(|batch| batch.index == index);
            let ours = match here {
                Some(batch) => Some(batch.outcome.root),
                None => self.storage.root(index)?,
            };
            if ours != Some(certified) {
                let halt = Halt::Certified {
                    batch: index,
                    ours: ours.map_or_else(|| "unknown".into(), hex::encode),
                    certified: hex::encode(certified),
                    until: last.index,
                };
                return Ok(Some(Certified { batch: index, root: certified, halt }));
            }
        }
        Ok(None)
    }

    /// Shows a commit to all readers. Only now: what is shown is on disk.
    fn publish(&self, applied: &[AppliedBatch]) -> Result<(), StoreError> {
        let Some(last) = applied.last() else { return Ok(()) };
        let (exchange, root) = (&self.exchange, last.outcome.root);
        let root_of = |batch| self.storage.root(batch);
        let attestable = Attestable::new(exchange, root, self.replica_index, root_of)?;
        let before = self.published.borrow().books.clone();
        self.published.send_modify(|published| {
            std::sync::Arc::make_mut(published).follow(exchange, applied, attestable);
        });
        let outcomes = applied.iter().flat_map(|batch| &batch.outcome.transactions);
        self.outbox.applied(outcomes.filter_map(|outcome| outcome.hash).map(|hash| hash.0));
        // No followers is no error.
        let fee_account = exchange.rules().genesis.fee_account;
        let update = Update::new(fee_account, applied, &before, &self.published.borrow().books);
        let _ = self.feed.send(std::sync::Arc::new(update));
        Ok(())
    }
}
