use std::collections::VecDeque;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use zellbook_core::wire::{ReplicaState, Stage};
use zellbook_core::{Action, Batch, Decimal, Exchange, SecretKey, Transaction};
use zellular::{FinalitySignature, Page};

use super::*;
use crate::config::test_rules;
use crate::published::Attestable;
use crate::published::Health;
use crate::published::Published;
use crate::sequencer::Sequencer;
use crate::store::{AppliedBatch, Proof, Storage, Store, rows_of};
use zellular::client::{GatewayError, GatewayFailure, GatewayStatus, Route};

/// Fails posts as its script says, then accepts all of them and records them.
#[derive(Default)]
pub struct Network {
    script: Mutex<VecDeque<GatewayError>>,
    posts: Mutex<Vec<(Vec<String>, bool)>>,
    unseen: Mutex<Vec<String>>,
}

impl Network {
    fn posts(&self) -> Vec<(Vec<String>, bool)> {
        self.posts.lock().unwrap().clone()
    }

    /// All bodies that were accepted, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.posts().into_iter().flat_map(|(bodies, _)| bodies).collect()
    }

    /// The next posts fail with these errors.
    pub fn fail(&self, errors: impl IntoIterator<Item = GatewayError>) {
        self.script.lock().unwrap().extend(errors);
    }
}

impl Sequencer for Network {
    async fn finalized(&self, _after: u64) -> Result<Option<Page>, GatewayError> {
        Ok(None)
    }

    async fn last_finalized(&self) -> Result<Option<FinalitySignature>, GatewayError> {
        Ok(None)
    }

    async fn post(&self, bodies: &[String], route: Route) -> Result<Arc<str>, GatewayError> {
        if let Some(error) = self.script.lock().unwrap().pop_front() {
            return Err(error);
        }
        self.posts.lock().unwrap().push((bodies.to_vec(), route == Route::Repost));
        Ok("gateway".into())
    }

    fn lanes(&self) -> usize {
        1
    }

    fn unseen(&self, gateway: &str) {
        self.unseen.lock().unwrap().push(gateway.into());
    }

    fn report(&self, _failure: GatewayFailure) {}

    fn gateways(&self) -> Vec<GatewayStatus> {
        Vec::new()
    }
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn sign(rules: &Rules, seed: u8, nonce: u64, valid_until: Option<u64>, action: Action) -> String {
    let account = key(seed).public_key();
    let transaction = Transaction { account, signer: None, nonce, valid_until, action };
    transaction.sign(&rules.network, &key(seed)).to_json()
}

/// An outbox over a store that has applied nothing.
pub struct Bench<N = Network> {
    folder: TempDir,
    pub rules: Arc<Rules>,
    pub network: Arc<N>,
    pub outbox: Outbox,
    time: watch::Sender<Arc<Published>>,
    health: watch::Sender<Health>,
    store: Store,
    exchange: Exchange,
    task: Option<tokio::task::JoinHandle<Result<(), StoreError>>>,
    /// Makes a batch of other clients come in every half second.
    others: tokio::task::JoinHandle<()>,
}

impl<N: Sequencer> Bench<N> {
    pub fn on(network: N) -> Self {
        let rules = Arc::new(test_rules(key(1).public_key(), key(2).public_key()));
        Self::open(TempDir::new().unwrap(), rules, network)
    }

