//! Transactions of keys that the state does not know, and what a replica refuses before it posts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::protocol::OrderRef;
use zellbook_core::{Action, Transaction};

use crate::harness::{Given, Process, Replica, balance, client, key, number};

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
    let contents = replica.get(&format!("/v1/batches/{copy}/contents")).await;
    assert_eq!(contents["elements"][0]["copy_of"], applied.to_string());
    // A restart finds nothing left to post, and a replay the same root.
    replica.process.kill();
    replica.process.restart("/readyz").await;
    assert_eq!(replica.status().await["outbox"], "0");
    crate::harness::check_replay(&replica).await;
}

/// Submits an array. Returns the name of the error of each element, or null.
async fn submit_all(replica: &Replica, elements: &[String]) -> Vec<Value> {
    let body = format!("[{}]", elements.join(","));
    let (status, answer) = replica.request(Method::POST, "/v1/transactions", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let entries = answer["transactions"].as_array().unwrap();
    entries.iter().map(|entry| entry["error"]["name"].clone()).collect()
}

#[tokio::test]
async fn what_the_committed_state_rejects_is_refused_and_uses_no_nonce() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, nobody) = (key(1), key(9));
    replica.fund(&[alice.public_key()]).await;
    let refused = async |(json, _): (String, String)| replica.refused(&json).await["code"].clone();
    assert_eq!(refused(replica.sign_order(&nobody, "buy 1 ETH/USDT @ 1")).await, "unknown_signer");
    let (unfunded, hash) = replica.sign_order(&alice, "sell 11 ETH/USDT @ 2000");
    assert_eq!(replica.refused(&unfunded).await["code"], "balance_too_low");
    let cancel = Action::Cancel(OrderRef::Id(77));
    assert_eq!(refused(replica.sign(&alice, cancel)).await, "unknown_order");
    let revoke = Action::RevokeKey { key: nobody.public_key() };
    assert_eq!(refused(replica.sign(&alice, revoke)).await, "unknown_key");
    assert_eq!(replica.status().await["posting"]["taken"], "3", "the deposits of the faucet");
    // The same bytes are taken once they can be applied.
    let bob = key(2);
    replica.fund(&[bob.public_key()]).await;
    let (token, amount) = ("ETH".to_string(), "1".parse().unwrap());
    let send = Action::Transfer { token, to: alice.public_key(), amount };
    replica.perform(&bob, send).await;
    replica.submit(&unfunded).await;
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    // Sent again it is the same transaction. Another one with its nonce is refused.
    replica.submit(&unfunded).await;
    let nonce = unfunded.split("\"nonce\":\"").nth(1).unwrap().split('"').next().unwrap();
    let other = Transaction {
        account: alice.public_key(),
        signer: None,
        nonce: nonce.parse().unwrap(),
        valid_until: None,
        action: Action::CancelAll { market: None },
    };
    let other = other.sign(&replica.rules.network, &alice).to_json();
    assert_eq!(replica.refused(&other).await["code"], "nonce_used");
}

#[tokio::test]
async fn what_is_in_flight_can_make_a_transaction_right() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, carol) = (key(1), key(3));
    // The faucet's deposits wait in the outbox while the order arrives.
    let body = json!({ "account": alice.public_key().to_string() }).to_string();
    let (status, _) = replica.request(Method::POST, "/v1/faucet", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (json, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    replica.submit(&json).await;
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    // Elements of one array count in their order.
    let (token, amount) = ("ETH".to_string(), "2".parse().unwrap());
    let send = Action::Transfer { token, to: carol.public_key(), amount };
    let (send, _) = replica.sign(&alice, send);
    let (sell, sold) = replica.sign_order(&carol, "sell 2 ETH/USDT @ 2000");
    let cancel = Action::Cancel(OrderRef::Transaction(sold_hash(&sold)));
    let (cancel, cancelled) = replica.sign(&carol, cancel);
    let all = [sell.clone(), send, sell, cancel];
    let names = submit_all(&replica, &all).await;
    assert_eq!(names, [json!("unknown_signer"), Value::Null, Value::Null, Value::Null]);
    assert_eq!(replica.outcome(&sold).await["status"], "applied");
    assert_eq!(replica.outcome(&cancelled).await["status"], "applied");
    assert_eq!(balance(&replica.account(&carol).await, "ETH"), "2 + 0");
    // An order that needs what a cancel on its way will free.
    let (first, hash) = replica.sign_order(&carol, "sell 2 ETH/USDT @ 2000");
    replica.submit(&first).await;
    replica.outcome(&hash).await;
    let (cancel, _) = replica.sign(&carol, Action::CancelAll { market: None });
    let (second, hash) = replica.sign_order(&carol, "sell 2 ETH/USDT @ 2001");
    assert_eq!(replica.refused(&second).await["code"], "balance_too_low");
    assert_eq!(submit_all(&replica, &[cancel, second]).await, [Value::Null, Value::Null]);
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
}

fn sold_hash(text: &str) -> zellbook_core::TransactionHash {
    zellbook_core::TransactionHash(zellbook_core::types::decode_hex(text).unwrap())
}
