//! The replica: one task that pulls finalized pages, checks their proofs, applies and commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{Notify, broadcast, watch};
use zellbook_core::batch::Batch;
use zellbook_core::event::Corrupt;
use zellbook_core::exchange::Exchange;
use zellbook_core::finality::{Page, PageError, ProvenGroup, Verifier, Walker};
use zellbook_core::genesis::ReplicaIndex;
use zellbook_core::state_root::Hash;
use zellbook_core::wire::ReplicaState;

use crate::attester::{Attestable, unanswered};
use crate::clock::now_ms;
use crate::outbox::Outbox;
use crate::prover::{Prover, Questions, prover};
use crate::published::{Published, Update};
use crate::sequencer::Sequencer;
use crate::store::{AppliedBatch, Loaded, Proof, Reader, Storage, StoreError, rows_of};

/// Batches that one commit takes together, at most.
const BATCHES_PER_COMMIT: usize = 64;
/// How long to wait when nothing is new: doubled from the first to the last.
const IDLE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));
/// How long to wait after a fault: doubled from the first to the last.
const FAULT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often an idle gateway is asked for its last batch: one that is behind us lags, or lost its
/// history.
const LAST_EVERY: Duration = Duration::from_secs(5);
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
    /// A valid proof of another history than ours.
    #[error(
        "the network proves a history that contradicts ours: batch {index} is the first that differs, and we hold up to {ours}; nothing of theirs was applied. Was the network started anew? Then use another --data directory"
    )]
    OtherHistory {
        /// The first batch that differs.
        index: u64,
        /// The last batch that we hold.
        ours: u64,
    },
    /// Replicas certified another root than ours.
    #[error(
        "replicas of more than two thirds of the weight certified the root {certified} of batch {batch}, but ours is {ours}: this replica or they went wrong. The batches up to {until} are kept as evidence, and nothing is shown any more"
    )]
    Certified {
        /// The batch.
        batch: u64,
        /// Our root, in hex.
        ours: String,
        /// Theirs, in hex.
        certified: String,
        /// The batch in which they did.
        until: u64,
    },
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
    /// Makes proofs of the state.
    pub prover: Prover,
}

/// The writer.
pub struct Replica<S> {
    exchange: Exchange,
    storage: S,
    /// Where genesis names this replica, if it does.
    place: Option<ReplicaIndex>,
    questions: Questions,
    verifier: Arc<Verifier>,
    walker: Walker,
    outbox: Outbox,
    reader: Reader,
    published: watch::Sender<Arc<Published>>,
    health: watch::Sender<Health>,
    feed: broadcast::Sender<Arc<Update>>,
}

impl<S: Storage> Replica<S> {
    /// A replica at a loaded state, which attests if it has a place in genesis.
    pub async fn new(
        (mut exchange, position): Loaded,
        storage: S,
        reader: &Reader,
        verifier: Verifier,
        outbox: Outbox,
        place: Option<ReplicaIndex>,
    ) -> Result<(Self, Watch), StoreError> {
        let root = exchange.root();
        let attestable = attestable(&exchange, root, place, &storage)?;
        let chaining_hash = position.chaining_hash.clone();
        let mut published = Published::new(&exchange, root, chaining_hash, attestable);
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
            .await
            .map_err(|error| reader.error(error))?;
        let (published, published_watch) = watch::channel(Arc::new(published));
        let (health, health_watch) =
            watch::channel(Health { state: ReplicaState::Starting, reason: None });
        let (feed, _) = broadcast::channel(FEED_LENGTH);
        let (prover, questions) = prover();
        let watch =
            Watch { published: published_watch, health: health_watch, feed: feed.clone(), prover };
        let walker = Walker::new(position);
        let (reader, verifier) = (reader.clone(), Arc::new(verifier));
        let replica = Self {
            exchange,
            storage,
            place,
            questions,
            verifier,
            walker,
            outbox,
            reader,
            published,
            health,
            feed,
        };
        Ok((replica, watch))
    }

