//! Tests of the exchange's time, which the replicas' attestations move, and of its timers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use zellbook_core::Action;
use zellular::bls::BlsSecretKey;
use zellular::{SignedState, bls_message, message};

use crate::changed_answers::{Change, proxy};
use crate::harness::{
    Given, Process, Replica, TIMEOUT, balance, check_replay, key, now_ms, number, order,
};

/// An exchange is idle if it had no batch for this long. Replicas attest once a second, and once more when batches
/// have stopped for some seconds.
const IDLE: Duration = Duration::from_secs(6);

/// Waits until the exchange is idle, and returns the last batch.
async fn until_idle(replica: &Replica) -> u64 {
    let started = Instant::now();
    let mut last = (replica.batch().await, Instant::now());
    while last.1.elapsed() < IDLE {
        assert!(started.elapsed() < TIMEOUT, "batches go on and on");
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
async fn an_order_expires_on_an_idle_exchange() {
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
    // Without timers, no more batches are made.
    until_idle(&replica).await;
    let book = replica.get("/v1/markets/ETH-USDT/book").await;
    assert_eq!(book["asks"], serde_json::json!([]));
    check_replay(&replica).await;
}

#[tokio::test]
async fn an_order_whose_expiry_has_passed_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    // A replica attests only while it follows the sequencer.
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    // A clock attested in one batch sets the time from the next batch on.
    replica.order(&alice, "buy 1 ETH/USDT @ 1000").await;
    // The first attestations leave the time where it is, until a proof has checked the clock.
    let is_checked = |status: &Value| number(&status["time_ms"]) > 0;
    let started = Instant::now();
    while !is_checked(&replica.status().await) {
        assert!(started.elapsed() < TIMEOUT);
        replica.perform(&alice, Action::CancelAll { market: None }).await;
    }
    let time = number(&replica.status().await["time_ms"]);
    assert!(time > now_ms() - 60_000, "{time}");
    let sell = || Action::Order(order("sell 1 ETH/USDT @ 2000"));
    let (json, _) = replica.sign_until(&alice, Some(time), sell());
    assert_eq!(replica.refused(&json).await["code"], "expired");
    let (json, hash) = replica.sign_until(&alice, Some(time + 3_600_000), sell());
    replica.submit(&json).await;
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    let (json, _) = replica.sign_order(&alice, &format!("sell 1 ETH/USDT @ 2000 gtd {time}"));
    assert_eq!(replica.refused(&json).await["code"], "time_passed");
}

#[tokio::test]
async fn the_dead_mans_switch_cancels_all_orders_of_an_account() {
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
    replica.perform(&alice, Action::CancelAllAfter { time }).await;
    assert_eq!(replica.account(&alice).await["switch_ms"], time.to_string());
    // The switch is part of the state, so it survives a restart.
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
    // A replay fires the switch in the same batch.
    check_replay(&replica).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_certify_roots_and_then_stop_attesting() {
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
    // Only the first gets orders; the second attests in response.
    a.fund(&[alice.public_key()]).await;
    let started = Instant::now();
    while a.status().await["certified_batch"].is_null() {
        assert!(started.elapsed() < TIMEOUT, "{}", a.status().await);
        a.perform(&alice, Action::CancelAll { market: None }).await;
    }
    for replica in [&a, &b] {
        let is_certified = |status: &Value| status["certified_batch"].is_string();
        let status = replica.until("/v1/status", is_certified).await;
        let path = format!("/v1/batches/{}", status["certified_batch"].as_str().unwrap());
        assert_eq!(status["certified_root"], replica.get(&path).await["root"]);
    }
    let last = until_idle(&a).await;
    // The clocks of both move the time, and the order expires.
    let expires = now_ms() + 1500;
    let placed = b.order(&alice, &format!("sell 1 ETH/USDT @ 2000 gtd {expires}")).await;
    let path = format!("/v1/transactions/{}", placed["hash"].as_str().unwrap());
    for replica in [&a, &b] {
        replica.until(&path, |outcome| is_cancelled(outcome, "expired")).await;
    }
    assert!(number(&a.status().await["certified_batch"]) > last);
    until_idle(&b).await;
}

/// What makes the clock of a sequencer so many seconds slow: it signs its proofs anew, with an earlier time.
fn slow_clock(sequencer_data: &Path, slow_s: &Arc<AtomicU64>) -> Change {
    let key = std::fs::read_to_string(sequencer_data.join("bls.key")).unwrap();
    let (key, slow_s) = (BlsSecretKey::from_hex(key.trim()).unwrap(), Arc::clone(slow_s));
    let sign = move |proof: &mut Value, signature: &str| {
        let number = |name: &str| proof[name].as_u64().unwrap();
        let (index, parent) = (number("index"), number("parent_index"));
        let timestamp = number("timestamp") - slow_s.load(Ordering::SeqCst);
        let hash = proof["chaining_hash"].as_str().unwrap();
        let text = message("zellbook", SignedState::Locked, index, parent, timestamp, hash);
        let signed = key.sign(bls_message(&text).as_bytes()).unwrap().to_string();
        proof["timestamp"] = timestamp.into();
        proof[signature] = signed.into();
    };
    Arc::new(move |_, path, answer| {
        let answer = answer.filter(|_| path.contains("/batches/finalized"))?;
        let mut json: Value = serde_json::from_slice(answer).unwrap();
        let data = &mut json["data"];
        if data.get("finalized_signature").is_some() {
            sign(data, "finalized_signature");
        }
        let proofs = data.get_mut("finalized_signatures").and_then(Value::as_array_mut);
        proofs.into_iter().flatten().for_each(|proof| sign(proof, "signature"));
        Some(json.to_string().into_bytes())
    })
}

/// Waits until the log says something, and checks that it says it once.
async fn tells(replica: &Replica, what: &str) {
    let started = Instant::now();
    while !replica.process.log().contains(what) {
        assert!(started.elapsed() < TIMEOUT, "{}", replica.process.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = replica.process.log();
    assert_eq!(log.matches(what).count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_differs_from_the_networks_is_told_and_not_attested_until_they_agree_again() {
    const DAYS: u64 = 2 * 86_400;
    const MINUTE_MS: u64 = 60_000;
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    // The difference is that of a machine whose clock is ahead. No user may set the clock of this one.
    let slow_s = Arc::new(AtomicU64::new(DAYS));
    let gateway = proxy(&sequencer.url, slow_clock(&sequencer_data, &slow_s)).await;
    let network = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let arguments =
        |replica| [&network.arguments_of(replica)[..], &["--gateway", &gateway]].concat();
    let mut a = Replica::start(&folder, "a", &arguments(0)).await;
    let mut b = Replica::start(&folder, "b", &arguments(1)).await;
    a.ready().await;
    b.ready().await;
    let alice = key(1);
    a.fund(&[alice.public_key()]).await;

    let ahead_ms = |status: &Value| status["clock_ahead_ms"].as_str()?.parse::<i64>().ok();
    let moves = |status: &Value| ahead_ms(status).is_some() && status["time_ms"] != "0";
    let status = a.busy_until(&alice, "/v1/status", moves).await;
    let days = i64::try_from(DAYS * 1000).unwrap();
    let is_days = |ahead: i64| (days - 2000..days + 60_000).contains(&ahead);
    assert!(is_days(ahead_ms(&status).unwrap()), "{status}");
    // The network's time is attested, and it is what the replica tells its clients.
    let slow_now = now_ms() - DAYS * 1000;
    for name in ["time_ms", "now_ms"] {
        assert!(number(&status[name]).abs_diff(slow_now) < MINUTE_MS, "{name}: {status}");
    }
    for replica in [&a, &b] {
        tells(replica, "s ahead of the time of the network's proofs; beyond 120 s").await;
    }
    let metric = async || {
        let metrics = a.text("/metrics").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix("zellbook_clock_ahead_ms "));
        line.unwrap_or_else(|| panic!("{metrics}")).parse::<i64>().unwrap()
    };
    assert!(is_days(metric().await));

    slow_s.store(0, Ordering::SeqCst);
    let agrees = |status: &Value| ahead_ms(status).is_some_and(|ahead| ahead < 60_000);
    a.busy_until(&alice, "/v1/status", agrees).await;
    assert!(metric().await < 60_000);
    let catches_up = |status: &Value| number(&status["time_ms"]).abs_diff(now_ms()) < MINUTE_MS;
    a.busy_until(&alice, "/v1/status", catches_up).await;
    for replica in [&a, &b] {
        tells(replica, "agrees with the time of the network's proofs again").await;
    }
}
