//! Tests of the endpoints for the explorer: headers, contents of batches, signed texts, replicas, and the
//! history of accounts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::wire::{BatchesResponse, NetworkBody};
use zellbook_core::{Action, Atoms, Decimal, SecretKey};
use zellular::{
    DecimalProof, FinalitySignature, NodeList, SignedState, Threshold, Verifier, chain,
};

use super::harness::{Given, Process, Replica, client, key, number};

fn column(rows: &Value, name: &str) -> Vec<String> {
    let rows = rows.as_array().unwrap();
    rows.iter().map(|row| row[name].as_str().unwrap_or("null").into()).collect()
}

fn number_or_0(value: &Value) -> u64 {
    if value.is_null() { 0 } else { number(value) }
}

/// Makes batches until the replica has attested: attestations ride in batches, at most once a second.
async fn until_attested(replica: &Replica, trader: &SecretKey) {
    for _ in 0..1000 {
        let body = replica.get("/v1/replicas").await;
        if number_or_0(&body["replicas"][0]["attested_batch"]) > 0 {
            return;
        }
        replica.perform(trader, Action::CancelAll { market: None }).await;
    }
    panic!("it does not attest");
}

async fn refused(replica: &Replica, path: &str, status: u16, code: &str) {
    let (found, answer) = replica.request(Method::GET, path, "").await;
    assert_eq!((found.as_u16(), answer["error"]["code"].as_str()), (status, Some(code)), "{path}");
}

#[tokio::test]
async fn the_contents_of_a_batch_are_its_elements_with_outcomes_and_its_trades() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    let (good, hash) = replica.sign_order(&bob, "buy 0.4 ETH/USDT @ 2001");
    let (poor, poor_hash) = replica.sign_order(&bob, "buy 1 ETH/USDT @ 1999 fok");
    let body = format!("[{good},{poor}]");
    let (status, _) = replica.request(Method::POST, "/v1/transactions", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let outcome = replica.outcome(&hash).await;
    let batch = outcome["batch"].as_str().unwrap().to_string();
    let poor_outcome = replica.outcome(&poor_hash).await;

    let contents = replica.get(&format!("/v1/batches/{batch}/contents")).await;
    let whole = replica.get(&format!("/v1/batches/{batch}")).await;
    for name in ["index", "root", "chaining_hash", "applied", "rejected"] {
        assert_eq!(contents["header"][name], whole[name], "{name}");
    }
    assert_eq!(contents["proof"], whole["proof"]);
    let bytes = whole["body"].as_str().unwrap().len().to_string();
    assert_eq!(contents["header"]["bytes"], bytes);
    let before = replica.get(&format!("/v1/batches/{}", number(&json!(batch)) - 1)).await;
    assert_eq!(contents["previous_chaining_hash"], before["chaining_hash"]);
    let position = number(&outcome["position"]) as usize;
    let element = &contents["elements"][position];
    assert_eq!(element["hash"], hash);
    assert_eq!(element["kind"], "order");
    assert_eq!(element["account"], bob.public_key().to_string());
    assert_eq!(element["reject"], Value::Null);
    assert_eq!(element["fields"][0], json!(["market", "ETH/USDT"]));
    let trades = &contents["trades"];
    assert_eq!(column(trades, "quantity"), ["0.4"]);
    assert_eq!(column(trades, "batch"), [batch.as_str()]);
    assert_eq!(contents["has_more_trades"], false);
    let poor_batch = poor_outcome["batch"].as_str().unwrap();
    let from = poor_outcome["position"].as_str().unwrap();
    let path = format!("/v1/batches/{poor_batch}/contents?from={from}&limit=1");
    let rest = replica.get(&path).await;
    assert_eq!(column(&rest["elements"], "hash"), [poor_hash]);
    assert_eq!(rest["elements"][0]["reject"]["code"], "34");
    // The batch before it has no trades.
    let path = format!("/v1/batches/{}/contents", before["index"].as_str().unwrap());
    assert_eq!(replica.get(&path).await["trades"], json!([]));

    // Only the trades.
    let trades_of = async |query: &str| {
        let answer = replica.get(&format!("/v1/batches/{batch}/trades{query}")).await;
        (answer["total"].as_str().unwrap().to_string(), column(&answer["trades"], "quantity"))
    };
    let one = |quantity: &str| ("1".to_string(), vec![quantity.to_string()]);
    let taker = &trades[0]["taker_order"].as_str().unwrap();
    let maker = &trades[0]["maker_order"].as_str().unwrap();
    assert_eq!(trades_of("").await, one("0.4"));
    assert_eq!(trades_of(&format!("?taker_order={taker}")).await, one("0.4"));
    assert_eq!(trades_of(&format!("?taker_order={maker}")).await, ("0".into(), vec![]));
    assert_eq!(trades_of("?from=1").await, ("1".into(), vec![]));

    refused(&replica, "/v1/batches/0/trades", 400, "bad_index").await;
    refused(&replica, "/v1/batches/999999/trades", 404, "unknown_batch").await;
    refused(&replica, "/v1/batches/1/trades?limit=201", 400, "bad_parameter").await;
    refused(&replica, "/v1/batches/0/contents", 400, "bad_index").await;
    refused(&replica, "/v1/batches/999999/contents", 404, "unknown_batch").await;
    refused(&replica, "/v1/batches/1/contents?limit=201", 400, "bad_parameter").await;
    refused(&replica, "/v1/batches/1/contents?more=1", 400, "bad_parameter").await;
}

