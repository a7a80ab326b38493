//! The replica: the one task that owns the state.
//!
//! It asks a gateway for sequenced batches, checks their proofs, applies them, commits them to the store
//! and publishes the result, one page after the other, or in a pipeline while it is behind. Between these steps,
//! and while it waits, it answers requests for inclusion proofs, which need its tree. An error or a lie of a gateway is reported, so that
//! another gateway is asked; a fork, a different certified root, a broken state or a failed disk halts the
//! replica for good.

mod apply;
mod behind;
mod catch_up;
mod commits;
mod fork;
mod halt;
mod last;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use zellbook_core::Exchange;
use zellbook_core::types::ReplicaIndex;
use zellbook_core::wire::ReplicaState;
use zellular::client::{Backoff, jitter};
use zellular::{PageError, Walker};

use crate::clock::Clock;
use crate::comparison::{Comparison, Difference, Differences};
use crate::evidence::{self, Contradiction, Evidence};
use crate::metrics::Counts;
use crate::outbox::Outbox;
use crate::prover::{Questions, prover};
use crate::published::{Attestable, Health, Published, Ticker, Watch};
use crate::sequencer::Sequencer;
use crate::store::{Loaded, QueryError, Reader, Storage, StoreError};
use zellular::client::{GatewayFailure, VerifierWatch};

use behind::Behind;
use commits::Committer;
use fork::Fork;
pub use halt::Halt;
pub use last::explained;
use last::{Last, check_last, failure_of};

/// The waits while nothing is new.
const IDLE: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(160));
/// The waits after failures of a gateway.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// How often a gateway is asked for its last batch: to know how far there is to go, and because one that lags or
/// lost its history would otherwise look as if nothing were new.
const LAST_EVERY: Duration = Duration::from_secs(5);
/// The most batches in one commit of a replica that follows, so that readers do not wait. A page with more goes through the
/// pipeline, whose commits are larger.
const BATCHES_PER_COMMIT: usize = 64;
/// The number of commits by which a follower of the feed may lag before it is disconnected.
const FEED_LENGTH: usize = 256;
/// The time that the tickers cover.
const DAY_MS: u64 = 24 * 3_600_000;

pub struct Parts<S> {
    /// The restored state.
    pub state: Loaded,
    pub storage: S,
    /// Reads the store that `storage` writes.
    pub reader: Reader,
    pub verifier: VerifierWatch,
    /// Receives the hashes of sequenced and applied transactions.
    pub outbox: Outbox,
    /// The replica's index in genesis; `None` if genesis does not name it, so that it does not attest.
    pub replica_index: Option<ReplicaIndex>,
    pub clock: Clock,
    /// For jitter.
    pub random: fastrand::Rng,
    /// The file to write halt evidence to.
    pub evidence: PathBuf,
}

pub struct Replica<S> {
    exchange: Exchange,
    committer: Committer<S>,
    replica_index: Option<ReplicaIndex>,
    questions: Questions,
    verifier: VerifierWatch,
    walker: Walker,
    outbox: Outbox,
    reader: Reader,
    clock: Clock,
    random: fastrand::Rng,
    evidence: PathBuf,
    /// The batch of the snapshot that the state started from; 0 if it started from genesis.
    start: u64,
    counts: Arc<Counts>,
    health: watch::Sender<Health>,
    comparison: Comparison,
    differences: Differences,
    /// The gateway that the pages come from; empty if another replica sent them.
    source: Arc<str>,
    /// Whether the last proof showed that this replica's clock differs from the network's.
    clock_differs: bool,
    behind: Behind,
}

