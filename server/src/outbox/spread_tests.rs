//! Tests of posting over several gateways. Each gateway keeps the order of its batches, but nothing orders
//! the batches of two gateways.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use zellbook_core::wire::Stage;
use zellbook_core::{Action, Transaction};
use zellular::{FinalitySignature, Page};

use super::tests::{Bench, key};
use super::*;
use crate::sequencer::Sequencer;
use zellular::client::{GatewayError, GatewayFailure, GatewayStatus, Route};

const GATEWAYS: usize = 4;
const ACCOUNTS: usize = 24;

/// Gateways that respond after a random time, and hand their bodies to the leader even later.
struct Gateways {
    state: Mutex<State>,
    /// A gateway that never responds.
    silent: Option<usize>,
}

struct State {
    random: Rng,
    /// The bodies that wait at each gateway.
    queues: [VecDeque<String>; GATEWAYS],
    /// The number of bodies that each gateway accepted.
    taken: [usize; GATEWAYS],
}

impl Gateways {
    fn new(seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        let queues = [const { VecDeque::new() }; GATEWAYS];
        let state = Mutex::new(State { random, queues, taken: [0; GATEWAYS] });
        Self { state, silent: None }
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bodies that the leader sequences now: all from some gateways and none from the others, in a
    /// random order of gateways.
    fn lead(&self) -> Vec<String> {
        self.with(|state| {
            let State { random, queues, .. } = state;
            let mut order: Vec<_> = queues.iter_mut().collect();
            random.shuffle(&mut order);
            order.retain(|_| random.u32(0..100) < 50);
            order.into_iter().flat_map(|queue| queue.drain(..)).collect()
        })
    }
}

impl Sequencer for Gateways {
    async fn finalized(&self, _after: u64) -> Result<Option<Page>, GatewayError> {
        Ok(None)
    }

    async fn last_finalized(&self) -> Result<Option<FinalitySignature>, GatewayError> {
        Ok(None)
    }

    async fn post(&self, bodies: &[String], route: Route) -> Result<Arc<str>, GatewayError> {
        let Route::Lane(lane) = route else { return Err(GatewayError::RateLimited) };
        if self.silent == Some(lane) {
            std::future::pending::<()>().await;
        }
        let delay = self.with(|state| state.random.u64(1..60));
        sleep(Duration::from_millis(delay)).await;
        self.with(|state| {
            state.queues[lane].extend(bodies.iter().cloned());
            state.taken[lane] += bodies.len();
        });
        Ok(lane.to_string().into())
    }

    fn lanes(&self) -> usize {
        GATEWAYS
    }

    fn unseen(&self, _gateway: &str) {}

    fn report(&self, _failure: GatewayFailure) {}

