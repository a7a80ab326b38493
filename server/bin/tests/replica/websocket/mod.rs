//! Tests of the feed's channels: a channel snapshot, then numbered changes.

mod account;
mod cost;
pub mod frames;

use std::net::Ipv4Addr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use zellbook_core::SecretKey;

use crate::harness::{Replica, key, now_ms};

pub struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub async fn connect(replica: &Replica) -> Self {
        let url = replica.process.url.replace("http", "ws") + "/v1/ws";
        Self(connect_async(url).await.unwrap().0)
    }

    /// Connects from an address of this machine.
    pub async fn connect_from(replica: &Replica, address: Ipv4Addr) -> Result<Self, Error> {
        let host = replica.process.url.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        let stream = socket.connect(host.parse().unwrap()).await.unwrap();
        let url = format!("ws://{host}/v1/ws");
        Ok(Self(client_async(url, MaybeTlsStream::Plain(stream)).await?.0))
    }

    pub async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Reads in the background from here on, as a client does that has other things to do.
    fn read_on(mut self) -> UnboundedReceiver<Value> {
        let (sender, receiver) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = self.0.next().await {
                if let Message::Text(text) = message {
                    let _ = sender.send(serde_json::from_str(&text).unwrap());
                }
            }
        });
        receiver
    }

    /// The next message of a channel. Messages of other channels are skipped.
    pub async fn next(&mut self, channel: &str) -> Value {
        loop {
            let message = self.any().await;
            if message["channel"] == channel {
                return message;
            }
        }
    }

    pub async fn any(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn channels_start_with_a_snapshot_and_continue_without_a_gap() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;

    let mut socket = Client::connect(&replica).await;
    socket.send(json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"})).await;
    socket.send(json!({"op": "subscribe", "channel": "trades", "market": "ETH/USDT"})).await;
    let account = alice.public_key().to_string();
    socket.send(json!({"op": "subscribe", "channel": "account", "account": account})).await;
    socket.send(json!({"op": "subscribe", "channel": "status"})).await;
    let book = socket.next("book").await;
    assert_eq!((&book["type"], &book["number"]), (&json!("snapshot"), &json!("0")));
    assert_eq!(book["data"]["asks"], json!([["2000", "1", "1"]]));
    assert_eq!(socket.next("trades").await["data"]["trades"], json!([]));
    assert_eq!(socket.next("account").await["data"]["open_orders"][0]["price"], "2000");
    assert_eq!(socket.next("status").await["data"]["state"], "following");

    replica.order(&bob, "buy 0.4 ETH/USDT @ 2000").await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let message = socket.any().await;
        assert_eq!((&message["type"], &message["number"]), (&json!("change"), &json!("1")));
        match message["channel"].as_str().unwrap() {
            "book" => assert_eq!(message["data"]["asks"], json!([["2000", "0.6", "1"]])),
            "trades" => assert_eq!(message["data"]["trades"][0]["quantity"], "0.4"),
            "account" => {
                assert_eq!(message["data"]["fills"][0]["quantity"], "0.4");
                assert_eq!(message["data"]["open_orders"][0]["remaining"], "0.6");
                // What did not change is left out.
                assert_eq!(message["data"].get("session_keys"), None);
            }
            "status" => assert!(message["data"]["root"].is_string()),
            other => panic!("{other}"),
        }
        seen.push(message["channel"].clone());
    }
    replica.order(&bob, "buy 0.6 ETH/USDT @ 2000").await;
    let gone = socket.next("book").await;
    assert_eq!(gone["number"], "2");
    assert_eq!(gone["data"]["asks"], json!([["2000", "0", "0"]]));

    socket.send(json!({"op": "unsubscribe", "channel": "book", "market": "ETH/USDT"})).await;
    // A later request is answered only after the unsubscription was processed.
    socket.send(json!({"op": "subscribe", "channel": "book", "market": "BTC/USDT"})).await;
    assert_eq!(socket.next("book").await["data"]["market"], "BTC/USDT");
    replica.order(&alice, "sell 1 ETH/USDT @ 2005").await;
    let message = loop {
        let message = socket.any().await;
        if message["channel"] != "status" {
            break message;
        }
    };
    assert_eq!(message["channel"], "account", "{message}");
}

