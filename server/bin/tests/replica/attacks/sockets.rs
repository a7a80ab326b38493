//! Attacks that take all WebSockets.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::interval;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Attack, FLOOD_SLACK, PACE, SLACK, Scene, Source, compare, trade};
use crate::harness::{Replica, TIMEOUT, key};
use crate::raw::{address, closes_within, connect_from};

/// How often the honest client opens a WebSocket. The worst of these is near the 99th percentile.
const SOCKETS: usize = 100;
/// The most WebSockets of one address.
const PER_ADDRESS: usize = 128;

const OPEN: &str = "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// A whole frame, masked with zeros.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![kind, 0x80 | length];
    if length >= 126 {
        frame = vec![kind, 0x80 | 126, 0, length];
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// What opens a WebSocket and sends these messages.
fn messages(messages: impl IntoIterator<Item = Value>) -> Vec<u8> {
    let frames = messages.into_iter().map(|message| frame(TEXT, message.to_string().as_bytes()));
    [OPEN.as_bytes().to_vec()].into_iter().chain(frames).flatten().collect()
}

/// What opens a WebSocket and subscribes to the status.
pub fn subscription() -> Vec<u8> {
    messages([json!({"op": "subscribe", "channel": "status"})])
}

/// Asks for a WebSocket from an address. Returns the status and head of the response.
async fn open(replica: &Replica, source: [u8; 4]) -> (String, String, TcpStream) {
    let mut stream = connect_from(source, address(replica)).await.unwrap();
    stream.write_all(OPEN.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().to_string();
    (status, head, stream)
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn next(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// Opens a WebSocket and waits for the snapshot of a book.
async fn watch(replica: &Replica) -> Socket {
    let url = replica.process.url.replace("http", "ws") + "/v1/ws";
    let (mut socket, _) = connect_async(url).await.unwrap();
    let subscribe = json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"});
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    assert_eq!(next(&mut socket).await["type"], "snapshot");
    socket
}

async fn measure(scene: &Scene, sockets: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut pace = interval(PACE);
    for _ in 0..sockets {
        pace.tick().await;
        let started = Instant::now();
        let socket = watch(&scene.replica).await;
        times.push(started.elapsed());
        drop(socket);
    }
    times
}

async fn scene() -> Scene {
    Scene::start(&[]).await
}

/// The memory that the replica may need for such an attack, in MiB.
const MEMORY_MAX: u64 = 100;

async fn withstands(name: &str, source: Source, count: usize, slack: Duration, bytes: Vec<u8>) {
    let attack = async |scene: &Scene| {
        let memory = scene.replica.process.memory_peak();
        (memory, Attack::start(&scene.replica, source, count, bytes.clone()).await)
    };
    let check = async |scene: &Scene, (memory, _): &(u64, Attack)| {
        let mut socket = watch(&scene.replica).await;
        trade(scene).await;
        let change = next(&mut socket).await;
        assert_eq!((&change["type"], &change["number"]), (&json!("change"), &json!("1")));
        let grown = (scene.replica.process.memory_peak() - memory) >> 20;
        println!("{name}: memory grew by {grown} MiB");
        assert!(grown < MEMORY_MAX, "memory grew by {grown} MiB");
    };
    compare(name, (SOCKETS, slack), scene, measure, attack, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_one_client_do_not_keep_others_out() {
    withstands("512 WebSockets of one address", Source::One, 512, SLACK, subscription()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_many_clients_do_not_keep_others_out() {
    withstands("512 WebSockets of 20 addresses", Source::Many, 512, SLACK, subscription()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_do_not_delay_others() {
    // Far more than a socket may send at once. Each is closed for it and comes back.
    let pings = [OPEN.as_bytes(), &frame(PING, b"").repeat(10_000)].concat();
    withstands("100 WebSockets that send 10,000 pings each", Source::Many, 100, FLOOD_SLACK, pings)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_subscriptions_do_not_delay_others() {
    // As many as a socket may have, in less than a third of the bytes that it may send at once.
    let subscribe = |seed| {
        let account = key(seed).public_key().to_string();
        json!({"op": "subscribe", "channel": "account", "account": account})
    };
    let all = messages((1..=64).map(subscribe));
    withstands("100 WebSockets with 64 subscriptions each", Source::Many, 100, FLOOD_SLACK, all)
        .await;
}

#[tokio::test]
async fn a_client_that_has_too_many_websockets_is_told_so() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (many, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let mut sockets = Vec::new();
    for _ in 0..PER_ADDRESS {
        sockets.push(open(&replica, many).await);
        assert_eq!(sockets.last().unwrap().0, "101");
    }
    let (status, head, mut stream) = open(&replica, many).await;
    assert_eq!(status, "429", "{head}");
    assert!(head.contains("\r\nretry-after: 10\r\n"), "{head}");
    assert!(closes_within(&mut stream, TIMEOUT).await);
    assert_eq!(open(&replica, other).await.0, "101");
    // One that its client closes leaves its place to another.
    sockets.pop();
    let started = Instant::now();
    while open(&replica, many).await.0 != "101" {
        assert!(started.elapsed() < TIMEOUT);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
