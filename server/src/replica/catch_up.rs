//! Catching up: a pipeline for the many batches of a replica that is behind.
//!
//! Its stages are fetching (the next page is on its way while earlier ones are applied), checking (a thread for each
//! processor, see `check_ahead`), applying (the replica's own thread), and committing (one more thread). Of what is fetched,
//! only a few parts at a time are checked, since a transaction takes many times the memory of its bytes. All batches of a
//! part are one commit, whatever groups they belong to.
//!
//! While the pipeline runs, the state is ahead of the disk. So what is to be shown is made when a part is applied, and shown
//! once it is on disk; and requests for inclusion proofs, which need the state, wait until everything is.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::time::Instant;
use zellbook_core::Hash;
use zellular::client::GatewayError;
use zellular::{Page, PageError, ProvenBatch, ProvenGroup};

use super::commits::{Commits, Job};
use super::{Halt, LAST_EVERY, Replica};
use crate::check_ahead::{Checked, Checkers, Known, Parts, threads};
use crate::published::{Attestable, Published};
use crate::sequencer::Sequencer;
use crate::store::{AppliedBatch, Proof, Storage, StoreError};

type Answer = Result<Option<Page>, GatewayError>;

/// A batch that is to be applied, and the proof of its group.
struct Coming {
    batch: ProvenBatch,
    proof: Arc<Proof>,
}

impl AsRef<str> for Coming {
    fn as_ref(&self) -> &str {
        &self.batch.body
    }
}

/// Why the replica stopped catching up.
#[derive(Default)]
pub(super) struct CaughtUp {
    /// What is wrong with the last page.
    pub wrong: Option<PageError>,
    /// The last answer of the gateway, if it had no page.
    pub answer: Option<Answer>,
}

/// The stages before and after that of the replica's thread.
struct Stages {
    checkers: Checkers<Coming>,
    /// Batches that were fetched.
    fetched: VecDeque<Coming>,
    /// Batches that make no whole part yet.
    parts: Parts<Coming>,
    /// The index of the first batch of the next part.
    next: u64,
    /// Parts that are being checked, in sequence.
    checking: VecDeque<Checked<Coming>>,
    commits: Commits,
    /// The view after the last applied batch.
    view: Published,
    /// The roots of batches that may not be on disk yet.
    roots: BTreeMap<u64, Hash>,
}

impl Stages {
    fn submit(&mut self, items: Vec<Coming>) {
        let first = self.next;
        self.next = first.saturating_add(u64::try_from(items.len()).unwrap_or(u64::MAX));
        self.checking.push_back(self.checkers.check(first, items));
    }

    fn add(&mut self, group: ProvenGroup) {
        let chaining_hash = group.batches.last().map(|last| last.chaining_hash.clone());
        let chaining_hash = chaining_hash.unwrap_or_default();
        let proof = Arc::new(Proof { signature: group.signature, chaining_hash });
        let batches = group.batches.into_iter();
        self.fetched.extend(batches.map(|batch| Coming { batch, proof: Arc::clone(&proof) }));
    }

    /// Has as much checked as there are processors for, and one part more.
    fn keep_busy(&mut self) {
        while self.checking.len() <= threads()
            && let Some(coming) = self.fetched.pop_front()
        {
            if let Some(part) = self.parts.add(coming) {
                self.submit(part);
            }
        }
        // Also what makes no whole part, if processors would be idle otherwise.
        if self.checking.len() < threads()
            && let Some(part) = self.parts.rest()
        {
            self.submit(part);
        }
    }

    /// Waits until everything that was applied is on disk and shown.
    fn settle(&mut self) -> Result<(), StoreError> {
        self.commits.settle()?;
        self.roots.clear();
        Ok(())
    }

    /// The batches of a group that were not applied.
    fn rest_of(&mut self, proof: &Arc<Proof>) -> Vec<ProvenBatch> {
        let checking = std::mem::take(&mut self.checking);
        let checked = checking.into_iter().filter_map(|part| part.recv().ok()).flatten();
        let rest = self.parts.rest().into_iter().flatten();
        checked
            .map(|(coming, _)| coming)
            .chain(rest)
            .chain(std::mem::take(&mut self.fetched))
            .filter(|coming| Arc::ptr_eq(&coming.proof, proof))
            .map(|coming| coming.batch)
            .collect()
    }
}

