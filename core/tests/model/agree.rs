//! Runs engine and model side by side. After every batch, the outcome of each transaction and all leaves of the
//! state must be equal.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zellbook_core::protocol::{CheckedTransaction, Invalid, ReplayGuard};
use zellbook_core::{
    Batch, Decimal, Event, Exchange, Genesis as EngineGenesis, PublicKey, Reject, Rules, SecretKey,
    TransactionHash, protocol, types,
};

use crate::history::describe;
use crate::model::{
    Action, Done, Element, Genesis, Key, Leaf, Model, Number, Order, SelfTrade, Target,
    TimeInForce, Transaction, hex, root,
};
use crate::random::{Cast, decimal};

pub type History = Vec<Vec<Element>>;

/// The keys of all participants, computed once.
pub struct World {
    pub cast: Cast,
    keys: BTreeMap<Key, PublicKey>,
}

impl World {
    pub fn new() -> Self {
        let mut keys = BTreeMap::new();
        let mut key = |seed: u8| {
            let key = SecretKey::from_bytes(&[seed; 32]).unwrap().public_key();
            let bytes = *key.as_bytes();
            keys.insert(bytes, key);
            bytes
        };
        let cast = Cast {
            traders: (1..5).map(&mut key).collect(),
            replicas: (5..8).map(&mut key).collect(),
            session_keys: (8..11).map(&mut key).collect(),
            issuer: key(11),
            fees: key(12),
            stranger: key(13),
        };
        Self { cast, keys }
    }

    // Conversions from the model's types to the engine's.

    fn element(&self, element: &Element) -> Result<CheckedTransaction, Invalid> {
        let Transaction { hash, account, signer, nonce, valid_until, action } = match element {
            Ok(transaction) => transaction,
            Err(1) => {
                return Err(Invalid { kind: None, reject: Reject::Malformed("junk".into()) });
            }
            Err(_) => {
                let signer = self.keys[&self.cast.stranger];
                return Err(Invalid { kind: None, reject: Reject::BadSignature { signer } });
            }
        };
        Ok(CheckedTransaction {
            hash: TransactionHash(*hash),
            account: self.keys[account],
            signer: self.keys[signer],
            replay_guard: nonce.map_or(ReplayGuard::Signature, ReplayGuard::Nonce),
            valid_until: *valid_until,
            action: self.action(action),
        })
    }

    fn action(&self, action: &Action) -> protocol::Action {
        match action.clone() {
            Action::Order(order) => protocol::Action::Order(engine_order(&order)),
            Action::Replace { target, order } => protocol::Action::Replace {
                target: engine_target(&target),
                order: engine_order(&order),
            },
            Action::Cancel(target) => protocol::Action::Cancel(engine_target(&target)),
            Action::CancelAll { market } => protocol::Action::CancelAll { market },
            Action::CancelAllAfter { time } => protocol::Action::CancelAllAfter { time },
            Action::Transfer { token, to, amount } => protocol::Action::Transfer {
                token,
                to: self.keys[&to],
                amount: engine_decimal(amount),
            },
            Action::Withdraw { token, amount, destination } => {
                protocol::Action::Withdraw { token, amount: engine_decimal(amount), destination }
            }
            Action::Deposit { token, to, amount, reference } => protocol::Action::Deposit {
                token,
                to: self.keys[&to],
                amount: engine_decimal(amount),
                reference,
            },
            Action::AuthorizeKey { key, expires, market, spend } => {
                protocol::Action::AuthorizeKey(protocol::KeyGrant {
                    key: self.keys[&key],
                    expires,
                    market,
                    spend: spend.map(|(token, limit)| (token, engine_decimal(limit))),
                })
            }
            Action::RevokeKey { key } => protocol::Action::RevokeKey { key: self.keys[&key] },
            Action::Attest { batch, root, clock } => {
                protocol::Action::Attest { batch, root, clock }
            }
        }
    }
}

fn engine_decimal(number: Number) -> Decimal {
    number.to_string().parse().unwrap()
}

