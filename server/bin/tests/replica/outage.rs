//! Tests of a network in trouble: what the replica says about it, and when it halts.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::Action;

use crate::changed_answers::{Change, proxy};
use crate::harness::{Given, Process, Replica, TIMEOUT, client, key, now_ms, number, run, text};

async fn sequencer(folder: &TempDir) -> (Process, std::path::PathBuf) {
    let data = folder.path().join("sequencer");
    let arguments = ["--data", data.to_str().unwrap()];
    let process = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    (process, data)
}

#[tokio::test]
async fn a_replica_whose_transactions_do_not_come_back_is_not_ready() {
    for (option, other) in
        [("--ready-max-stall", "--ready-max-wait"), ("--ready-max-wait", "--ready-max-stall")]
    {
        is_not_ready_beyond(option, other).await;
    }
}

async fn is_not_ready_beyond(option: &str, other: &str) {
    let folder = TempDir::new().unwrap();
    let (sequencer, data) = sequencer(&folder).await;
    let (gateway, loses) = loser(&sequencer).await;
    let network = Given::network(&folder, &data.join("nodes.json"));
    let options = ["--gateway", &gateway, option, "2", other, "0", "--repost-ms", "500"];
    let arguments = [&network.arguments()[..], &options].concat();
    let mut replica = Replica::start(&folder, "data", &arguments).await;
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let status = replica.status().await;
    assert_eq!(status["not_ready"], Value::Null);
    assert_eq!(status["oldest_waiting_ms"], Value::Null);

    loses.store(true, Ordering::SeqCst);
    let (json, hash) = replica.sign(&alice, Action::CancelAll { market: None });
    replica.submit(&json).await;
    let status = replica.until("/v1/status", |status| status["not_ready"].is_string()).await;
    assert_eq!(status["state"], "following", "nothing else shows it");
    assert!(number(&status["oldest_waiting_ms"]) >= 2000, "{status}");
    let (code, error) = replica.request(Method::GET, "/readyz", "").await;
    assert_eq!(
        (code, &error["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("not_ready"))
    );
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("{option} 2")), "{message}");
    let metrics = replica.text("/metrics").await;
    assert!(metrics.contains("\nzellbook_ready 0\n"), "{metrics}");

    loses.store(false, Ordering::SeqCst);
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    replica.ready().await;
    assert_eq!(replica.status().await["oldest_waiting_ms"], Value::Null);
}

/// A gateway that passes everything on, until it is told to lose what is posted: it says that it has taken it. Such is a
/// network without a leader.
async fn loser(sequencer: &Process) -> (String, Arc<AtomicBool>) {
    let loses = Arc::new(AtomicBool::new(false));
    let is_losing = Arc::clone(&loses);
    let change: Change = Arc::new(move |method, _, answer| {
        let swallows =
            *method == Method::PUT && answer.is_none() && is_losing.load(Ordering::SeqCst);
        swallows.then(|| br#"{"status":"success","message":"x","data":{}}"#.to_vec())
    });
    (proxy(&sequencer.url, change).await, loses)
}

#[tokio::test]
async fn what_expires_while_nothing_is_sequenced_does_not_fill_afterwards() {
    let folder = TempDir::new().unwrap();
    let (sequencer, data) = sequencer(&folder).await;
    let (gateway, loses) = loser(&sequencer).await;
    let network = Given::network(&folder, &data.join("nodes.json"));
    let gateway = ["--gateway", &gateway, "--repost-ms", "500"];
    let arguments = |own: Vec<&str>| -> Vec<String> {
        own.iter().chain(&gateway).map(ToString::to_string).collect()
    };
    let [first, second] = [0, 1].map(|index| arguments(network.arguments_of(index)));
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let second: Vec<&str> = second.iter().map(String::as_str).collect();
    let first = Replica::start(&folder, "first", &first).await;
    let mut second = Replica::start(&folder, "second", &second).await;
    second.ready().await;
    let (alice, bob) = (key(1), key(2));
    first.fund(&[alice.public_key(), bob.public_key()]).await;
    let started = Instant::now();
    while first.status().await["time_ms"] == "0" {
        assert!(started.elapsed() < TIMEOUT, "{}", first.status().await);
        first.order(&bob, "sell 0.01 ETH/USDT @ 3000").await;
    }
    let expires = now_ms() + 6000;
    let resting = first.order(&bob, &format!("sell 1 ETH/USDT @ 2000 gtd {expires}")).await;
    assert_eq!(resting["status"], "applied", "{resting}");
    loses.store(true, Ordering::SeqCst);
    let (json, lost) = first.sign(&alice, Action::CancelAll { market: None });
    first.submit(&json).await;
    first.until("/v1/status", |_| now_ms() > expires + 500).await;
    let (json, late) = first.sign_order(&alice, "buy 1 ETH/USDT @ 2050 ioc");
    first.submit(&json).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = first.get(&format!("/v1/transactions/{late}")).await;
    assert_eq!(status["status"], "received", "it is not posted while nothing comes in: {status}");
    loses.store(false, Ordering::SeqCst);
    for hash in [lost, late] {
        assert_eq!(first.outcome(&hash).await["status"], "applied");
    }
    let trades = first.get("/v1/markets/ETH-USDT/trades").await;
    assert_eq!(trades["trades"], json!([]), "bob's order had expired");
}

#[tokio::test]
async fn a_replica_is_not_ready_while_its_last_batch_is_older_than_its_operator_allows() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &["--ready-max-batch-age", "3"]).await;
    replica.fund(&[key(1).public_key()]).await;
    let status = replica.until("/v1/status", |status| status["not_ready"].is_string()).await;
    assert!(number(&status["batch_age_ms"]) >= 3000, "{status}");
    let why = status["not_ready"].as_str().unwrap();
    assert!(
        why.contains("no batch was sequenced for") && why.contains("--ready-max-batch-age 3"),
        "{why}"
    );
    replica.perform(&key(1), Action::CancelAll { market: None }).await;
    replica.until("/readyz", |body| body.as_str().is_some_and(|text| text.contains("ready"))).await;
}