impl<S: Storage> Replica<S> {
    /// Applies a page and those after it, until a gateway has no more, or something else has to be looked at. Then everything is
    /// on disk. Blocks the thread.
    pub(super) async fn catch_up<Q: Sequencer>(
        &mut self,
        page: Page,
        sequencer: &Arc<Q>,
    ) -> Result<CaughtUp, Halt> {
        let began = Instant::now();
        let mut stages = self.stages();
        let mut caught_up = CaughtUp::default();
        let mut page = Some(page);
        let mut fetching: Option<Pin<Box<dyn Future<Output = Answer> + Send>>> = None;
        loop {
            if let Some(page) = page.take() {
                caught_up.wrong = self.take_groups(page, &mut stages)?;
                let goes_on = caught_up.wrong.is_none() && began.elapsed() < LAST_EVERY;
                fetching = goes_on.then(|| {
                    let (sequencer, after) = (Arc::clone(sequencer), self.walker.after());
                    async move { sequencer.finalized(after).await }.boxed()
                });
            }
            stages.keep_busy();
            let answer = match &mut fetching {
                None => None,
                Some(_) if stages.checking.len() > threads() => None,
                Some(fetching) if stages.checking.is_empty() => {
                    stages.settle()?;
                    let asked = self.differences.interrupt(fetching);
                    let answer = self.questions.answer_until(&mut self.exchange, asked).await;
                    if answer.is_none() {
                        break;
                    }
                    answer
                }
                // Polled so that it goes on while this thread applies what it has.
                Some(fetching) => fetching.now_or_never(),
            };
            if let Some(answer) = answer {
                fetching = None;
                match answer {
                    Ok(Some(next)) => {
                        self.source = sequencer.source();
                        page = Some(next);
                        continue;
                    }
                    other => caught_up.answer = Some(other),
                }
            }
            if fetching.is_none() || self.differences.are_found() {
                break;
            }
            if let Some(part) = stages.checking.pop_front() {
                self.apply_part(part, &mut stages)?;
            }
            // Other tasks of this thread must get their turn.
            tokio::task::yield_now().await;
        }
        self.apply_all(&mut stages)?;
        Ok(caught_up)
    }

    fn stages(&self) -> Stages {
        let (outbox, counts) = (self.outbox.clone(), Arc::clone(&self.counts));
        let known: Known = Arc::new(move |element| {
            let checked = outbox.checked(element);
            counts.known.fetch_add(u64::from(checked.is_some()), Ordering::Relaxed);
            checked
        });
        Stages {
            checkers: Checkers::start(self.reader.rules(), &known),
            parts: Parts::default(),
            next: self.exchange.counters().batch.saturating_add(1),
            fetched: VecDeque::new(),
            checking: VecDeque::new(),
            commits: Commits::start(self.committer.clone()),
            view: (**self.committer.published.borrow()).clone(),
            roots: BTreeMap::new(),
        }
    }

    /// Passes the sequenced batches of a page to the pipeline. Returns what is wrong with the rest of it.
    fn take_groups(&mut self, page: Page, stages: &mut Stages) -> Result<Option<PageError>, Halt> {
        let verifier = self.verifier.borrow().clone();
        let (groups, wrong) = self.walker.take(&verifier, page);
        for group in groups {
            // Before anything of it is applied: another gateway may have served these batches already.
            if let Some(difference) = self.comparison.take(&group.batches, &self.source) {
                // The evidence is about what comes after the batches before it.
                self.apply_all(stages)?;
                return Err(self.refuse(&difference, &group));
            }
            stages.add(group);
        }
        Ok(wrong)
    }

    /// Applies everything that was fetched, and waits until it is on disk.
    fn apply_all(&mut self, stages: &mut Stages) -> Result<(), Halt> {
        stages.keep_busy();
        while let Some(part) = stages.checking.pop_front() {
            self.apply_part(part, stages)?;
            stages.keep_busy();
        }
        Ok(stages.settle()?)
    }

    fn apply_part(&mut self, part: Checked<Coming>, stages: &mut Stages) -> Result<(), Halt> {
        // Nothing comes if the thread that checks has panicked.
        let part = part.recv().unwrap_or_else(|_| panic!("the check of signatures panicked"));
        let began = Instant::now();
        let mut applied: Vec<AppliedBatch> = Vec::with_capacity(part.len());
        let mut proofs: Vec<Arc<Proof>> = Vec::new();
        let mut contradicted = None;
        let mut part = part.into_iter();
        for (Coming { batch: proven, proof }, batch) in part.by_ref() {
            let time_ms = proof.signature.timestamp.saturating_mul(1000);
            if proofs.last().is_none_or(|last| !Arc::ptr_eq(last, &proof)) {
                proofs.push(proof);
            }
            applied.push(self.apply(proven, &batch, time_ms)?);
            contradicted = self.contradicted(&applied, &stages.roots)?;
            if contradicted.is_some() {
                break;
            }
        }
        let Some(last) = applied.last() else { return Ok(()) };
        let root = last.outcome.root;
        let job = |shown, applied, proofs| Job { applied, proofs, shown, busy: began.elapsed() };
        if let Some(contradicted) = contradicted {
            let of_part: Vec<Coming> = part.map(|(coming, _)| coming).collect();
            let mut tail = Vec::new();
            if let Some(proof) = proofs.last() {
                let same = of_part.into_iter().filter(|it| Arc::ptr_eq(&it.proof, proof));
                tail.extend(same.map(|coming| coming.batch));
                tail.extend(stages.rest_of(proof));
            }
            stages.commits.send(job(None, applied, proofs))?;
            stages.settle()?;
            return Err(self.halt_contradicted(contradicted, &tail));
        }
        for batch in &applied {
            stages.roots.insert(batch.index, batch.outcome.root);
        }
        let root_of = |batch| self.root_of(batch, &stages.roots);
        let attestable = Attestable::new(&self.exchange, root, self.replica_index, root_of)?;
        let before = stages.view.books.clone();
        stages.view.follow(&self.exchange, &applied, attestable);
        stages.commits.send(job(Some((stages.view.clone(), before)), applied, proofs))?;
        if self.questions.are_waiting() {
            stages.settle()?;
            self.questions.answer_waiting(&mut self.exchange);
        }
        Ok(())
    }
}