fn engine_target(target: &Target) -> protocol::OrderRef {
    match target {
        Target::Id(id) => protocol::OrderRef::Id(*id),
        Target::Transaction(hash) => protocol::OrderRef::Transaction(TransactionHash(*hash)),
        Target::ClientId(client_id) => protocol::OrderRef::ClientId(client_id.clone()),
    }
}

fn engine_order(order: &Order) -> protocol::Order {
    protocol::Order {
        market: order.market.clone(),
        side: if order.buy { types::Side::Buy } else { types::Side::Sell },
        quantity: engine_decimal(order.quantity),
        price: engine_decimal(order.price),
        time_in_force: match order.time_in_force {
            TimeInForce::Gtc => types::TimeInForce::Gtc,
            TimeInForce::Gtd => types::TimeInForce::Gtd,
            TimeInForce::Ioc => types::TimeInForce::Ioc,
            TimeInForce::Fok => types::TimeInForce::Fok,
            TimeInForce::PostOnly => types::TimeInForce::PostOnly,
        },
        expires: order.expires,
        self_trade: match order.self_trade {
            SelfTrade::CancelNewest => types::SelfTrade::CancelNewest,
            SelfTrade::CancelOldest => types::SelfTrade::CancelOldest,
            SelfTrade::CancelBoth => types::SelfTrade::CancelBoth,
        },
        client_id: order.client_id.clone(),
    }
}