#[tokio::test]
async fn the_account_channel_sends_effects_of_timers() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let mut socket = Client::connect(&replica).await;
    let account = alice.public_key().to_string();
    socket.send(json!({"op": "subscribe", "channel": "account", "account": account})).await;
    socket.send(json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"})).await;
    assert_eq!(socket.next("book").await["type"], "snapshot");
    let expires = now_ms() + 1000;
    replica.order(&alice, &format!("sell 1 ETH/USDT @ 2000 gtd {expires}")).await;
    assert_eq!(socket.next("book").await["data"]["asks"], json!([["2000", "1", "1"]]));
    let gone = socket.next("book").await;
    assert_eq!(gone["data"]["asks"], json!([["2000", "0", "0"]]));
    let changed = loop {
        let message = socket.next("account").await;
        if message["data"]["batch"] == gone["data"]["batch"] {
            break message;
        }
    };
    assert_eq!(changed["data"]["past_orders"][0]["reason"], "expired");
    assert_eq!(changed["data"].get("open_orders"), None);
}

#[tokio::test]
async fn the_book_channel_always_has_the_best_500_levels() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    // An account has at most 200 open orders in this genesis.
    let (sellers, carol) = ([key(1), key(2), key(3)], key(4));
    replica.fund(&sellers.each_ref().map(SecretKey::public_key)).await;
    replica.fund(&[carol.public_key()]).await;
    let mut last = String::new();
    for tick in 0..501 {
        let seller = &sellers[tick % 3];
        let (json, hash) =
            replica.sign_order(seller, &format!("sell 0.01 ETH/USDT @ {}", 2000 + tick));
        replica.submit(&json).await;
        last = hash;
    }
    assert_eq!(replica.outcome(&last).await["status"], "applied");
    let mut socket = Client::connect(&replica).await;
    socket.send(json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"})).await;
    let asks = socket.next("book").await["data"]["asks"].clone();
    assert_eq!(asks.as_array().unwrap().len(), 500);
    assert_eq!((&asks[0][0], &asks[499][0]), (&json!("2000"), &json!("2499")));

    // When the best level is removed, the next one after the last moves in.
    replica.order(&carol, "buy 0.01 ETH/USDT @ 2000").await;
    let change = socket.next("book").await["data"]["asks"].clone();
    assert_eq!(change, json!([["2000", "0", "0"], ["2500", "0.01", "1"]]));
    // When a better level is added, the last one moves out.
    replica.order(&carol, "sell 0.02 ETH/USDT @ 1999.5").await;
    let change = socket.next("book").await["data"]["asks"].clone();
    assert_eq!(change, json!([["2500", "0", "0"], ["1999.5", "0.02", "1"]]));
}

#[tokio::test]
async fn a_stopping_replica_sends_its_close_reason() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let mut socket = Client::connect(&replica).await;
    socket.send(json!({"op": "subscribe", "channel": "status"})).await;
    assert_eq!(socket.next("status").await["type"], "snapshot");
    assert_eq!(replica.process.terminate(), Some(0));
    let closing = loop {
        let message = socket.any().await;
        if message["type"] == "closing" {
            break message;
        }
    };
    let reason = "this replica is stopping; reconnect in a moment";
    assert_eq!(closing["reason"], reason);
    match socket.0.next().await.unwrap().unwrap() {
        Message::Close(Some(frame)) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, reason));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn invalid_messages_get_an_error_and_the_connection_stays_open() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let mut socket = Client::connect(&replica).await;
    for (message, code) in [
        (json!("x"), "bad_message"),
        (json!({"op": "shout"}), "bad_message"),
        (json!({"op": "subscribe", "channel": "book"}), "bad_message"),
        (json!({"op": "subscribe", "channel": "book", "market": "DOGE/USDT"}), "unknown_market"),
        (json!({"op": "subscribe", "channel": "account", "account": "02"}), "bad_account"),
    ] {
        socket.send(message.clone()).await;
        let answer = socket.any().await;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!(code)),
            "{message}"
        );
    }
    socket.send(json!({"op": "subscribe", "channel": "status"})).await;
    assert_eq!(socket.next("status").await["type"], "snapshot");
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let url = replica.process.url.replace("http", "ws") + "/v1/ws";
    let mut request = url.clone().into_client_request().unwrap();
    request.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    match connect_async(request).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status().as_u16(), 403),
        other => panic!("{other:?}"),
    }
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("origin", replica.process.url.parse().unwrap());
    assert!(connect_async(request).await.is_ok());
}
