//! Gateways that lie, fail and cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::harness::{Given, Process, Replica, key, vectors};

/// A gateway that answers every request for a page with the same body.
async fn liar(body: String) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = get(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let body = body.clone();
        async move { ([("content-type", "application/json")], body).into_response() }
    });
    let router = Router::new().route("/node/{app}/batches/finalized", answer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

#[tokio::test]
async fn a_lying_gateway_is_reported_and_left_and_its_batches_are_never_applied() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let mut sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let nodes = sequencer_data.join("nodes.json");
    // A true page of another network: well formed, and proven by nobody that we know.
    let page =
        std::fs::read_to_string(vectors().join("zellular/equal4/finalized_after_0.json")).unwrap();
    let (url, asked) = liar(page).await;
    let network = Given::network(&folder, &nodes);
    let honest = sequencer.url.clone();
    let gateways = ["--gateway", &url, "--gateway", &honest];
    let arguments = [&network.arguments()[..], &gateways].concat();
    // Gateways are chosen at random: at first only the liar answers.
    sequencer.kill();
    let mut replica = Replica::start(&folder, "data", &arguments).await;
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sequencer.restart("/node/ready").await;
    replica.ready().await;
    let status = replica.status().await;
    assert_eq!(status["batch"], "0");
    assert_eq!(status["gateways"][0]["in_use"], false);
    let fault = status["gateways"][0]["fault"].as_str().unwrap();
    assert!(fault.contains("proves nothing"), "{fault}");
    // Orders go through by the honest one.
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let outcome = replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    assert_eq!(outcome["status"], "applied");
}

#[tokio::test]
async fn every_negative_page_leaves_the_replica_up_with_a_reason_and_nothing_forged() {
    let json = std::fs::read_to_string(vectors().join("zellular/negative_pages.json")).unwrap();
    let cases: Value = serde_json::from_str(&json).unwrap();
    let genesis_folder = TempDir::new().unwrap();
    // The captured network's app is called orderbook.
    let genesis = genesis_folder.path().join("genesis.json");
    let account = key(9).public_key().to_string();
    let made = crate::harness::run(&[
        "genesis",
        "new",
        "--issuer",
        &account,
        "--replica",
        &account,
        "--out",
        genesis.to_str().unwrap(),
    ]);
    assert!(made.status.success());
    let text = std::fs::read_to_string(&genesis).unwrap();
    std::fs::write(&genesis, text.replace("\"zellbook\"", "\"orderbook\"")).unwrap();
    for case in cases["cases"].as_array().unwrap() {
        let (name, expected) = (case["name"].as_str().unwrap(), case["expected"].as_str().unwrap());
        if case["after"] != 0
            || !case["response"].is_object()
            || case["response"]["raw"].is_string()
        {
            continue;
        }
        let nodes =
            vectors().join("zellular").join(case["nodes"].as_str().unwrap_or("equal4/nodes.json"));
        let folder = TempDir::new().unwrap();
        let (url, asked) = liar(case["response"].to_string()).await;
        let arguments = [
            "--genesis",
            genesis.to_str().unwrap(),
            "--network",
            nodes.to_str().unwrap(),
            "--gateway",
            &url,
        ];
        let replica = Replica::start(&folder, "data", &arguments).await;
        // Twice, so that the first answer was taken.
        while asked.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let batch = replica.batch().await;
        match expected.split(' ').next().unwrap() {
            "accept" | "accept_prefix" => assert!(batch > 0, "{name}"),
            "reject" if name == "invalid_signature_in_middle" => assert_eq!(batch, 5, "{name}"),
            "reject" | "reject_or_wait" | "wait" | "error" => assert_eq!(batch, 0, "{name}"),
            "accept_or_reject" => {}
            other => panic!("{name}: {other}"),
        }
        let stored = case["response"]["data"]["batches"].as_array();
        for index in 1..=batch {
            let body = replica.get(&format!("/v1/batches/{index}")).await["body"].clone();
            assert_eq!(body, stored.unwrap()[usize::try_from(index).unwrap() - 1], "{name}");
        }
    }
}
