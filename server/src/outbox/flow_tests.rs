//! Tests of posting again: what is only late is not posted twice, and what is lost arrives all the same.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zellbook_core::protocol::ReplayGuard;
use zellbook_core::{Action, TransactionHash};
use zellular::{FinalitySignature, Page};

use super::tests::{Bench, key};
use super::*;
use crate::sequencer::Sequencer;
use zellular::client::{GatewayError, GatewayFailure, GatewayStatus, Route};

const KEYS: u64 = 100;
const TICK: Duration = Duration::from_millis(20);

/// A network that finalizes bodies in the order in which it took them, some time later and no faster than it can.
struct Line {
    queue: Mutex<VecDeque<(Instant, String)>>,
    random: Mutex<Rng>,
    latency: Duration,
    /// How many bodies it finalizes in a tick.
    rate: usize,
    /// The share of bodies that it accepts and loses, in percent.
    lost: u32,
    /// It loses all that it accepts before this time.
    dead_until: Instant,
}

impl Line {
    fn new(latency: Duration, rate: usize) -> Self {
        let (queue, random) = (Mutex::default(), Mutex::new(Rng::with_seed(1)));
        Self { queue, random, latency, rate, lost: 0, dead_until: Instant::now() }
    }

    fn finalized(&self) -> Vec<String> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = queue.iter().take(self.rate).take_while(|(at, _)| *at <= Instant::now());
        let ready = ready.count();
        queue.drain(..ready).map(|(_, body)| body).collect()
    }
}

impl Sequencer for Line {
    async fn finalized(&self, _after: u64) -> Result<Option<Page>, GatewayError> {
        Ok(None)
    }

    async fn last_finalized(&self) -> Result<Option<FinalitySignature>, GatewayError> {
        Ok(None)
    }

    async fn post(&self, bodies: &[String], _route: Route) -> Result<Arc<str>, GatewayError> {
        sleep(Duration::from_millis(5)).await;
        let ready = Instant::now() + self.latency;
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        for body in bodies {
            if random.u32(0..100) >= self.lost && Instant::now() >= self.dead_until {
                queue.push_back((ready, body.clone()));
            }
        }
        Ok("gateway".into())
    }

    fn lanes(&self) -> usize {
        1
    }

    fn unseen(&self, _gateway: &str) {}

    fn report(&self, _failure: GatewayFailure) {}

    fn gateways(&self) -> Vec<GatewayStatus> {
        Vec::new()
    }
}

/// A transaction of about the length of an order. Nothing in the outbox reads it again, so it needs no signature.
fn transaction(keys: &[PublicKey], number: u64) -> (CheckedTransaction, String) {
    let account = keys[usize::try_from(number % KEYS).unwrap()];
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let checked = CheckedTransaction {
        hash: TransactionHash(hash),
        account,
        signer: account,
        replay_guard: ReplayGuard::Nonce(number + 1),
        valid_until: None,
        action: Action::RevokeKey { key: keys[0] },
    };
    (checked, format!("\"{number:0450}\""))
}

fn hash_of(element: &str) -> Hash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&element.parse::<u64>().unwrap().to_be_bytes());
    hash
}

/// Posts per transaction, and the time until all have come in. `pause` says for how long nothing is applied at a
/// tick.
async fn run(
    bench: &Bench<Line>,
    count: u64,
    pause: impl Fn(usize) -> Duration,
) -> (f64, Duration) {
    let began = Instant::now();
    let keys: Vec<PublicKey> = (10..110).map(|seed| key(seed).public_key()).collect();
    let submits = (0..count).map(|number| transaction(&keys, number));
    let submits = submits.map(|(checked, element)| bench.outbox.enqueue(&checked, element));
    for submit in submits.collect::<Vec<_>>() {
        submit.unwrap().stored().await.unwrap();
    }
    let mut seen = HashSet::new();
    for tick in 0.. {
        sleep(TICK + pause(tick)).await;
        for body in bench.network.finalized() {
            let elements: Vec<String> = serde_json::from_str(&body).unwrap();
            let hashes: Vec<Hash> = elements.iter().map(|element| hash_of(element)).collect();
            bench.outbox.finalized(hashes.iter().copied());
            bench.outbox.applied(hashes.iter().copied());
            seen.extend(hashes);
        }
        if bench.outbox.waiting() == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(3600), "{} wait", bench.outbox.waiting());
    }
    assert_eq!(seen.len() as u64, count, "all came in");
    let posting = bench.outbox.posting();
    let number = |text: &str| text.parse::<f64>().unwrap();
    let posts = number(&posting.posted) + number(&posting.posted_again);
    (posts / count as f64, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_posted_once_although_it_takes_long_to_come_in() {
    // Ten bodies a second for 300 bodies, and from time to time nothing for three seconds.
    let bench = Bench::on(Line::new(Duration::from_millis(40), 1));
    let pause = |tick: usize| Duration::from_millis(if tick % 100 == 99 { 3000 } else { 80 });
    let (posts, time) = run(&bench, 3000, pause).await;
    println!("a burst: {posts:.3} posts per transaction, {time:?}");
    assert!(time > Duration::from_secs(30), "{time:?} is no backlog");
    assert!(posts <= 1.05, "{posts} posts per transaction");
}

#[tokio::test(start_paused = true)]
async fn with_a_finality_of_thirty_seconds_nothing_is_posted_twice() {
    let bench = Bench::on(Line::new(Duration::from_secs(30), 1000));
    let (posts, time) = run(&bench, 3000, |_| Duration::ZERO).await;
    println!("a finality of 30 s: {posts:.3} posts per transaction, {time:?}");
    assert!(posts <= 1.05, "{posts} posts per transaction");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_posted_again_until_all_has_come_in() {
    let mut line = Line::new(Duration::from_millis(300), 1000);
    line.lost = 20;
    let bench = Bench::on(line);
    let (posts, time) = run(&bench, 3000, |_| Duration::ZERO).await;
    println!("20 % lost: {posts:.3} posts per transaction, {time:?}");
    // 1 / 0.8 if nothing else is posted again.
    assert!(posts > 1.1 && posts < 1.4, "{posts} posts per transaction");
    assert!(time < Duration::from_secs(120), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn after_all_was_lost_all_is_posted_again_soon() {
    let mut line = Line::new(Duration::from_millis(300), 1000);
    line.dead_until += Duration::from_secs(4);
    let bench = Bench::on(line);
    let (posts, time) = run(&bench, 3000, |_| Duration::ZERO).await;
    println!("all lost for 4 s: {posts:.3} posts per transaction, {time:?}");
    assert!(posts < 2.1, "{posts} posts per transaction");
    assert!(time < Duration::from_secs(40), "{time:?}");
}