    /// Follows the sequencer until something halts the replica.
    pub async fn follow<Q: Sequencer>(mut self, sequencer: Arc<Q>, posted: Arc<Notify>) -> Halt {
        let (mut idle, mut fault) = (IDLE.0, FAULT.0);
        let mut last_asked: Option<Instant> = None;
        loop {
            let after = self.walker.after();
            let asked = sequencer.finalized(after);
            let problem = match self.questions.answer_until(&mut self.exchange, asked).await {
                Ok(None) => {
                    let mut problem =
                        self.walker.take_nothing().err().map(|error| error.to_string());
                    if problem.is_none() && last_asked.is_none_or(|at| at.elapsed() > LAST_EVERY) {
                        let asked = check_last(&*sequencer, after);
                        problem = self.questions.answer_until(&mut self.exchange, asked).await;
                        last_asked = problem.is_none().then(Instant::now);
                    }
                    if let Some(problem) = &problem {
                        sequencer.report(problem);
                    } else {
                        self.set_health(ReplicaState::Following, None);
                        // Something that was just posted will be there soon.
                        let wait = async {
                            tokio::select! {
                                () = tokio::time::sleep(idle) => (idle * 2).min(IDLE.1),
                                () = posted.notified() => IDLE.0,
                            }
                        };
                        idle = self.questions.answer_until(&mut self.exchange, wait).await;
                    }
                    problem
                }
                Ok(Some(page)) => {
                    idle = IDLE.0;
                    match tokio::task::block_in_place(|| self.take_page(page)) {
                        Err(halt) => return self.halt(halt),
                        Ok(Some(error)) => {
                            if matches!(error, PageError::FirstChainingHash { .. })
                                && let Some(halt) = self.contradiction(&sequencer).await
                            {
                                return self.halt(halt);
                            }
                            sequencer.report(&error.to_string());
                            Some(error.to_string())
                        }
                        Ok(None) => {
                            self.set_catching_up();
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
                    let wait = tokio::time::sleep(jitter(fault));
                    self.questions.answer_until(&mut self.exchange, wait).await;
                    fault = (fault * 2).min(FAULT.1);
                }
            }
        }
    }

    /// Looks for a valid proof that the network's history is not ours. A page that does not follow
    /// from ours may just be a lie: what counts is a proof of another hash at a batch that we hold.
    fn contradiction<Q: Sequencer>(
        &self,
        sequencer: &Arc<Q>,
    ) -> impl Future<Output = Option<Halt>> + Send + use<Q, S> {
        let (sequencer, reader) = (Arc::clone(sequencer), self.reader.clone());
        let (verifier, ours) = (Arc::clone(&self.verifier), self.walker.proven().index);
        async move {
            if !differs(&*sequencer, &reader, &verifier, ours).await? {
                return None;
            }
            // By bisection, the first batch that differs; or the first that is proven to.
            let (mut same, mut other) = (0, ours);
            while other - same > 1 {
                let middle = same + (other - same) / 2;
                match differs(&*sequencer, &reader, &verifier, middle).await {
                    Some(true) => other = middle,
                    Some(false) => same = middle,
                    None => break,
                }
            }
            Some(Halt::OtherHistory { index: other, ours })
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
        let last = group.batches.last();
        let chaining_hash = last.map_or_else(String::new, |last| last.chaining_hash.clone());
        let proof = Proof { signature: group.signature, chaining_hash };
        let mut batches = group.batches.into_iter().peekable();
        while batches.peek().is_some() {
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
                    applied_ms: now_ms(),
                    outcome,
                    rows,
                });
                contradicted = self.contradicted(&applied)?;
                if contradicted.is_some() {
                    break;
                }
            }
            self.storage.commit(&applied, &proof)?;
            if let Some(halt) = contradicted {
                return Err(halt);
            }
            self.publish(&applied)?;
            self.questions.answer_waiting(&mut self.exchange);
        }
        Ok(())
    }

    /// Whether the last of some batches certifies another root than ours. `applied` are those that are
    /// not in the store yet.
    fn contradicted(&self, applied: &[AppliedBatch]) -> Result<Option<Halt>, Halt> {
        let Some(last) = applied.last() else { return Ok(None) };
        for (index, certified) in last.certified() {
            let here = applied.iter().find(|batch| batch.index == index);
            let ours = match here {
                Some(batch) => Some(batch.outcome.root),
                None => self.storage.root(index)?,
            };
            if ours != Some(certified) {
                return Ok(Some(Halt::Certified {
                    batch: index,
                    ours: ours.map_or_else(|| "unknown".into(), hex::encode),
                    certified: hex::encode(certified),
                    until: last.index,
                }));
            }
        }
        Ok(None)
    }

    /// Shows a commit to all readers. Only now: what is shown is on disk.
    fn publish(&self, applied: &[AppliedBatch]) -> Result<(), StoreError> {
        let Some(last) = applied.last() else { return Ok(()) };
        let (exchange, root) = (&self.exchange, last.outcome.root);
        let attestable = attestable(exchange, root, self.place, &self.storage)?;
        self.published.send_modify(|published| {
            Arc::make_mut(published).follow(exchange, applied, attestable);
        });
        let outcomes = applied.iter().flat_map(|batch| &batch.outcome.transactions);
        self.outbox.applied(outcomes.filter_map(|outcome| outcome.hash).map(|hash| hash.0));
        // No followers is no error.
        let _ = self.feed.send(Arc::new(Update::new(exchange, applied)));
        Ok(())
    }
}

