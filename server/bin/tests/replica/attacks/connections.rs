//! Attacks that hold connections: by reading slowly, by sending nothing, or by never finishing a request.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use super::{Attack, REQUESTS, SLACK, Scene, Source, compare, trade, visit};
use crate::harness::{Replica, key};
use crate::raw::{address, closes_within, connect_from};

/// Longer than every deadline of a connection, on a busy machine too.
const DEADLINES: Duration = Duration::from_secs(90);

async fn scene() -> Scene {
    let folder = TempDir::new().unwrap();
    let site = folder.path().join("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("index.html"), "page").unwrap();
    // Larger than what the system buffers for a connection that is not read.
    fs::write(site.join("zellbook-1.wasm"), vec![7; 16 << 20]).unwrap();
    let replica = Replica::start(&folder, "data", &["--page", site.to_str().unwrap()]).await;
    replica.fund(&[key(1).public_key()]).await;
    Scene { replica, proxy: None, folder }
}

async fn withstands(name: &str, source: Source, count: usize, bytes: &str) {
    let attack = async |scene: &Scene| {
        Attack::start(&scene.replica, source, count, bytes.as_bytes().into()).await
    };
    let check = async |scene: &Scene, _: &Attack| trade(scene).await;
    compare(name, (REQUESTS, SLACK), scene, visit, attack, check).await;
}

const WASM: &str = "GET /zellbook-1.wasm HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const HEAD: &str = "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n";
const BODY: &str = "POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n[";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_do_not_keep_others_out() {
    withstands("1,060 slow readers of 20 addresses", Source::Many, 1060, WASM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_of_the_same_address_do_not_keep_others_out() {
    withstands("1,060 slow readers of the client's address", Source::Shared, 1060, WASM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_keep_others_out() {
    withstands("1,153 idle connections", Source::Many, 1153, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_heads_do_not_keep_others_out() {
    withstands("1,153 unfinished heads", Source::Many, 1153, HEAD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_do_not_keep_others_out() {
    withstands("1,153 unfinished bodies", Source::Many, 1153, BODY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_unfinished_bodies_is_bounded() {
    let name = "900 unfinished bodies of 1 MB";
    // All of the body except its end.
    let body = [BODY.as_bytes(), &vec![b' '; 999_900]].concat();
    let attack = async |scene: &Scene| {
        let memory = scene.replica.process.memory_peak();
        (memory, Attack::start(&scene.replica, Source::Many, 900, body.clone()).await)
    };
    let check = async |scene: &Scene, (memory, _): &(u64, Attack)| {
        trade(scene).await;
        let replica = &scene.replica;
        // An array of transactions is a large body, and finds room.
        let (json, hash) = replica.sign_order(&key(1), "sell 0.01 ETH/USDT @ 2000");
        let padded = format!("[{json}{}]", " ".repeat(500_000));
        assert_eq!(super::post(replica, &padded).await, 202);
        assert_eq!(replica.outcome(&hash).await["status"], "applied");
        let grown = (replica.process.memory_peak() - memory) >> 20;
        println!("{name}: memory grew by {grown} MiB");
        // 900 MB without a bound. The budget is 32 MiB; connections and buffers take some too.
        assert!(grown < 200, "memory grew by {grown} MiB");
    };
    compare(name, (REQUESTS, SLACK), scene, visit, attack, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_makes_no_progress_is_closed() {
    let Scene { replica, folder: _folder, .. } = scene().await;
    for request in ["", HEAD, BODY] {
        let mut stream = connect_from([127, 0, 0, 2], address(&replica)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(closes_within(&mut stream, DEADLINES).await, "{request:?} is still open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_signal_is_obeyed_while_all_connections_are_taken() {
    let Scene { mut replica, folder: _folder, .. } = scene().await;
    let attack = Attack::start(&replica, Source::Many, 1153, Vec::new()).await;
    assert_eq!(replica.process.terminate(), Some(0));
    drop(attack);
}
