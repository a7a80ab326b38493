//! The replica: one task that pulls finalized pages, checks their proofs, applies and commits.

mod apply;
mod halt;
mod history;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use zellbook_core::exchange::Exchange;
use zellbook_core::finality::{PageError, ProofError, SignedState, Verifier, Walker};
use zellbook_core::genesis::ReplicaIndex;
use zellbook_core::wire::ReplicaState;

use crate::attester::Attestable;
use crate::clock::Clock;
use crate::evidence::{self, Contradiction, Evidence};
use crate::metrics::Counts;
use crate::outbox::Outbox;
use crate::prover::{Prover, Questions, prover};
use crate::published::{Published, Ticker, Update};
use crate::sequencer::{Fault, Sequencer, VerifierWatch};
use crate::store::{Loaded, Reader, Storage, StoreError};

pub use halt::Halt;
use history::Parting;

/// How long to wait when nothing is new: doubled from the first to the last.
const IDLE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));
/// How long to wait after a fault: doubled from the first to the last.
const FAULT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often an idle gateway is asked for its last batch: one that is behind us lags, or lost its
/// history.
const LAST_EVERY: Duration = Duration::from_secs(5);
/// Commits that a follower of the feed may be behind before it is cut off.
const FEED_LENGTH: usize = 1024;
/// What a day is to the tickers.
const DAY_MS: u64 = 24 * 3_600_000;

/// What a replica is doing, and why if it does not follow.
#[derive(Clone, Debug)]
pub struct Health {
    /// What it is doing.
    pub state: ReplicaState,
    /// Why.
    pub reason: Option<String>,
}

/// What others see of a replica.
#[derive(Clone)]
pub struct Watch {
    /// The last commit.
    pub published: watch::Receiver<Arc<Published>>,
    /// What it is doing.
    pub health: watch::Receiver<Health>,
    /// Commits as they happen.
    pub feed: broadcast::Sender<Arc<Update>>,
    /// Makes proofs of the state.
    pub prover: Prover,
    /// What it counts.
    pub counts: Arc<Counts>,
}

/// What a replica is made of.
pub struct Parts<S> {
    /// The state that was loaded.
    pub state: Loaded,
    /// Where it commits to.
    pub storage: S,
    /// Reads the same store.
    pub reader: Reader,
    /// Checks proofs.
    pub verifier: VerifierWatch,
    /// Learns what was finalized and applied.
    pub outbox: Outbox,
    /// Where genesis names this replica, if it does: then it attests.
    pub replica_index: Option<ReplicaIndex>,
    /// Tells the time.
    pub clock: Clock,
    /// Spreads its waits.
    pub random: fastrand::Rng,
    /// Where it writes why it halted.
    pub evidence: PathBuf,
}

/// The writer.
pub struct Replica<S> {
    exchange: Exchange,
    storage: S,
    replica_index: Option<ReplicaIndex>,
    questions: Questions,
    verifier: VerifierWatch,
    walker: Walker,
    outbox: Outbox,
    reader: Reader,
    clock: Clock,
    random: fastrand::Rng,
    evidence: PathBuf,
    /// The batch of the snapshot that the state began with; 0 if with the first batch.
    start: u64,
    counts: Arc<Counts>,
    published: watch::Sender<Arc<Published>>,
    health: watch::Sender<Health>,
    feed: broadcast::Sender<Arc<Update>>,
}

