//! The exchange's time, which replicas sign, and what waits for it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use zellbook_core::transaction::Action;

use crate::harness::{
    Given, PATIENCE, Process, Replica, balance, check_replay, key, now_ms, number, order,
};

/// How long nothing must happen for an exchange to be called idle: replicas attest once a second.
const IDLE: Duration = Duration::from_millis(2500);

/// Waits until there was no batch for a while; the last batch.
async fn until_idle(replica: &Replica) -> u64 {
    let started = Instant::now();
    let mut last = (replica.batch().await, Instant::now());
    while last.1.elapsed() < IDLE {
        assert!(started.elapsed() < PATIENCE, "batches go on and on");
        let batch = replica.batch().await;
        if batch != last.0 {
            last = (batch, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    last.0
}

fn is_cancelled(outcome: &Value, reason: &str) -> bool {
    outcome["order"]["status"] == "cancelled" && outcome["order"]["reason"] == reason
}

#[tokio::test]
async fn an_order_expires_on_an_exchange_where_nothing_else_happens() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let expires = now_ms() + 1500;
    let placed = replica.order(&alice, &format!("sell 1 ETH/USDT @ 2000 gtd {expires}")).await;
    assert_eq!(placed["order"]["expires_ms"], expires.to_string());
    assert_eq!(placed["order"]["time_in_force"], "gtd");
    let hash = placed["hash"].as_str().unwrap();
    let path = format!("/v1/transactions/{hash}");
    replica.until(&path, |outcome| is_cancelled(outcome, "expired")).await;
    let status = replica.status().await;
    assert!(number(&status["time_ms"]) >= expires);
    let account = replica.account(&alice).await;
    assert_eq!(balance(&account, "ETH"), "10 + 0");
    assert_eq!(account["past_orders"][0]["reason"], "expired");
    // Once nothing waits, no more batches are made.
    until_idle(&replica).await;
    let book = replica.get("/v1/markets/ETH-USDT/book").await;
    assert_eq!(book["asks"], serde_json::json!([]));
    check_replay(&replica).await;
}

#[tokio::test]
async fn an_order_with_a_time_that_has_come_is_rejected() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    // Only one that follows attests.
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    // A clock that came with one batch is the time of the next.
    replica.order(&alice, "buy 1 ETH/USDT @ 1000").await;
    let time = number(&replica.status().await["time_ms"]);
    assert!(time > now_ms() - 60_000, "{time}");
    let sell = || Action::Order(order("sell 1 ETH/USDT @ 2000"));
    let (json, hash) = replica.sign_until(&alice, Some(time), sell());
    replica.submit(&json).await;
    let outcome = replica.outcome(&hash).await;
    assert_eq!(outcome["reject"]["name"], "expired", "{outcome}");
    let (json, hash) = replica.sign_until(&alice, Some(time + 3_600_000), sell());
    replica.submit(&json).await;
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    let past = replica.order(&alice, &format!("sell 1 ETH/USDT @ 2000 gtd {time}")).await;
    assert_eq!(past["reject"]["name"], "time_passed");
}

#[tokio::test]
async fn a_switch_cancels_all_orders_of_an_account_that_falls_silent() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    let mut hashes = Vec::new();
    for line in ["sell 1 ETH/USDT @ 2000", "buy 0.1 BTC/USDT @ 30000"] {
        let placed = replica.order(&alice, line).await;
        hashes.push(placed["hash"].as_str().unwrap().to_string());
    }
    replica.order(&bob, "sell 1 ETH/USDT @ 2001").await;
    let time = now_ms() + 1500;
    replica.act(&alice, Action::CancelAllAfter { time }).await;
    assert_eq!(replica.account(&alice).await["switch_ms"], time.to_string());
    // It is state: a replica that starts again goes on waiting for it.
    replica.process.kill();
    replica.process.restart("/readyz").await;
    for hash in &hashes {
        let path = format!("/v1/transactions/{hash}");
        replica.until(&path, |outcome| is_cancelled(outcome, "switch")).await;
    }
    let account = replica.account(&alice).await;
    assert_eq!(account["switch_ms"], Value::Null);
    assert_eq!(balance(&account, "USDT"), "50000 + 0");
    assert_eq!(replica.account(&bob).await["open_orders"].as_array().unwrap().len(), 1);
    // What came due is the batch's, and a replay does the same.
    check_replay(&replica).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_of_equal_weight_certify_roots_and_fall_silent() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let _sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let network = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut a = Replica::start(&folder, "a", &network.arguments_of(0)).await;
    let mut b = Replica::start(&folder, "b", &network.arguments_of(1)).await;
    a.ready().await;
    b.ready().await;
    let alice = key(1);
    // Only the first is used; the second answers its attestations.
    a.fund(&[alice.public_key()]).await;
    let started = Instant::now();
    while a.status().await["certified_batch"].is_null() {
        assert!(started.elapsed() < PATIENCE, "{}", a.status().await);
        a.act(&alice, Action::CancelAll { market: None }).await;
    }
    for replica in [&a, &b] {
        let is_certified = |status: &Value| status["certified_batch"].is_string();
        let status = replica.until("/v1/status", is_certified).await;
        let path = format!("/v1/batches/{}", status["certified_batch"].as_str().unwrap());
        assert_eq!(status["certified_root"], replica.get(&path).await["root"]);
    }
    let last = until_idle(&a).await;
    // The clocks of both count: the time goes on, and an order expires.
    let expires = now_ms() + 1500;
    let placed = b.order(&alice, &format!("sell 1 ETH/USDT @ 2000 gtd {expires}")).await;
    let path = format!("/v1/transactions/{}", placed["hash"].as_str().unwrap());
    for replica in [&a, &b] {
        replica.until(&path, |outcome| is_cancelled(outcome, "expired")).await;
    }
    assert!(number(&a.status().await["certified_batch"]) > last);
    until_idle(&b).await;
}
