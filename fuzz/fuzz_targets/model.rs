//! The engine against the naive model of `core/tests/model`, on histories that bytes choose. After every batch
//! the codes and all leaves must be equal. Every element has its own seed, so a change of two bytes changes one
//! element.

#![no_main]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use zellbook_core::protocol::{CheckedTransaction, Invalid, ReplayGuard};
use zellbook_core::{
    Batch, Decimal, Exchange, PublicKey, Reject, SecretKey, TransactionHash, protocol, types,
};
use zellbook_fuzz::input::Input;

#[path = "../../core/tests/model/model.rs"]
#[allow(dead_code, reason = "the tests of core use more of it")]
mod model;
#[path = "../../core/tests/model/random.rs"]
#[allow(dead_code, reason = "the tests of core use more of it")]
mod random;

use model::{Action, Element, Key, Model, Number, Order, SelfTrade, Target, TimeInForce};
use random::{Cast, FEES, Generator, Random, genesis};

/// The number of kinds of genesis.
const WORLDS: usize = 64;
/// The number of elements in one history.
const ELEMENTS_MAX: usize = 48;

fuzz_target!(|data: &[u8]| {
    WORLD.with(|worlds| {
        let mut input = Input(data);
        let world = &worlds[input.below(WORLDS)];
        let random = Random(input.u16().into());
        let genesis = Rc::clone(&world.model.genesis);
        let mut generator = Generator::new(random, world.cast.clone(), genesis);
        let mut model = world.model.clone();
        let mut exchange = world.exchange.clone();
        let mut left = ELEMENTS_MAX;
        while !input.is_empty() && left > 0 {
            let size = input.below(6).min(left);
            left -= size.max(1);
            let mut batch = Vec::with_capacity(size);
            for _ in 0..size {
                generator.random = Random(input.u16().into());
                batch.push(generator.element(&model));
            }
            step(world, &mut model, &mut exchange, &batch);
        }
    });
});

/// Engine and model at the start of a history, after deposits to all participants.
struct World {
    cast: Cast,
    keys: Rc<BTreeMap<Key, PublicKey>>,
    model: Model,
    exchange: Exchange,
}

thread_local! {
    // Once for a process: the deposits and the keys of all worlds take longer than a history.
    static WORLD: Vec<World> = worlds();
}

fn worlds() -> Vec<World> {
    let mut keys = BTreeMap::new();
    let mut key = |seed: u8| {
        let key = SecretKey::from_bytes(&[seed; 32]).unwrap().public_key();
        keys.insert(*key.as_bytes(), key);
        *key.as_bytes()
    };
    let cast = Cast {
        traders: (1..5).map(&mut key).collect(),
        replicas: (5..8).map(&mut key).collect(),
        session_keys: (8..11).map(&mut key).collect(),
        issuer: key(11),
        fees: key(12),
        stranger: key(13),
    };
    let keys = Rc::new(keys);
    let world = |seed: usize| {
        let mut random = Random(seed.try_into().unwrap());
        let fees = [random.pick(&FEES), random.pick(&FEES)];
        let genesis = Rc::new(genesis(&mut random, &cast, fees));
        let rules = zellbook_core::Genesis::read(genesis.text().as_bytes()).unwrap();
        let mut world = World {
            cast: cast.clone(),
            keys: Rc::clone(&keys),
            model: Model::new(Rc::clone(&genesis)),
            exchange: Exchange::new(Arc::new(rules)),
        };
        let deposits = Generator::new(random, cast.clone(), genesis).deposits();
        let (mut model, mut exchange) = (world.model.clone(), world.exchange.clone());
        step(&world, &mut model, &mut exchange, &deposits);
        (world.model, world.exchange) = (model, exchange);
        world
    };
    (0..WORLDS).map(world).collect()
}

