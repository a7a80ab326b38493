//! Applies sequenced batches.
//!
//! A page is split into groups, each covered by one signature. The batches of a group are applied and
//! committed together, up to 64 at a time, and published only once they are on disk. While the replica is behind,
//! long pages go through a pipeline instead (`catch_up`), which commits more at a time. A commit that certifies
//! another root than ours is still written, because it is the evidence, but never published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use zellbook_core::wire::ReplicaState;
use zellbook_core::{Batch, Hash};
use zellular::{Page, PageError, ProvenBatch, ProvenGroup};

use super::{BATCHES_PER_COMMIT, Halt, Replica};
use crate::comparison::Difference;
use crate::evidence::{Contradiction, Tail};
use crate::published::{Attestable, DIFFERENCE_MAX, NetworkTime};
use crate::store::{AppliedBatch, Proof, Storage, StoreError, rows_of};

/// A certified root that differs from ours.
pub(super) struct Certified {
    batch: u64,
    root: Hash,
    halt: Halt,
}

impl<S: Storage> Replica<S> {
    /// Applies the sequenced batches of a page, and returns what is wrong with the rest of it. Blocks the
    /// thread.
    pub fn take_page(&mut self, page: Page) -> Result<Option<PageError>, Halt> {
        let verifier = self.verifier.borrow().clone();
        let (groups, error) = self.walker.take(&verifier, page);
        for group in groups {
            self.apply_group(group)?;
        }
        Ok(error)
    }

    fn apply_group(&mut self, group: ProvenGroup) -> Result<(), Halt> {
        // Before anything of it is applied: another gateway may have served these batches already.
        if let Some(difference) = self.comparison.take(&group.batches, &self.source) {
            return Err(self.refuse(&difference, &group));
        }
        let time_ms = group.signature.timestamp.saturating_mul(1000);
        let last = group.batches.last();
        let chaining_hash = last.map_or_else(String::new, |last| last.chaining_hash.clone());
        // Stored with each part of the group: every stored batch needs a proof, and a crash can make any part
        // the last one.
        let proof = Arc::new(Proof { signature: group.signature, chaining_hash });
        let mut batches = group.batches.into_iter().peekable();
        while batches.peek().is_some() {
            let began = Instant::now();
            let mut applied: Vec<AppliedBatch> = Vec::new();
            let mut contradicted = None;
            let part: Vec<ProvenBatch> = batches.by_ref().take(BATCHES_PER_COMMIT).collect();
            let checked = self.check(&part);
            let mut part = part.into_iter().zip(checked);
            for (proven, batch) in part.by_ref() {
                applied.push(self.apply(proven, &batch, time_ms)?);
                contradicted = self.contradicted(&applied, &BTreeMap::new())?;
                // Later batches would build on a state that is in doubt.
                if contradicted.is_some() {
                    break;
                }
            }
            // A contradicted state is committed too: the evidence is read from the store, and every later
            // start finds the contradiction there.
            self.committer.commit(&applied, std::slice::from_ref(&proof), began.elapsed())?;
            if let Some(contradicted) = contradicted {
                // The signature is over the end of the group, so its check needs the bodies that were not
                // applied.
                let tail: Vec<ProvenBatch> =
                    part.map(|(proven, _)| proven).chain(batches).collect();
                return Err(self.halt_contradicted(contradicted, &tail));
            }
            self.publish(applied)?;
            // Requests for proofs get a turn even while the replica catches up.
            self.questions.answer_waiting(&mut self.exchange);
        }
        Ok(())
    }

    /// Applies a batch whose proof has this time.
    pub(super) fn apply(
        &mut self,
        proven: ProvenBatch,
        batch: &Batch,
        time_ms: u64,
    ) -> Result<AppliedBatch, Halt> {
        let hashes = batch.transactions.iter().flatten().map(|checked| checked.hash.0);
        // Only for statuses and latency, so this need not wait for the commit.
        self.outbox.finalized(hashes);
        let outcome = self.exchange.apply(batch)?;
        let rows = rows_of(self.exchange.engine(), batch, &outcome, time_ms);
        let ProvenBatch { index, body, chaining_hash } = proven;
        let applied_ms = self.clock.now_ms();
        Ok(AppliedBatch { index, body, chaining_hash, time_ms, applied_ms, outcome, rows })
    }

    /// Writes the evidence of a contradiction, which must be on disk. `tail` are the batches of its group that were not applied.
    pub(super) fn halt_contradicted(
        &self,
        Certified { batch, root, halt }: Certified,
        tail: &[ProvenBatch],
    ) -> Halt {
        let contradiction = self.reader.read_now(|view| {
            Contradiction::certified_root(view, batch, &root, Tail(tail)).map(Some)
        });
        self.keep_evidence(&halt, contradiction);
        halt
    }

