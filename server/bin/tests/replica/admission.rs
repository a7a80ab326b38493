//! Transactions of keys that the state does not know, and what a replica refuses before it posts.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Given, Process, Replica, client, key, number};

/// Posts a batch to the sequencer, past all replicas, as anyone can do on a network. Returns its index.
async fn sequence(sequencer: &Process, replica: &Replica, elements: &[&str]) -> u64 {
    let before = replica.batch().await;
    let body = format!("[{}]", elements.join(","));
    let bulk = json!({ "zellbook": [body] }).to_string();
    let url = format!("{}/node/batches", sequencer.url);
    assert!(client().put(url).body(bulk).send().await.unwrap().status().is_success());
    let count = elements.len().to_string();
    let mut index = before;
    loop {
        index += 1;
        replica.until("/v1/status", |status| number(&status["batch"]) >= index).await;
        let contents = replica.get(&format!("/v1/batches/{index}/contents")).await;
        let elements = contents["elements"].as_array().unwrap();
        // Attestations of the replica itself come in between.
        let is_ours = elements.iter().all(|element| element["kind"] != "attest");
        if is_ours && contents["elements_total"] == count {
            return index;
        }
    }
}

/// The reject of one element of a batch.
async fn reject(replica: &Replica, batch: u64, position: usize) -> Value {
    let contents = replica.get(&format!("/v1/batches/{batch}/contents")).await;
    contents["elements"][position]["reject"]["name"].clone()
}

#[tokio::test]
async fn a_transaction_of_an_unknown_key_is_rejected_and_can_be_applied_later() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("sequencer");
    let arguments = ["--data", data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let network = Given::network(&folder, &data.join("nodes.json"));
    let mut replica = Replica::start(&folder, "data", &network.arguments_of(0)).await;
    replica.ready().await;
    let alice = key(1);
    let (order, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    let path = format!("/v1/transactions/{hash}");
    let first = sequence(&sequencer, &replica, &[&order, &order]).await;
    let status = replica.outcome(&hash).await;
    assert_eq!(status["reject"]["name"], "unknown_signer", "{status}");
    assert_eq!((number(&status["batch"]), &status["position"]), (first, &json!("0")));
    // A reject of this kind does not end it. It is taken again once the key is known.
    replica.fund(&[alice.public_key()]).await;
    replica.submit(&order).await;
    let status = replica.until(&path, |status| status["status"] == "applied").await;
    let applied = number(&status["batch"]);
    assert!(applied > first && status["order"]["status"] == "open", "{status}");
    // A copy after that has no effect, and every element keeps the outcome that it had.
    let copy = sequence(&sequencer, &replica, &[&order]).await;
    assert_eq!(replica.get(&path).await["batch"], applied.to_string());
    assert_eq!(reject(&replica, first, 0).await, "unknown_signer");
    assert_eq!(reject(&replica, first, 1).await, "unknown_signer");
    assert_eq!(reject(&replica, copy, 0).await, "nonce_used");
    // A restart finds nothing left to post, and a replay the same root.
    replica.process.kill();
    replica.process.restart("/readyz").await;
    assert_eq!(replica.status().await["outbox"], "0");
    crate::harness::check_replay(&replica).await;
}
