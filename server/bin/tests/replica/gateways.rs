//! Tests of gateways that lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::harness::{Given, Process, Replica, key, network_vectors};

/// A gateway that returns the same body for every page, and the number of requests for pages.
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
async fn a_lying_gateway_is_reported_and_avoided_and_its_batches_are_not_applied() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let mut sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let nodes = sequencer_data.join("nodes.json");
    // A page of another network: well formed, but signed by unknown nodes.
    let page =
        std::fs::read_to_string(network_vectors().join("equal4/finalized_after_0.json")).unwrap();
    let (url, asked) = liar(page).await;
    let network = Given::network(&folder, &nodes);
    let honest = sequencer.url.clone();
    let gateways = ["--gateway", &url, "--gateway", &honest];
    let arguments = [&network.arguments()[..], &gateways].concat();
    // Gateways are chosen at random, so at first only the liar responds.
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
    let failure = status["gateways"][0]["last_failure"].as_str().unwrap();
    assert!(failure.contains("proves nothing"), "{failure}");
    // Orders are applied through the honest one.
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let outcome = replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    assert_eq!(outcome["status"], "applied");
}
