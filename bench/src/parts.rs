//! Measures the parts of the exchange around matching: signatures, the state root, and the slowest batches.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zellbook_core::bench::{commit, execute};
use zellbook_core::protocol::{CheckedTransaction, ReplayGuard};
use zellbook_core::types::limits::BATCH_BYTES_DEFAULT;
use zellbook_core::types::{Scheme, SelfTrade};
use zellbook_core::{
    Action, Batch, Decimal, Exchange, Genesis, Order, PublicKey, Rules, SecretKey, Side,
    TimeInForce, Transaction, TransactionHash,
};

use crate::catalogue::Recipe;
use crate::engine::Engine as _;
use crate::tape::Tape;
use crate::zellbook::Zellbook;

fn secret(number: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(number + 1).to_be_bytes());
    SecretKey::from_bytes(&bytes).expect("small numbers are keys")
}

/// Rules with the highest limits that genesis may choose.
pub(crate) fn rules() -> Arc<Rules> {
    let key = secret(0).public_key();
    let genesis = format!(
        r#"{{"version":1,"name":"Bench","app_name":"bench","guide_orders":false,
        "tokens":[{{"symbol":"ETH","decimals":18,"issuer":"{key}"}},
            {{"symbol":"USDT","decimals":6,"issuer":"{key}"}}],
        "markets":[{{"base":"ETH","quote":"USDT","tick_size":"0.01","lot_size":"0.0001",
            "notional_min":"0.000001","maker_fee_bps":2,"taker_fee_bps":5}}],
        "fee_account":"{key}",
        "limits":{{"open_orders_per_account_and_market":5000,"makers_per_order":1000,
            "session_keys_per_account":64}},
        "replicas":[{{"public_key":"{key}","weight":1}}]}}"#
    );
    Arc::new(Genesis::read(genesis.as_bytes()).expect("this genesis is valid"))
}

fn number(text: &str) -> Decimal {
    Decimal::parse(text).expect("this is a number")
}

fn order(side: Side, quantity: &str, price: &str) -> Order {
    Order {
        market: "ETH/USDT".into(),
        side,
        quantity: number(quantity),
        price: number(price),
        time_in_force: TimeInForce::Gtc,
        expires: None,
        self_trade: SelfTrade::CancelNewest,
        client_id: None,
    }
}

/// An exchange that accepts actions without signatures, so that it can be filled quickly.
struct Venue {
    rules: Arc<Rules>,
    exchange: Exchange,
    nonce: u64,
}

impl Venue {
    fn new() -> Self {
        let rules = rules();
        Self { exchange: Exchange::new(Arc::clone(&rules)), rules, nonce: 1 << 40 }
    }

    /// Applies actions as one batch. Panics if one is rejected.
    fn act(&mut self, actions: Vec<(PublicKey, Action)>) {
        let transactions = actions
            .into_iter()
            .map(|(account, action)| {
                self.nonce += 1;
                let mut hash = [0; 32];
                hash[..8].copy_from_slice(&self.nonce.to_be_bytes());
                Ok(CheckedTransaction {
                    hash: TransactionHash(hash),
                    account,
                    signer: account,
                    replay_guard: ReplayGuard::Nonce(self.nonce),
                    valid_until: None,
                    action,
                })
            })
            .collect();
        let index = self.exchange.counters().batch + 1;
        let batch = Batch { index, body_hash: [0; 32], transactions };
        let outcome = self.exchange.apply(&batch).expect("the exchange is sound");
        for transaction in outcome.transactions {
            transaction.result.expect("every transaction is valid");
        }
    }

    /// Deposits both tokens to each account.
    fn fund(&mut self, accounts: &[PublicKey]) {
        let issuer = secret(0).public_key();
        for (at, chunk) in accounts.chunks(1000).enumerate() {
            let deposits = chunk.iter().enumerate().flat_map(|(place, to)| {
                ["ETH", "USDT"].map(|token| {
                    let deposit = Action::Deposit {
                        token: token.into(),
                        to: *to,
                        amount: number("1000000000"),
                        reference: format!("{at}-{place}"),
                    };
                    (issuer, deposit)
                })
            });
            self.act(deposits.collect());
        }
    }

