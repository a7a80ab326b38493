//! A flood of orders of one funded key, beside the orders and the dead-man's switch of another account.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zellbook_core::Action;

use super::funded::trades;
use super::signatures::send;
use super::{Attackers, Scene, Source, WORK_SLACK, compare, trade};
use crate::harness::{TIMEOUT, key, now_ms, number};
use crate::raw::{Answer, address, first_answer};

/// The orders in each request of the flood.
const ORDERS: usize = 1000;
/// The requests of the flood, signed beforehand, so that the attacker's processor does not slow it down.
const REQUESTS: usize = 40;
/// The requests of the flood that are answered before the honest account is measured.
const BEFORE: usize = 5;
/// The honest account's orders. The second worst of these is their 99th percentile.
const MEASURED: usize = 100;

/// A client that submits orders of one key as fast as the replica takes them, until this is dropped. What finds no room
/// is sent again at once, so that as many wait as one account may have waiting.
struct Flood {
    _attackers: Attackers,
    answers: Arc<Mutex<Vec<Answer>>>,
    /// Whether all of its orders are taken, or it is to end.
    is_over: Arc<AtomicBool>,
}

fn refused(answer: &Answer) -> usize {
    answer.body.matches("\"name\":\"outbox_quota\"").count()
}

impl Flood {
    async fn start(scene: &Scene) -> Self {
        let replica = &scene.replica;
        let sign = || replica.sign_order(&key(2), "buy 0.01 ETH/USDT @ 100 ioc").0;
        let request = || (0..ORDERS).map(|_| sign()).collect::<Vec<_>>().join(",");
        let requests: Vec<_> = (0..REQUESTS).map(|_| format!("[{}]", request())).collect();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (to, attackers) = (address(replica), Attackers::new());
        let (found, ends) = (Arc::clone(&answers), Arc::clone(&is_over));
        attackers.spawn(async move {
            for request in requests {
                let mut is_taken = false;
                while !is_taken && !ends.load(Ordering::Relaxed) {
                    let text = send(to, Source::One.address(0), &request).await;
                    let Some(answer) = first_answer(&text.unwrap_or_default()) else { continue };
                    is_taken = refused(&answer) == 0;
                    found.lock().unwrap().push(answer);
                }
            }
            ends.store(true, Ordering::Relaxed);
        });
        let flood = Self { _attackers: attackers, answers, is_over };
        let started = Instant::now();
        while flood.answers.lock().unwrap().len() < BEFORE {
            assert!(started.elapsed() < TIMEOUT, "the attacker is not answered");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        flood
    }

    /// How many of its orders found no room.
    fn refused(&self) -> usize {
        self.answers.lock().unwrap().iter().map(refused).sum()
    }

    async fn check(scene: &Scene, flood: &Self) {
        let replica = &scene.replica;
        trade(scene).await;
        let time = now_ms() + 60_000;
        let switched = replica.perform(&key(1), Action::CancelAllAfter { time }).await;
        assert_eq!(switched["status"], "applied", "{switched}");
        assert!(!flood.is_over.load(Ordering::Relaxed), "the flood is over");
        let waiting = number(&replica.status().await["outbox"]);
        for answer in flood.answers.lock().unwrap().iter() {
            assert_eq!(answer.status, 202, "{answer:?}");
            let errors = answer.body.matches("\"error\":{").count();
            assert_eq!(errors, refused(answer), "{answer:?}");
            let says_when = answer.head.contains("\r\nretry-after: ");
            assert_eq!(says_when, refused(answer) > 0, "{}", answer.head);
        }
        println!("{waiting} of the flood wait, {} found no room", flood.refused());
        // What waits is no part of the times without the flood.
        flood.is_over.store(true, Ordering::Relaxed);
        replica.until("/v1/status", |status| status["outbox"] == "0").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_one_key_delays_nobody_else() {
    let scene = async || {
        let scene = Scene::start(&[]).await;
        scene.replica.fund(&[key(2).public_key()]).await;
        scene
    };
    let name = "orders of one funded key without end";
    compare(name, (MEASURED, WORK_SLACK), scene, trades, Flood::start, Flood::check).await;
}
