//! Refusals against what the exchange does with the same transactions, on random histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use tempfile::TempDir;
use zellbook_core::protocol::{CheckedTransaction, KeyGrant, OrderRef, ReplayGuard};
use zellbook_core::types::{Atoms, SelfTrade};
use zellbook_core::{
    Action, Batch, Decimal, Exchange, LeafKey, Order, PublicKey, Reject, SecretKey, Side,
    TimeInForce, TransactionHash,
};
use zellular::FinalitySignature;

use super::{InFlight, Judge};
use crate::config::test_rules;
use crate::store::{AppliedBatch, Proof, Reader, Storage, Store, read_balance, rows_of};

fn key(seed: u8) -> PublicKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap().public_key()
}

/// An exchange and a store that holds its state.
struct Bench {
    _folder: TempDir,
    exchange: Exchange,
    store: Store,
    reader: Reader,
    random: Rng,
    nonce: u64,
    hash: u64,
    traders: Vec<PublicKey>,
    session_keys: Vec<PublicKey>,
    issuer: PublicKey,
    replica: PublicKey,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let (issuer, replica) = (key(1), key(2));
        let mut genesis = test_rules(issuer, replica).genesis;
        genesis.guide_orders = true;
        genesis.limits.open_orders_per_account_and_market = 3;
        genesis.limits.session_keys_per_account = 2;
        for market in &mut genesis.markets {
            (market.maker_fee_bps, market.taker_fee_bps) = (50, 100);
        }
        // A trader, whose own trades bring it fees.
        genesis.fee_account = key(3);
        let rules = Arc::new(genesis.check().unwrap());
        let path = folder.path().join("replica.sqlite");
        let store = Store::open(&path, &rules).unwrap();
        store.load(&rules).unwrap();
        let reader = Reader::new(&path, Arc::clone(&rules));
        let mut bench = Self {
            _folder: folder,
            exchange: Exchange::new(Arc::clone(&rules)),
            store,
            reader,
            random: Rng::with_seed(seed),
            nonce: 1000,
            hash: 0,
            // The last one gets no deposit.
            traders: [3, 4, 5, 6].map(key).into(),
            session_keys: [7, 8].map(key).into(),
            issuer,
            replica,
        };
        let funded = [3, 4, 5].map(key);
        for to in funded {
            for token in ["ETH", "BTC", "USDT"] {
                let reference = format!("{token}:{to}")[..40].to_string();
                let amount = "50".parse().unwrap();
                let action = Action::Deposit { token: token.into(), to, amount, reference };
                let deposit = bench.transaction(issuer, issuer, action);
                bench.apply(vec![deposit]);
            }
        }
        bench
    }

    fn transaction(
        &mut self,
        account: PublicKey,
        signer: PublicKey,
        action: Action,
    ) -> CheckedTransaction {
        self.nonce += 1;
        self.hash += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.hash.to_be_bytes());
        CheckedTransaction {
            hash: TransactionHash(hash),
            account,
            signer,
            replay_guard: ReplayGuard::Nonce(self.nonce),
            valid_until: None,
            action,
        }
    }

    /// Applies a batch to the exchange and commits it to the store.
    fn apply(&mut self, transactions: Vec<CheckedTransaction>) {
        let index = self.exchange.counters().batch + 1;
        let transactions = transactions.into_iter().map(Ok).collect();
        let batch = Batch { index, body_hash: [7; 32], transactions };
        let outcome = self.exchange.apply(&batch).unwrap();
        let rows = rows_of(self.exchange.engine(), &batch, &outcome, 7000);
        let applied = AppliedBatch {
            index,
            body: "[]".into(),
            chaining_hash: String::new(),
            time_ms: 7000,
            applied_ms: 7000,
            outcome,
            rows,
        };
        let signature = FinalitySignature {
            index,
            parent_index: 0,
            timestamp: 7,
            chaining_hash: None,
            nonsigners: Vec::new(),
            signature: String::new(),
            tag: 0,
        };
        let proof = Proof { signature, chaining_hash: String::new() };
        self.store.commit(&[applied], &[Arc::new(proof)]).unwrap();
    }

    /// Applies a transaction and lets its time pass.
    fn advance(&mut self, transaction: CheckedTransaction) {
        let is_clock = matches!(transaction.action, Action::Attest { .. });
        self.apply(vec![transaction]);
        // Whatever comes due with a new time is done in a batch of its own, so that a refusal and the exchange
        // look at one time.
        if is_clock {
            self.apply(Vec::new());
        }
    }

    /// What the exchange would do with transactions that come next; the last one's reject.
    fn outcome(&self, transactions: &[&CheckedTransaction]) -> Option<Reject> {
        let mut exchange = self.exchange.clone();
        let index = exchange.counters().batch + 1;
        let transactions = transactions.iter().map(|one| Ok((*one).clone())).collect();
        let batch = Batch { index, body_hash: [8; 32], transactions };
        let outcome = exchange.apply(&batch).unwrap();
        outcome.transactions.last().unwrap().result.clone().err()
    }

    fn refusal(&self, transaction: &CheckedTransaction, in_flight: &InFlight) -> Option<Reject> {
        self.reader.read_now(|view| Judge::new(view).refusal(transaction, in_flight)).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())].clone()
    }

    fn order(&mut self) -> Order {
        let time_in_force = match self.random.u8(0..10) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Fok,
            2 => TimeInForce::PostOnly,
            3 => TimeInForce::Gtd,
            _ => TimeInForce::Gtc,
        };
        let time = self.exchange.counters().time;
        Order {
            market: self.pick(&["ETH/USDT", "ETH/USDT", "BTC/USDT"]).into(),
            side: if self.random.bool() { Side::Buy } else { Side::Sell },
            quantity: self.pick(&["1", "2", "7", "60"]).parse().unwrap(),
            price: self.pick(&["3", "4", "5", "6"]).parse().unwrap(),
            time_in_force,
            expires: (time_in_force == TimeInForce::Gtd).then(|| time + self.random.u64(0..50)),
            self_trade: SelfTrade::CancelOldest,
            client_id: (self.random.u8(0..3) == 0).then(|| self.pick(&["a", "b"]).into()),
        }
    }

    fn target(&mut self) -> OrderRef {
        match self.random.u8(0..3) {
            0 => OrderRef::Id(self.random.u64(1..=self.exchange.counters().order + 1)),
            1 => OrderRef::ClientId(self.pick(&["a", "b"]).into()),
            _ => {
                let mut hash = [0; 32];
                hash[..8].copy_from_slice(&self.random.u64(1..=self.hash).to_be_bytes());
                OrderRef::Transaction(TransactionHash(hash))
            }
        }
    }

    /// A random transaction of an account, signed by itself or by a session key.
    fn random(&mut self, account: PublicKey) -> CheckedTransaction {
        let time = self.exchange.counters().time;
        let everyone = [&self.traders[..], &self.session_keys, &[self.issuer]].concat();
        let amount = self.pick(&["1", "20", "49", "51"]).parse().unwrap();
        let token: String = self.pick(&["ETH", "BTC", "USDT"]).into();
        let kind = match self.random.u8(0..30) {
            _ if account == self.issuer => 24,
            _ if account == self.replica => 29,
            kind => kind,
        };
        let action = match kind {
            0..12 => Action::Order(self.order()),
            12..15 => Action::Replace { target: self.target(), order: self.order() },
            15..18 => Action::Cancel(self.target()),
            18 => Action::CancelAll { market: None },
            19 => Action::CancelAllAfter { time: self.random.u64(0..2) * (time + 10) },
            20..23 => Action::Transfer { token, to: self.pick(&everyone), amount },
            23 => Action::Withdraw { token, amount, destination: "x".into() },
            24 => {
                let reference = self.pick(&["r1", "r2", "r3"]).into();
                Action::Deposit { token, to: self.pick(&everyone), amount, reference }
            }
            25 | 26 => Action::AuthorizeKey(KeyGrant {
                key: self.other(account),
                expires: time + self.random.u64(0..100),
                market: None,
                spend: self.random.bool().then(|| ("USDT".into(), "20".parse().unwrap())),
            }),
            27 => Action::RevokeKey { key: self.other(account) },
            _ => {
                let batch = self.random.u64(0..=self.exchange.counters().batch + 1);
                Action::Attest { batch, root: [3; 32], clock: time + self.random.u64(0..20) }
            }
        };
        let own = self.exchange.engine().session_keys_of(&account);
        let own: Vec<PublicKey> = own.map(|(key, _)| *key).collect();
        let signer = match self.random.u8(0..8) {
            0 => self.other(account),
            1 | 2 if !own.is_empty() => self.pick(&own),
            _ => account,
        };
        let is_guide = signer == account && self.random.u8(0..20) == 0;
        let mut transaction = self.transaction(account, signer, action);
        match self.random.u8(0..20) {
            0 => transaction.replay_guard = ReplayGuard::Nonce(self.random.u64(900..self.nonce)),
            2 => transaction.replay_guard = ReplayGuard::Nonce(self.random.u64(0..900)),
            1 => transaction.valid_until = Some((time + 2).saturating_sub(self.random.u64(0..5))),
            _ => {}
        }
        if let (true, Action::Order(order)) = (is_guide, &mut transaction.action) {
            transaction.replay_guard = ReplayGuard::Signature;
            transaction.valid_until = None;
            (order.time_in_force, order.expires, order.client_id) = (TimeInForce::Gtc, None, None);
        }
        transaction
    }

    /// A transfer of one atom more than an account has available of a token: whatever adds to it makes it right.
    fn overdraft(&mut self, account: PublicKey) -> CheckedTransaction {
        let symbol = self.pick(&["ETH", "BTC", "USDT"]);
        let (amount, to) = {
            let read = self.reader.read_now(|view| {
                let (token, listed) = view.rules().listing.token(symbol).unwrap();
                let leaf = view.leaf(&LeafKey::Balance(account, token))?;
                let atoms = read_balance(leaf.as_deref()).available.0 + 1;
                Ok(Decimal::of_atoms(Atoms(atoms), listed.decimals))
            });
            (read.unwrap(), self.other(account))
        };
        self.transaction(account, account, Action::Transfer { token: symbol.into(), to, amount })
    }

    /// A key other than the account: mostly one that signs for others.
    fn other(&mut self, account: PublicKey) -> PublicKey {
        let mut keys = [&self.session_keys[..], &self.session_keys, &self.traders].concat();
        keys.retain(|key| *key != account);
        self.pick(&keys)
    }

    fn account(&mut self) -> PublicKey {
        match self.random.u8(0..20) {
            0 => self.issuer,
            1..3 => self.replica,
            3..5 => self.pick(&self.session_keys.clone()),
            // Often the same one, so that its nonce window is full.
            5..12 => self.traders[0],
            _ => self.pick(&self.traders.clone()),
        }
    }
}

