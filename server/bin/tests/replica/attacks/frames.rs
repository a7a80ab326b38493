//! Floods of frames that no library sends.

use std::time::{Duration, Instant};

use serde_json::json;
use zellbook_core::Action;

use super::{Attack, Scene, Source, WORK_SLACK, compare, flood};
use crate::harness::key;
use crate::raw::address;
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

/// A scene with an account that has 150 open orders and does not trade any more.
async fn with_orders() -> Scene {
    let scene = Scene::start(&[]).await;
    let (replica, owner) = (&scene.replica, key(2));
    replica.fund(&[owner.public_key()]).await;
    let lines = (0..149).map(|tick| format!("sell 0.01 ETH/USDT @ {}", 3000 + tick));
    let orders: Vec<String> = lines.map(|line| replica.sign_order(&owner, &line).0).collect();
    replica.submit_all(&orders).await;
    let last = replica.order(&owner, "sell 0.01 ETH/USDT @ 4000").await;
    assert_eq!(last["status"], "applied", "{last}");
    scene
}

/// Opens a WebSocket and subscribes so many times to an account.
fn subscriptions(seed: u8, times: usize) -> Vec<u8> {
    let account = key(seed).public_key().to_string();
    let message = json!({"op": "subscribe", "channel": "account", "account": account});
    let frame = masked(FINAL | TEXT, message.to_string().as_bytes());
    [opening("127.0.0.1").into_bytes(), frame.repeat(times)].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_that_do_not_read_delay_no_other() {
    let name = "100 WebSockets that ask 150 times for an account with 150 orders and do not read";
    let attack = async |scene: &Scene| {
        Attack::start(&scene.replica, Source::Many, 100, subscriptions(2, 150)).await
    };
    compare(name, (60, WORK_SLACK), with_orders, follow, attack, async |_, _| ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_followers_of_the_account_that_trades_delay_no_other() {
    let name = "512 WebSockets that follow the account that trades";
    let attack = async |scene: &Scene| {
        flood(address(&scene.replica), Source::Many, 512, subscriptions(1, 1))
    };
    let scene = async || Scene::start(&[]).await;
    compare(name, (60, WORK_SLACK), scene, follow, attack, async |_, _| ()).await;
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
