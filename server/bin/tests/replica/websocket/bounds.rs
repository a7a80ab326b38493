//! Many WebSockets of one client leave room for others.

use std::net::Ipv4Addr;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Client;
use crate::harness::{Replica, key, number};

/// The most of one address.
const PER_ADDRESS: usize = 128;

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// Opens as many sockets as one address may have, each with a subscription.
async fn fill(replica: &Replica, from: Ipv4Addr) -> Vec<Client> {
    let mut sockets = Vec::new();
    for _ in 0..PER_ADDRESS {
        let mut socket = Client::connect_from(replica, from).await.unwrap();
        socket.send(json!({"op": "subscribe", "channel": "status"})).await;
        assert_eq!(socket.next("status").await["type"], "snapshot");
        sockets.push(socket);
    }
    sockets
}

#[tokio::test]
async fn the_sockets_of_one_client_leave_room_for_others() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let mut all = fill(&replica, address(2)).await;
    match Client::connect_from(&replica, address(2)).await {
        Err(Error::Http(answer)) => {
            assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, "10"));
            let body = String::from_utf8(answer.into_body().unwrap()).unwrap();
            assert!(body.contains("too_many_sockets"), "{body}");
        }
        _ => panic!("one more than an address may have"),
    }
    for last in 3..=5 {
        all.extend(fill(&replica, address(last)).await);
    }

    // All seats are taken. An honest client still gets one, and every change.
    let mut honest = Client::connect_from(&replica, address(1)).await.unwrap();
    honest.send(json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"})).await;
    assert_eq!(honest.next("book").await["type"], "snapshot");
    let placed = replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    assert_eq!(honest.next("book").await["number"], "1");

    // One of the others was told why, and only one.
    let mut closed = 0;
    for socket in &mut all {
        loop {
            match socket.0.next().await.unwrap().unwrap() {
                Message::Close(Some(frame)) => {
                    let reason =
                        "this replica needs the place for another client; reconnect in a moment";
                    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1013, reason));
                    closed += 1;
                    break;
                }
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    let has_order = |batch: &Value| number(batch) >= number(&placed["batch"]);
                    if message["type"] == "change" && has_order(&message["data"]["batch"]) {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    assert_eq!(closed, 1);
}
