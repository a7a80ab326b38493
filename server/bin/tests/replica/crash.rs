//! Tests of crashes: kill -9 at any moment leaves the state after some whole batch, and loses nothing.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use zellbook_core::Action;

use crate::harness::{Given, Process, Replica, balance, check_replay, key, replay, run, text};

/// What a path shows, without the last batch, which an attestation can have moved on.
async fn shown(replica: &Replica, path: &str) -> Value {
    let mut body = replica.get(path).await;
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| name != "batch" && name != "certified_batch");
    }
    body
}

#[tokio::test]
async fn books_balances_and_root_survive_kill_9() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    replica.order(&alice, "sell 2 ETH/USDT @ 2000").await;
    replica.order(&bob, "buy 0.5 ETH/USDT @ 2100").await;
    replica.order(&bob, "buy 1 ETH/USDT @ 1900").await;
    let paths = [
        "/v1/markets/ETH-USDT/book".to_string(),
        "/v1/markets/ETH-USDT/trades".into(),
        "/v1/markets/ETH-USDT/candles?interval=1d".into(),
        "/v1/markets".into(),
        format!("/v1/accounts/{}", alice.public_key()),
        format!("/v1/accounts/{}", bob.public_key()),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(shown(&replica, path).await);
    }
    let status = replica.status().await;

    replica.process.kill();
    replica.process.restart("/readyz").await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(shown(&replica, path).await, before, "{path}");
    }
    let path = format!("/v1/batches/{}", status["batch"].as_str().unwrap());
    assert_eq!(replica.get(&path).await["root"], status["root"]);
    // It accepts orders again.
    let outcome = replica.order(&bob, "buy 1.5 ETH/USDT @ 2000").await;
    assert_eq!(outcome["order"]["status"], "filled");
    assert_eq!(balance(&replica.account(&bob).await, "ETH"), "12 + 0");
    check_replay(&replica).await;
}

#[tokio::test]
async fn transactions_accepted_without_a_sequencer_survive_kill_9_and_are_applied_once() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let mut sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let network = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut replica = Replica::start(&folder, "data", &network.arguments()).await;
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;

    sequencer.kill();
    let mut hashes = Vec::new();
    for price in 2001..2011 {
        let (json, hash) = replica.sign_order(&alice, &format!("sell 0.1 ETH/USDT @ {price}"));
        replica.submit(&json).await;
        let status = replica.get(&format!("/v1/transactions/{hash}")).await;
        assert_eq!(status["status"], "received");
        hashes.push(hash);
    }
    replica.until("/v1/status", |status| status["state"] == "disconnected").await;
    replica.process.kill();
    replica.process.restart("/healthz").await;
    assert_eq!(replica.status().await["outbox"], "10");
    sequencer.restart("/node/ready").await;
    for hash in &hashes {
        assert_eq!(replica.outcome(hash).await["status"], "applied");
    }
    assert_eq!(balance(&replica.account(&alice).await, "ETH"), "9 + 1");
    replica.until("/v1/status", |status| status["outbox"] == "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_kills_under_load_neither_lose_nor_repeat_a_transaction() {
    let folder = TempDir::new().unwrap();
    // A short repost time, so that copies are sequenced too.
    let mut replica = Replica::start(&folder, "data", &["--repost-ms", "100"]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let mut hashes = Vec::new();
    for round in 0..6 {
        for number in 0..12 {
            let price = 2001 + round * 12 + number;
            let (json, hash) = replica.sign_order(&alice, &format!("sell 0.01 ETH/USDT @ {price}"));
            replica.submit(&json).await;
            hashes.push(hash);
        }
        replica.process.kill();
        replica.process.restart("/healthz").await;
    }
    for hash in &hashes {
        assert_eq!(replica.outcome(hash).await["status"], "applied");
    }
    let account = replica.account(&alice).await;
    assert_eq!(account["open_orders"].as_array().unwrap().len(), 72);
    assert_eq!(balance(&account, "ETH"), "9.28 + 0.72");
    let (json, hash) = replica.sign(&alice, Action::CancelAll { market: None });
    replica.submit(&json).await;
    replica.outcome(&hash).await;
    assert_eq!(balance(&replica.account(&alice).await, "ETH"), "10 + 0");
    check_replay(&replica).await;
}

#[tokio::test]
async fn a_signal_stops_the_replica_gracefully() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    assert_eq!(replica.process.terminate(), Some(0));
}

#[tokio::test]
async fn a_damaged_state_is_refused_with_both_roots() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    replica.fund(&[key(1).public_key()]).await;
    assert_eq!(replica.process.terminate(), Some(0));
    let database = rusqlite::Connection::open(replica.data.join("replica.sqlite")).unwrap();
    let changed = database
        .execute("UPDATE state SET value = CAST(x'00000000000000000000000000000001' || substr(value, 17) AS BLOB) WHERE substr(key, 1, 1) = x'02'", [])
        .unwrap();
    assert!(changed > 0);
    drop(database);
    let data = replica.data.to_str().unwrap();
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{message}");
    assert!(message.contains("the stored state has root"), "{message}");
    // The history is intact, so replay still succeeds.
    let (code, _, log) = replay(&replica.data);
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn replay_names_the_first_batch_that_differs() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    for price in [2000, 2001, 2002] {
        replica.order(&alice, &format!("sell 1 ETH/USDT @ {price}")).await;
    }
    let last = replica.batch().await;
    assert_eq!(replica.process.terminate(), Some(0));
    let path = replica.data.join("replica.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    let backup = fs::read(&path).unwrap();
    let damage = |sql: &str| {
        fs::write(&path, &backup).unwrap();
        let database = rusqlite::Connection::open(&path).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0);
        drop(database);
        let (code, _, log) = replay(&replica.data);
        assert_eq!(code, Some(3), "{log}");
        log
    };
    let differs = last - 1;
    let log = damage(&format!("UPDATE batches SET root = zeroblob(32) WHERE idx = {differs}"));
    assert!(log.contains(&format!("batch {differs} is the first one that differs")), "{log}");
    let log = damage(&format!(
        "UPDATE batches SET body = (SELECT body FROM batches WHERE idx = {differs} - 1) WHERE idx = {differs}"
    ));
    assert!(log.contains(&format!("after batch {}", differs - 1)), "{log}");
    let log = damage("UPDATE proofs SET signature = '1 1 2'");
    assert!(log.contains("proves nothing"), "{log}");
    let log = damage(&format!("DELETE FROM batches WHERE idx = {differs}"));
    assert!(log.contains("out of sequence"), "{log}");
}

#[tokio::test]
async fn a_data_directory_stays_with_its_network() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let network = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut replica = Replica::start(&folder, "data", &network.arguments()).await;
    replica.ready().await;
    assert_eq!(replica.process.terminate(), Some(0));
    let mut again = Replica::start(&folder, "data", &[]).await;
    again.ready().await;
    assert_eq!(again.status().await["gateways"][0]["url"], sequencer.url);
    assert_eq!(again.process.terminate(), Some(0));

    // One that was used with the embedded sequencer refuses another network.
    let mut own = Replica::start(&folder, "own", &[]).await;
    assert_eq!(own.process.terminate(), Some(0));
    let nodes = sequencer_data.join("nodes.json");
    let (data, nodes) = (own.data.to_str().unwrap(), nodes.to_str().unwrap());
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--data", data, "--network", nodes]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("use another --data"), "{}", text(&output.stderr));
}