/// Codes that others decide, so that they refuse nothing.
fn is_of_others(reject: &Reject, transaction: &CheckedTransaction) -> bool {
    let is_fok = matches!(
        &transaction.action,
        Action::Order(order) | Action::Replace { order, .. } if order.time_in_force == TimeInForce::Fok
    );
    matches!(reject.code(), 16 | 25 | 32 | 34) || (is_fok && matches!(reject.code(), 35 | 40))
}

#[test]
fn a_refusal_is_the_reject_that_the_exchange_would_give_and_none_is_missed() {
    let mut seen: BTreeMap<u16, u32> = BTreeMap::new();
    for seed in 0..4 {
        println!("seed {seed}");
        let mut bench = Bench::new(seed);
        for _ in 0..400 {
            let account = bench.account();
            let transaction = bench.random(account);
            let expected = bench.outcome(&[&transaction]);
            let expected = expected.filter(|reject| !is_of_others(reject, &transaction));
            let refusal = bench.refusal(&transaction, &InFlight::default());
            assert_eq!(refusal, expected, "{transaction:?}");
            if let Some(reject) = refusal {
                *seen.entry(reject.code()).or_default() += 1;
            }
            bench.advance(transaction);
        }
    }
    println!("{seen:?}");
    for code in [3, 4, 5, 6, 7, 8, 18, 20, 21, 22, 23, 24, 26, 27, 30, 31, 33, 35, 40] {
        assert!(seen.contains_key(&code), "code {code} never happened: {seen:?}");
    }
}

