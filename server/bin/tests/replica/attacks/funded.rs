//! Floods of orders of accounts that can pay them, beside the orders and the dead-man's switch of another account.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use zellbook_core::{Action, SecretKey, Transaction};

use super::signatures::send;
use super::{Attackers, PACE, Scene, Source, WORK_SLACK, compare, trade};
use crate::harness::{TIMEOUT, key, nonce, number, order};
use crate::raw::{address, first_answer};

/// The accounts of the flood. Each of them has a share of the outbox.
const FLOODERS: u8 = 20;
/// The orders in each of their requests.
const ORDERS: usize = 200;
/// The honest account's orders under the flood. The second worst of these is their 99th percentile.
const MEASURED: usize = 100;
/// When the honest account's switch is due.
const SWITCH: Duration = Duration::from_secs(10);
/// How much later it may fire, by the exchange's time and by the clock, on a busy machine. Without turns it fired
/// after 36 s.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Accounts that submit orders as fast as the replica takes them, until this is dropped.
struct Flood {
    _attackers: Attackers,
    accepted: Arc<AtomicUsize>,
}

impl Flood {
    async fn start(scene: &Scene) -> Self {
        let (to, network) = (address(&scene.replica), scene.replica.rules.network);
        let accepted = Arc::new(AtomicUsize::new(0));
        let attackers = Attackers::new();
        for flooder in 0..FLOODERS {
            let (accepted, trader) = (Arc::clone(&accepted), flooders(flooder));
            attackers.spawn(async move {
                let source = Source::Many.address(flooder.into());
                loop {
                    let orders = (0..ORDERS).map(|_| {
                        let transaction = Transaction {
                            account: trader.public_key(),
                            signer: None,
                            nonce: nonce(),
                            valid_until: None,
                            action: Action::Order(order("buy 0.01 ETH/USDT @ 100 ioc")),
                        };
                        transaction.sign(&network, &trader).to_json()
                    });
                    let body = format!("[{}]", orders.collect::<Vec<_>>().join(","));
                    if let Ok(text) = send(to, source, &body).await
                        && let Some(answer) = first_answer(&text)
                        && answer.status == StatusCode::ACCEPTED
                    {
                        let taken = answer.body.matches("\"receipt\":{").count();
                        accepted.fetch_add(taken, Ordering::Relaxed);
                    }
                }
            });
        }
        let flood = Self { _attackers: attackers, accepted };
        let started = Instant::now();
        while flood.accepted.load(Ordering::Relaxed) < ORDERS * usize::from(FLOODERS) {
            assert!(
                started.elapsed() < TIMEOUT,
                "{} accepted",
                flood.accepted.load(Ordering::Relaxed)
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        flood
    }
}

fn flooders(number: u8) -> SecretKey {
    key(100 + number)
}

async fn scene() -> Scene {
    let scene = Scene::start(&[]).await;
    let accounts: Vec<_> = (0..FLOODERS).map(|number| flooders(number).public_key()).collect();
    scene.replica.fund(&accounts).await;
    scene
}

/// Places orders one after the other. Returns for each how long it took from submission to its effect.
pub async fn trades(scene: &Scene, orders: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..orders {
        pace.tick().await;
        let started = Instant::now();
        let outcome = scene.replica.order(&key(1), "sell 0.01 ETH/USDT @ 2000 ioc").await;
        assert_eq!(outcome["status"], "applied", "{outcome}");
        times.push(started.elapsed());
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_funded_orders_delays_neither_orders_nor_a_switch() {
    let name = "orders of 20 funded accounts without end";
    let check = async |scene: &Scene, flood: &Flood| {
        let before = flood.accepted.load(Ordering::Relaxed);
        let replica = &scene.replica;
        trade(scene).await;
        let account = replica.account(&key(1)).await;
        assert_ne!(account["open_orders"], serde_json::json!([]), "{account}");
        let now = number(&replica.status().await["time_ms"]);
        let due = now + u64::try_from(SWITCH.as_millis()).unwrap();
        let set = replica.perform(&key(1), Action::CancelAllAfter { time: due }).await;
        assert_eq!(set["status"], "applied", "{set}");
        let started = Instant::now();
        let path = format!("/v1/accounts/{}", key(1).public_key());
        let fired = replica.until(&path, |account| account["switch_ms"].is_null()).await;
        let took = started.elapsed();
        assert_eq!(fired["open_orders"], serde_json::json!([]), "{fired}");
        let path = format!("/v1/batches/{}/contents?limit=1", fired["batch"].as_str().unwrap());
        let time = number(&replica.get(&path).await["header"]["time_ms"]);
        let late = Duration::from_millis(time.saturating_sub(due));
        println!(
            "{name}: a switch of {SWITCH:?} has fired after {took:.1?}, {late:.1?} late by the exchange's time"
        );
        assert!(took < SWITCH + LATE_MAX && late < LATE_MAX, "{took:?}, {late:?} late");
        // The flood went on.
        let accepted = flood.accepted.load(Ordering::Relaxed) - before;
        println!("{name}: {accepted} of the flood accepted meanwhile");
        assert!(accepted > 0);
    };
    compare(name, (MEASURED, WORK_SLACK), scene, trades, Flood::start, check).await;
}