#[tokio::test]
async fn the_trades_of_a_batch_can_be_read_page_by_page() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    // An account has at most 200 open orders, and an order fills at most 200 makers.
    let (alice, carol, bob) = (key(1), key(3), key(2));
    replica.fund(&[alice.public_key(), carol.public_key(), bob.public_key()]).await;
    for (chunk, maker) in (0..210).collect::<Vec<u32>>().chunks(105).zip([&alice, &carol]) {
        let orders = chunk.iter().map(|price| {
            let price = Decimal::of_atoms(Atoms(u128::from(200_000 + price)), 2);
            replica.sign_order(maker, &format!("sell 0.01 ETH/USDT @ {price}"))
        });
        let (orders, hashes): (Vec<String>, Vec<String>) = orders.unzip();
        replica.submit(&format!("[{}]", orders.join(","))).await;
        replica.outcome(hashes.last().unwrap()).await;
    }
    let [(one, _), (two, hash)] = [1.5, 0.6]
        .map(|quantity| replica.sign_order(&bob, &format!("buy {quantity} ETH/USDT @ 2100")));
    replica.submit(&format!("[{one},{two}]")).await;
    let batch = replica.outcome(&hash).await["batch"].as_str().unwrap().to_string();
    let contents = replica.get(&format!("/v1/batches/{batch}/contents")).await;
    let first = column(&contents["trades"], "id");
    assert_eq!((first.len(), &contents["has_more_trades"]), (200, &json!(true)));
    let mut all = Vec::new();
    for from in (0..300).step_by(100) {
        let path = format!("/v1/batches/{batch}/trades?from={from}&limit=100");
        let page = replica.get(&path).await;
        assert_eq!(page["total"], "210");
        all.extend(column(&page["trades"], "price"));
    }
    let prices = (0..210).map(|price| Decimal::of_atoms(Atoms(200_000 + price), 2).to_string());
    assert_eq!(all, prices.collect::<Vec<_>>(), "each once, in sequence");
}