/// What this replica can attest to after its last batch.
fn attestable(
    exchange: &Exchange,
    root: Hash,
    place: Option<ReplicaIndex>,
    storage: &impl Storage,
) -> Result<Attestable, StoreError> {
    let engine = exchange.engine();
    let unanswered =
        place.and_then(|place| unanswered(engine.attestations(), exchange.rules(), place));
    if let Some(batch) = unanswered
        && let Some(root) = storage.root(batch)?
    {
        return Ok(Attestable { batch, root, awaited_from: Some(0) });
    }
    let awaited_from = engine.next_due();
    Ok(Attestable { batch: exchange.counters().batch, root, awaited_from })
}

/// What is wrong with the gateway's last batch, if it is behind ours.
async fn check_last<Q: Sequencer>(sequencer: &Q, ours: u64) -> Option<String> {
    match sequencer.last_finalized().await {
        Ok(theirs) if theirs < ours => Some(format!(
            "its last finalized batch is {theirs}, but {ours} is proven to us: it lags, or its history was lost"
        )),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// Whether the gateway proves another hash at a batch than ours. `None` if it proves nothing.
async fn differs<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    index: u64,
) -> Option<bool> {
    let ours = reader.read(move |view| view.chaining_hash(index)).await.ok()??;
    let theirs = sequencer.finalized(index.checked_sub(1)?).await.ok()??;
    if theirs.first_chaining_hash == ours {
        return Some(false);
    }
    theirs.proves_first(verifier, index).then_some(true)
}

/// Between half of a wait and all of it, so that replicas do not knock in step.
fn jitter(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without random numbers there is no jitter; the wait is still right.
    let _ = getrandom::fill(&mut byte);
    wait / 2 + wait * u32::from(byte[0]) / 510
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use tempfile::TempDir;
    use zellbook_core::bls::BlsSecretKey;
    use zellbook_core::finality::{
        FinalitySignature, Node, NodeList, SignedState, Threshold, bls_message, chain, message,
    };
    use zellbook_core::genesis::Rules;
    use zellbook_core::key::SecretKey;
    use zellbook_core::transaction::{Action, Transaction};
    use zellbook_core::units::Decimal;
    use zellbook_core::wire::GatewayBody;

    use super::*;
    use crate::config::test_rules;
    use crate::outbox::OutboxOptions;
    use crate::sequencer::GatewayError;
    use crate::store::Store;

    fn bls_key() -> BlsSecretKey {
        BlsSecretKey::from_random(&[5; 48]).unwrap()
    }

    fn verifier() -> Verifier {
        let node = Node {
            id: "n".into(),
            socket: String::new(),
            stake: 1,
            public_key: bls_key().public_key(),
        };
        Verifier {
            app_name: "zellbook".into(),
            nodes: NodeList::new(vec![node]).unwrap(),
            threshold: Threshold::from_percent(Decimal::parse("67").unwrap()).unwrap(),
        }
    }

    /// A page of bodies from the first batch on, with one signature over the last.
    fn page(bodies: &[&str]) -> Page {
        let mut hashes = vec![String::new()];
        for body in bodies {
            hashes.push(chain(hashes.last().unwrap(), body));
        }
        let (index, last) = (bodies.len() as u64, hashes.last().unwrap());
        let text = message("zellbook", SignedState::Locked, index, 0, 7, last);
        let signature = bls_key().sign(bls_message(&text).as_bytes()).unwrap().to_string();
        Page {
            batches: bodies.iter().map(ToString::to_string).collect(),
            first_chaining_hash: hashes[1].clone(),
            is_cut: false,
            finalized_signatures: vec![Ok(FinalitySignature {
                index,
                parent_index: 0,
                timestamp: 7,
                chaining_hash: None,
                nonsigners: Vec::new(),
                signature,
            })],
        }
    }

    /// Answers from a script, then with nothing new; notes what was reported.
    #[derive(Default)]
    struct Script {
        answers: Mutex<VecDeque<Result<Page, &'static str>>>,
        last: Mutex<u64>,
        reports: Mutex<Vec<String>>,
    }

    impl Sequencer for Script {
        async fn finalized(&self, _after: u64) -> Result<Option<Page>, GatewayError> {
            match self.answers.lock().unwrap().pop_front() {
                Some(Ok(page)) => Ok(Some(page)),
                Some(Err(error)) => Err(GatewayError::Connection(error.into())),
                None => Ok(None),
            }
        }

        async fn last_finalized(&self) -> Result<u64, GatewayError> {
            Ok(*self.last.lock().unwrap())
        }

        async fn post(&self, _body: String, _is_again: bool) -> Result<(), GatewayError> {
            Ok(())
        }

        fn report(&self, fault: &str) {
            self.reports.lock().unwrap().push(fault.into());
        }

        fn gateways(&self) -> Vec<GatewayBody> {
            Vec::new()
        }
    }

    /// A disk that fails at a commit, counted from 1.
    struct FailingDisk {
        store: Store,
        commits: u32,
        fails_at: u32,
    }

    impl Storage for FailingDisk {
        fn commit(&mut self, batches: &[AppliedBatch], proof: &Proof) -> Result<(), StoreError> {
            self.commits += 1;
            if self.commits == self.fails_at {
                let error = rusqlite::Error::InvalidQuery;
                return Err(StoreError::Sqlite { path: "disk".into(), error });
            }
            self.store.commit(batches, proof)
        }

        fn root(&self, index: u64) -> Result<Option<Hash>, StoreError> {
            self.store.root(index)
        }
    }

    fn replica_key() -> SecretKey {
        SecretKey::from_bytes(&[2; 32]).unwrap()
    }

    fn rules() -> Arc<Rules> {
        let issuer = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        Arc::new(test_rules(issuer, replica_key().public_key()))
    }

    async fn replica(folder: &TempDir, fails_at: u32) -> (Replica<FailingDisk>, Watch) {
        let rules = rules();
        let path = folder.path().join("replica.sqlite");
        let store = Store::open(&path, &rules).unwrap();
        let state = store.load(&rules).unwrap();
        let reader = Reader::new(&path, Arc::clone(&rules));
        let options = OutboxOptions {
            batch_bytes_max: 5120,
            gather: Duration::from_millis(10),
            repost_after: Duration::from_secs(1),
        };
        let outbox_path = folder.path().join("outbox.sqlite");
        let (outbox, _task) =
            Outbox::open(&outbox_path, &rules, &reader, options, Arc::default()).await.unwrap();
        let disk = FailingDisk { store, commits: 0, fails_at };
        Replica::new(state, disk, &reader, verifier(), outbox, None).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replica_whose_disk_fails_halts_and_shows_nothing_that_is_not_on_disk() {
        let folder = TempDir::new().unwrap();
        // 70 batches are two commits; the second fails.
        let (replica, watch) = replica(&folder, 2).await;
        let script = Script::default();
        script.answers.lock().unwrap().push_back(Ok(page(&["[]"; 70])));
        let halt = replica.follow(Arc::new(script), Arc::default()).await;
        assert!(matches!(halt, Halt::Store(_)), "{halt}");
        assert_eq!(watch.published.borrow().batch, 64);
        assert_eq!(watch.health.borrow().state, ReplicaState::Halted);
        // A restart goes on after the last whole commit.
        let (restarted, watch) = self::replica(&folder, u32::MAX).await;
        assert_eq!(watch.published.borrow().batch, 64);
        assert_eq!(restarted.walker.proven().index, 64);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn errors_and_lies_are_reported_and_what_is_true_is_applied_after_them() {
        let folder = TempDir::new().unwrap();
        let (replica, mut watch) = replica(&folder, u32::MAX).await;
        let script = Arc::new(Script::default());
        *script.last.lock().unwrap() = 2;
        let mut forged = page(&["[]", "[1]"]);
        forged.batches[1] = "[2]".into();
        script.answers.lock().unwrap().extend([
            Err("connection refused"),
            Ok(forged),
            Ok(page(&["[]", "[1]"])),
        ]);
        let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
        watch.published.wait_for(|published| published.batch == 2).await.unwrap();
        following.abort();
        let reports = script.reports.lock().unwrap();
        assert!(
            matches!(reports.as_slice(), [lie] if lie.contains("over batch 2 proves nothing")),
            "{reports:?}"
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_gateway_that_lost_its_history_is_reported_and_not_called_following() {
        let folder = TempDir::new().unwrap();
        let (replica, mut watch) = replica(&folder, u32::MAX).await;
        let script = Arc::new(Script::default());
        script.answers.lock().unwrap().push_back(Ok(page(&["[]", "[]", "[]"])));
        *script.last.lock().unwrap() = 1;
        let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
        let health = watch
            .health
            .wait_for(|health| health.state == ReplicaState::Disconnected)
            .await
            .unwrap()
            .clone();
        following.abort();
        let reason = health.reason.unwrap();
        assert!(reason.contains("its last finalized batch is 1, but 3 is proven"), "{reason}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_forged_first_body_under_an_honest_proof_halts_nobody() {
        let folder = TempDir::new().unwrap();
        let (replica, mut watch) = replica(&folder, u32::MAX).await;
        let script = Arc::new(Script::default());
        *script.last.lock().unwrap() = 2;
        let mut hashes = vec![String::new()];
        for body in ["[]", "[1]", "[2]"] {
            hashes.push(chain(hashes.last().unwrap(), body));
        }
        let whole = page(&["[]", "[1]", "[2]"]);
        let from = |first: usize| Page {
            batches: whole.batches[first - 1..].to_vec(),
            first_chaining_hash: hashes[first].clone(),
            ..whole.clone()
        };
        let mut forged = from(3);
        forged.batches[0] = "[forged]".into();
        let first = page(&["[]", "[1]"]);
        // Batches 1 and 2; the lie after them; the question at batch 2; then the truth.
        let answers = [first, forged, from(2), from(3)];
        script.answers.lock().unwrap().extend(answers.map(Ok));
        let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
        watch.published.wait_for(|published| published.batch == 3).await.unwrap();
        following.abort();
        assert!(script.reports.lock().unwrap()[0].contains("first_chaining_hash"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_proof_of_another_history_halts_the_replica_and_names_the_first_batch_that_differs() {
        let folder = TempDir::new().unwrap();
        let (replica, watch) = replica(&folder, u32::MAX).await;
        let ours = page(&["[]", "[1]", "[2]", "[3]"]);
        // The same first two; the network was started anew from there, and is longer now.
        let theirs = ["[]", "[1]", "[x]", "[y]", "[z]"];
        let mut hashes = vec![String::new()];
        for body in theirs {
            hashes.push(chain(hashes.last().unwrap(), body));
        }
        let whole = page(&theirs);
        let from = |first: usize| Page {
            batches: whole.batches[first - 1..].to_vec(),
            first_chaining_hash: hashes[first].clone(),
            ..whole.clone()
        };
        let script = Script::default();
        // After batch 4, then the proof at batch 4, then the bisection's questions at 2 and 3.
        let answers = [ours, from(5), from(4), from(2), from(3)];
        script.answers.lock().unwrap().extend(answers.map(Ok));
        let halt = replica.follow(Arc::new(script), Arc::default()).await;
        assert!(matches!(halt, Halt::OtherHistory { index: 3, ours: 4 }), "{halt}");
        assert_eq!(watch.health.borrow().state, ReplicaState::Halted);
        assert_eq!(watch.published.borrow().batch, 4);
    }

    /// An attestation to batch 1, as the one replica of genesis signs it.
    fn attestation(root: Hash) -> String {
        let transaction = Transaction {
            account: replica_key().public_key(),
            signer: None,
            nonce: 1,
            valid_until: None,
            action: Action::Attest { batch: 1, root, clock: 5 },
        };
        format!("[{}]", transaction.sign(&rules().network, &replica_key()).to_json())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn another_certified_root_than_ours_halts_the_replica_which_keeps_the_evidence() {
        let rules = rules();
        let first = Batch::check(&rules, 1, b"[]");
        let ours = Exchange::new(Arc::clone(&rules)).apply(&first).unwrap().root;

        let folder = TempDir::new().unwrap();
        let (mut honest, watch) = replica(&folder, u32::MAX).await;
        tokio::task::block_in_place(|| honest.take_page(page(&["[]", &attestation(ours)])))
            .unwrap();
        assert_eq!(watch.published.borrow().certified, Some((1, ours)));

        let folder = TempDir::new().unwrap();
        let (replica, watch) = replica(&folder, u32::MAX).await;
        let script = Script::default();
        script.answers.lock().unwrap().push_back(Ok(page(&["[]", &attestation([7; 32]), "[]"])));
        let halt = replica.follow(Arc::new(script), Arc::default()).await;
        let message = halt.to_string();
        assert!(matches!(halt, Halt::Certified { batch: 1, until: 2, .. }), "{halt}");
        assert!(message.contains(&"07".repeat(32)) && message.contains(&hex::encode(ours)));
        assert_eq!(watch.published.borrow().batch, 0);
        // It does not start again with what it knows to be in doubt.
        let store = Store::open(&folder.path().join("replica.sqlite"), &rules).unwrap();
        let error = store.load(&rules).unwrap_err();
        assert!(matches!(error, StoreError::Certified { batch: 1, .. }), "{error}");
        assert!(error.is_damage());
    }
}
