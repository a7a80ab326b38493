//! Frames that no library sends, from a raw socket: what breaks the protocol closes the connection with the code that
//! says why, and floods end it.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::Client;
use crate::harness::{Replica, TIMEOUT, key};

pub const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
/// The last fragment of a message.
pub const FINAL: u8 = 0x80;

struct Raw(TcpStream);

impl Raw {
    async fn connect(replica: &Replica) -> Self {
        Self::connect_with_buffer(replica, None).await
    }

    /// Connects with a receive buffer of so many bytes.
    async fn connect_with_buffer(replica: &Replica, bytes: Option<u32>) -> Self {
        let host = replica.process.url.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let mut stream = socket.connect(host.parse().unwrap()).await.unwrap();
        stream.write_all(opening(host).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The example of RFC 6455, section 1.3.
        let accept = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert!(head.to_lowercase().contains(&accept.to_lowercase()), "{head}");
        Self(stream)
    }

    /// The next frame of the server: its first byte and its payload. `None` at the end of the connection.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.ok()? {
            126 => u64::from(self.0.read_u16().await.ok()?),
            127 => self.0.read_u64().await.ok()?,
            length => length.into(),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((first, payload))
    }

    /// Reads until the connection ends, and returns the code of the server's close frame.
    async fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        let frames = async {
            while let Some((first, payload)) = self.frame().await {
                if first == FINAL | CLOSE {
                    code = payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
            }
        };
        timeout(TIMEOUT, frames).await.expect("the connection stays open");
        code
    }
}

/// The request that opens a WebSocket.
pub fn opening(host: &str) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A frame of a client. The mask is zero, so that the payload stays readable.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn a_broken_protocol_closes_the_connection_with_its_code() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let subscribe = br#"{"op":"subscribe","channel":"status"}"#;
    let too_long = [b' '; 4097];
    let half = [b' '; 2500];
    for (what, bytes, code) in [
        ("an unmasked frame", vec![FINAL | TEXT, 2, b'{', b'}'], 1002),
        ("a reserved bit", masked(FINAL | 0x40 | TEXT, subscribe), 1002),
        ("a reserved opcode", masked(FINAL | 3, b""), 1002),
        ("a reserved control opcode", masked(FINAL | 11, b""), 1002),
        ("a long ping", masked(FINAL | PING, &[0; 126]), 1002),
        ("a fragmented ping", masked(PING, b""), 1002),
        ("a continuation of nothing", masked(FINAL, b"x"), 1002),
        ("a text inside a text", [masked(TEXT, b"x"), masked(FINAL | TEXT, b"x")].concat(), 1002),
        ("a close frame with half a code", masked(FINAL | CLOSE, &[3]), 1002),
        ("a close code that is never sent", masked(FINAL | CLOSE, &1005_u16.to_be_bytes()), 1002),
        ("a close code out of range", masked(FINAL | CLOSE, &999_u16.to_be_bytes()), 1002),
        ("a binary message", masked(FINAL | BINARY, b"{}"), 1003),
        ("a text that is not UTF-8", masked(FINAL | TEXT, &[0xff]), 1007),
        ("a close reason that is not UTF-8", masked(FINAL | CLOSE, &[3, 232, 0xff]), 1007),
        ("a long message", masked(FINAL | TEXT, &too_long), 1009),
        ("a long message in parts", [masked(TEXT, &half), masked(FINAL, &half)].concat(), 1009),
        ("a close frame", masked(FINAL | CLOSE, &1000_u16.to_be_bytes()), 1000),
    ] {
        let mut raw = Raw::connect(&replica).await;
        raw.0.write_all(&bytes).await.unwrap();
        assert_eq!(raw.close_code().await, Some(code), "{what}");
    }
}

#[tokio::test]
async fn a_message_in_fragments_with_pings_between_them_is_one_message() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let mut raw = Raw::connect(&replica).await;
    let (start, end) = br#"{"op":"subscribe","channel":"status"}"#.split_at(10);
    for frame in [
        masked(TEXT, start),
        masked(FINAL | PING, b"are you there"),
        masked(0, b""),
        masked(FINAL, end),
    ] {
        raw.0.write_all(&frame).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let (first, payload) = raw.frame().await.unwrap();
        let text = String::from_utf8(payload).unwrap();
        if text == "are you there" || text.contains(r#""type":"snapshot""#) {
            seen.push(first);
        }
    }
    assert_eq!(seen, [FINAL | 10, FINAL | TEXT]);
}

#[tokio::test]
async fn floods_end_the_connection_and_hinder_no_other() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let mut honest = Client::connect(&replica).await;
    honest.send(json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"})).await;
    honest.next("book").await;
    let start = masked(TEXT, b"");
    for (what, first, frame) in [
        ("pings", &[] as &[u8], masked(FINAL | PING, b"")),
        ("pongs", &[], masked(FINAL | 10, &[b'x'; 125])),
        ("empty fragments", &start, masked(0, b"")),
        ("wrong messages", &[], masked(FINAL | TEXT, b"x")),
    ] {
        let mut raw = Raw::connect(&replica).await;
        raw.0.write_all(first).await.unwrap();
        let (mut reader, mut writer) = raw.0.into_split();
        let many = frame.repeat(1000);
        // Both at once: the server answers pings, and stops to read if its answers are not read.
        let flood = tokio::spawn(async move { while writer.write_all(&many).await.is_ok() {} });
        let mut answers = Vec::new();
        // The flood may also end in a reset.
        let _ = timeout(TIMEOUT, reader.read_to_end(&mut answers)).await.expect(what);
        flood.await.unwrap();
        // The code that the close frame carries.
        let code = 1008_u16.to_be_bytes();
        assert!(answers.windows(2).any(|bytes| bytes == code), "{what}");
    }
    replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    let change = honest.next("book").await;
    assert_eq!((&change["type"], &change["number"]), (&json!("change"), &json!("1")));
}

#[tokio::test]
async fn clients_that_do_not_read_are_closed_and_hinder_no_other() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let orders = (0..150).map(|tick| format!("sell 0.01 ETH/USDT @ {}", 2000 + tick));
    let orders: Vec<String> = orders.map(|line| replica.sign_order(&alice, &line).0).collect();
    replica.submit_all(&orders).await;
    let last = replica.order(&alice, "sell 0.01 ETH/USDT @ 2500").await;
    assert_eq!(last["status"], "applied", "{last}");
    let mut honest = Client::connect(&replica).await;
    honest.send(json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"})).await;
    honest.next("book").await;
    let memory = replica.process.memory_peak();
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect_with_buffer(&replica, Some(2048)).await;
        // Each asks for 60 kB, 150 times.
        let account = alice.public_key().to_string();
        let message = json!({"op": "subscribe", "channel": "account", "account": account});
        let frame = masked(FINAL | TEXT, message.to_string().as_bytes());
        raw.0.write_all(&frame.repeat(150)).await.unwrap();
        silent.push(raw);
    }
    for number in 1..=20 {
        replica.order(&alice, &format!("sell 0.01 ETH/USDT @ {}", 2600 + number)).await;
        assert_eq!(honest.next("book").await["number"], number.to_string());
    }
    let used = replica.process.memory_peak() - memory;
    assert!(used < 100 << 20, "{used} bytes for clients that were sent 9 MB each");
    for mut raw in silent {
        let started = Instant::now();
        // A write fails once the server has closed the connection.
        while raw.0.write_all(&masked(FINAL | PING, b"")).await.is_ok() {
            assert!(started.elapsed() < TIMEOUT, "the connection stays open");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
