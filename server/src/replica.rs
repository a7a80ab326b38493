//! The replica: one task that pulls finalized pages, checks their proofs, applies and commits.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, broadcast, watch};
use zellbook_core::batch::Batch;
use zellbook_core::event::Corrupt;
use zellbook_core::exchange::Exchange;
use zellbook_core::finality::{Page, PageError, Position, ProvenGroup, Verifier, Walker};
use zellbook_core::wire::ReplicaState;

use crate::clock::now_ms;
use crate::outbox::Outbox;
use crate::published::{Published, Update};
use crate::sequencer::Sequencer;
use crate::store::{AppliedBatch, Reader, Storage, StoreError, rows_of};

/// Batches that one commit takes together, at most.
const BATCHES_PER_COMMIT: usize = 64;
/// How long to wait when nothing is new: doubled from the first to the last.
const IDLE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));
/// How long to wait after a fault: doubled from the first to the last.
const FAULT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Commits that a follower of the feed may be behind before it is cut off.
const FEED_LENGTH: usize = 1024;

/// Why a replica stops for good.
#[derive(Debug, Error)]
pub enum Halt {
    /// The state is broken.
    #[error("{0}; nothing of this batch was committed")]
    Corrupt(#[from] Corrupt),
    /// The disk failed.
    #[error("a batch could not be committed: {0}")]
    Store(#[from] StoreError),
}

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
}

/// The writer.
pub struct Replica<S> {
    exchange: Exchange,
    storage: S,
    verifier: Verifier,
    walker: Walker,
    outbox: Outbox,
    published: watch::Sender<Arc<Published>>,
    health: watch::Sender<Health>,
    feed: broadcast::Sender<Arc<Update>>,
}

impl<S: Storage> Replica<S> {
    /// A replica at a loaded state. `tickers` is read from the store's trades of the last day.
    pub async fn new(
        (mut exchange, position): (Exchange, Position),
        storage: S,
        reader: &Reader,
        verifier: Verifier,
        outbox: Outbox,
    ) -> rusqlite::Result<(Self, Watch)> {
        let root = exchange.root();
        let mut published = Published::new(&exchange, root, position.chaining_hash.clone());
        let mut tickers = std::mem::take(&mut published.tickers);
        let markets =
            exchange.rules().markets.iter().map(|market| market.index).collect::<Vec<_>>();
        let since = now_ms().saturating_sub(24 * 3_600_000);
        published.tickers = reader
            .read(move |view| {
                for market in markets {
                    if let (Some(trade), Some(ticker)) = (
                        view.last_price(market)?,
                        tickers.get_mut(usize::from(market.0)).map(Arc::make_mut),
                    ) {
                        ticker.set_last(trade);
                    }
                }
                view.trades_since(since, |market, price, quantity, time_ms| {
                    if let Some(ticker) = tickers.get_mut(usize::from(market.0)) {
                        Arc::make_mut(ticker).add(price, quantity, time_ms);
                    }
                })?;
                Ok(tickers)
            })
            .await?;
        let (published, published_watch) = watch::channel(Arc::new(published));
        let (health, health_watch) =
            watch::channel(Health { state: ReplicaState::Starting, reason: None });
        let (feed, _) = broadcast::channel(FEED_LENGTH);
        let watch = Watch { published: published_watch, health: health_watch, feed: feed.clone() };
        let walker = Walker::new(position);
        Ok((Self { exchange, storage, verifier, walker, outbox, published, health, feed }, watch))
    }