impl<S: Storage> Replica<S> {
    /// A replica at a loaded state.
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
        fill_tickers(&mut published.tickers, &reader, clock.now_ms())?;
        let (published, published_watch) = watch::channel(Arc::new(published));
        let (health, health_watch) =
            watch::channel(Health { state: ReplicaState::Starting, reason: None });
        let (feed, _) = broadcast::channel(FEED_LENGTH);
        let (prover, questions) = prover();
        let counts = Arc::new(Counts::default());
        let watch = Watch {
            published: published_watch,
            health: health_watch,
            feed: feed.clone(),
            prover,
            counts: Arc::clone(&counts),
        };
        let replica = Self {
            exchange,
            storage,
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
            published,
            health,
            feed,
        };
        Ok((replica, watch))
    }

    /// Where it is in the sequence.
    pub const fn walker(&self) -> &Walker {
        &self.walker
    }

    /// Follows the sequencer until something halts the replica. It blocks its thread while it applies
    /// and commits, so it needs one of its own.
    pub async fn follow<Q: Sequencer>(mut self, sequencer: Arc<Q>, posted: Arc<Notify>) -> Halt {
        let (mut idle, mut fault) = (IDLE.0, FAULT.0);
        let mut last_asked: Option<Instant> = None;
        loop {
            let after = self.walker.after();
            let asked = sequencer.finalized(after);
            let problem = match self.questions.answer_until(&mut self.exchange, asked).await {
                Ok(None) => {
                    let mut found = self
                        .walker
                        .take_nothing()
                        .err()
                        .map(|error| Fault::Fails(error.to_string()));
                    if found.is_none() && last_asked.is_none_or(|at| at.elapsed() > LAST_EVERY) {
                        let verifier = self.verifier.borrow().clone();
                        let asked = check_last(&*sequencer, &verifier, &self.counts, after);
                        found = self.questions.answer_until(&mut self.exchange, asked).await;
                        last_asked = found.is_none().then(Instant::now);
                    }
                    let problem = found.as_ref().map(|fault| fault.text().to_string());
                    if let Some(fault) = found {
                        sequencer.report(fault);
                    } else {
                        self.set_health(ReplicaState::Following, None);
                        // Something that was just posted will be there soon.
                        let wait = async {
                            tokio::select! {
                                biased;
                                () = posted.notified() => IDLE.0,
                                () = tokio::time::sleep(idle) => (idle * 2).min(IDLE.1),
                            }
                        };
                        idle = self.questions.answer_until(&mut self.exchange, wait).await;
                    }
                    problem
                }
                Ok(Some(page)) => {
                    idle = IDLE.0;
                    match self.take_page(page) {
                        Err(halt) => return self.halt(halt),
                        Ok(Some(error)) => {
                            if matches!(error, PageError::FirstChainingHash { .. })
                                && let Some(parting) = self.parting(Arc::clone(&sequencer)).await
                            {
                                return self.halt_at(parting);
                            }
                            sequencer.report(Fault::Lies(error.to_string()));
                            Some(error.to_string())
                        }
                        Ok(None) => {
                            self.set_catching_up();
                            // A long way to catch up must leave others of this thread a turn.
                            tokio::task::yield_now().await;
                            None
                        }
                    }
                }
                Err(error) => {
                    // The next gateway is not asked for what follows on unproven batches.
                    self.walker.forget_pending();
                    Some(error.to_string())
                }
            };
            match problem {
                None => fault = FAULT.0,
                Some(problem) => {
                    self.set_health(ReplicaState::Disconnected, Some(problem));
                    let wait = tokio::time::sleep(self.jitter(fault));
                    self.questions.answer_until(&mut self.exchange, wait).await;
                    fault = (fault * 2).min(FAULT.1);
                }
            }
        }
    }

    /// Looks for a valid proof that the network's history is not ours.
    fn parting<Q: Sequencer>(
        &self,
        sequencer: Arc<Q>,
    ) -> impl Future<Output = Option<Parting>> + Send + use<Q, S> {
        let (reader, verifier) = (self.reader.clone(), self.verifier.borrow().clone());
        let (start, ours) = (self.start, self.walker.proven().index);
        async move { history::parting(&*sequencer, &reader, &verifier, start, ours).await }
    }

    /// Halts at a proof of another history.
    fn halt_at(&self, Parting { index, page }: Parting) -> Halt {
        let halt = Halt::OtherHistory { index, ours: self.walker.proven().index };
        let contradiction =
            self.reader.read_now(|view| Contradiction::other_history(view, index, &page));
        self.keep_evidence(&halt, contradiction);
        self.halt(halt)
    }

    /// Writes down why this replica halts. It halts all the same if that fails.
    fn keep_evidence(&self, halt: &Halt, contradiction: rusqlite::Result<Option<Contradiction>>) {
        let path = &self.evidence;
        let contradiction = match contradiction {
            Ok(Some(contradiction)) => contradiction,
            Ok(None) => return tracing::error!("the store has not the batches of the evidence"),
            Err(error) => return tracing::error!("no evidence could be read: {error}"),
        };
        let evidence = Evidence {
            version: evidence::VERSION,
            network: self.exchange.rules().network.to_string(),
            explanation: halt.to_string(),
            made_ms: self.clock.now_ms().to_string(),
            contradiction,
        };
        match evidence.write(path) {
            Ok(()) => tracing::error!("the evidence is in {}", path.display()),
            Err(error) => tracing::error!("the evidence could not be written: {error}"),
        }
    }

    fn halt(&self, halt: Halt) -> Halt {
        self.set_health(ReplicaState::Halted, Some(halt.to_string()));
        halt
    }

    /// A page that was good ends an earlier fault, though more may follow.
    fn set_catching_up(&self) {
        if self.health.borrow().state == ReplicaState::Disconnected {
            self.set_health(ReplicaState::Starting, None);
        }
    }

    fn set_health(&self, state: ReplicaState, reason: Option<String>) {
        self.health.send_if_modified(|health| {
            let changed = health.state != state || health.reason != reason;
            if changed {
                match &reason {
                    Some(reason) => tracing::warn!("{state:?}: {reason}"),
                    None => tracing::info!("{state:?}"),
                }
                *health = Health { state, reason };
            }
            changed
        });
    }

    /// Between half of a wait and all of it, so that replicas do not knock in step.
    fn jitter(&mut self, wait: Duration) -> Duration {
        wait / 2 + wait * self.random.u32(..=1000) / 2000
    }
}