    /// Reads the batches and checks their signatures, except those that the outbox has checked.
    fn check(&self, batches: &[ProvenBatch]) -> Vec<Batch> {
        let mut known = 0;
        let bodies = batches.iter().map(|proven| (proven.index, proven.body.as_bytes()));
        let checked = Batch::check_all(self.exchange.rules(), bodies, |element| {
            let checked = self.outbox.checked(element);
            known += u64::from(checked.is_some());
            checked
        });
        self.counts.known.fetch_add(known, Ordering::Relaxed);
        checked
    }

    /// Halts before a group with a body that another gateway has otherwise.
    pub(super) fn refuse(&self, difference: &Difference, group: &ProvenGroup) -> Halt {
        let halt = Halt::from(difference);
        let first = group.batches.first().map_or(difference.index, |batch| batch.index);
        let contradiction = self.reader.read_now(|view| {
            let previous = view.chaining_hash(first.saturating_sub(1))?.unwrap_or_default();
            Ok(Contradiction::bodies_before(difference, previous, group))
        });
        self.keep_evidence(&halt, contradiction);
        halt
    }

    /// The root that was computed here after a batch. `roots` are those that are not in the store yet.
    pub(super) fn root_of(
        &self,
        index: u64,
        roots: &BTreeMap<u64, Hash>,
    ) -> Result<Option<Hash>, StoreError> {
        match roots.get(&index) {
            Some(root) => Ok(Some(*root)),
            None => self.committer.storage().root(index),
        }
    }

    /// Whether the last of the applied batches certifies a root that differs from ours. The applied batches
    /// are not in the store yet, and neither are those whose `roots` are given.
    pub(super) fn contradicted(
        &self,
        applied: &[AppliedBatch],
        roots: &BTreeMap<u64, Hash>,
    ) -> Result<Option<Certified>, Halt> {
        let Some(last) = applied.last() else { return Ok(None) };
        for (index, certified) in last.certified() {
            // Roots of batches before the snapshot that the state started from are unknown here.
            if index < self.start {
                continue;
            }
            let here = applied.iter().find(|batch| batch.index == index);
            let ours = match here {
                Some(batch) => Some(batch.outcome.root),
                None => self.root_of(index, roots)?,
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

    /// Publishes a commit to all readers. It must be on disk by now: nobody may see a state that a crash
    /// could take back.
    fn publish(&mut self, applied: Vec<AppliedBatch>) -> Result<(), StoreError> {
        let Some(last) = applied.last() else { return Ok(()) };
        let (exchange, root) = (&self.exchange, last.outcome.root);
        let root_of = |batch| self.committer.storage().root(batch);
        let attestable = Attestable::new(exchange, root, self.replica_index, root_of)?;
        // These pointers keep the old books alive. So a book has changed exactly if its address has.
        let before = self.committer.published.borrow().books.clone();
        // A proof that arrives while the replica catches up may be of any age, so it tells no time.
        let network_time = (self.health.borrow().state == ReplicaState::Following)
            .then(|| NetworkTime { proof_ms: last.time_ms, received: Instant::now() });
        self.committer.published.send_modify(|published| {
            // Copies the view if someone still reads the old one. The copy shares the books.
            let published = Arc::make_mut(published);
            published.follow(exchange, &applied, attestable);
            published.network_time = network_time.or(published.network_time);
        });
        self.committer.announce(applied, &before);
        if network_time.is_some() {
            self.compare_clock();
        }
        Ok(())
    }

    /// Tells the operator when this replica's clock begins to differ from the network's time, and when that ends.
    fn compare_clock(&mut self) {
        let clock = self.committer.published.borrow().clock(self.clock.now_ms());
        let was_told = std::mem::replace(&mut self.clock_differs, clock.differs());
        if was_told == self.clock_differs {
            return;
        }
        let ahead_s = clock.ahead_ms().unwrap_or_default() / 1000;
        if self.clock_differs {
            let (by, side) =
                (ahead_s.unsigned_abs(), if ahead_s > 0 { "ahead of" } else { "behind" });
            let max = DIFFERENCE_MAX.as_secs();
            let effect = if ahead_s > 0 {
                format!("beyond {max} s the network's time is attested in its place")
            } else {
                "it holds the exchange's time back".into()
            };
            tracing::error!(
                "this machine's clock is {by} s {side} the time of the network's proofs; {effect}: set the clock (NTP)"
            );
        } else {
            tracing::info!(
                "this machine's clock agrees with the time of the network's proofs again"
            );
        }
    }
}