    /// Follows the sequencer until something halts the replica.
    pub async fn follow<Q: Sequencer>(mut self, sequencer: Arc<Q>, posted: Arc<Notify>) -> Halt {
        let mut idle = IDLE.0;
        let mut fault = FAULT.0;
        loop {
            match sequencer.finalized(self.walker.after()).await {
                Ok(None) => {
                    self.set_health(ReplicaState::Following, None);
                    fault = FAULT.0;
                    // Something that was just posted will be there soon.
                    tokio::select! {
                        () = tokio::time::sleep(idle) => idle = (idle * 2).min(IDLE.1),
                        () = posted.notified() => idle = IDLE.0,
                    }
                }
                Ok(Some(page)) => {
                    idle = IDLE.0;
                    match tokio::task::block_in_place(|| self.take_page(page)) {
                        Err(halt) => {
                            self.set_health(ReplicaState::Halted, Some(halt.to_string()));
                            return halt;
                        }
                        Ok(None) => fault = FAULT.0,
                        Ok(Some(error)) => {
                            sequencer.report(&error);
                            self.set_health(ReplicaState::Disconnected, Some(error.to_string()));
                            tokio::time::sleep(jitter(fault)).await;
                            fault = (fault * 2).min(FAULT.1);
                        }
                    }
                }
                Err(error) => {
                    // The next gateway is not asked for what follows on unproven batches.
                    self.walker.forget_pending();
                    self.set_health(ReplicaState::Disconnected, Some(error.to_string()));
                    tokio::time::sleep(jitter(fault)).await;
                    fault = (fault * 2).min(FAULT.1);
                }
            }
        }
    }

    fn set_health(&self, state: ReplicaState, reason: Option<String>) {
        self.health.send_if_modified(|health| {
            let changed = health.state != state || health.reason != reason;
            if changed {
                if let Some(reason) = &reason {
                    tracing::warn!("{state:?}: {reason}");
                }
                *health = Health { state, reason };
            }
            changed
        });
    }

    /// Applies what a page proves. Returns what is wrong with the rest of it.
    pub fn take_page(&mut self, page: Page) -> Result<Option<PageError>, Halt> {
        let (groups, error) = self.walker.take(&self.verifier, page);
        for group in groups {
            self.apply_group(group)?;
        }
        Ok(error)
    }

    fn apply_group(&mut self, group: ProvenGroup) -> Result<(), Halt> {
        let time_ms = group.signature.timestamp.saturating_mul(1000);
        let mut batches = group.batches.into_iter().peekable();
        while batches.peek().is_some() {
            let mut applied = Vec::new();
            for proven in batches.by_ref().take(BATCHES_PER_COMMIT) {
                let rules = self.exchange.rules();
                let batch = Batch::check(rules, proven.index, proven.body.as_bytes());
                let hashes = batch.transactions.iter().flatten().map(|checked| checked.hash.0);
                self.outbox.finalized(hashes);
                let outcome = self.exchange.apply(&batch)?;
                let (accepted, changed, trades) = rows_of(&self.exchange, &outcome, time_ms);
                applied.push(AppliedBatch {
                    index: proven.index,
                    body: proven.body,
                    chaining_hash: proven.chaining_hash,
                    time_ms,
                    applied_ms: now_ms(),
                    outcome,
                    accepted,
                    changed,
                    trades,
                });
            }
            self.storage.commit(&applied, &group.signature)?;
            self.publish(&applied);
        }
        Ok(())
    }

    /// Shows a commit to all readers. Only now: what is shown is on disk.
    fn publish(&self, applied: &[AppliedBatch]) {
        self.published.send_modify(|published| {
            Arc::make_mut(published).follow(&self.exchange, applied);
        });
        let outcomes = applied.iter().flat_map(|batch| &batch.outcome.transactions);
        self.outbox.applied(outcomes.filter_map(|outcome| outcome.hash).map(|hash| hash.0));
        // No followers is no error.
        let _ = self.feed.send(Arc::new(Update::new(&self.exchange, applied)));
    }
}

/// Between half of a wait and all of it, so that replicas do not knock in step.
fn jitter(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without random numbers there is no jitter; the wait is still right.
    let _ = getrandom::fill(&mut byte);
    wait / 2 + wait * u32::from(byte[0]) / 510
}
