//! Tests of replicas that attest over a slow sequencer, in virtual time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use zellbook_core::rules::ReplicaSpec;
use zellbook_core::types::ReplicaIndex;
use zellbook_core::{Batch, Exchange, Hash};

use super::*;
use crate::config::{Fees, development_genesis};
use crate::prover::prover;
use crate::published::NetworkTime;

fn key(replica: usize) -> SecretKey {
    SecretKey::from_bytes(&[u8::try_from(replica).unwrap() + 1; 32]).unwrap()
}

fn rules(replicas: usize) -> Arc<Rules> {
    let issuer = SecretKey::from_bytes(&[99; 32]).unwrap().public_key();
    let specs = (0..replicas)
        .map(|replica| ReplicaSpec { public_key: key(replica).public_key(), weight: 1 });
    Arc::new(development_genesis(issuer, false, specs.collect(), Fees::none(issuer)).unwrap())
}

/// A sequence shared by all replicas. A batch is visible from the moment when it is final.
#[derive(Default)]
struct Sequence(RefCell<Vec<(Instant, String)>>);

impl Sequence {
    fn post(&self, body: String, finality: Duration) {
        let mut batches = self.0.borrow_mut();
        let at = Instant::now() + finality;
        let at = batches.last().map_or(at, |(last, _)| at.max(*last));
        batches.push((at, body));
    }
}

/// The part of a replica that attests.
struct Voter {
    exchange: Exchange,
    roots: Vec<Hash>,
    index: usize,
    published: watch::Sender<Arc<Published>>,
    attester: Attester,
    /// The network's clock.
    network: Clock,
}

impl Voter {
    fn new(rules: &Arc<Rules>, index: usize, seed: u64) -> Self {
        let mut exchange = Exchange::new(Arc::clone(rules));
        let roots = vec![exchange.root()];
        let attestable = attestable(&exchange, &roots, index);
        let published = Published::new(&exchange, roots[0], String::new(), attestable);
        let (published, published_watch) = watch::channel(Arc::new(published));
        let (_, health) = watch::channel(Health::new(ReplicaState::Following));
        let watch = Watch {
            published: published_watch,
            health,
            feed: tokio::sync::broadcast::channel(1).0,
            prover: prover().0,
            counts: Arc::default(),
        };
        let (clock, random) = (Clock::virtual_from(1_000_000), fastrand::Rng::with_seed(seed));
        let attester = Attester::new(Arc::clone(rules), key(index), &watch, clock, random);
        Self { exchange, roots, index, published, attester, network: clock }
    }

    /// Applies the batches that are final by now.
    fn read(&mut self, sequence: &Sequence) {
        for (at, body) in sequence.0.borrow().iter().skip(self.roots.len() - 1) {
            if *at > Instant::now() {
                break;
            }
            let index = self.roots.len() as u64;
            let batch = Batch::check(self.exchange.rules(), index, body.as_bytes());
            let outcome = self.exchange.apply(&batch).unwrap();
            self.roots.push(outcome.root);
            let attestable = attestable(&self.exchange, &self.roots, self.index);
            let has_content =
                outcome.transactions.iter().any(|outcome| outcome.kind != Some("attest"));
            self.published.send_modify(|published| {
                let published = Arc::make_mut(published);
                published.attestable = attestable;
                published.time_ms = self.exchange.counters().time;
                published.network_time =
                    Some(NetworkTime { proof_ms: self.network.now_ms(), received: Instant::now() });
                if has_content {
                    published.content = index;
                }
            });
        }
    }

    fn certified(&self) -> u64 {
        let certified = self.exchange.engine().attestations().last_certified();
        certified.map_or(0, |(batch, root)| {
            assert_eq!(*root, self.roots[batch as usize], "a root that is not ours");
            batch
        })
    }
}

fn attestable(exchange: &Exchange, roots: &[Hash], index: usize) -> Attestable {
    let index = Some(ReplicaIndex(u16::try_from(index).unwrap()));
    let root_of = |batch: u64| Ok::<_, ()>(roots.get(batch as usize).copied());
    Attestable::new(exchange, *roots.last().unwrap(), index, root_of).unwrap()
}

#[derive(Clone, Copy)]
struct Scene {
    replicas: usize,
    /// The number of replicas that run.
    alive: usize,
    finality: Duration,
    /// The percentage of attestations that are lost.
    lost: u32,
    /// Whether one replica votes for every batch that it sees.
    chaser: bool,
    lasts: Duration,
}