impl<S: Storage> Replica<S> {
    pub fn new(parts: Parts<S>) -> Result<(Self, Watch), StoreError> {
        let Parts {
            state,
            storage,
            reader,
            verifier,
            outbox,
            replica_index,
            clock,
            random,
            evidence,
        } = parts;
        let start = storage.start()?;
        let (mut exchange, position) = state;
        let root = exchange.root();
        let attestable =
            Attestable::new(&exchange, root, replica_index, |batch| storage.root(batch))?;
        let chaining_hash = position.chaining_hash.clone();
        let mut published = Published::new(&exchange, root, chaining_hash, attestable);
        if start > 0 {
            // A state is started from only if its root is certified.
            let root = storage.root(start)?;
            published.certified = published.certified.max(root.map(|root| (start, root)));
        }
        fill_tickers(&mut published.tickers, &reader, clock.now_ms())?;
        // Batches up to the start are not stored, and neither are their proofs.
        if published.batch > start {
            let proof = reader.read_now(|view| view.proof(published.batch));
            let proof = proof.map_err(|error| reader.error(error))?;
            let seconds = proof.timestamp.parse::<u64>().ok();
            published.finalized_ms = seconds.map(|seconds| seconds.saturating_mul(1000));
        }
        let (published, published_watch) = watch::channel(Arc::new(published));
        let (health, health_watch) = watch::channel(Health::new(ReplicaState::Starting));
        // A `watch` keeps only the newest view, which is what its readers want. A follower of the feed needs
        // every commit, and learns from a `broadcast` that it has missed some.
        let (feed, _) = broadcast::channel(FEED_LENGTH);
        let (prover, questions) = prover();
        let counts = Arc::new(Counts::default());
        let (comparison, differences) = Comparison::resume(&reader, &position, Arc::clone(&counts))
            .map_err(|error| reader.error(error))?;
        let watch = Watch {
            published: published_watch,
            health: health_watch,
            feed: feed.clone(),
            prover,
            counts: Arc::clone(&counts),
        };
        let committer = Committer {
            storage: Arc::new(Mutex::new(storage)),
            counts: Arc::clone(&counts),
            published,
            outbox: outbox.clone(),
            feed,
        };
        let replica = Self {
            exchange,
            committer,
            replica_index,
            questions,
            verifier,
            walker: Walker::new(position),
            outbox,
            reader,
            clock,
            random,
            evidence,
            start,
            counts,
            health,
            comparison,
            differences,
            source: Arc::from(""),
            clock_differs: false,
            behind: Behind::default(),
        };
        Ok((replica, watch))
    }

    /// The replica's position in the sequence.
    pub const fn walker(&self) -> &Walker {
        &self.walker
    }

    /// Drops the batches that no signature covers, before another source is asked for them.
    pub fn forget_pending(&mut self) {
        self.walker.forget_pending();
    }

    /// The comparison with other gateways, whose task runs beside the replica.
    pub fn comparison(&self) -> Comparison {
        self.comparison.clone()
    }