#[tokio::test]
async fn forged_elements_and_copies_are_distinguished_in_a_batch() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("sequencer");
    let arguments = ["--data", data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let network = Given::network(&folder, &data.join("nodes.json"));
    let mut replica = Replica::start(&folder, "data", &network.arguments_of(0)).await;
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let (good, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    replica.submit(&good).await;
    let first = replica.outcome(&hash).await["batch"].clone();
    // Posted directly to the sequencer, as anyone can do on a network.
    let forged = good.replace("\"price\":\"2000\"", "\"price\":\"2001\"");
    let before = replica.batch().await;
    let body = format!("[{forged},{good},{{}}]");
    let bulk = json!({ "zellbook": [body] }).to_string();
    let url = format!("{}/node/batches", sequencer.url);
    assert!(client().put(url).body(bulk).send().await.unwrap().status().is_success());
    replica.until("/v1/status", |status| number(&status["batch"]) > before).await;
    let mut found = None;
    for index in before + 1..=replica.batch().await {
        let contents = replica.get(&format!("/v1/batches/{index}/contents")).await;
        found = found.or((contents["elements_total"] == "3").then_some(contents));
    }
    let elements = found.unwrap()["elements"].clone();
    assert_eq!(elements[0]["reject"]["name"], "bad_signature", "{elements}");
    assert_eq!((&elements[0]["hash"], &elements[0]["account"]), (&Value::Null, &Value::Null));
    assert_eq!((&elements[1]["hash"], &elements[1]["copy_of"]), (&json!(hash), &first));
    // Its reject depends on the nonces of that time, so none is claimed.
    assert_eq!(elements[1]["reject"], Value::Null);
    assert_eq!(elements[2]["reject"]["name"], "malformed");
}

#[tokio::test]
async fn headers_are_listed_newest_first() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    assert_eq!(replica.get("/v1/headers").await, json!({"headers": [], "last": "0", "start": "0"}));
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    for price in [2000, 2001, 2002] {
        replica.order(&alice, &format!("sell 1 ETH/USDT @ {price}")).await;
    }
    let all = replica.get("/v1/headers?limit=100").await;
    let indexes: Vec<u64> =
        column(&all["headers"], "index").iter().map(|i| i.parse().unwrap()).collect();
    let last = number(&all["last"]);
    assert_eq!(indexes, (1..=last).rev().collect::<Vec<_>>());
    let page = replica.get("/v1/headers?before=3&limit=1").await;
    assert_eq!(column(&page["headers"], "index"), ["2"]);
    let second = &all["headers"][usize::try_from(last).unwrap() - 2];
    assert_eq!(page["headers"][0]["root"], second["root"]);
    // The only replica in this genesis certifies every root that it attests to.
    until_attested(&replica, &alice).await;
    let status =
        replica.until("/v1/status", |status| number_or_0(&status["certified_batch"]) > 0).await;
    let certified = number(&status["certified_batch"]);
    let page = replica.get(&format!("/v1/headers?before={}&limit=1", certified + 1)).await;
    assert!(number(&page["headers"][0]["certified_in"]) > certified);
    refused(&replica, "/v1/headers?limit=0", 400, "bad_parameter").await;
    refused(&replica, "/v1/headers?before=x", 400, "bad_parameter").await;
}

#[tokio::test]
async fn the_hash_of_the_signed_text_is_the_transactions_hash() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let (json, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    replica.submit(&json).await;
    let check = |signed: Value| {
        assert_eq!(signed["hash"], hash);
        assert_eq!(signed["scheme"], "raw");
        assert_eq!(signed["signer"], alice.public_key().to_string());
        assert_eq!(signed["element"], json);
        let text = signed["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("Zellbook 1 {}\nkind: order\n", replica.rules.network)));
        let of_text = zellbook_core::TransactionHash::of_text(text);
        assert_eq!(of_text.to_string(), hash);
        assert!(json.contains(signed["signature"].as_str().unwrap()));
    };
    // While it waits in the outbox, and after it was applied.
    check(replica.get(&format!("/v1/transactions/{hash}/signed")).await);
    replica.outcome(&hash).await;
    check(replica.get(&format!("/v1/transactions/{hash}/signed")).await);
    let unknown = format!("/v1/transactions/{}/signed", "0".repeat(64));
    refused(&replica, &unknown, 404, "unknown_transaction").await;
    refused(&replica, "/v1/transactions/12/signed", 400, "bad_hash").await;
}

#[tokio::test]
async fn the_replicas_in_genesis_are_listed_with_their_last_attestations() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    replica.fund(&[key(1).public_key()]).await;
    until_attested(&replica, &key(1)).await;
    let body = replica.get("/v1/replicas").await;
    let one = &body["replicas"][0];
    assert_eq!(body["replicas"].as_array().unwrap().len(), 1);
    assert_eq!(one["public_key"], replica.rules.genesis.replicas[0].public_key.to_string());
    assert_eq!((&one["weight"], &one["is_this"]), (&json!("1"), &json!(true)));
    let attested = one["attested_batch"].as_str().unwrap();
    let batch = replica.get(&format!("/v1/batches/{attested}")).await;
    assert_eq!(one["attested_root"], batch["root"]);
    assert!(number(&one["said_in"]) > number(&one["attested_batch"]));
    assert!(number(&one["clock_ms"]) > 1_700_000_000_000);
}