/// The number of certified roots, and of posted attestations.
async fn run(scene: Scene, seed: u64) -> (u32, u32) {
    let rules = rules(scene.replicas);
    let sequence = Rc::new(Sequence::default());
    let (certified, attested) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let tasks = tokio::task::LocalSet::new();
    let end = Instant::now() + scene.lasts;
    for index in 0..scene.alive {
        let mut voter = Voter::new(&rules, index, seed + index as u64);
        let mut random = fastrand::Rng::with_seed(seed * 100 + index as u64);
        let (sequence, certified, attested) =
            (Rc::clone(&sequence), Rc::clone(&certified), Rc::clone(&attested));
        let is_chaser = scene.chaser && index == 0;
        tasks.spawn_local(async move {
            let (mut last_certified, mut last_voted) = (0, 0);
            while Instant::now() < end {
                // Replicas read at different times, so each sees another batch as the last one.
                tokio::time::sleep(Duration::from_millis(random.u64(20..400))).await;
                voter.read(&sequence);
                if index == scene.alive - 1 && voter.certified() > last_certified {
                    last_certified = voter.certified();
                    certified.set(certified.get() + 1);
                }
                let goes_along = random.u8(..4) == 0;
                let element = if is_chaser {
                    let tip = voter.published.borrow().attestable.tip;
                    (tip.batch > last_voted).then(|| {
                        last_voted = tip.batch;
                        let clock = voter.attester.clock.now_ms();
                        voter.attester.sign(Instant::now(), tip, clock, 0, true)
                    })
                } else {
                    voter.attester.next(goes_along)
                };
                attested.set(attested.get() + u32::from(element.is_some() && !is_chaser));
                let element = element.filter(|_| random.u32(..100) >= scene.lost);
                let Some(body) = element.or(goes_along.then(String::new)) else { continue };
                sequence.post(format!("[{body}]"), scene.finality);
            }
        });
    }
    tasks.await;
    (certified.get(), attested.get())
}

