//! Attacks with transactions whose signatures are bad, each of which costs a check.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::interval;

use super::{Attackers, PACE, SLACK, Scene, Source, compare, trade};
use crate::harness::{Replica, TIMEOUT, key};
use crate::raw::{Answer, address, connect_from, first_answer};

/// The honest client's orders. The worst of these is near the 99th percentile.
const ORDERS: usize = 100;
const ATTACKERS: usize = 64;

fn head(length: usize) -> String {
    format!(
        "POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

/// Sends a request from an address, and returns the response.
pub async fn send(
    replica: std::net::SocketAddr,
    source: [u8; 4],
    body: &str,
) -> std::io::Result<String> {
    let mut stream = connect_from(source, replica).await?;
    stream.write_all(head(body.len()).as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// An array of transactions that all have a bad signature.
pub fn bad_transactions(replica: &Replica, count: usize) -> String {
    let bad = (0..count).map(|_| {
        let (json, _) = replica.sign_order(&key(9), "sell 1 ETH/USDT @ 2000");
        json.replace("\"price\":\"2000\"", "\"price\":\"2001\"")
    });
    format!("[{}]", bad.collect::<Vec<_>>().join(","))
}

/// Submits orders one after the other, and measures the time to the receipt.
pub async fn order(scene: &Scene, orders: usize) -> Vec<Duration> {
    let replica = &scene.replica;
    let mut times = Vec::new();
    let mut pace = interval(PACE);
    for _ in 0..orders {
        pace.tick().await;
        let (json, _) = replica.sign_order(&key(1), "sell 0.01 ETH/USDT @ 2000 ioc");
        let started = Instant::now();
        let text = send(address(replica), [127, 0, 0, 1], &json).await.unwrap();
        let answer = first_answer(&text).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        times.push(started.elapsed());
    }
    times
}

async fn scene() -> Scene {
    Scene::start(&[]).await
}

/// Clients that send bad signatures until this is dropped.
struct Forgers {
    _attackers: Attackers,
    answered: Arc<AtomicUsize>,
    slowed: Arc<AtomicUsize>,
    /// The failures of the replica's gateway before the attack.
    failures: Value,
}

impl Forgers {
    async fn start(replica: &Replica, source: Source) -> Self {
        let failures = replica.status().await["gateways"][0]["failures"].clone();
        let (to, bad): (_, Arc<str>) = (address(replica), bad_transactions(replica, 1000).into());
        let answered = Arc::new(AtomicUsize::new(0));
        let slowed = Arc::new(AtomicUsize::new(0));
        let attackers = Attackers::new();
        for number in 0..ATTACKERS {
            let (bad, answered, slowed) =
                (Arc::clone(&bad), Arc::clone(&answered), Arc::clone(&slowed));
            attackers.spawn(async move {
                loop {
                    if let Ok(text) = send(to, source.address(number), &bad).await
                        && let Some(answer) = first_answer(&text)
                    {
                        answered.fetch_add(1, Ordering::Relaxed);
                        if answer.status == 429 && answer.head.contains("\r\nretry-after: ") {
                            slowed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    // What a program that ignores the header still needs to send a megabyte over a network.
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            });
        }
        Self { _attackers: attackers, answered, slowed, failures }
    }

    /// Waits until the replica has answered as many requests as there are attackers.
    async fn answered(&self) {
        let started = Instant::now();
        while self.answered.load(Ordering::Relaxed) < ATTACKERS {
            assert!(started.elapsed() < TIMEOUT, "the attackers are not answered");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn check(scene: &Scene, forgers: &Self) {
        let replica = &scene.replica;
        forgers.answered().await;
        // The replica still follows its own sequencer.
        assert_eq!(replica.status().await["state"], "following");
        trade(scene).await;
        let status = replica.status().await;
        assert_eq!(status["gateways"][0]["failures"], forgers.failures, "{status}");
        let answered = forgers.answered.load(Ordering::Relaxed);
        let slowed = forgers.slowed.load(Ordering::Relaxed);
        assert!(slowed > 0 && slowed + ATTACKERS >= answered, "{slowed} of {answered} got 429");
    }
}

/// Measures from the first moment of the attack, when the replica knows nothing of the attackers yet, and later.
async fn withstands(name: &str, source: Source) {
    let first = async |scene: &Scene| Forgers::start(&scene.replica, source).await;
    let first_name = format!("{name}, at first");
    compare(&first_name, (ORDERS, SLACK), scene, order, first, Forgers::check).await;
    let later = async |scene: &Scene| {
        let forgers = Forgers::start(&scene.replica, source).await;
        forgers.answered().await;
        forgers
    };
    compare(&format!("{name}, later"), (ORDERS, SLACK), scene, order, later, Forgers::check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_signatures_of_others_do_not_delay_orders() {
    withstands("64 requests of 1,000 bad signatures, 20 addresses", Source::Many).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_signatures_of_the_same_address_do_not_delay_orders() {
    withstands("64 requests of 1,000 bad signatures, the client's address", Source::Shared).await;
}

#[tokio::test]
async fn a_client_that_sends_bad_signatures_is_told_to_wait() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    replica.fund(&[key(1).public_key()]).await;
    let ask = async |source: [u8; 4], body: &str| -> Answer {
        first_answer(&send(address(&replica), source, body).await.unwrap()).unwrap()
    };
    // A few mistakes are told as such, one by one.
    let answer = ask([127, 0, 0, 3], &bad_transactions(&replica, 9)).await;
    assert_eq!((answer.status, answer.body.matches("bad_signature").count()), (202, 9));
    let answer = ask([127, 0, 0, 3], &bad_transactions(&replica, 1000)).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    let wait = answer.head.lines().find_map(|line| line.strip_prefix("retry-after: "));
    assert!((1..=60).contains(&wait.unwrap().parse::<u32>().unwrap()), "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["error"]["code"], "bad_signatures");
    // Its next long body is refused before it is sent.
    let mut stream = connect_from([127, 0, 0, 3], address(&replica)).await.unwrap();
    stream.write_all(head(500_000).as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    let answer = first_answer(&String::from_utf8_lossy(&text)).unwrap();
    assert_eq!(answer.status, 429, "{answer:?}");
    // Others are not slowed down, and neither are good transactions from behind the same address.
    let answer = ask([127, 0, 0, 4], &bad_transactions(&replica, 9)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let (json, hash) = replica.sign_order(&key(1), "sell 1 ETH/USDT @ 2000");
    let answer = ask([127, 0, 0, 3], &json).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
}