    fn gateways(&self) -> Vec<GatewayStatus> {
        Vec::new()
    }
}

/// `each` transactions of every account, checked, with their JSON.
fn signed(rules: &Rules, each: u64) -> Vec<Vec<(CheckedTransaction, String)>> {
    let of = |account: usize| {
        let key = key(u8::try_from(account).unwrap() + 10);
        let sign = |nonce| {
            let (account, action) = (key.public_key(), Action::CancelAll { market: None });
            let transaction =
                Transaction { account, signer: None, nonce, valid_until: None, action };
            let json = transaction.sign(&rules.network, &key).to_json();
            (check_element(rules, &json).unwrap(), json)
        };
        (1..=each).map(sign).collect()
    };
    (0..ACCOUNTS).map(of).collect()
}

async fn submit(outbox: &Outbox, transactions: &[(CheckedTransaction, String)]) {
    let submits = transactions.iter().map(|(checked, json)| outbox.submit(checked, json.clone()));
    for done in futures_util::future::join_all(submits).await {
        done.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn transactions_of_an_account_stay_in_order_over_several_gateways() {
    let mut all_taken = [0; GATEWAYS];
    let transactions = signed(&Bench::on(Gateways::new(0)).rules, 40);
    let accounts: BTreeMap<String, usize> = transactions
        .iter()
        .zip(0..)
        .map(|(of, account)| (of[0].0.account.to_string(), account))
        .collect();
    let account_and_nonce = |element: &serde_json::Value| {
        let nonce = element["nonce"].as_str().unwrap().parse().unwrap();
        (accounts[element["account"].as_str().unwrap()], nonce)
    };
    for seed in 0..4 {
        let bench = Bench::on(Gateways::new(seed));
        let mut random = Rng::with_seed(seed);
        let mut sent = [0; ACCOUNTS];
        let mut sequence: Vec<(usize, usize)> = Vec::new();
        while bench.outbox.waiting() > 0 || sent.iter().any(|sent| *sent < 40) {
            // Quiet and busy times alternate, and some accounts never pause.
            let is_rush = random.u32(0..100) < 30;
            let senders = if is_rush { ACCOUNTS } else { 3 };
            for (account, sent) in sent.iter_mut().enumerate().take(senders) {
                let more = (*sent + random.usize(0..=if is_rush { 8 } else { 1 })).min(40);
                submit(&bench.outbox, &transactions[account][*sent..more]).await;
                *sent = more;
            }
            sleep(Duration::from_millis(random.u64(1..80))).await;
            for body in bench.network.lead() {
                let elements: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
                let transactions_in_body: Vec<(usize, usize)> =
                    elements.iter().map(&account_and_nonce).collect();
                let hash = |(account, nonce): &(usize, usize)| {
                    let (checked, _) = &transactions[*account][*nonce - 1];
                    checked.hash.0
                };
                bench.outbox.finalized(transactions_in_body.iter().map(hash));
                bench.outbox.applied(transactions_in_body.iter().map(hash));
                sequence.extend(transactions_in_body);
            }
        }
        assert_eq!(bench.outbox.posting().posted_again, "0");
        let mut last = [0; ACCOUNTS];
        for (account, nonce) in &sequence {
            let before = std::mem::replace(&mut last[*account], *nonce);
            assert_eq!(*nonce, before + 1, "seed {seed}, account {account}");
        }
        assert_eq!(sequence.len(), 40 * ACCOUNTS);
        let taken = bench.network.with(|state| state.taken);
        all_taken.iter_mut().zip(taken).for_each(|(all, taken)| *all += taken);
    }
    println!("bodies by gateway: {all_taken:?}");
    let all: usize = all_taken.iter().sum();
    assert!(all_taken.iter().all(|taken| *taken * 10 > all), "{all_taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_small_backlog_is_posted_as_one_body_to_one_gateway() {
    let bench = Bench::on(Gateways::new(1));
    let transactions = signed(&bench.rules, 3);
    for round in 0..3 {
        let some: Vec<_> = transactions.iter().take(10).map(|of| of[round].clone()).collect();
        submit(&bench.outbox, &some).await;
        sleep(Duration::from_millis(200)).await;
        assert_eq!(bench.network.with(|state| state.taken), [round + 1, 0, 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_respond_delays_only_its_own_lane() {
    let mut network = Gateways::new(1);
    network.silent = Some(1);
    let bench = Bench::on(network);
    let transactions = signed(&bench.rules, 9);
    let halves = [0, 5].map(|from| {
        let of = |of: &Vec<_>| of[from..from + 4].to_vec();
        transactions.iter().flat_map(of).collect::<Vec<_>>()
    });
    let mut waiting = Vec::new();
    for half in &halves {
        submit(&bench.outbox, half).await;
        sleep(Duration::from_millis(500)).await;
        let is_waiting = |hash: &&Hash| bench.stage(hash) == Some(Stage::Received);
        let hashes: Vec<Hash> = half.iter().map(|(checked, _)| checked.hash.0).collect();
        waiting.push(hashes.iter().filter(is_waiting).count());
    }
    // Exactly the accounts of one lane wait, each with all of its transactions.
    assert!(waiting[0] > 0 && waiting[0] < halves[0].len() / 2, "{waiting:?}");
    assert_eq!(waiting[0], waiting[1]);
    assert_eq!(waiting[0] % 4, 0);
}
