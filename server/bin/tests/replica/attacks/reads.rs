//! Attacks that ask for much, or for what is large.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::signatures::send;
use super::{
    Attack, Attackers, FLOOD_SLACK, PACE, RECONNECT, REQUESTS, SLACK, Scene, Source, compare,
    flood, pipelined, trade, visit,
};
use crate::harness::{TIMEOUT, client, key};
use crate::raw::{address, request};
use tokio::time::interval;

async fn scene() -> Scene {
    Scene::start(&[]).await
}

/// Requests of each kind that the store answers, and of proofs.
fn all_kinds() -> Vec<String> {
    let account = format!("/v1/accounts/{}", key(1).public_key());
    let of_account = ["", "/orders", "/fills", "/ledger", "/proof?token=ETH"];
    let others =
        ["/v1/batches/1/contents", "/v1/headers", "/v1/markets/ETH-USDT/trades", "/v1/status"];
    let paths = of_account.iter().map(|rest| format!("{account}{rest}"));
    let paths: Vec<String> = paths.chain(others.map(String::from)).collect();
    paths.iter().cycle().take(200).cloned().collect()
}

/// Reads an account, a proof and the status by turns, each time on a new connection.
async fn read(scene: &Scene, requests: usize) -> Vec<Duration> {
    let account = format!("/v1/accounts/{}", key(1).public_key());
    let paths = [account.clone(), account + "/proof?token=ETH", "/v1/status".into()];
    let mut times = Vec::new();
    let mut pace = interval(PACE);
    for path in paths.iter().cycle().take(requests) {
        pace.tick().await;
        let started = Instant::now();
        let line = format!("GET {path} HTTP/1.1");
        let answer = request(address(&scene.replica), &[&line, "Host: 127.0.0.1"], "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        times.push(started.elapsed());
    }
    times
}

async fn withstands(name: &str, source: Source, count: usize) {
    let attack = async |scene: &Scene| {
        flood(address(&scene.replica), source, count, pipelined(&all_kinds(), "127.0.0.1"))
    };
    let check = async |scene: &Scene, _: &_| trade(scene).await;
    compare(name, (REQUESTS, FLOOD_SLACK), scene, read, attack, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_reads_do_not_delay_others() {
    withstands("512 connections that send 200 reads at once, 20 addresses", Source::Many, 512)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_reads_of_one_client_do_not_delay_others() {
    withstands("256 connections that send 200 reads at once, one address", Source::One, 256).await;
}

/// The memory that the replica may need for such an attack, in MiB. The budget for responses is 64 MiB.
const MEMORY_MAX: u64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_responses_that_are_not_read_is_bounded() {
    let name = "1,060 slow readers of a megabyte of batches";
    let scene = async || {
        let scene = scene().await;
        // Past the replica, which posts nothing that is empty. A batch may have 5,120 bytes.
        let nodes = std::fs::read(scene.replica.data.join("nodes.json")).unwrap();
        let nodes: Value = serde_json::from_slice(&nodes).unwrap();
        let node = nodes.as_object().unwrap().values().next().unwrap()["socket"].as_str().unwrap();
        let bodies = vec![format!("[{}]", " ".repeat(5000)); 180];
        let bulk = json!({ scene.replica.rules.genesis.app_name.clone(): bodies }).to_string();
        let posted = client().put(format!("{node}/node/batches")).body(bulk).send().await.unwrap();
        assert!(posted.status().is_success(), "{posted:?}");
        let started = Instant::now();
        while scene.replica.text("/v1/batches?after=0").await.len() < 900_000 {
            assert!(started.elapsed() < TIMEOUT);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        scene
    };
    let attack = async |scene: &Scene| {
        let memory = scene.replica.process.memory_peak();
        let bytes = b"GET /v1/batches?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_vec();
        (memory, Attack::start(&scene.replica, Source::Many, 1060, bytes).await)
    };
    let check = async |scene: &Scene, (memory, _): &(u64, Attack)| {
        trade(scene).await;
        // Someone who reads gets all of it.
        let read = tokio::time::timeout(TIMEOUT, scene.replica.text("/v1/batches?after=0"));
        assert!(read.await.unwrap().len() > 900_000);
        // A gigabyte without a bound.
        let grown = (scene.replica.process.memory_peak() - memory) >> 20;
        println!("{name}: memory grew by {grown} MiB");
        assert!(grown < MEMORY_MAX, "memory grew by {grown} MiB");
    };
    compare(name, (REQUESTS, SLACK), scene, visit, attack, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_bodies_of_one_client_do_not_keep_others_out() {
    // Each signed well, by a key that the state does not know, so that all of it is read and checked and nothing slows
    // the client down.
    let attack = async |scene: &Scene| {
        let orders =
            (0..200).map(|_| scene.replica.sign_order(&key(99), "sell 0.01 ETH/USDT @ 2000").0);
        let orders: Vec<String> = orders.collect();
        let body = format!("[{}{}]", orders.join(","), " ".repeat(900_000));
        let to = address(&scene.replica);
        let attackers = Attackers::new();
        for _ in 0..200 {
            let body = body.clone();
            attackers.spawn(async move {
                loop {
                    // Errors end one request, and the attacker goes on.
                    let _ = send(to, [127, 0, 0, 5], &body).await;
                    tokio::time::sleep(RECONNECT).await;
                }
            });
        }
        attackers
    };
    // Arrays that are long too.
    let measure = async |scene: &Scene, requests: usize| {
        let mut times = Vec::new();
        for _ in 0..requests {
            let (order, _) = scene.replica.sign_order(&key(1), "buy 0.01 ETH/USDT @ 1000");
            let body = format!("[{order}{}]", " ".repeat(20_000));
            let started = Instant::now();
            assert_eq!(super::post(&scene.replica, &body).await, 202);
            times.push(started.elapsed());
            tokio::time::sleep(PACE).await;
        }
        times
    };
    let check = async |scene: &Scene, _: &_| trade(scene).await;
    let name = "200 connections of one address with arrays of 200 orders in a megabyte";
    compare(name, (100, FLOOD_SLACK), scene, measure, attack, check).await;
}
