//! Floods of frames that no library sends.

use std::time::{Duration, Instant};

use serde_json::json;
use zellbook_core::Action;

use super::{Attack, Scene, Source, WORK_SLACK, compare};
use crate::harness::key;
use crate::websocket::Client;
use crate::websocket::frames::{FINAL, TEXT, masked, opening};

/// Measures the time from a change of the book to its message at a follower.
async fn follow(scene: &Scene, changes: usize) -> Vec<Duration> {
    let replica = &scene.replica;
    let mut socket = Client::connect(replica).await;
    socket.send(json!({"op": "subscribe", "channel": "book", "market": "ETH/USDT"})).await;
    assert_eq!(socket.next("book").await["type"], "snapshot");
    let mut times = Vec::new();
    for number in 1..=changes {
        // An account may have 200 open orders.
        let (json, _) = if number % 2 == 0 {
            replica.sign(&key(1), Action::CancelAll { market: None })
        } else {
            replica.sign_order(&key(1), "sell 0.01 ETH/USDT @ 2000")
        };
        let started = Instant::now();
        replica.submit(&json).await;
        assert_eq!(socket.next("book").await["number"], number.to_string());
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_delay_no_follower() {
    for (what, first, frame) in [
        ("pongs", &[] as &[u8], masked(FINAL | 10, &[b'x'; 125])),
        ("empty fragments", &masked(TEXT, b""), masked(0, b"")),
        ("wrong messages", &[], masked(FINAL | TEXT, b"x")),
    ] {
        let bytes = [opening("127.0.0.1").as_bytes(), first, &frame.repeat(10_000)].concat();
        let attack = async |scene: &Scene| {
            Attack::start(&scene.replica, Source::Many, 100, bytes.clone()).await
        };
        let name = format!("100 WebSockets that send 10,000 {what} each");
        let scene = async || Scene::start(&[]).await;
        compare(&name, (60, WORK_SLACK), scene, follow, attack, async |_, _| ()).await;
    }
}
