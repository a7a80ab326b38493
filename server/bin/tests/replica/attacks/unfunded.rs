//! A flood of orders of keys that cannot pay them, beside the orders of an account that can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zellbook_core::SecretKey;

use super::signatures::{order, send};
use super::{Attackers, FLOOD_SLACK, Scene, Source, compare, trade};
use crate::harness::{Replica, TIMEOUT, key, number};
use crate::raw::{address, first_answer};

/// The orders in each request of the flood.
const ORDERS: usize = 1000;
const ATTACKERS: usize = 6;
/// The honest account's orders. The second worst of these is their 99th percentile.
const MEASURED: usize = 100;

/// Clients that submit orders which the replica refuses, until this is dropped.
struct Flood {
    _attackers: Attackers,
    refused: Arc<AtomicUsize>,
    /// Requests of which not every order was refused for the right reason.
    others: Arc<AtomicUsize>,
    /// What the outbox had taken before.
    taken: u64,
}

async fn taken(replica: &Replica) -> u64 {
    number(&replica.status().await["posting"]["taken"])
}

impl Flood {
    async fn start(scene: &Scene) -> Self {
        let replica = &scene.replica;
        let sign = |who: &SecretKey| -> Arc<str> {
            let line = "sell 1000 ETH/USDT @ 2000";
            let orders = (0..ORDERS).map(|_| replica.sign_order(who, line).0);
            format!("[{}]", orders.collect::<Vec<_>>().join(",")).into()
        };
        // A key that the state does not know, and one that has too little.
        let kinds = [(sign(&key(9)), "unknown_signer"), (sign(&key(2)), "balance_too_low")];
        let (refused, others) = (Arc::default(), Arc::default());
        let attackers = Attackers::new();
        for number in 0..ATTACKERS {
            let (body, name) = kinds[number % kinds.len()].clone();
            let (refused, others) = (Arc::clone(&refused), Arc::clone(&others));
            let to = address(replica);
            attackers.spawn(async move {
                let name = format!("\"name\":\"{name}\"");
                loop {
                    let text = send(to, Source::Many.address(number), &body).await;
                    let Ok(Some(answer)) = text.map(|text| first_answer(&text)) else { continue };
                    let is_right = answer.body.matches(&name).count() == ORDERS;
                    let count: &AtomicUsize = if is_right { &refused } else { &others };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let taken = taken(replica).await;
        let flood = Self { _attackers: attackers, refused, others, taken };
        let started = Instant::now();
        while flood.refused.load(Ordering::Relaxed) < ATTACKERS {
            assert!(started.elapsed() < TIMEOUT, "the attackers are not answered");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        flood
    }

    async fn check(scene: &Scene, flood: &Self) {
        trade(scene).await;
        assert_eq!(flood.others.load(Ordering::Relaxed), 0, "not refused as they should be");
        let of_honest = taken(&scene.replica).await - flood.taken;
        assert_eq!(of_honest, MEASURED as u64 + 1, "nothing of the flood is in the outbox");
        let requests = flood.refused.load(Ordering::Relaxed);
        println!("{requests} requests of the flood were refused");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_pay_delay_no_orders_and_fill_no_outbox() {
    let scene = async || {
        let scene = Scene::start(&[]).await;
        scene.replica.fund(&[key(2).public_key()]).await;
        scene
    };
    let name = "6 clients, 1,000 orders without funds in each request";
    compare(name, (MEASURED, FLOOD_SLACK), scene, order, Flood::start, Flood::check).await;
}
