//! Attacks that hold connections: by reading slowly, by sending nothing, or by never finishing a request.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use super::{Attack, REQUESTS, SLACK, Scene, Source, compare, trade, visit};
use crate::harness::{Replica, key};
use crate::raw::address;

/// Longer than every deadline of a connection, on a busy machine too.
const DEADLINES: Duration = Duration::from_secs(90);
const SECOND: Duration = Duration::from_secs(1);

/// A page with a large file, in a folder.
pub fn site(folder: &TempDir) -> String {
    let site = folder.path().join("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("index.html"), "page").unwrap();
    // Larger than what the system buffers for a connection that is not read.
    fs::write(site.join("zellbook-1.wasm"), vec![7; 16 << 20]).unwrap();
    site.to_str().unwrap().into()
}

async fn scene() -> Scene {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &["--page", &site(&folder)]).await;
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

pub const WASM: &str = "GET /zellbook-1.wasm HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
pub const HEAD: &str = "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n";
pub const BODY: &str = "POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n[";

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

/// Sends a beginning, then every second sends some bytes and takes a hundred, until the server closes the connection.
async fn trickle(to: SocketAddr, what: &str, start: &str, sends: &str) {
    let socket = TcpSocket::new_v4().unwrap();
    // So small that a response does not fit into it, unread.
    socket.set_recv_buffer_size(2048).unwrap();
    let (mut reader, mut writer) = socket.connect(to).await.unwrap().into_split();
    let (mut taken, mut bytes) = ([0; 100], start);
    let started = Instant::now();
    while writer.write_all(bytes.as_bytes()).await.is_ok() {
        bytes = sends;
        match timeout(SECOND, reader.read(&mut taken)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => sleep(SECOND).await,
            Err(_) => {}
        }
        assert!(started.elapsed() < DEADLINES, "{what}: still open");
    }
    println!("{what}: closed after {:.0?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_makes_too_little_progress_is_closed() {
    let Scene { replica, folder: _folder, .. } = scene().await;
    let upgrade = BODY.replace("Content-Type", "Upgrade: websocket\r\nContent-Type");
    let status = WASM.replace("/zellbook-1.wasm", "/v1/status");
    let (many, kibibyte) = (status.repeat(2000), " ".repeat(1024));
    let clients = [
        ("nothing sent", "", ""),
        ("a head without an end", HEAD, ""),
        ("a body without an end", BODY, ""),
        ("a head at 1 byte/s", HEAD, "a"),
        ("a body at 1 byte/s", BODY, " "),
        ("a body at 1 byte/s, to change to WebSocket", &upgrade, " "),
        // Fast enough at every moment, and far too slow for the whole.
        ("a body at 1 KiB/s", BODY, &kibibyte),
        // Empty lines between requests are allowed.
        ("a response read at 100 bytes/s", WASM, "\r\n"),
        ("2,000 responses read at 100 bytes/s", &many, "\r\n"),
    ];
    let to = address(&replica);
    join_all(clients.map(|(what, start, sends)| trickle(to, what, start, sends))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_signal_is_obeyed_while_all_connections_are_taken() {
    let Scene { mut replica, folder: _folder, .. } = scene().await;
    let attack = Attack::start(&replica, Source::Many, 1153, Vec::new()).await;
    assert_eq!(replica.process.terminate(), Some(0));
    drop(attack);
}