const MINUTES_10: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn replicas_keep_certifying_roots_however_long_finality_takes() {
    for finality_ms in [300, 1_000, 3_000, 10_000, 30_000] {
        for lost in [0, 20] {
            let finality = Duration::from_millis(finality_ms);
            let scene =
                Scene { replicas: 3, alive: 3, finality, lost, chaser: false, lasts: MINUTES_10 };
            let (certified, attested) = run(scene, 7).await;
            // A round is a proposal and an answer; with losses it takes longer.
            let rounds = 600_000 / (finality_ms + 1_000) / if lost == 0 { 4 } else { 10 };
            assert!(
                u64::from(certified) >= rounds.max(3),
                "{finality:?}, {lost} % lost: certified {certified} times, {rounds} expected"
            );
            assert!(attested <= 3 * 600, "{finality:?}: {attested} attestations");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_replica_or_one_that_votes_for_everything_does_not_stop_certification() {
    for (alive, chaser) in [(3, false), (4, true)] {
        for seconds in [1, 10] {
            let finality = Duration::from_secs(seconds);
            let scene = Scene { replicas: 4, alive, finality, lost: 0, chaser, lasts: MINUTES_10 };
            let (certified, _) = run(scene, 3).await;
            let rounds = 600 / (seconds + 1) / 10;
            assert!(
                u64::from(certified) >= rounds,
                "{finality:?}, chaser {chaser}: certified {certified} times, {rounds} expected"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_nonce_is_above_those_in_the_state_and_reposts_become_rarer() {
    let rules = rules(3);
    let mut voter = Voter::new(&rules, 0, 1);
    let mut other = Voter::new(&rules, 1, 2);
    let sequence = Sequence::default();
    // Its key has a nonce that is a day in the future, and another replica waits for its vote.
    voter.attester.nonce = 90_000_000_000;
    sequence.post(format!("[{}]", voter.attester.next(true).unwrap()), Duration::ZERO);
    sequence.post(format!("[{}]", other.attester.next(true).unwrap()), Duration::ZERO);
    other.read(&sequence);
    tokio::time::sleep(Duration::from_secs(2)).await;
    sequence.post(format!("[{}]", other.attester.next(true).unwrap()), Duration::ZERO);
    let mut restarted = Voter::new(&rules, 0, 3);
    restarted.read(&sequence);
    let mut times = Vec::new();
    for _ in 0..36_000 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Some(element) = restarted.attester.next(false) {
            let element: serde_json::Value = serde_json::from_str(&element).unwrap();
            assert!(element["nonce"].as_str().unwrap().parse::<u64>().unwrap() > 90_000_000_000);
            assert_eq!(element["batch"], "2");
            times.push(Instant::now());
        }
    }
    // During an hour without finalized batches the waits double, up to a few minutes.
    assert!((8..=24).contains(&times.len()), "{}", times.len());
    let waits: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        waits[0] < Duration::from_secs(5) && *waits.last().unwrap() > WAIT_MAX / 2,
        "{waits:?}"
    );
}

/// A cancel of nothing, by someone who is no replica.
fn content(rules: &Rules, nonce: u64) -> String {
    let transaction = Transaction {
        account: key(50).public_key(),
        signer: None,
        nonce,
        valid_until: None,
        action: Action::CancelAll { market: None },
    };
    transaction.sign(&rules.network, &key(50)).to_json()
}

fn field(element: &str, name: &str) -> u64 {
    let element: serde_json::Value = serde_json::from_str(element).unwrap();
    element[name].as_str().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn replicas_attest_once_more_when_batches_stop_and_then_no_more() {
    for alive in [3, 2] {
        let rules = rules(3);
        let sequence = Sequence::default();
        let mut voters: Vec<Voter> =
            (0..alive).map(|index| Voter::new(&rules, index, index as u64)).collect();
        let finality = Duration::from_millis(300);
        let mut random = fastrand::Rng::with_seed(alive as u64);
        let mut last_post = Instant::now();
        for nonce in 1..=3 {
            sequence.post(format!("[{}]", content(&rules, nonce)), finality);
        }
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(600) {
            tokio::time::sleep(Duration::from_millis(random.u64(5..50))).await;
            for voter in &mut voters {
                voter.read(&sequence);
                if let Some(element) = voter.attester.next(false) {
                    sequence.post(format!("[{element}]"), finality);
                    last_post = Instant::now();
                }
            }
        }
        let posted = sequence.0.borrow().len() - 3;
        if alive == 3 {
            assert!(voters.iter().all(|voter| voter.certified() >= 3), "the last content");
        }
        // Two of three replicas are not more than two thirds: nothing can be certified, and they must not try for ever.
        assert!(posted <= 12, "{posted} attestations with {alive} replicas");
        assert!(last_post - started < Duration::from_secs(120), "{:?}", last_post - started);
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_attest_when_a_batch_comes_in_long_after_their_last_clock() {
    let rules = rules(3);
    let sequence = Sequence::default();
    let mut voters: Vec<Voter> =
        (0..3).map(|index| Voter::new(&rules, index, index as u64)).collect();
    let finality = Duration::from_millis(300);
    let mut random = fastrand::Rng::with_seed(1);
    let mut attested = Vec::new();
    // What a replica posts that cannot attest and waits for the exchange's time, and again after ten minutes.
    for body in ["[]".to_string(), format!("[{}]", content(&rules, 1)), "[]".into()] {
        let asked_ms = voters[0].network.now_ms();
        let before = sequence.0.borrow().len();
        sequence.post(body, finality);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(600) {
            tokio::time::sleep(Duration::from_millis(random.u64(5..50))).await;
            for voter in &mut voters {
                voter.read(&sequence);
                if let Some(element) = voter.attester.next(false) {
                    sequence.post(format!("[{element}]"), finality);
                }
            }
        }
        let time = voters[0].exchange.counters().time;
        assert!(time >= asked_ms, "{time} is before {asked_ms}");
        attested.push(sequence.0.borrow().len() - before - 1);
    }
    assert!(
        attested.iter().all(|count| *count <= 12),
        "they answer once, not each other: {attested:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attestation_that_no_gateway_took_is_made_again_without_a_growing_wait() {
    let rules = rules(1);
    let mut voter = Voter::new(&rules, 0, 1);
    voter.attester.want(true);
    let mut attested = 0;
    for _ in 0..120 {
        if voter.attester.next(false).is_some() {
            attested += 1;
            voter.attester.refused();
        }
        tokio::time::sleep(EVERY / 2).await;
    }
    assert_eq!(attested, 60, "one a second");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_two_days_ahead_never_moves_the_exchanges_time_there() {
    const TWO_DAYS: u64 = 2 * 86_400_000;
    let rules = rules(1);
    let sequence = Sequence::default();
    let mut voter = Voter::new(&rules, 0, 1);
    voter.attester.clock = Clock::virtual_from(voter.network.now_ms() + TWO_DAYS);
    let mut stated = Vec::new();
    for nonce in 1..=5 {
        let attestation = voter.attester.next(true).unwrap();
        stated.push(field(&attestation, "clock"));
        sequence.post(format!("[{},{attestation}]", content(&rules, nonce)), Duration::ZERO);
        voter.read(&sequence);
        tokio::time::sleep(EVERY).await;
    }
    let network = voter.network.now_ms();
    assert!(stated.iter().all(|clock| *clock <= network), "{stated:?}");
    let time = voter.exchange.counters().time;
    assert!(
        time > network - 10_000 && time <= network,
        "the time goes on, by the network's proofs: {time}"
    );
    // The clock is set right.
    voter.attester.clock = voter.network;
    assert_eq!(field(&voter.attester.next(true).unwrap(), "clock"), voter.network.now_ms());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_no_proof_has_checked_does_not_move_the_exchanges_time() {
    let rules = rules(1);
    let sequence = Sequence::default();
    let mut voter = Voter::new(&rules, 0, 1);
    let attestation = voter.attester.next(true).unwrap();
    assert_eq!(field(&attestation, "clock"), 0, "the exchange's time so far");
    sequence.post(format!("[{attestation}]"), Duration::ZERO);
    voter.read(&sequence);
    tokio::time::sleep(EVERY).await;
    assert_eq!(field(&voter.attester.next(true).unwrap(), "clock"), voter.network.now_ms());
}