/// Applies the next batch to both.
fn step(world: &World, model: &mut Model, exchange: &mut Exchange, elements: &[Element]) {
    let index = model.batch + 1;
    let transactions = elements.iter().map(|element| checked(world, element)).collect();
    let outcome = exchange.apply(&Batch { index, body_hash: [1; 32], transactions }).unwrap();
    let expected = model.apply([1; 32], elements);
    let results = outcome.transactions.iter().zip(&expected.results).zip(elements);
    for ((outcome, expected), element) in results {
        let code = outcome.result.as_ref().map_or_else(Reject::code, |_| 0);
        let model = expected.as_ref().map_or_else(|code| *code, |_| 0);
        assert_eq!(code, model, "{element:?}: {:?}", outcome.result);
    }
    let (ours, theirs) = (exchange.engine().leaves(), model.leaves());
    if ours != theirs {
        let only = |a: &[model::Leaf], b: &[model::Leaf]| {
            let leaves = a.iter().filter(|leaf| !b.contains(leaf));
            let text = leaves.map(|(key, value)| [model::hex(key), model::hex(value)].join(" = "));
            text.collect::<Vec<_>>()
        };
        let (engine, model) = (only(&ours, &theirs), only(&theirs, &ours));
        panic!("after {elements:?}\nengine {engine:#?}\nmodel {model:#?}");
    }
    model.marks.clear();
}

// Conversions from the model's types to the engine's.

fn checked(world: &World, element: &Element) -> Result<CheckedTransaction, Invalid> {
    let element = match element {
        Ok(transaction) => transaction,
        Err(1) => {
            return Err(Invalid { kind: None, reject: Reject::Malformed(String::new()) });
        }
        Err(_) => {
            let signer = world.keys[&world.cast.stranger];
            return Err(Invalid { kind: None, reject: Reject::BadSignature { signer } });
        }
    };
    Ok(CheckedTransaction {
        hash: TransactionHash(element.hash),
        account: world.keys[&element.account],
        signer: world.keys[&element.signer],
        replay_guard: element.nonce.map_or(ReplayGuard::Signature, ReplayGuard::Nonce),
        valid_until: element.valid_until,
        action: action(&world.keys, element.action.clone()),
    })
}

fn action(keys: &BTreeMap<Key, PublicKey>, action: Action) -> protocol::Action {
    match action {
        Action::Order(of) => protocol::Action::Order(order(of)),
        Action::Replace { target: of, order: by } => {
            protocol::Action::Replace { target: target(of), order: order(by) }
        }
        Action::Cancel(of) => protocol::Action::Cancel(target(of)),
        Action::CancelAll { market } => protocol::Action::CancelAll { market },
        Action::CancelAllAfter { time } => protocol::Action::CancelAllAfter { time },
        Action::Transfer { token, to, amount } => {
            protocol::Action::Transfer { token, to: keys[&to], amount: decimal(amount) }
        }
        Action::Withdraw { token, amount, destination } => {
            protocol::Action::Withdraw { token, amount: decimal(amount), destination }
        }
        Action::Deposit { token, to, amount, reference } => {
            protocol::Action::Deposit { token, to: keys[&to], amount: decimal(amount), reference }
        }
        Action::AuthorizeKey { key, expires, market, spend } => {
            let spend = spend.map(|(token, limit)| (token, decimal(limit)));
            let key = keys[&key];
            protocol::Action::AuthorizeKey(protocol::KeyGrant { key, expires, market, spend })
        }
        Action::RevokeKey { key } => protocol::Action::RevokeKey { key: keys[&key] },
        Action::Attest { batch, root, clock } => protocol::Action::Attest { batch, root, clock },
    }
}

fn decimal(number: Number) -> Decimal {
    number.to_string().parse().unwrap()
}

fn target(target: Target) -> protocol::OrderRef {
    match target {
        Target::Id(id) => protocol::OrderRef::Id(id),
        Target::Transaction(hash) => protocol::OrderRef::Transaction(TransactionHash(hash)),
        Target::ClientId(client_id) => protocol::OrderRef::ClientId(client_id),
    }
}

fn order(order: Order) -> protocol::Order {
    protocol::Order {
        market: order.market,
        side: if order.buy { types::Side::Buy } else { types::Side::Sell },
        quantity: decimal(order.quantity),
        price: decimal(order.price),
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
        client_id: order.client_id,
    }
}