    /// Follows the sequencer until something halts the replica. Needs its own thread, because it blocks
    /// while it applies and commits.
    pub async fn follow<Q: Sequencer>(mut self, sequencer: Arc<Q>, posted: Arc<Notify>) -> Halt {
        let (mut idle, mut retry) = (IDLE, RETRY);
        let mut last_asked: Option<Instant> = None;
        // What the gateway answered when it had no more to catch up with.
        let mut next = None;
        loop {
            if let Some(difference) = self.differences.take()
                && let Some(halt) = self.judge(&difference, &*sequencer)
            {
                return self.halt(halt);
            }
            let answer = if next.is_some() {
                next.take()
            } else {
                let after = self.walker.after();
                // A gateway that is slow to answer must not delay a halt.
                let asked = self.differences.interrupt(sequencer.finalized(after));
                self.questions.answer_until(&mut self.exchange, asked).await
            };
            let Some(answer) = answer else { continue };
            let problem = match answer {
                Ok(None) => {
                    // Batches that are still without a signature are dropped here: an honest gateway has one
                    // over its last batch (section 21 of the protocol).
                    let unsigned = self.walker.take_nothing().err();
                    let mut found = unsigned.as_ref().map(failure_of);
                    if found.is_none() && last_asked.is_none_or(|at| at.elapsed() > LAST_EVERY) {
                        found = match self.check_last(Arc::clone(&sequencer)).await {
                            Last::Ours => None,
                            Last::Behind(failure) | Last::Failure(failure) => Some(failure),
                            Last::Fork(fork) => return self.halt_at(fork),
                        };
                        // After a failure, the next gateway is asked for its last batch without the pause.
                        last_asked = found.is_none().then(Instant::now);
                    }
                    let problem = found.as_ref().map(|failure| failure.text().to_string());
                    if let Some(failure) = found {
                        sequencer.report(failure);
                    } else {
                        self.set_health(ReplicaState::Following, None);
                        // A batch that was just posted will be sequenced soon, so ask again at once.
                        // `Notify` remembers one notification, so a post counts that came while the gateway
                        // was asked.
                        let pause = tokio::time::sleep(idle.fail());
                        let wait = async {
                            tokio::select! {
                                biased;
                                () = posted.notified() => true,
                                () = pause => false,
                            }
                        };
                        if self.questions.answer_until(&mut self.exchange, wait).await {
                            idle.reset();
                        }
                    }
                    problem
                }
                Ok(Some(page)) => {
                    idle.reset();
                    self.source = sequencer.source();
                    // Whoever follows must tell the network's time by what comes, however much it is.
                    let is_behind = self.health.borrow().state != ReplicaState::Following;
                    let taken = if is_behind && page.batches.len() > BATCHES_PER_COMMIT {
                        self.catch_up(page, &sequencer).await.map(|caught_up| {
                            next = caught_up.answer;
                            caught_up.wrong
                        })
                    } else {
                        self.take_page(page)
                    };
                    match taken {
                        Err(halt) => return self.halt(halt),
                        // What signatures before the error cover is applied already.
                        Ok(Some(error)) => {
                            // Of all errors only this one can mean a fork.
                            if matches!(error, PageError::FirstChainingHash { .. })
                                && let Some(fork) = self.find_fork(Arc::clone(&sequencer)).await
                            {
                                return self.halt_at(fork);
                            }
                            sequencer.report(failure_of(&error));
                            Some(explained(&error))
                        }
                        Ok(None) => {
                            self.set_catching_up();
                            // What is left to apply would otherwise be unknown until nothing is left. A failure is
                            // found again once the gateway has nothing new.
                            if last_asked.is_none_or(|at| at.elapsed() > LAST_EVERY) {
                                last_asked = Some(Instant::now());
                                match self.check_last(Arc::clone(&sequencer)).await {
                                    Last::Ours => {}
                                    // The next page may come from another gateway.
                                    Last::Behind(_) | Last::Failure(_) => {
                                        self.walker.forget_pending();
                                    }
                                    Last::Fork(fork) => return self.halt_at(fork),
                                }
                            }
                            // While catching up, other tasks of this thread must get their turn.
                            tokio::task::yield_now().await;
                            None
                        }
                    }
                }
                Err(error) => {
                    // Batches without a proof may be a lie; the next gateway must not continue them.
                    self.walker.forget_pending();
                    // Not reported: the client has recorded this failure itself.
                    Some(error.to_string())
                }
            };
            match problem {
                None => retry.reset(),
                Some(problem) => {
                    let problem =
                        self.behind.explain(&sequencer.gateways(), self.ours()).unwrap_or(problem);
                    self.set_health(ReplicaState::Disconnected, Some(problem));
                    let wait = tokio::time::sleep(jitter(retry.fail(), &mut self.random));
                    self.questions.answer_until(&mut self.exchange, wait).await;
                }
            }
        }
    }

    async fn check_last<Q: Sequencer>(&mut self, sequencer: Arc<Q>) -> Last {
        let (reader, verifier) = (self.reader.clone(), self.verifier.borrow().clone());
        let (start, ours) = (self.start, self.ours());
        let counts = Arc::clone(&self.counts);
        let checked =
            async move { check_last(&*sequencer, &reader, &verifier, &counts, start, ours).await };
        let last = self.questions.answer_until(&mut self.exchange, checked).await;
        self.behind.take(&last);
        last
    }

    /// The last batch that this replica has with the network's signature.
    fn ours(&self) -> u64 {
        self.walker.proven().index
    }

    fn find_fork<Q: Sequencer>(
        &self,
        sequencer: Arc<Q>,
    ) -> impl Future<Output = Option<Fork>> + Send + use<Q, S> {
        let (reader, verifier) = (self.reader.clone(), self.verifier.borrow().clone());
        let (start, ours) = (self.start, self.ours());
        async move { fork::find_fork(&*sequencer, &reader, &verifier, start, ours).await }
    }