    fn open(folder: TempDir, rules: Arc<Rules>, network: N) -> Self {
        let path = folder.path().join("replica.sqlite");
        let store = Store::open(&path, &rules).unwrap();
        let (mut exchange, _) = store.load(&rules).unwrap();
        let root = exchange.root();
        let attestable = Attestable::new(&exchange, root, None, |_| Ok::<_, ()>(None)).unwrap();
        let published = Published::new(&exchange, root, String::new(), attestable);
        let (time, watch) = watch::channel(Arc::new(published));
        let (outbox, task) = Outbox::open(OutboxParts {
            path: &folder.path().join("outbox.sqlite"),
            rules: &rules,
            store: Reader::new(&path, Arc::clone(&rules)),
            options: OutboxOptions {
                batch_bytes_max: 5120,
                gather: Duration::from_millis(20),
                repost_after: Duration::from_secs(5),
            },
            posted: Arc::default(),
            clock: Clock::virtual_from(1_000_000),
            random: Rng::with_seed(7),
        })
        .unwrap();
        let network = Arc::new(network);
        let following = Health::new(ReplicaState::Following);
        let (health, health_watch) = watch::channel(following);
        let task = task.run(Arc::clone(&network), watch, health_watch, None);
        let task = Some(tokio::spawn(task));
        let published = time.clone();
        let others = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                published.send_modify(|published| Arc::make_mut(published).batch += 1);
            }
        });
        Self { folder, rules, network, outbox, time, health, store, exchange, task, others }
    }

    pub fn stage(&self, hash: &Hash) -> Option<Stage> {
        self.outbox.progress(hash).map(|progress| progress.stage)
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::on(Network::default())
    }

    /// Stops the task at once, as a crash would, and opens the outbox again.
    pub async fn restart(mut self) -> Self {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
        Self::open(self.folder, self.rules, Network::default())
    }

    pub async fn submit(&self, nonce: u64, valid_until: Option<u64>) -> Hash {
        self.submit_as(3, nonce, valid_until).await
    }

    async fn submit_as(&self, seed: u8, nonce: u64, valid_until: Option<u64>) -> Hash {
        let cancel_all = Action::CancelAll { market: None };
        let json = sign(&self.rules, seed, nonce, valid_until, cancel_all);
        let checked = check_element(&self.rules, &json).unwrap();
        self.outbox.submit(&checked, json).await.unwrap();
        checked.hash.0
    }

    /// Applies and commits a batch without reporting it to the outbox.
    fn apply(&mut self, elements: &[String]) {
        let body = format!("[{}]", elements.join(","));
        let index = self.exchange.counters().batch + 1;
        let batch = Batch::check(&self.rules, index, body.as_bytes());
        let outcome = self.exchange.apply(&batch).unwrap();
        let rows = rows_of(self.exchange.engine(), &batch, &outcome, 0);
        let chaining_hash = String::new();
        let proof = Proof {
            signature: FinalitySignature {
                index,
                parent_index: 0,
                timestamp: 0,
                chaining_hash: None,
                nonsigners: Vec::new(),
                signature: String::new(),
                tag: 0,
            },
            chaining_hash: chaining_hash.clone(),
        };
        let (time_ms, applied_ms) = (0, 0);
        let applied =
            AppliedBatch { index, body, chaining_hash, time_ms, applied_ms, outcome, rows };
        self.store.commit(&[applied], &[Arc::new(proof)]).unwrap();
    }

    /// Sets the exchange's time.
    pub fn set_time(&self, time_ms: u64) {
        self.time.send_modify(|published| Arc::make_mut(published).time_ms = time_ms);
    }

    /// One batch comes in, and the exchange's time after it is this.
    fn come_in(&self, time_ms: u64) {
        self.time.send_modify(|published| {
            let published = Arc::make_mut(published);
            published.batch += 1;
            published.time_ms = time_ms;
        });
    }

    fn sign(&self, nonce: u64, valid_until: Option<u64>, action: Action) -> String {
        sign(&self.rules, 3, nonce, valid_until, action)
    }

    async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn transactions_that_no_gateway_accepts_wait_and_are_then_posted_in_order() {
    let bench = Bench::new();
    bench.network.script.lock().unwrap().extend([
        GatewayError::Paused("IsPausedError".into()),
        GatewayError::RateLimited,
        GatewayError::NoGateway,
    ]);
    let first = bench.submit(1, None).await;
    bench.sleep(100).await;
    assert_eq!(bench.stage(&first), Some(Stage::Received));
    let second = bench.submit(2, None).await;
    bench.sleep(3000).await;
    assert_eq!(bench.stage(&first), Some(Stage::Posted));
    assert_eq!(bench.stage(&second), Some(Stage::Posted));
    let posts = bench.network.posts();
    let [(bodies, false)] = posts.as_slice() else { panic!("{posts:?}") };
    let body: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!((&body[0]["nonce"], &body[1]["nonce"]), (&"1".into(), &"2".into()));
}

