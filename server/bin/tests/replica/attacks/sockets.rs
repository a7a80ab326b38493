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

use super::{Attack, Figures, MEASURING, PACE, SLACK, Source, trade};
use crate::harness::{Replica, TIMEOUT, key};
use crate::raw::{address, closes_within, connect_from};

/// How often the honest client opens a WebSocket. The worst of these is near the 99th percentile.
const SOCKETS: usize = 100;
/// The most WebSockets of one address.
const PER_ADDRESS: usize = 128;

const OPEN: &str = "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What opens a WebSocket and subscribes to the status.
fn subscription() -> Vec<u8> {
    let message = json!({"op": "subscribe", "channel": "status"}).to_string();
    let length = u8::try_from(message.len()).unwrap();
    assert!(length < 126, "a short frame");
    // A whole text, masked with zeros.
    let head = [0x81, 0x80 | length, 0, 0, 0, 0];
    [OPEN.as_bytes(), &head, message.as_bytes()].concat()
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

async fn measure(replica: &Replica) -> Figures {
    let mut times = Vec::new();
    let mut pace = interval(PACE);
    for _ in 0..SOCKETS {
        pace.tick().await;
        let started = Instant::now();
        let socket = watch(replica).await;
        times.push(started.elapsed());
        drop(socket);
    }
    Figures::of(times)
}

async fn withstands(name: &str, source: Source) {
    let _alone = MEASURING.lock().await;
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    replica.fund(&[key(1).public_key()]).await;
    let before = measure(&replica).await;
    let attack = Attack::start(&replica, source, 512, subscription()).await;
    let under = measure(&replica).await;
    let mut socket = watch(&replica).await;
    trade(&replica).await;
    let change = next(&mut socket).await;
    assert_eq!((&change["type"], &change["number"]), (&json!("change"), &json!("1")), "{change}");
    before.compare(name, under, SLACK);
    drop(attack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_one_client_do_not_keep_others_out() {
    withstands("512 WebSockets of one address", Source::One).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_many_clients_do_not_keep_others_out() {
    withstands("512 WebSockets of 20 addresses", Source::Many).await;
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