/// Returns the events that are compared, in sequence.
fn done(events: &[Event]) -> Vec<Done> {
    let of = |event: &Event| match event {
        Event::Filled(fill) => Some(Done::Trade {
            trade: fill.trade,
            maker_order: fill.maker_order,
            taker_order: fill.taker_order,
            price: fill.price.0.into(),
            lots: fill.quantity.0.into(),
            maker_fee: fill.maker_fee.0,
            taker_fee: fill.taker_fee.0,
        }),
        Event::Cancelled { order, remaining, reason, .. } => {
            Some(Done::Cancelled { order: *order, lots: remaining.0.into(), reason: reason.name() })
        }
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Counts how often things happened, so that a test can require that they did.
#[derive(Default)]
pub struct Seen(pub BTreeMap<String, u64>);

impl Seen {
    fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn done(&mut self, done: &[Done]) {
        for done in done {
            match done {
                Done::Trade { .. } => self.add("trade"),
                Done::Cancelled { reason, .. } => self.add(*reason),
            }
        }
    }

    fn result(&mut self, element: &Element, result: &Result<Vec<Done>, u16>) {
        match result {
            Ok(done) => self.done(done),
            Err(code) => {
                let kind = element.as_ref().map_or("element", |element| kind(&element.action));
                self.add(format!("{kind} {code}"));
            }
        }
    }

    #[track_caller]
    pub fn must(&self, what: &str) {
        assert!(self.0.contains_key(what), "{what:?} never happened: {:#?}", self.0);
    }
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Order(_) => "order",
        Action::Replace { .. } => "replace",
        Action::Cancel(_) => "cancel",
        Action::CancelAll { .. } => "cancel_all",
        Action::CancelAllAfter { .. } => "cancel_all_after",
        Action::Transfer { .. } => "transfer",
        Action::Withdraw { .. } => "withdraw",
        Action::Deposit { .. } => "deposit",
        Action::AuthorizeKey { .. } => "authorize_key",
        Action::RevokeKey { .. } => "revoke_key",
        Action::Attest { .. } => "attest",
    }
}

/// Engine and model after the same batches.
pub struct Pair<'a> {
    world: &'a World,
    rules: Arc<Rules>,
    pub model: Model,
    exchange: Exchange,
    /// The leaves as a store would have them, built only from the changes of each batch.
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Pair<'a> {
    fn new(world: &'a World, genesis: &Rc<Genesis>) -> Self {
        let rules = Arc::new(EngineGenesis::read(genesis.text().as_bytes()).unwrap());
        let exchange = Exchange::new(Arc::clone(&rules));
        let stored = exchange.engine().leaves().into_iter().collect();
        Self { world, rules, model: Model::new(Rc::clone(genesis)), exchange, stored }
    }

    /// Applies the next batch to both. Returns the code of each element, 0 if it was applied. Fails with a
    /// description of the difference if the two disagree.
    pub fn step(&mut self, elements: &[Element], seen: &mut Seen) -> Result<Vec<u16>, String> {
        let index = self.model.batch + 1;
        let body_hash = [index.to_be_bytes(); 4].concat().try_into().unwrap();
        let transactions = elements.iter().map(|element| self.world.element(element)).collect();
        let outcome = self.exchange.apply(&Batch { index, body_hash, transactions });
        let outcome = outcome.map_err(|corrupt| format!("corrupt: {corrupt:?}"))?;
        let expected = self.model.apply(body_hash, elements);
        agreed("due", &done(&outcome.due), &expected.due)?;
        agreed("transactions", &outcome.transactions.len(), &elements.len())?;
        for (position, (outcome, expected)) in
            outcome.transactions.iter().zip(&expected.results).enumerate()
        {
            let result = outcome.result.as_ref().map(|events| done(events)).map_err(Reject::code);
            agreed(&format!("transaction {position}"), &result, expected)?;
            seen.result(&elements[position], expected);
        }
        seen.done(&expected.due);
        self.model.marks.drain(..).for_each(|mark| seen.add(mark));
        self.exchange.recount().map_err(|error| format!("recount: {error}"))?;
        for (key, value) in outcome.changes {
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
        let leaves = self.exchange.engine().leaves();
        same_leaves(&leaves, &self.model.leaves())?;
        if index.is_multiple_of(8) {
            agreed("root", &outcome.root, &root(&leaves))?;
        }
        if index.is_multiple_of(32) {
            // Restoring from leaves shows that the engine has no state besides them.
            self.reload()?;
        }
        let code = |result: &Result<Vec<Done>, u16>| result.as_ref().err().copied().unwrap_or(0);
        Ok(expected.results.iter().map(code).collect())
    }

    fn reload(&mut self) -> Result<(), String> {
        let snapshot = self.exchange.to_snapshot();
        let loaded = Exchange::from_snapshot(Arc::clone(&self.rules), &snapshot);
        self.exchange = loaded.map_err(|error| format!("snapshot: {error:?}"))?;
        self.exchange.recount().map_err(|error| format!("recount of the snapshot: {error}"))
    }

    /// Checks what must hold at the end of every history: the changes of all batches make up the state, the
    /// state can be restored from its leaves, and cancelling and withdrawing everything leaves nothing.
    fn finish(&mut self) -> Result<(), String> {
        let leaves = self.exchange.engine().leaves();
        let stored: Vec<Leaf> = self.stored.clone().into_iter().collect();
        same_leaves(&stored, &leaves).map_err(|error| format!("changes: {error}"))?;
        let bytes = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let mut loaded = Exchange::from_leaves(Arc::clone(&self.rules), bytes)
            .map_err(|error| format!("from_leaves: {error:?}"))?;
        agreed("root", &self.exchange.root(), &root(&leaves))?;
        agreed("root of what was loaded", &loaded.root(), &root(&leaves))?;
        loaded.recount().map_err(|error| format!("recount of what was loaded: {error}"))?;
        // Continues with the restored state.
        self.exchange = loaded;
        let cast = self.world.cast.all();
        let cancels = cast
            .iter()
            .map(|account| Ok(self.own(*account, 0, Action::CancelAll { market: None })));
        let cancels: Vec<Element> = cancels.collect();
        self.step(&cancels, &mut Seen::default())?;
        let mut withdrawals = Vec::new();
        for account in cast {
            for (index, token) in self.model.genesis.tokens.iter().enumerate() {
                let atoms = self.model.available(account, index);
                if atoms > 0 {
                    let atom = Number { digits: 1, places: token.decimals };
                    let action = Action::Withdraw {
                        token: token.symbol.clone(),
                        amount: decimal(atoms, atom).unwrap(),
                        destination: "home".into(),
                    };
                    withdrawals.push(Ok(self.own(account, index, action)));
                }
            }
        }
        self.step(&withdrawals, &mut Seen::default())?;
        // No supply, balance or open order is left.
        let left = |leaf: &&Leaf| matches!(leaf.0[0], 0x01 | 0x02 | 0x04);
        match self.exchange.engine().leaves().iter().find(left) {
            Some((key, value)) => Err(format!("left at the end: {} {}", hex(key), hex(value))),
            None => Ok(()),
        }
    }

    /// Returns a transaction of the account's own key with a valid nonce.
    fn own(&self, account: Key, skip: usize, action: Action) -> Transaction {
        let kept = self.model.nonces(account);
        let lowest = if kept.len() < 64 { 0 } else { kept[0] };
        let nonce = (lowest..).filter(|nonce| !kept.contains(nonce)).nth(skip);
        let mut hash = [0; 32];
        hash.copy_from_slice(&account[1..]);
        hash[31] ^= skip as u8;
        Transaction { hash, account, signer: account, nonce, valid_until: None, action }
    }
}

fn agreed<T: PartialEq + std::fmt::Debug>(what: &str, engine: &T, model: &T) -> Result<(), String> {
    if engine == model {
        return Ok(());
    }
    Err(format!("{what}\n  engine: {engine:?}\n  model:  {model:?}"))
}

fn same_leaves(engine: &[Leaf], model: &[Leaf]) -> Result<(), String> {
    if engine == model {
        return Ok(());
    }
    let mut text = String::from("leaves");
    for (name, ours, theirs) in [("engine", engine, model), ("model ", model, engine)] {
        for (key, value) in ours.iter().filter(|leaf| !theirs.contains(leaf)) {
            text.push_str(&format!("\n  {name}: {} = {}", hex(key), hex(value)));
        }
    }
    Err(text)
}

/// Runs a history. Returns the difference if engine and model disagree.
fn replay(world: &World, genesis: &Rc<Genesis>, history: &[Vec<Element>]) -> Option<String> {
    let run = || {
        let mut pair = Pair::new(world, genesis);
        for batch in history {
            pair.step(batch, &mut Seen::default())?;
        }
        pair.finish()
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.err(),
        Err(_) => Some("panic".into()),
    }
}

/// Removes from a history what the disagreement does not need, for at most half a minute.
fn shrink(world: &World, genesis: &Rc<Genesis>, mut history: History) -> History {
    let end = Instant::now() + Duration::from_secs(30);
    let disagree =
        |history: &History| Instant::now() < end && replay(world, genesis, history).is_some();
    loop {
        let before = history.concat().len() + history.len();
        history = drop_parts(history, disagree);
        for batch in 0..history.len() {
            let with = |elements: &Vec<Element>| {
                let mut history = history.clone();
                history[batch].clone_from(elements);
                history
            };
            let shorter = drop_parts(history[batch].clone(), |elements| disagree(&with(elements)));
            history = with(&shorter);
        }
        if history.concat().len() + history.len() == before || Instant::now() >= end {
            return history;
        }
    }
}

/// Removes runs of elements, long ones first, as long as `holds` stays true.
fn drop_parts<T: Clone>(mut list: Vec<T>, holds: impl Fn(&Vec<T>) -> bool) -> Vec<T> {
    let mut size = list.len();
    while size > 0 {
        let mut from = 0;
        while from < list.len() {
            let mut shorter = list.clone();
            shorter.drain(from..list.len().min(from + size));
            if holds(&shorter) {
                list = shorter;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    list
}

/// Runs the batches that `steps` applies. If engine and model disagree, prints the whole history and panics with a
/// shortened one.
pub fn check(
    world: &World,
    name: &str,
    genesis: &Rc<Genesis>,
    steps: impl FnOnce(&mut Pair, &mut History) -> Result<(), String>,
) {
    let mut history = History::new();
    let run = || {
        let mut pair = Pair::new(world, genesis);
        steps(&mut pair, &mut history)?;
        pair.finish()
    };
    let result = catch_unwind(AssertUnwindSafe(run));
    let error = match result {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => "panic".into(),
    };
    let whole = describe(&world.cast, &history);
    let step = history.len();
    println!("{name}, batch {step}: {error}\n\n{}\n\n{whole}", genesis.text());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let short = shrink(world, genesis, history);
    std::panic::set_hook(hook);
    let error = replay(world, genesis, &short).unwrap_or_default();
    let short = describe(&world.cast, &short);
    panic!("{name}: the shortest history found that shows it:\n{short}\n{error}");
}
