//! Tests of the outbox with real processes and sockets: accepted transactions are applied, and their status
//! is known.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::{Action, Decimal, SecretKey, Transaction};

use crate::harness::{
    Given, Process, Replica, client, free_port, key, now_ms, number, order, run, text,
};
use crate::hostile::node::{Asked, Attack, Node, Sent, page, state};

/// The number of orders placed to measure the latency.
const ORDERS: u64 = 200;
/// The longest time from submission to outcome for 99 % of the orders, with dead and lying gateways.
const P99_MAX: Duration = Duration::from_secs(12);

/// A node that accepts and discards posts, has no batches, and claims to have all of them.
fn liar() -> Attack {
    let mut claims = state(&json!(0));
    claims["data"]["apps"] = json!({ "zellbook": {
        "last_sequenced_index": u64::MAX, "last_locked_index": u64::MAX, "last_finalized_index": u64::MAX,
    }});
    Attack::by(move |asked, _| match asked {
        Asked::State => Some(Sent::json(&claims)),
        Asked::Page(_) => Some(Sent::json(page(u64::MAX))),
        Asked::Last => Some(Sent::json(json!({ "status": "success", "data": null }))),
        Asked::Other => Some(Sent::json(json!({ "status": "success", "data": {} }))),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_orders_are_applied_with_two_of_four_gateways_dead_and_one_lying() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let liar = Node::start(liar()).await;
    let dead = [free_port(), free_port()].map(|port| format!("http://127.0.0.1:{port}"));
    let given = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut arguments = given.arguments();
    let urls = [&dead[0], &liar.url, &dead[1], &sequencer.url];
    arguments.extend(urls.iter().flat_map(|url| ["--gateway", url.as_str()]));
    let replica = Replica::start(&folder, "data", &arguments).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let mut hashes = Vec::new();
    for number in 0..ORDERS {
        let line = format!("sell 0.01 ETH/USDT @ {}", 2000 + number);
        let (json, hash) = replica.sign_order(&alice, &line);
        replica.submit(&json).await;
        hashes.push(hash);
        // Slowly enough for the gateways to change during the test.
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let mut latencies = Vec::new();
    for hash in &hashes {
        let outcome = replica.outcome(hash).await;
        assert_eq!(outcome["status"], "applied", "{outcome}");
        latencies
            .push(number(&outcome["applied_ms"]).saturating_sub(number(&outcome["received_ms"])));
    }
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies[(latencies.len() * percent).div_ceil(100) - 1];
    println!(
        "submit to applied: p50 {} ms, p99 {} ms, most {} ms",
        percentile(50),
        percentile(99),
        percentile(100)
    );
    assert!(percentile(99) < u64::try_from(P99_MAX.as_millis()).unwrap(), "{latencies:?}");
    let account = replica.account(&alice).await;
    assert_eq!(account["open_orders"].as_array().unwrap().len() as u64, ORDERS, "none twice");
}

#[tokio::test]
async fn a_receipt_proves_what_a_replica_received_and_when() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let mut sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let given = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut replica = Replica::start(&folder, "data", &given.arguments_of(0)).await;
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    sequencer.kill();
    let before = now_ms();
    let (json, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    let (status, answer) = replica.request(Method::POST, "/v1/transactions", &json).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let receipt = answer["transactions"][0]["receipt"].clone();
    assert_eq!(receipt["transaction"], hash);
    assert_eq!(receipt["network"], replica.rules.network.to_string());
    let replica_key = replica.rules.genesis.replicas[0].public_key.to_string();
    assert_eq!(receipt["replica"], replica_key);
    assert!(number(&receipt["received_ms"]) >= before);
    // Repeated submissions return the same receipt, also after a crash.
    let (_, again) = replica.request(Method::POST, "/v1/transactions", &json).await;
    assert_eq!(again["transactions"][0]["receipt"], receipt);
    replica.process.kill();
    replica.process.restart("/healthz").await;
    let status = replica.get(&format!("/v1/transactions/{hash}")).await;
    assert_eq!((&status["status"], &status["receipt"]), (&"received".into(), &receipt));

    let check = |receipt: &Value, arguments: &[&str]| {
        let file = folder.path().join("receipt.json");
        std::fs::write(&file, receipt.to_string()).unwrap();
        let all = [&["verify", "receipt", file.to_str().unwrap()], arguments].concat();
        let output = run(&all);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let server = replica.process.url.clone();
    let (code, message) = check(&receipt, &["--replica", &replica_key, "--server", &server]);
    assert_eq!(code, Some(0), "{message}");
    assert!(message.contains("its status is received"), "{message}");
    // Another replica does not know the transaction.
    let other = Replica::start(&folder, "other", &given.arguments_of(1)).await;
    let (code, message) = check(&receipt, &["--server", &other.process.url]);
    assert!(code == Some(0) && message.contains("does not know it"), "{message}");
    let wrong_key = key(5).public_key().to_string();
    let (code, message) = check(&receipt, &["--replica", &wrong_key]);
    assert!(code == Some(3) && message.contains("not by"), "{message}");
    let mut forged = receipt.clone();
    forged["received_ms"] = "1".into();
    let (code, message) = check(&forged, &[]);
    assert!(code == Some(3) && message.contains("the signature is not that of"), "{message}");
    let (code, message) = check(&json!({ "receipt": receipt }), &[]);
    assert!(code == Some(3) && message.contains("this is not a receipt"), "{message}");

    sequencer.restart("/node/ready").await;
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    let (code, message) = check(&receipt, &["--server", &server]);
    assert!(code == Some(0) && message.contains("its status is applied in batch"), "{message}");
}

#[tokio::test]
async fn a_transaction_that_expires_in_the_outbox_stays_expired_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let _sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let liar = Node::start(liar()).await;
    let given = Given::network(&folder, &sequencer_data.join("nodes.json"));
    // One replica attests, so that the exchange's time moves; the other posts to a node that discards
    // everything.
    let first = Replica::start(&folder, "first", &given.arguments_of(0)).await;
    let clock = Replica::start(&folder, "clock", &given.arguments_of(1)).await;
    let alice = key(1);
    first.fund(&[alice.public_key()]).await;
    // It learns from an honest node that alice has tokens. Otherwise it would refuse her order.
    let mut informed = Replica::start(&folder, "lost", &given.arguments()).await;
    let path = format!("/v1/accounts/{}", alice.public_key());
    informed.until(&path, |body| body["balances"][0]["available"] == "10").await;
    assert_eq!(informed.process.terminate(), Some(0));
    drop(informed);
    let mut arguments = given.arguments();
    arguments.extend(["--gateway", &liar.url]);
    let mut lost = Replica::start(&folder, "lost", &arguments).await;
    let until = now_ms() + 3000;
    let (json, hash) =
        lost.sign_until(&alice, Some(until), Action::Order(order("sell 1 ETH/USDT @ 2000")));
    lost.submit(&json).await;
    let path = format!("/v1/transactions/{hash}");
    lost.until(&path, |body| body["status"] == "posted").await;
    // The times of posts are written twice a second. Without them the transaction would be posted at once.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(lost.process.terminate(), Some(0));
    // The exchange's time moves past the expiry.
    let started = now_ms();
    while number(&first.status().await["time_ms"]) < until {
        assert!(now_ms() - started < 60_000, "{}", clock.status().await);
        first.order(&alice, "sell 0.01 ETH/USDT @ 3000").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // With an honest gateway the replica learns that time, and gives up the order without posting it.
    let data = lost.data.to_str().unwrap().to_string();
    drop(lost);
    let mut arguments = given.arguments();
    arguments.extend(["--repost-ms", "600000", "--data", &data]);
    let again = Process::start(folder.path(), "serve", &arguments, "/readyz").await;
    let client = crate::harness::client();
    let url = format!("{}{path}", again.url);
    let started = now_ms();
    let expired = loop {
        let body: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
        if body["status"] == "expired" {
            break body;
        }
        assert!(now_ms() - started < 30_000, "{body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(expired["received_ms"].is_string() && expired["receipt"].is_object(), "{expired}");
    drop(again);
    let again = Process::start(folder.path(), "serve", &arguments, "/readyz").await;
    let url = format!("{}{path}", again.url);
    let body: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(body["status"], "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_one_key_ends_in_429_and_leaves_room_for_others_and_for_its_own_cancels() {
    const EACH: u64 = 1000;
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let mut sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let given = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut replica = Replica::start(&folder, "data", &given.arguments()).await;
    replica.ready().await;
    let (flooder, honest) = (key(1), key(2));
    replica.fund(&[flooder.public_key(), honest.public_key()]).await;
    // The flood gathers in an outage, so that the test does not depend on the speed of the machine.
    sequencer.kill();
    let line = "buy 0.01 ETH/USDT @ 100 ioc";
    let bodies: Vec<String> = (0..7)
        .map(|_| {
            let elements = (0..EACH).map(|_| replica.sign_order(&flooder, line).0);
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        })
        .collect();
    let (mut refused, mut remaining) = (0, u64::MAX);
    for body in bodies {
        let url = format!("{}/v1/transactions", replica.process.url);
        let post = client().post(url).header("content-type", "application/json").body(body);
        let answer = post.send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().parse::<u64>().unwrap();
        assert!(header("ratelimit-limit") > 0 && header("ratelimit-reset") > 0);
        remaining = remaining.min(header("ratelimit-remaining"));
        let retry_after = answer.headers().get("retry-after").cloned();
        let answer: Value = answer.json().await.unwrap();
        let entries = answer["transactions"].as_array().unwrap();
        let has_refused = entries.iter().any(|entry| entry["error"]["name"] == "outbox_quota");
        assert_eq!(retry_after.is_some(), has_refused, "{retry_after:?}");
        refused += entries.iter().filter(|entry| entry["error"]["name"] == "outbox_quota").count();
    }
    assert!(refused > 0 && remaining == 0, "{refused} refused, {remaining} remaining");
    let url = format!("{}/v1/transactions", replica.process.url);
    let post = client().post(url).header("content-type", "application/json");
    let one = post.body(replica.sign_order(&flooder, line).0).send().await.unwrap();
    assert_eq!(one.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(one.headers()["ratelimit-remaining"], "0");
    assert!(one.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    // The flooder's own cancels have room, and so has another account.
    let (switch, cancelled) = replica.sign(&flooder, Action::CancelAllAfter { time: 0 });
    replica.submit(&switch).await;
    let (json, sold) = replica.sign_order(&honest, "sell 0.01 ETH/USDT @ 2400");
    replica.submit(&json).await;
    sequencer.restart("/node/ready").await;
    for hash in [cancelled, sold] {
        assert_eq!(replica.outcome(&hash).await["status"], "applied");
    }
    // They went first.
    let waiting = number(&replica.status().await["outbox"]);
    assert!(waiting > 500, "the flood is over: {waiting} wait");
}

#[tokio::test]
async fn what_expires_in_an_outage_has_no_effect_after_it() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let mut sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let given = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut first = Replica::start(&folder, "first", &given.arguments_of(0)).await;
    let mut second = Replica::start(&folder, "second", &given.arguments_of(1)).await;
    // This one does not attest, so it depends on the others for the exchange's time.
    let mut follower = Replica::start(&folder, "follower", &given.arguments()).await;
    first.ready().await;
    second.ready().await;
    follower.ready().await;
    let (alice, bob, carol, dave) = (key(1), key(2), key(3), key(4));
    let accounts = [&alice, &bob, &carol, &dave].map(|key| key.public_key());
    first.fund(&accounts).await;
    // The exchange's time moves only with batches, and an idle exchange makes none.
    let started = now_ms();
    while first.status().await["time_ms"] == "0" {
        assert!(now_ms() - started < 60_000, "{}", first.status().await);
        first.order(&carol, "sell 0.01 ETH/USDT @ 3000").await;
    }
    let expires = now_ms() + 6000;
    first.order(&bob, &format!("sell 1 ETH/USDT @ 2000 gtd {expires}")).await;
    first.order(&carol, "sell 1 ETH/USDT @ 2100").await;
    sequencer.kill();
    // Both are posted in vain at once. The first one is valid for three seconds.
    let ioc = Action::Order(order("buy 1 ETH/USDT @ 2100 ioc"));
    let (json, short) = first.sign_until(&alice, Some(now_ms() + 3000), ioc);
    first.submit(&json).await;
    let (json, patient) = first.sign_order(&alice, "buy 1 ETH/USDT @ 2050");
    first.submit(&json).await;
    let (json, of_follower) = follower.sign_order(&dave, "buy 1 ETH/USDT @ 2040");
    follower.submit(&json).await;
    // It would rest, and fill later, although it should have expired.
    let line = format!("buy 1 ETH/USDT @ 2030 gtd {}", now_ms() + 3000);
    let (json, resting) = follower.sign_order(&dave, &line);
    follower.submit(&json).await;
    first.until("/v1/status", |_| now_ms() > expires + 500).await;
    let status = first.get(&format!("/v1/transactions/{short}")).await;
    assert_ne!(status["status"], "posted", "{status}");
    sequencer.restart("/node/ready").await;
    // The exchange's time passes the outage before an order of a user can fill: bob's has expired.
    for (replica, hash) in [(&first, &patient), (&follower, &of_follower)] {
        let outcome = replica.outcome(hash).await;
        assert_eq!(
            (&outcome["status"], &outcome["order"]["filled"]),
            (&"applied".into(), &"0".into()),
            "{outcome}"
        );
    }
    let given_up = |body: &Value| body["status"] == "expired";
    first.until(&format!("/v1/transactions/{short}"), given_up).await;
    follower.until(&format!("/v1/transactions/{resting}"), given_up).await;
    let trades = first.get("/v1/markets/ETH-USDT/trades").await;
    assert_eq!(trades["trades"], json!([]));
    drop(second);
}

#[tokio::test]
async fn a_rejected_deposit_costs_the_account_no_faucet_hour() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    replica.ready().await;
    let file = std::fs::read_to_string(replica.data.join("issuer.key")).unwrap();
    let bytes = hex::decode(file.trim()).unwrap();
    let issuer = SecretKey::from_bytes(&bytes.try_into().unwrap()).unwrap();
    // The issuer uses 64 nonces above its clock, so those of the faucet are too old.
    let ahead = now_ms() + 3_600_000;
    let mut last = String::new();
    for nonce in ahead..ahead + 64 {
        let transaction = Transaction {
            account: issuer.public_key(),
            signer: None,
            nonce,
            valid_until: None,
            action: Action::Deposit {
                token: "ETH".into(),
                to: key(9).public_key(),
                amount: Decimal::parse("1").unwrap(),
                reference: nonce.to_string(),
            },
        };
        last = transaction.hash(&replica.rules.network).to_string();
        replica.submit(&transaction.sign(&replica.rules.network, &issuer).to_json()).await;
    }
    assert_eq!(replica.outcome(&last).await["status"], "applied");
    let body = json!({ "account": key(1).public_key().to_string() }).to_string();
    for _ in 0..2 {
        let (status, answer) = replica.request(Method::POST, "/v1/faucet", &body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        for entry in answer["transactions"].as_array().unwrap() {
            let path = format!("/v1/transactions/{}", entry["hash"].as_str().unwrap());
            let ended =
                |body: &Value| matches!(body["status"].as_str(), Some("rejected" | "superseded"));
            replica.until(&path, ended).await;
        }
    }
}
