//! Tests of the API without a sequencer: requests that wait for their turns, and a commit that is on disk and not
//! published. Such a one may certify another root than ours, which is evidence and never shown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use zellbook_core::{Action, Batch, Exchange, PublicKey, Rules, SecretKey, Transaction};
use zellular::bls::BlsSecretKey;
use zellular::client::fixed;
use zellular::{FinalitySignature, Node, NodeList, Threshold, Verifier};

use super::{App, Bodies, Origins, Queues, Readiness, Sockets, router};
use crate::client_address::ClientAddress;
use crate::clock::Clock;
use crate::config::test_rules;
use crate::outbox::{Outbox, OutboxOptions, OutboxParts};
use crate::replica::{Parts, Replica};
use crate::snapshots::Snapshots;
use crate::store::{AppliedBatch, Proof, Reader, Storage, Store, rows_of};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn account(seed: u8) -> PublicKey {
    key(seed).public_key()
}

fn verifier() -> Verifier {
    let public_key = BlsSecretKey::from_random(&[5; 48]).unwrap().public_key();
    let node = Node { id: "n".into(), socket: String::new(), stake: 1, public_key };
    let nodes = NodeList::new(vec![node]).unwrap().into();
    Verifier { app_name: "zellbook".into(), nodes, threshold: Threshold::DEFAULT }
}

/// The replica's API, and the replica, without which nothing is published any more.
fn replica(folder: &Path, rules: &Arc<Rules>) -> (App, Replica<Store>) {
    let path = folder.join("replica.sqlite");
    let store = Store::open(&path, rules).unwrap();
    let state = store.load(rules).unwrap();
    let reader = Reader::new(&path, Arc::clone(rules));
    let options = OutboxOptions {
        batch_bytes_max: 5120,
        gather: Duration::from_millis(10),
        repost_after: Duration::from_secs(1),
    };
    let (outbox, _task) = Outbox::open(OutboxParts {
        path: &folder.join("outbox.sqlite"),
        rules,
        store: reader.clone(),
        options,
        posted: Arc::default(),
        clock: Clock::system(),
        random: fastrand::Rng::with_seed(1),
    })
    .unwrap();
    let (replica, watch) = Replica::new(Parts {
        state,
        storage: store,
        reader: reader.clone(),
        verifier: fixed(verifier()),
        outbox: outbox.clone(),
        replica_index: None,
        clock: Clock::system(),
        random: fastrand::Rng::with_seed(1),
        evidence: folder.join("evidence.json"),
    })
    .unwrap();
    let app = App {
        rules: Arc::clone(rules),
        reader,
        outbox,
        watch,
        gateways: Box::new(Vec::new),
        verifier: fixed(verifier()),
        replica_key: key(2),
        faucet: None,
        start: 0,
        snapshots: Snapshots::open(&folder.join("snapshots"), 1).unwrap(),
        origins: Origins::default(),
        page: None,
        readiness: Readiness { stall_max: None, wait_max: None, batch_age_max: None },
        clock: Clock::system(),
        bodies: Bodies::default(),
        in_progress: Arc::default(),
        unsent: Arc::default(),
        checks: Arc::default(),
        queues: Queues::default(),
        sockets: Sockets::new(),
        stop: watch::channel(false).1,
    };
    (app, replica)
}

/// Commits a batch in which a deposit is applied.
fn commit(folder: &Path, rules: &Arc<Rules>) {
    let action = Action::Deposit {
        token: "ETH".into(),
        to: account(3),
        amount: "1".parse().unwrap(),
        reference: "one".into(),
    };
    let deposit =
        Transaction { account: account(1), signer: None, nonce: 1, valid_until: None, action };
    let body = format!("[{}]", deposit.sign(&rules.network, &key(1)).to_json());
    let mut exchange = Exchange::new(Arc::clone(rules));
    let batch = Batch::check(rules, 1, body.as_bytes());
    let outcome = exchange.apply(&batch).unwrap();
    let rows = rows_of(exchange.engine(), &batch, &outcome, 7000);
    let chaining_hash = zellular::chain("", &body);
    let signature = FinalitySignature {
        index: 1,
        parent_index: 0,
        timestamp: 7,
        chaining_hash: None,
        nonsigners: Vec::new(),
        signature: String::new(),
        tag: 0,
    };
    let applied = AppliedBatch {
        index: 1,
        body,
        chaining_hash: chaining_hash.clone(),
        time_ms: 7000,
        applied_ms: 7000,
        outcome,
        rows,
    };
    let mut store = Store::open(&folder.join("replica.sqlite"), rules).unwrap();
    store.commit(&[applied], &[Arc::new(Proof { signature, chaining_hash })]).unwrap();
}

async fn status(url: &str, path: &str) -> u16 {
    reqwest::get(format!("{url}{path}")).await.unwrap().status().as_u16()
}

/// Serves the API until the sender is dropped.
async fn serve(app: Arc<App>) -> (String, watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stopper, stop) = watch::channel(false);
    tokio::spawn(crate::listen::serve(listener, router(app, true), stop));
    (url, stopper)
}

#[tokio::test]
async fn requests_that_wait_for_their_turns_are_in_progress() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = TempDir::new().unwrap();
    let rules = Arc::new(test_rules(account(1), account(2)));
    let (app, _replica) = replica(folder.path(), &rules);
    let app = Arc::new(app);
    let (url, _stopper) = serve(Arc::clone(&app)).await;
    let (own, other) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    let [own, other] = [own, other].map(|address| ClientAddress::new(address.into()));
    let mut turns = Vec::new();
    while app.queues.work.waiting().is_none() {
        turns.push(app.queues.work.take(other, false).await);
    }
    let waiting = (0..3).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { status(&url, "/v1/status").await })
    });
    let waiting: Vec<_> = waiting.collect();
    let counted = async |expected| {
        while app.in_progress.count(own) != expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, counted(waiting.len())).await.expect("they are not counted");
    drop(turns);
    for request in waiting {
        assert_eq!(request.await.unwrap(), 200);
    }
    tokio::time::timeout(limit, counted(0)).await.expect("they are still counted");
}

#[tokio::test]
async fn a_commit_that_is_not_published_shows_no_state_but_its_batches() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = TempDir::new().unwrap();
    let rules = Arc::new(test_rules(account(1), account(2)));
    let (app, replica) = replica(folder.path(), &rules);
    let (url, _stopper) = serve(Arc::new(app)).await;
    let own = format!("/v1/accounts/{}", account(3));
    let of_state = [
        "/v1/markets/ETH-USDT/trades",
        "/v1/markets/ETH-USDT/candles?interval=1m",
        &own,
        &format!("{own}/orders"),
        &format!("{own}/fills"),
        &format!("{own}/ledger"),
        "/v1/replicas",
    ];
    let of_batches = ["/v1/batches?after=0", "/v1/headers"];
    for path in of_state.iter().chain(&of_batches) {
        assert_eq!(status(&url, path).await, 200, "{path}");
    }
    // The replica ends after the commit and before it publishes.
    drop(replica);
    commit(folder.path(), &rules);
    for path in of_state.iter().chain(&["/v1/batches/1/contents", "/v1/batches/1/trades"]) {
        assert_eq!(status(&url, path).await, 503, "{path}");
    }
    for path in of_batches.iter().chain(&["/v1/batches/1"]) {
        assert_eq!(status(&url, path).await, 200, "{path}");
    }
}