#[tokio::test(start_paused = true)]
async fn an_unseen_transaction_is_posted_again_with_growing_waits_and_its_gateway_is_reported() {
    let bench = Bench::new();
    bench.submit(1, None).await;
    bench.sleep(4900).await;
    assert_eq!(bench.network.posts().len(), 1);
    bench.sleep(2500).await;
    let posts = bench.network.posts();
    assert!(matches!(posts.as_slice(), [(_, false), (_, true)]), "{posts:?}");
    assert_eq!(*bench.network.unseen.lock().unwrap(), ["gateway"]);
    bench.sleep(9000).await;
    assert_eq!(bench.network.posts().len(), 2);
    bench.sleep(5000).await;
    assert_eq!(bench.network.posts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn reposts_wait_longer_while_the_replica_does_not_see_finalized_batches() {
    let bench = Bench::new();
    let set = |state| bench.health.send_modify(|health| health.state = state);
    bench.submit(1, None).await;
    bench.sleep(1000).await;
    set(ReplicaState::Disconnected);
    bench.submit(2, None).await;
    bench.sleep(20_000).await;
    let posts = bench.network.posts();
    assert!(matches!(posts.as_slice(), [(_, false), (_, false)]), "fresh ones go: {posts:?}");
    set(ReplicaState::Following);
    bench.sleep(1000).await;
    assert!(matches!(bench.network.posts().last(), Some((_, true))));
    // But not for ever: clients of a replica that sees nothing still get their transactions reposted.
    set(ReplicaState::Disconnected);
    let count = bench.network.posts().len();
    bench.sleep(80_000).await;
    assert!(bench.network.posts().len() > count);
}

#[tokio::test(start_paused = true)]
async fn reposts_come_sooner_on_a_fast_network() {
    let bench = Bench::new();
    for nonce in 1..30 {
        let hash = bench.submit(nonce, None).await;
        bench.sleep(40).await;
        bench.outbox.finalized([hash]);
        assert_eq!(bench.stage(&hash), Some(Stage::Sequenced));
        bench.outbox.applied([hash]);
    }
    let posting = bench.outbox.posting();
    assert_eq!(posting.repost_ms, "1000");
    bench.submit(100, None).await;
    bench.sleep(2500).await;
    assert_eq!(bench.network.posts().last().map(|(_, is_again)| *is_again), Some(true));
}

#[tokio::test(start_paused = true)]
async fn copies_in_the_sequence_are_counted() {
    let bench = Bench::new();
    let hash = bench.submit(1, None).await;
    bench.sleep(100).await;
    bench.outbox.finalized([hash, hash]);
    bench.outbox.applied([hash, hash]);
    bench.outbox.finalized([hash, [9; 32]]);
    assert_eq!(bench.outbox.posting().duplicates, "2");
    assert_eq!(bench.outbox.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_no_transaction_and_no_time_of_posting() {
    let bench = Bench::new();
    let posted = bench.submit(1, None).await;
    bench.sleep(1000).await;
    bench.network.script.lock().unwrap().push_back(GatewayError::RateLimited);
    let received = bench.submit(2, None).await;
    let before = [posted, received].map(|hash| bench.outbox.progress(&hash).unwrap());
    let bench = bench.restart().await;
    // The exchange's time has reached the restart.
    bench.set_time(1_000_000);
    let after = [posted, received].map(|hash| bench.outbox.progress(&hash).unwrap());
    assert_eq!(before, after);
    assert_eq!(after.map(|progress| progress.stage), [Stage::Posted, Stage::Received]);
    // The posted one may still be finalized, so it waits; the other one is posted at once.
    bench.sleep(100).await;
    assert!(matches!(bench.network.posts().as_slice(), [(_, false)]));
    bench.sleep(12_000).await;
    assert_eq!(bench.network.posts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_replica_that_does_not_attest_asks_for_the_time_and_waits_for_it() {
    for is_answered in [true, false] {
        let bench = Bench::new();
        // With the growing waits, posting fails for about seven seconds.
        bench.network.fail((0..6).map(|_| GatewayError::NoGateway));
        let hash = bench.submit(1, None).await;
        bench.sleep(13_000).await;
        let asked = bench.network.bodies();
        assert!(!asked.is_empty() && asked.iter().all(|body| body == "[]"), "{asked:?}");
        bench.set_time(1_001_000);
        bench.sleep(100).await;
        assert_eq!(bench.stage(&hash), Some(Stage::Received), "an attestation of the outage");
        if is_answered {
            bench.set_time(1_013_000);
            bench.sleep(100).await;
        } else {
            // Nobody attests. The first post succeeded at most 13 s ago, and the wait is 20 s.
            bench.sleep(6900).await;
            assert_eq!(bench.stage(&hash), Some(Stage::Received));
            bench.sleep(13_100).await;
        }
        assert_eq!(bench.stage(&hash), Some(Stage::Posted), "{is_answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_posted_while_nothing_comes_in_of_what_gateways_take() {
    let bench = Bench::new();
    bench.others.abort();
    let first = bench.submit(1, None).await;
    bench.sleep(14_000).await;
    let second = bench.submit(2, None).await;
    bench.sleep(900).await;
    assert_eq!([first, second].map(|hash| bench.stage(&hash)), [Some(Stage::Posted); 2]);
    // Nothing came in for 15 seconds: three times the wait before anything was measured.
    bench.sleep(200).await;
    let third = bench.submit(3, None).await;
    let before = bench.network.bodies().len();
    bench.sleep(60_000).await;
    assert_eq!(bench.stage(&third), Some(Stage::Received));
    let probes = bench.network.bodies().split_off(before);
    assert!(!probes.is_empty() && probes.iter().all(|body| body == "[]"), "{probes:?}");
    // A batch, and then attestations of after the stall.
    bench.come_in(1_010_000);
    bench.sleep(100).await;
    assert_eq!(bench.stage(&third), Some(Stage::Received));
    bench.come_in(1_076_000);
    bench.sleep(100).await;
    assert_eq!(bench.stage(&third), Some(Stage::Posted));
}

#[tokio::test(start_paused = true)]
async fn the_wait_after_an_outage_is_four_times_the_measured_latency_within_bounds() {
    for (latency, bound) in [(0.2, 10), (8.0, 32), (30.0, 120), (200.0, 300)] {
        let bench = Bench::new();
        let latency = Duration::from_secs_f64(latency);
        bench.outbox.entries(|entries| {
            for _ in 0..50 {
                entries.latency.observe(latency, latency, 1);
            }
        });
        bench.network.fail((0..6).map(|_| GatewayError::NoGateway));
        let hash = bench.submit(1, None).await;
        // Until the first probe is taken. Nobody attests in response.
        while bench.network.bodies().is_empty() {
            bench.sleep(10).await;
        }
        bench.sleep(bound * 1000 - 500).await;
        assert_eq!(bench.stage(&hash), Some(Stage::Received), "{latency:?}: too early");
        bench.sleep(1000).await;
        assert_eq!(bench.stage(&hash), Some(Stage::Posted), "{latency:?}: too late");
        assert!(bench.network.bodies().last().unwrap().contains("cancel_all"));
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_the_wait_nothing_is_posted_that_should_have_ended_by_then() {
    let bench = Bench::new();
    bench.network.fail((0..6).map(|_| GatewayError::NoGateway));
    let ends = 1_010_000;
    let order = |nonce, expires| {
        Action::Order(zellbook_core::Order {
            market: "ETH/USDT".into(),
            side: zellbook_core::Side::Sell,
            quantity: Decimal::parse("1").unwrap(),
            price: Decimal::parse("2000").unwrap(),
            time_in_force: zellbook_core::TimeInForce::Gtd,
            expires: Some(expires),
            self_trade: zellbook_core::types::SelfTrade::CancelNewest,
            client_id: Some(format!("{nonce}")),
        })
    };
    let grant = |expires| {
        let key = key(9).public_key();
        Action::AuthorizeKey(zellbook_core::protocol::KeyGrant {
            key,
            expires,
            market: None,
            spend: None,
        })
    };
    let cancel = zellbook_core::protocol::OrderRef::Id(7);
    let ended = [
        bench.sign(1, Some(ends), Action::CancelAll { market: None }),
        bench.sign(2, None, order(2, ends)),
        bench.sign(3, None, order(3, ends)),
        bench.sign(4, None, grant(ends)),
    ];
    let good = [
        bench.sign(5, Some(2_000_000), Action::CancelAll { market: None }),
        bench.sign(6, None, order(6, 2_000_000)),
        // A switch that comes late still cancels.
        bench.sign(7, None, Action::CancelAllAfter { time: ends }),
        bench.sign(8, None, Action::Cancel(cancel)),
    ];
    // So that none of the others is ever handed to a gateway before the gate closes.
    bench.submit_as(4, 1, None).await;
    bench.sleep(100).await;
    let mut hashes = Vec::new();
    for json in ended.iter().chain(&good) {
        let checked = check_element(&bench.rules, json).unwrap();
        bench.outbox.submit(&checked, json.clone()).await.unwrap();
        hashes.push(checked.hash.0);
    }
    bench.sleep(40_000).await;
    let posted = bench.network.bodies().concat();
    for (json, hash) in ended.iter().zip(&hashes) {
        assert!(!posted.contains(json.as_str()), "{json}");
        assert_ne!(bench.stage(hash), Some(Stage::Posted), "{json}");
    }
    for json in &good {
        assert!(posted.contains(json.as_str()), "{json}");
    }
    // By the exchange's time they have ended too.
    bench.set_time(ends);
    bench.sleep(2000).await;
    for (json, hash) in ended.iter().zip(&hashes) {
        assert_eq!(bench.stage(hash), Some(Stage::Expired), "{json}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_wait_goes_on_while_others_come_back() {
    let bench = Bench::new();
    bench.submit(1, None).await;
    bench.sleep(9000).await;
    let other = bench.submit_as(4, 1, None).await;
    bench.sleep(1000).await;
    bench.outbox.applied([other]);
    let seconds = |wait: Option<Duration>| wait.unwrap().as_secs();
    assert_eq!((seconds(bench.outbox.oldest_waiting()), seconds(bench.outbox.stalled())), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_posted_to_a_network_that_has_lost_its_history() {
    let bench = Bench::new();
    let tell = |is_behind| {
        bench.health.send_modify(|health| health.network_is_behind = is_behind);
    };
    tell(true);
    let hash = bench.submit(1, None).await;
    bench.sleep(60_000).await;
    assert_eq!(bench.network.bodies(), Vec::<String>::new());
    tell(false);
    bench.sleep(100).await;
    assert_eq!(bench.stage(&hash), Some(Stage::Posted));
}

#[tokio::test(start_paused = true)]
async fn an_expired_transaction_is_given_up_for_good_and_its_status_says_so() {
    let bench = Bench::new();
    let late = bench.submit(1, Some(1_005_000)).await;
    let good = bench.submit(2, Some(1_005_001)).await;
    bench.sleep(1500).await;
    assert_eq!(bench.stage(&late), Some(Stage::Posted));
    bench.set_time(1_005_000);
    bench.sleep(1500).await;
    assert_eq!(bench.stage(&late), Some(Stage::Expired));
    assert_eq!(bench.stage(&good), Some(Stage::Posted));
    let bench = bench.restart().await;
    assert_eq!(bench.stage(&late), Some(Stage::Expired));
    assert_eq!((bench.outbox.waiting(), bench.stage(&good)), (1, Some(Stage::Posted)));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_whose_nonce_is_used_or_too_old_is_given_up_and_not_posted_again() {
    let mut bench = Bench::new();
    let [used, old, applied, good] = [7, 1, 9, 1000].map(|nonce| bench.submit(nonce, None));
    let (used, old, applied, good) = tokio::join!(used, old, applied, good);
    bench.sleep(1000).await;
    // The exchange must know the key, or its transactions would not use their nonces.
    let deposit = Action::Deposit {
        token: "ETH".into(),
        to: key(3).public_key(),
        amount: "1".parse().unwrap(),
        reference: "one".into(),
    };
    let mut elements = vec![sign(&bench.rules, 1, 1, None, deposit)];
    // The same nonce in another transaction, and enough higher nonces to push the lowest one out of the
    // window.
    let other = |nonce| bench.sign(nonce, Some(u64::MAX), Action::CancelAll { market: None });
    elements.extend([7].into_iter().chain(100..163).map(other));
    elements.push(bench.sign(9, None, Action::CancelAll { market: None }));
    bench.apply(&elements);
    bench.sleep(10_000).await;
    assert_eq!(bench.stage(&used), Some(Stage::Superseded));
    assert_eq!(bench.stage(&old), Some(Stage::Superseded));
    assert_eq!(bench.stage(&applied), Some(Stage::Posted), "it has left with its outcome");
    assert_eq!(bench.stage(&good), Some(Stage::Posted));
    assert_eq!(bench.outbox.waiting(), 1);
    let (_, is_again) = bench.network.posts().pop().unwrap();
    let again = bench.network.posts().into_iter().filter(|(_, is_again)| *is_again);
    assert!(is_again && again.map(|(bodies, _)| bodies[0].matches("nonce").count()).eq([1]));
    let bench = bench.restart().await;
    assert_eq!(bench.stage(&old), Some(Stage::Superseded));
    assert_eq!((bench.outbox.posting().superseded, bench.outbox.waiting()), ("0".into(), 1));
}

#[tokio::test(start_paused = true)]
async fn only_the_exact_bytes_that_were_checked_need_no_second_check() {
    let mut bench = Bench::new();
    let hash = bench.submit(5, None).await;
    let element = bench.outbox.element(&hash).unwrap();
    let checked = bench.outbox.checked(&element).unwrap();
    assert_eq!(checked, check_element(&bench.rules, &element).unwrap());
    // The same transaction, so the same hash, with a signature that proves nothing, and in another spelling.
    let mut other: serde_json::Value = serde_json::from_str(&element).unwrap();
    other["signature"] = "00".repeat(65).into();
    assert!(check_element(&bench.rules, &other.to_string()).is_err());
    assert!(bench.outbox.checked(&other.to_string()).is_none());
    assert!(bench.outbox.checked(&format!(" {element}")).is_none());
    // Also after a restart, where the outbox has checked its file.
    bench = bench.restart().await;
    assert_eq!(bench.outbox.checked(&element).unwrap().hash.0, hash);
    bench.outbox.applied([hash]);
    assert!(bench.outbox.checked(&element).is_none(), "what has left is forgotten");
}

#[tokio::test(start_paused = true)]
async fn bulk_calls_are_used_once_a_body_of_that_size_was_accepted() {
    let bench = Bench::new();
    let mut submits = Vec::new();
    for (nonce, seed) in (1000..1200).zip((3..13).cycle()) {
        submits.push(bench.submit_as(seed, nonce, None));
    }
    futures_util::future::join_all(submits).await;
    bench.sleep(100).await;
    let first = bench.network.posts();
    assert!(first.len() > 5, "single calls at first");
    assert!(first.iter().all(|(bodies, _)| bodies.len() == 1 && bodies[0].len() <= 5120));
    let fullest = first.iter().map(|(bodies, _)| bodies[0].len()).max().unwrap();
    assert!(fullest > 4700, "a body of {fullest} bytes is not full");
    let submits = (2000..2200).zip((13..23).cycle());
    let submits = submits.map(|(nonce, seed)| bench.submit_as(seed, nonce, None));
    futures_util::future::join_all(submits).await;
    bench.sleep(100).await;
    let posts = bench.network.posts();
    let rest = &posts[first.len()..];
    assert!(rest.iter().any(|(bodies, _)| bodies.len() > 3), "{:?}", rest.len());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_too_large_does_not_delay_the_others() {
    let bench = Bench::new();
    bench.network.script.lock().unwrap().push_back(GatewayError::BatchTooLarge);
    let large = bench.submit(1, None).await;
    bench.sleep(100).await;
    assert_eq!(bench.stage(&large), Some(Stage::Received));
    let other = bench.submit(2, None).await;
    bench.sleep(100).await;
    assert_eq!(bench.stage(&other), Some(Stage::Posted));
    assert_eq!(bench.stage(&large), Some(Stage::Received));
    bench.sleep(301_000).await;
    assert_eq!(bench.stage(&large), Some(Stage::Posted));
}

#[tokio::test(start_paused = true)]
async fn the_pending_transactions_of_an_account_are_its_own_and_those_that_bring_it_funds() {
    let bench = Bench::new();
    let transfer = |nonce| {
        let (token, to) = ("ETH".into(), key(4).public_key());
        let amount = Decimal::parse("1").unwrap();
        bench.sign(nonce, None, Action::Transfer { token, to, amount })
    };
    let cancel = bench.submit(1, None).await;
    let json = transfer(2);
    let checked = check_element(&bench.rules, &json).unwrap();
    bench.outbox.submit(&checked, json).await.unwrap();
    let pending = |seed| {
        let pending = bench.outbox.pending_of(&key(seed).public_key());
        pending.iter().map(|checked| checked.hash.0).collect::<Vec<_>>()
    };
    let transfer = checked.hash.0;
    assert_eq!(
        (pending(3), pending(4), pending(5)),
        (vec![cancel, transfer], vec![transfer], vec![])
    );
    bench.outbox.applied([transfer]);
    assert_eq!((pending(3), pending(4)), (vec![cancel], vec![]));
}