/// Puts the history of one sequencer into the folder of another.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(to).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("sequencer.sqlite") {
            fs::remove_file(path).unwrap();
        }
    }
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name.to_string_lossy().starts_with("sequencer.sqlite") {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_network_that_was_restarted_from_an_older_state_halts_the_replica_with_evidence() {
    let folder = TempDir::new().unwrap();
    let (mut sequencer, data) = sequencer(&folder).await;
    let network = Given::network(&folder, &data.join("nodes.json"));
    let mut replica = Replica::start(&folder, "data", &network.arguments()).await;
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    sequencer.kill();
    let old = folder.path().join("old");
    copy(&data, &old);
    sequencer.restart("/node/ready").await;
    for _ in 0..3 {
        replica.perform(&alice, Action::CancelAll { market: None }).await;
    }
    let ours = replica.batch().await;
    sequencer.kill();
    let new = folder.path().join("new");
    copy(&data, &new);
    copy(&old, &data);
    sequencer.restart("/node/ready").await;
    let restarted = Instant::now();

    // So far the network is only behind. That is no evidence, but the replica is not ready, and says why.
    let status = replica
        .until("/v1/status", |status| {
            status["reason"].as_str().is_some_and(|reason| reason.contains("lost its history"))
        })
        .await;
    assert_eq!(status["state"], "disconnected");
    assert_eq!(
        replica.request(Method::GET, "/readyz", "").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );

    // Soon it takes nothing that would become part of another history.
    let is_behind = |status: &Value| {
        status["reason"].as_str().is_some_and(|reason| reason.starts_with("every gateway"))
    };
    replica.until("/v1/status", is_behind).await;
    assert!(restarted.elapsed() < Duration::from_secs(40), "{:?}", restarted.elapsed());
    let (json, hash) = replica.sign(&alice, Action::CancelAll { market: None });
    let faucet = json!({ "account": key(2).public_key().to_string() }).to_string();
    for (path, body) in [("/v1/transactions", &json), ("/v1/faucet", &faucet)] {
        let (code, error) = replica.request(Method::POST, path, body).await;
        assert_eq!(
            (code, &error["error"]["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("network_behind")),
            "{path}: {error}"
        );
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("is behind batch {ours}")), "{message}");
        assert!(message.contains("docs/operating.md"), "{message}");
    }
    assert_eq!(replica.get("/v1/markets/ETH-USDT/book").await["asks"], json!([]), "reads go on");

    // If the nodes were only behind, it goes on by itself.
    sequencer.kill();
    copy(&new, &data);
    sequencer.restart("/node/ready").await;
    let started = Instant::now();
    while replica.request(Method::POST, "/v1/transactions", &json).await.0 != StatusCode::ACCEPTED {
        assert!(started.elapsed() < TIMEOUT, "{}", replica.status().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    replica.ready().await;
    let ours = replica.batch().await;
    sequencer.kill();
    copy(&old, &data);
    sequencer.restart("/node/ready").await;

    // One new batch, at an index that the replica has with another content.
    let bulk = json!({ "zellbook": ["[\"new history\"]"] }).to_string();
    client().put(format!("{}/node/batches", sequencer.url)).body(bulk).send().await.unwrap();
    assert_eq!(replica.process.exit_code(), Some(5), "it halts although its history is longer");
    let evidence = replica.data.join("evidence.json");
    let proven = run(&["verify", evidence.to_str().unwrap()]);
    assert_eq!(proven.status.code(), Some(0), "{}", text(&proven.stderr));
    let json: Value = serde_json::from_slice(&fs::read(&evidence).unwrap()).unwrap();
    assert_eq!(json["contradiction"]["kind"], "fork");
    assert!(number(&json["contradiction"]["batch"]) <= ours);
}

#[tokio::test]
async fn the_threshold_belongs_to_the_network_of_a_data_directory() {
    let folder = TempDir::new().unwrap();
    let (_sequencer, data) = sequencer(&folder).await;
    let network = Given::network(&folder, &data.join("nodes.json"));
    let arguments = [&network.arguments()[..], &["--threshold", "40"]].concat();
    let mut replica = Replica::start(&folder, "data", &arguments).await;
    assert_eq!(replica.get("/v1/network").await["threshold"], "40");
    assert_eq!(replica.process.terminate(), Some(0));
    // Also without --network.
    let mut again = Replica::start(&folder, "data", &[]).await;
    assert_eq!(again.get("/v1/network").await["threshold"], "40");
    assert_eq!(again.process.terminate(), Some(0));
    let again = Replica::start(&folder, "data", &["--threshold", "50"]).await;
    assert_eq!(again.get("/v1/network").await["threshold"], "50");
    // A new replica takes the one beside the node list. The sequencer wrote its own there.
    let beside = data.join("threshold");
    assert_eq!(fs::read_to_string(&beside).unwrap(), "67");
    fs::write(&beside, "40").unwrap();
    let new = Replica::start(&folder, "new", &network.arguments()).await;
    assert_eq!(new.get("/v1/network").await["threshold"], "40");
}