/// A client can check sequence proofs with the node list that the replica returns.
#[tokio::test]
async fn batches_are_proven_by_the_nodes_that_the_replica_returns() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    replica.fund(&[key(1).public_key()]).await;
    let network = replica.text("/v1/network").await;
    let network: NetworkBody = serde_json::from_str(&network).unwrap();
    assert_eq!((network.tag.as_str(), network.threshold.as_str()), ("0", "67"));
    let nodes = NodeList::read(network.nodes.get().as_bytes()).unwrap();
    let threshold: Threshold = network.threshold.parse().unwrap();
    let verifier = Verifier { app_name: network.app_name, nodes: nodes.into(), threshold };
    let all: BatchesResponse =
        serde_json::from_value(replica.get("/v1/batches?after=0").await).unwrap();
    let last = all.batches.last().unwrap().chaining_hash.clone();
    let mut chained = String::new();
    for batch in all.batches {
        chained = chain(&chained, &batch.body);
        let proof = &batch.proof;
        if proof.index != batch.index {
            continue;
        }
        let signature = DecimalProof {
            index: &proof.index,
            parent_index: &proof.parent_index,
            timestamp: &proof.timestamp,
            nonsigners: &proof.nonsigners,
            signature: &proof.signature,
            tag: &proof.tag,
        };
        let signature = FinalitySignature::try_from(signature).unwrap();
        assert_eq!(verifier.verify(SignedState::Locked, &signature, &chained), Ok(()));
        assert!(verifier.verify(SignedState::Locked, &signature, &chain(&chained, "[]")).is_err());
    }
    // Not compared with the status, which may be about a later batch of attestations by now.
    assert_eq!(chained, last);
    refused(&replica, "/v1/network?tag=x", 400, "bad_parameter").await;
}

#[tokio::test]
async fn the_history_of_an_account_can_be_read_page_by_page() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    let transfer = |amount: &str| Action::Transfer {
        token: "ETH".into(),
        to: bob.public_key(),
        amount: amount.parse().unwrap(),
    };
    replica.perform(&alice, transfer("1.5")).await;
    let (too_much, _) = replica.sign(&alice, transfer("1000"));
    assert_eq!(replica.refused(&too_much).await["code"], "balance_too_low");
    let destination = "somewhere".to_string();
    let withdraw =
        Action::Withdraw { token: "ETH".into(), amount: "0.5".parse().unwrap(), destination };
    replica.perform(&alice, withdraw).await;
    for _ in 0..3 {
        replica.order(&alice, "sell 0.1 ETH/USDT @ 2000").await;
        replica.order(&bob, "buy 0.1 ETH/USDT @ 2000").await;
    }
    let path = |what: &str| format!("/v1/accounts/{}/{what}", alice.public_key());

    let ledger = replica.get(&path("ledger")).await;
    let entries = &ledger["entries"];
    let kinds = column(entries, "kind");
    assert_eq!(kinds[..2], ["withdrawal", "transfer_out"]);
    assert!(kinds[2..].iter().all(|kind| kind == "deposit") && kinds.len() > 2, "{kinds:?}");
    assert_eq!(column(entries, "amount")[..2], ["0.5", "1.5"]);
    assert_eq!(column(entries, "with")[..2], ["somewhere".into(), bob.public_key().to_string()]);
    let before = entries[0]["number"].as_str().unwrap();
    let next = replica.get(&path(&format!("ledger?limit=1&before={before}"))).await;
    assert_eq!(next["entries"], json!([entries[1]]));
    let other = replica.get(&format!("/v1/accounts/{}/ledger?limit=1", bob.public_key())).await;
    assert_eq!(column(&other["entries"], "kind"), ["transfer_in"]);
    assert_eq!(column(&other["entries"], "with"), [alice.public_key().to_string()]);

    let account = replica.account(&alice).await;
    for (what, list, whole) in [("orders", "orders", "past_orders"), ("fills", "fills", "fills")] {
        let all = replica.get(&path(what)).await[list].clone();
        assert_eq!(all, account[whole]);
        let ids = column(&all, "id");
        assert_eq!(ids.len(), 3);
        let page = replica.get(&path(&format!("{what}?limit=2&before={}", ids[0]))).await;
        assert_eq!(column(&page[list], "id"), ids[1..]);
        refused(&replica, &path(&format!("{what}?limit=201")), 400, "bad_parameter").await;
    }
    refused(&replica, "/v1/accounts/02/ledger", 400, "bad_account").await;
}