#[test]
fn while_an_account_authorizes_a_key_only_that_key_may_be_right_for_it() {
    let mut bench = Bench::new(5);
    let (account, granted, stranger) = (key(3), key(7), key(8));
    let grant = KeyGrant { key: granted, market: None, spend: None, expires: u64::MAX };
    let authorize = bench.transaction(account, account, Action::AuthorizeKey(grant));
    let mut in_flight = InFlight::default();
    in_flight.add(&authorize);
    let mut refusal = |signer| {
        let order = Action::CancelAll { market: None };
        let transaction = bench.transaction(account, signer, order);
        bench.refusal(&transaction, &in_flight)
    };
    assert_eq!(refusal(granted), None);
    assert_eq!(refusal(stranger), Some(Reject::UnknownSigner { signer: stranger }));
}

#[test]
fn nothing_is_refused_that_the_account_has_in_flight_would_make_right() {
    let (mut mended, mut refused) = (BTreeMap::<u16, u32>::new(), 0);
    for seed in 10..14 {
        println!("seed {seed}");
        let mut bench = Bench::new(seed);
        for _ in 0..400 {
            let account = bench.account();
            let mut transaction = bench.random(account);
            // What comes first acts for the account, or sends something to it or to the signer.
            let count = bench.random.usize(1..4);
            let mut earlier: Vec<_> = (0..count).map(|_| bench.random(account)).collect();
            if bench.random.u8(0..3) == 0 {
                let to = bench.pick(&[account, transaction.signer]);
                let token = bench.pick(&["ETH", "BTC", "USDT"]).into();
                let amount = "60".parse().unwrap();
                let reference = format!("{}", bench.hash);
                let issuer = bench.issuer;
                let deposit = Action::Deposit { token, to, amount, reference };
                earlier[0] = bench.transaction(issuer, issuer, deposit);
            }
            if bench.random.u8(0..8) == 0 {
                let target = OrderRef::Transaction(earlier[0].hash);
                transaction = bench.transaction(account, account, Action::Cancel(target));
            }
            if bench.random.u8(0..3) == 0 {
                transaction = bench.overdraft(account);
            }
            let mut in_flight = InFlight::default();
            earlier.iter().for_each(|one| in_flight.add(one));
            let refusal = bench.refusal(&transaction, &in_flight);
            let all: Vec<_> = earlier.iter().chain([&transaction]).collect();
            let outcome = bench.outcome(&all);
            if outcome.is_none() {
                assert_eq!(refusal, None, "{earlier:?}\n{transaction:?}");
                if let Some(alone) = bench.outcome(&[&transaction]) {
                    *mended.entry(alone.code()).or_default() += 1;
                }
            }
            refused += u32::from(refusal.is_some());
            bench.advance(transaction);
        }
    }
    println!("{mended:?}, {refused} refused");
    for code in [8, 30, 40] {
        assert!(mended.contains_key(&code), "code {code} was never mended: {mended:?}");
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn an_order_in_flight_makes_only_the_token_right_that_it_can_bring() {
    let mut bench = Bench::new(6);
    let account = key(4);
    let order = |market: &str, side, quantity: &str, price: &str| Order {
        market: market.into(),
        side,
        quantity: quantity.parse().unwrap(),
        price: price.parse().unwrap(),
        time_in_force: TimeInForce::Gtc,
        expires: None,
        self_trade: SelfTrade::CancelNewest,
        client_id: None,
    };
    let send = |token: &str| {
        let (token, amount) = (token.into(), "51".parse().unwrap());
        Action::Transfer { token, to: key(5), amount }
    };
    // It locks ETH. Nothing locks any of the other tokens.
    let resting = order("ETH/USDT", Side::Sell, "1", "9");
    let resting = bench.transaction(account, account, Action::Order(resting));
    let target = OrderRef::Transaction(resting.hash);
    bench.apply(vec![resting]);
    let replaced = order("ETH/USDT", Side::Sell, "2", "9");
    let deposit = Action::Deposit {
        token: "BTC".into(),
        to: account,
        amount: "1".parse().unwrap(),
        reference: "x".into(),
    };
    for (action, right) in [
        (Action::Order(order("ETH/USDT", Side::Buy, "1", "3")), &["ETH"][..]),
        (Action::Order(order("ETH/USDT", Side::Sell, "1", "3")), &["USDT"]),
        (Action::Order(order("BTC/USDT", Side::Buy, "1", "3")), &["BTC"]),
        (Action::Order(order("BTC/USDT", Side::Sell, "1", "3")), &["USDT"]),
        (Action::Replace { target: target.clone(), order: replaced }, &["ETH", "USDT"]),
        (Action::Cancel(target), &["ETH"]),
        (Action::CancelAll { market: None }, &["ETH"]),
        (Action::CancelAllAfter { time: 1 }, &["ETH"]),
        (deposit, &["BTC"]),
        (Action::RevokeKey { key: key(7) }, &[]),
    ] {
        let is_deposit = matches!(action, Action::Deposit { .. });
        let sender = if is_deposit { bench.issuer } else { account };
        let mut in_flight = InFlight::default();
        in_flight.add(&bench.transaction(sender, sender, action.clone()));
        for token in ["ETH", "BTC", "USDT"] {
            let transaction = bench.transaction(account, account, send(token));
            let refusal = bench.refusal(&transaction, &in_flight).map(|reject| reject.code());
            let expected = (!right.contains(&token)).then_some(40);
            assert_eq!(refusal, expected, "{token} after {action:?}");
        }
    }
}