    /// Decides on another gateway's body of an applied batch. `None` if ours is certified, so that the other one
    /// is the forged one.
    fn judge<Q: Sequencer>(&self, difference: &Difference, sequencer: &Q) -> Option<Halt> {
        let certified = self.committer.published.borrow().certified;
        let Difference { index, their_gateway, .. } = difference;
        if certified.is_some_and(|(batch, _)| batch >= *index) {
            sequencer.fails(
                their_gateway,
                GatewayFailure::Dishonest(format!(
                    "its body of batch {index} is forged: replicas certified another one with the same chaining hash"
                )),
            );
            return None;
        }
        let halt = Halt::from(difference);
        let contradiction = self.reader.read_now(|view| Contradiction::bodies(view, difference));
        self.keep_evidence(&halt, contradiction);
        Some(halt)
    }

    fn halt_at(&self, Fork { index, page }: Fork) -> Halt {
        let halt = Halt::Fork { index, ours: self.ours() };
        // Evidence comes before the halt is visible: it is what keeps a restarted process from following
        // again.
        let contradiction = self.reader.read_now(|view| Contradiction::fork(view, index, &page));
        self.keep_evidence(&halt, contradiction);
        self.halt(halt)
    }

    /// Writes the halt evidence. Failing to do so is logged and does not keep the replica from halting.
    fn keep_evidence(&self, halt: &Halt, contradiction: Result<Option<Contradiction>, QueryError>) {
        let path = &self.evidence;
        let contradiction = match contradiction {
            Ok(Some(contradiction)) => contradiction,
            Ok(None) => {
                return tracing::error!(
                    "halt evidence not written: the store lacks the batches for it"
                );
            }
            Err(error) => return tracing::error!("halt evidence not written: {error}"),
        };
        let evidence = Evidence {
            version: evidence::VERSION,
            network: self.exchange.rules().network.to_string(),
            explanation: halt.to_string(),
            made_ms: self.clock.now_ms().to_string(),
            contradiction,
        };
        match evidence.write(path) {
            Ok(()) => tracing::error!("halt evidence written to {}", path.display()),
            Err(error) => tracing::error!("halt evidence not written: {error}"),
        }
    }

    fn halt(&self, halt: Halt) -> Halt {
        self.set_health(ReplicaState::Halted, Some(halt.to_string()));
        halt
    }

    /// A valid page ends an earlier disconnection, although more pages may follow before the replica has
    /// caught up.
    fn set_catching_up(&self) {
        if self.health.borrow().state == ReplicaState::Disconnected {
            self.set_health(ReplicaState::Starting, None);
        }
    }

    fn set_health(&self, state: ReplicaState, reason: Option<String>) {
        // The loop sets the same state again with every answer. Only a change wakes the followers and is
        // logged.
        self.health.send_if_modified(|health| {
            let network_is_behind = self.behind.is_told();
            let changed = health.state != state || health.reason != reason;
            if changed {
                match &reason {
                    Some(reason) => tracing::warn!("{state:?}: {reason}"),
                    None => tracing::info!("{state:?}"),
                }
                *health = Health { state, reason, network_is_behind };
            }
            changed
        });
    }
}

/// Fills the tickers with the trades of the last 24 hours, and with each market's last price.
fn fill_tickers(
    tickers: &mut [Arc<Ticker>],
    reader: &Reader,
    now_ms: u64,
) -> Result<(), StoreError> {
    let fill = reader.read_now(|view| {
        // The last price first: the last trade can be older than the trades that are read below.
        for market in &view.rules().listing.markets {
            if let (Some(price), Some(ticker)) =
                (view.last_price(market.index)?, tickers.get_mut(usize::from(market.index.0)))
            {
                Arc::make_mut(ticker).set_last(price);
            }
        }
        view.trades_since(now_ms.saturating_sub(DAY_MS), |market, price, quantity, time_ms| {
            if let Some(ticker) = tickers.get_mut(usize::from(market.0)) {
                Arc::make_mut(ticker).add(price, quantity, time_ms, now_ms);
            }
        })
    });
    fill.map_err(|error| reader.error(error))
}