    /// Returns a batch body with as many of these signed actions as fit 5 KB.
    fn body(&mut self, actions: impl Iterator<Item = (u64, Action)>) -> (String, usize) {
        let mut body = String::from("[");
        let mut count = 0;
        for (signer, action) in actions {
            let key = secret(signer);
            self.nonce += 1;
            let (account, nonce) = (key.public_key(), self.nonce);
            let transaction =
                Transaction { account, signer: None, nonce, valid_until: None, action };
            let json = transaction.sign(&self.rules.network, &key).to_json();
            if body.len() + json.len() + 2 > BATCH_BYTES_DEFAULT {
                break;
            }
            write!(body, "{}{json}", if count == 0 { "" } else { "," }).expect("memory is there");
            count += 1;
        }
        (body + "]", count)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// The average time of one of `count` calls, in microseconds.
pub(crate) fn time(count: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..count).for_each(|_| call());
    micros(start.elapsed()) / f64::from(count)
}

/// Measures and prints everything.
pub fn measure() {
    memory();
    signatures();
    root();
    worst();
}

/// Prints the memory of a resting order after each stream.
fn memory() {
    for name in ["mix10k", "mix1m"] {
        let stream = Recipe::named(name).expect("it is in the catalogue").generate();
        let mut engine = Zellbook::<0>::new();
        let mut tape = Tape::default();
        for operations in [&stream.preload, &stream.operations] {
            let calls: Vec<_> =
                operations.iter().map(|operation| engine.prepare(operation)).collect();
            engine.run(&calls, &mut tape);
        }
        let bytes = engine.open_orders_memory() as f64 / stream.expectation.live as f64;
        println!(
            "memory after {name}: {bytes:.1} bytes a resting order, capacity and levels included"
        );
    }
}

fn signatures() {
    let key = secret(7);
    let text = Transaction {
        account: key.public_key(),
        signer: None,
        nonce: 1,
        valid_until: None,
        action: Action::Order(order(Side::Buy, "1", "1")),
    }
    .text(&rules().network);
    for scheme in [Scheme::Raw, Scheme::Eip191] {
        let signature = key.sign(scheme, &text);
        let (digest, account) = (scheme.digest(&text), key.public_key());
        assert!(signature.is_valid(&digest, &account));
        let name = scheme.name();
        println!("sign, {name}: {:.1} us", time(2000, || _ = black_box(key.sign(scheme, &text))));
        let check = || assert!(black_box(&signature).is_valid(&digest, &account));
        println!("check a signature, {name}: {:.1} us", time(2000, check));
    }
}

/// Applies the same signed batches with and without the root, in turns, over 100,000 accounts.
fn root() {
    const SIGNERS: u64 = 200;
    const ROUNDS: usize = 300;
    let mut venue = Venue::new();
    let accounts: Vec<PublicKey> = points(100_000);
    venue.fund(&accounts);
    let signers: Vec<PublicKey> = (0..SIGNERS).map(|number| secret(number).public_key()).collect();
    venue.fund_more(&signers);
    let mut plain = venue.exchange.clone();
    let mut rooted = venue.exchange.clone();
    let (mut without, mut with, mut transactions) = (Duration::ZERO, Duration::ZERO, 0);
    let (mut hashed, mut touched) = (Duration::ZERO, 0);
    for round in 0..ROUNDS as u64 {
        let orders = (0_u64..).map(|place| {
            let turn = round * 12 + place;
            let side = if turn % 2 == 0 { Side::Buy } else { Side::Sell };
            let price = 100_000 + (turn * 7919) % 41 + if turn % 2 == 0 { 0 } else { 20 };
            let price = format!("{}.{:02}", price / 100, price % 100);
            let price = price.trim_end_matches('0').trim_end_matches('.').to_string();
            (turn * 31 % SIGNERS, Action::Order(order(side, "0.5", &price)))
        });
        let (body, count) = venue.body(orders);
        let index = plain.counters().batch + 1;
        transactions += count;
        let run_plain = |plain: &mut Exchange| {
            let start = Instant::now();
            let batch = Batch::check(plain.rules(), index, body.as_bytes());
            black_box(execute(plain, &batch).expect("the exchange is sound"));
            start.elapsed()
        };
        let mut run_rooted = |rooted: &mut Exchange| {
            let start = Instant::now();
            let batch = Batch::check(rooted.rules(), index, body.as_bytes());
            black_box(execute(rooted, &batch).expect("the exchange is sound"));
            let before_root = start.elapsed();
            touched += commit(rooted).expect("the exchange is sound").len();
            let elapsed = start.elapsed();
            hashed += elapsed - before_root;
            elapsed
        };
        // In turns, so that neither one always finds warm caches.
        if round % 2 == 0 {
            without += run_plain(&mut plain);
            with += run_rooted(&mut rooted);
        } else {
            with += run_rooted(&mut rooted);
            without += run_plain(&mut plain);
        }
    }
    let count = transactions as f64;
    println!("batches of {:.1} signed orders, {} accounts:", count / ROUNDS as f64, accounts.len());
    println!("  check and apply without the root: {:.1} us a transaction", micros(without) / count);
    println!("  check and apply with the root: {:.1} us a transaction", micros(with) / count);
    println!("  ratio: {:.3}", with.as_secs_f64() / without.as_secs_f64());
    println!(
        "  the root alone: {:.1} us a transaction, {:.2} us a touched leaf",
        micros(hashed) / count,
        micros(hashed) / touched as f64
    );
}

impl Venue {
    fn fund_more(&mut self, accounts: &[PublicKey]) {
        let issuer = secret(0).public_key();
        let deposits = accounts.iter().enumerate().flat_map(|(place, to)| {
            ["ETH", "USDT"].map(|token| {
                let reference = format!("more-{place}");
                let amount = number("1000000000");
                (issuer, Action::Deposit { token: token.into(), to: *to, amount, reference })
            })
        });
        self.act(deposits.collect());
    }
}

/// Returns public keys by searching points of the curve, which is faster than computing them from secret keys.
pub(crate) fn points(count: usize) -> Vec<PublicKey> {
    (1_u64..)
        .filter_map(|number| {
            let mut bytes = [0; 33];
            bytes[0] = 3;
            bytes[1] = 1;
            bytes[25..].copy_from_slice(&number.to_be_bytes());
            PublicKey::from_sec1(&bytes).ok()
        })
        .take(count)
        .collect()
}

/// Measures the slowest batches of 5 KB that the highest limits of genesis allow.
fn worst() {
    let report = |name: &str, venue: &Venue, body: &str, count: usize| {
        let mut times: Vec<[f64; 2]> = (0..3)
            .map(|_| {
                // The batch changes the exchange, so each run gets its own copy, before the clock starts.
                let mut exchange = venue.exchange.clone();
                let index = exchange.counters().batch + 1;
                let start = Instant::now();
                let batch = Batch::check(exchange.rules(), index, body.as_bytes());
                let checked = start.elapsed();
                let outcome = exchange.apply(&batch).expect("the exchange is sound");
                let total = start.elapsed();
                black_box(outcome);
                [micros(checked) / 1000.0, micros(total) / 1000.0]
            })
            .collect();
        times.sort_by(|a, b| a[1].total_cmp(&b[1]));
        let [checked, total] = times[1];
        println!(
            "worst batch, {name}: {count} elements, {} bytes: {total:.1} ms, of which {checked:.1} reading and signatures",
            body.len()
        );
    };
    let makers = points(12);
    let signers: Vec<PublicKey> = (1..=16).map(|number| secret(number).public_key()).collect();

    // Each order meets 1,000 makers.
    let mut venue = Venue::new();
    venue.fund(&makers);
    venue.fund_more(&signers);
    for maker in &makers {
        let sells = (0..1000).map(|_| (*maker, Action::Order(order(Side::Sell, "0.0001", "1"))));
        venue.act(sells.collect());
    }
    let buys = (1..=16).map(|signer| (signer, Action::Order(order(Side::Buy, "0.1", "1"))));
    let (body, count) = venue.body(buys);
    report("orders that meet 1,000 makers each", &venue, &body, count);

    // Each account cancels 5,000 orders.
    let mut venue = Venue::new();
    venue.fund_more(&signers);
    for signer in &signers {
        let price = |place: u64| format!("{}", 1 + place % 500);
        for at in 0..5 {
            let buys = (0..1000).map(|place| {
                (*signer, Action::Order(order(Side::Buy, "0.0001", &price(at * 1000 + place))))
            });
            venue.act(buys.collect());
        }
    }
    let cancels = (1..=16).map(|signer| (signer, Action::CancelAll { market: None }));
    let (body, count) = venue.body(cancels);
    report("accounts that cancel 5,000 orders each", &venue, &body, count);

    // Each element names a transaction that none of the account's 5,000 orders is from.
    let unknown = zellbook_core::protocol::OrderRef::Transaction(TransactionHash([9; 32]));
    let cancels = (1..=16).map(|signer| (signer, Action::Cancel(unknown.clone())));
    let (body, count) = venue.body(cancels);
    report("cancels of an unknown transaction among 5,000", &venue, &body, count);

    // Elements that are not transactions.
    let body = format!("[{}0]", "0,".repeat(2000));
    report("elements that are no transactions", &venue, &body, 2001);
}
