//! Tests that replicas of one sequencer stay identical, whatever happens to one of them.

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use zellbook_core::Action;

use crate::harness::{Given, Process, Replica, client, key, number, replay};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_are_equal_after_every_batch_although_one_replica_is_killed_and_restarted() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let network = Given::network(&folder, &sequencer_data.join("nodes.json"));
    let mut a = Replica::start(&folder, "a", &network.arguments_of(0)).await;
    let mut b = Replica::start(&folder, "b", &network.arguments_of(1)).await;
    a.ready().await;
    b.ready().await;

    let traders: Vec<_> = (1..=4).map(key).collect();
    let accounts: Vec<_> = traders.iter().map(|key| key.public_key()).collect();
    a.fund(&accounts[..2]).await;
    b.fund(&accounts[2..]).await;

    let mut hashes = Vec::new();
    for round in 0..60_u32 {
        let trader = &traders[(round % 4) as usize];
        let side = if round % 2 == 0 { "buy" } else { "sell" };
        let price = 1990 + round * 7 % 20;
        let kind = ["gtc", "ioc", "post_only"][(round % 3) as usize];
        let line = format!("{side} 0.0{} ETH/USDT @ {price} {kind}", 1 + round % 9);
        // Submitted to either replica.
        let replica = if round % 2 == 0 { &a } else { &b };
        let (json, hash) = replica.sign_order(trader, &line);
        replica.submit(&json).await;
        hashes.push(hash);
        match round {
            15 => {
                let (json, hash) = a.sign(trader, Action::CancelAll { market: None });
                a.submit(&json).await;
                hashes.push(hash);
                // Invalid bodies, which anyone may post.
                for body in ["junk", "", "[null,{}]", "[[[["] {
                    let bulk = serde_json::json!({ "zellbook": [body] }).to_string();
                    let url = format!("{}/node/batches", sequencer.url);
                    client().put(url).body(bulk).send().await.unwrap();
                }
            }
            30 => b.process.kill(),
            _ => {}
        }
        if round == 30 {
            // The other one continues alone; then the killed one restarts and catches up.
            for extra in 0..15 {
                let line = format!("sell 0.02 ETH/USDT @ {} gtc", 2000 + extra);
                let (json, hash) = a.sign_order(&traders[1], &line);
                a.submit(&json).await;
                hashes.push(hash);
            }
            for hash in &hashes {
                a.outcome(hash).await;
            }
            b.process.restart("/healthz").await;
            b.ready().await;
        }
    }
    for hash in &hashes {
        let (first, second) = (a.outcome(hash).await, b.outcome(hash).await);
        assert_eq!((&first["status"], &first["batch"]), (&second["status"], &second["batch"]));
    }
    let last = a.batch().await;
    let reached = |status: &Value| number(&status["batch"]) >= last;
    b.until("/v1/status", reached).await;
    assert!(last > 20, "{last} batches");
    let mut traded = false;
    for index in 1..=last {
        let path = format!("/v1/batches/{index}");
        let (first, second) = (a.get(&path).await, b.get(&path).await);
        for field in ["body", "root", "chaining_hash", "applied", "rejected"] {
            assert_eq!(first[field], second[field], "batch {index}");
        }
    }
    for path in ["/v1/markets/ETH-USDT/book", "/v1/markets/ETH-USDT/trades"] {
        let (mut first, mut second) = (a.get(path).await, b.get(path).await);
        // Attestations may still be applied.
        first["batch"] = Value::Null;
        second["batch"] = Value::Null;
        assert_eq!(first, second);
        traded |= first["trades"].as_array().is_some_and(|trades| !trades.is_empty());
    }
    assert!(traded, "the load made trades");

    for replica in [&a, &b] {
        let (code, report, log) = replay(&replica.data);
        assert_eq!(code, Some(0), "{log}");
        assert!(number(&report["batches"]) >= last);
        let path = format!("/v1/batches/{}", report["batches"].as_str().unwrap());
        assert_eq!(report["root"], a.get(&path).await["root"]);
        assert!(number(&report["certified_roots"]) > 0, "{report}");
    }
    let (status, _) = a.request(Method::GET, "/readyz", "").await;
    assert!(status.is_success());
}