/// Fills the tickers with the trades of the last day, and with each market's last price.
fn fill_tickers(
    tickers: &mut [Arc<Ticker>],
    reader: &Reader,
    now_ms: u64,
) -> Result<(), StoreError> {
    let fill = reader.read_now(|view| {
        for market in &view.rules().listing.markets {
            if let (Some(price), Some(ticker)) =
                (view.last_price(market.index)?, tickers.get_mut(usize::from(market.index.0)))
            {
                Arc::make_mut(ticker).set_last(price);
            }
        }
        view.trades_since(now_ms.saturating_sub(DAY_MS), |market, price, quantity, time_ms| {
            if let Some(ticker) = tickers.get_mut(usize::from(market.0)) {
                Arc::make_mut(ticker).add(price, quantity, time_ms);
            }
        })
    });
    fill.map_err(|error| reader.error(error))
}

/// What is wrong with the gateway's last batch, if it proves nothing or is behind ours.
async fn check_last<Q: Sequencer>(
    sequencer: &Q,
    verifier: &Verifier,
    counts: &Counts,
    ours: u64,
) -> Option<Fault> {
    let last = match sequencer.last_finalized().await {
        Ok(last) => last,
        Err(error) => return Some(Fault::Fails(error.to_string())),
    };
    let theirs = last.as_ref().map_or(0, |last| last.index);
    if let Some(last) = &last {
        let hash = last.chaining_hash.as_deref().unwrap_or_default();
        match verifier.verify(SignedState::Locked, last, hash) {
            Ok(()) => counts.gateway_head.store(theirs, Ordering::Relaxed),
            // Who signs at that block is learned with the next page.
            Err(ProofError::UnknownTag(_)) => {}
            Err(error) => {
                return Some(Fault::Lies(format!(
                    "the signature over its last batch, {theirs}, proves nothing: {error}"
                )));
            }
        }
    }
    (theirs < ours).then(|| {
        Fault::Fails(format!(
            "its last finalized batch is {theirs}, but {ours} is proven to us: it lags, or its history was lost"
        ))
    })
}
