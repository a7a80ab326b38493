//! The histories on which engine and model must agree.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::agree::{Pair, Seen, World, check};
use crate::model::{Action, Key, Market, Number, Order, SelfTrade, TimeInForce, Transaction};
use crate::random::{FEES, Generator, Random, SELF_TRADES, TIMES_IN_FORCE, decimal, genesis};

fn random_case(world: &World, seed: u64, seen: &mut Seen) {
    let mut random = Random(seed);
    let fees = [random.pick(&FEES), random.pick(&FEES)];
    let genesis = Rc::new(genesis(&mut random, &world.cast, fees));
    let mut generator = Generator::new(random, world.cast.clone(), Rc::clone(&genesis));
    check(world, &format!("seed {seed}"), &genesis, |pair, history| {
        history.push(generator.deposits());
        pair.step(&history[0], seen)?;
        let mut left = 100;
        while left > 0 {
            let size = match generator.random.below(20) {
                0 => 0,
                1..4 => 1 + generator.random.below(4),
                _ => 1,
            };
            let batch = (0..size).map(|_| generator.element(&pair.model)).collect();
            history.push(batch);
            left -= i64::try_from(size).unwrap();
            pair.step(history.last().unwrap(), seen)?;
        }
        Ok(())
    });
}

/// The reject codes that each kind of transaction can have.
const CODES: [(&str, &[u16]); 12] = [
    ("element", &[1, 2]),
    ("order", &[3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 16, 17, 18, 31, 32, 33, 34, 35, 40]),
    ("replace", &[3, 5, 6, 7, 8, 10, 12, 13, 14, 16, 17, 18, 30, 31, 32, 34, 35, 40]),
    ("cancel", &[3, 5, 6, 8, 30]),
    ("cancel_all", &[3, 5, 6, 7, 8, 10]),
    ("cancel_all_after", &[3, 5, 6, 7, 8, 18]),
    ("transfer", &[3, 5, 6, 7, 8, 11, 12, 15, 16, 22, 40]),
    ("withdraw", &[3, 5, 6, 7, 8, 11, 12, 15, 16, 40]),
    ("deposit", &[3, 5, 6, 7, 8, 11, 12, 15, 16, 20, 21]),
    ("authorize_key", &[3, 5, 6, 7, 8, 10, 11, 12, 15, 16, 18, 26]),
    ("revoke_key", &[3, 5, 6, 7, 8, 27]),
    ("attest", &[3, 5, 6, 7, 8, 23, 24, 25]),
];

#[test]
fn the_engine_agrees_with_the_model_on_random_histories() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let world = World::new();
    let mut seen = Seen::default();
    if let Some(seed) = number("ZELLBOOK_MODEL_SEED") {
        return random_case(&world, seed, &mut seen);
    }
    let cases = number("ZELLBOOK_MODEL_CASES").unwrap_or(300);
    for seed in 1..=cases {
        random_case(&world, seed, &mut seen);
    }
    println!("{:#?}", seen.0);
    if cases < 300 {
        return;
    }
    for (kind, codes) in CODES {
        codes.iter().for_each(|code| seen.must(&format!("{kind} {code}")));
    }
    for what in [
        "trade",
        "requested",
        "ioc",
        "self_trade",
        "maker_limit",
        "replaced",
        "expired",
        "switch",
        "replaced in place",
        "replaced by nothing",
        "authorized again",
        "key expired",
        "switch fired",
        "certified",
        "nonce dropped",
        "vote dropped",
        "root dropped",
    ] {
        seen.must(what);
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Funding {
    Rich,
    Exact,
    OneShort,
}

/// A taker with an exactly chosen balance meets a random book. Returns the code of its order, 0 if it was
/// applied.
fn funded_case(
    world: &World,
    seed: u64,
    fees: (u128, u128),
    tif: TimeInForce,
    self_trade: SelfTrade,
    funding: Funding,
) -> u16 {
    let mut random = Random(seed);
    let mut rules = genesis(&mut random, &world.cast, [fees, fees]);
    // Alice must have exactly the amount that she is given.
    rules.fee_account = world.cast.fees;
    rules.makers = 3;
    rules.open_orders = 12;
    rules.markets[0].notional_min = Number { digits: 1, places: rules.tokens[1].decimals };
    let genesis = Rc::new(rules);
    let mut code = 0;
    let name = format!("seed {seed} {fees:?} {tif:?} {self_trade:?} {funding:?}");
    check(world, &name, &genesis, |pair, history| {
        let Market { tick, lot, .. } = genesis.markets[0];
        let mut nonce = 0;
        let mut step = |pair: &mut Pair, account: Key, action: Action| {
            nonce += 1;
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&u64::to_be_bytes(nonce));
            let signer = account;
            let nonce = Some(nonce);
            let transaction =
                Transaction { hash, account, signer, nonce, valid_until: None, action };
            history.push(vec![Ok(transaction)]);
            let codes = pair.step(history.last().unwrap(), &mut Seen::default())?;
            Ok::<_, String>(codes[0])
        };
        let deposit = |to: Key, token: usize, atoms: u128, reference: usize| {
            let token = &genesis.tokens[token];
            let atom = Number { digits: 1, places: token.decimals };
            let action = Action::Deposit {
                token: token.symbol.clone(),
                to,
                amount: decimal(atoms, atom).unwrap(),
                reference: reference.to_string(),
            };
            (token.issuer, action)
        };
        let order = |buy, price: u64, lots: u64, time_in_force: TimeInForce| Order {
            market: genesis.market_name(0),
            buy,
            quantity: decimal(lots.into(), lot).unwrap(),
            price: decimal(price.into(), tick).unwrap(),
            time_in_force,
            expires: (time_in_force == TimeInForce::Gtd).then_some(1000),
            self_trade,
            client_id: None,
        };
        let (alice, buy) = (world.cast.traders[0], random.percent(50));
        let price = random.pick(&[3, 100, 1 << 20]);
        let (paid_in, other) = if buy { (1, 0) } else { (0, 1) };
        let mut makers = vec![world.cast.traders[1], world.cast.traders[2]];
        makers.extend(random.percent(50).then_some(alice));
        for (reference, maker) in makers.iter().enumerate() {
            let much = genesis.notional(0, price.into(), 100_000).unwrap_or(10u128.pow(37));
            let (issuer, action) = deposit(*maker, other, much.max(10u128.pow(30)), reference);
            assert_eq!(step(pair, issuer, action)?, 0);
        }
        for _ in 0..random.below(6) {
            let maker = random.pick(&makers);
            let near = price - 2 + random.below(5);
            let most = random.pick(&[5, 1000]);
            let lots = 1 + random.below(most);
            let action = Action::Order(order(!buy, near, lots, TimeInForce::Gtc));
            assert_eq!(step(pair, maker, action)?, 0);
        }
        let most = random.pick(&[5, 1000]);
        let lots = 1 + random.below(most);
        let need = pair.model.need(0, buy, price.into(), lots.into(), tif);
        let atoms = match funding {
            Funding::Rich => need * 3,
            Funding::Exact => need,
            Funding::OneShort => need - 1,
        };
        if atoms > 0 {
            let (issuer, action) = deposit(alice, paid_in, atoms, 9);
            assert_eq!(step(pair, issuer, action)?, 0);
        }
        code = step(pair, alice, Action::Order(order(buy, price, lots, tif)))?;
        // The resting part is then filled in two trades.
        for lots in [1, lots] {
            let action = Action::Order(order(!buy, price, lots, TimeInForce::Ioc));
            step(pair, world.cast.traders[1], action)?;
        }
        Ok(())
    });
    code
}

#[test]
fn every_kind_of_taker_with_every_funding_and_fee_agrees() {
    let world = World::new();
    let mut seen: BTreeMap<_, u64> = BTreeMap::new();
    for fees in FEES {
        for tif in TIMES_IN_FORCE {
            for self_trade in SELF_TRADES {
                for funding in [Funding::Rich, Funding::Exact, Funding::OneShort] {
                    let combination = format!("{fees:?} {tif:?} {self_trade:?} {funding:?}");
                    seen.insert(combination.clone(), 0);
                    for seed in 1..=20 {
                        let code = funded_case(&world, seed, fees, tif, self_trade, funding);
                        // Only the balance can have been too low.
                        if code == if funding == Funding::OneShort { 40 } else { 0 } {
                            *seen.get_mut(&combination).unwrap() += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), 225);
    assert!(seen.values().all(|count| *count > 0), "{seen:#?}");
}

/// Sets about as many timers as one batch may run, of all kinds, at few different times.
fn timers_case(world: &World, seed: u64, seen: &mut Seen) {
    let mut random = Random(seed);
    let mut rules = genesis(&mut random, &world.cast, [(10, 20); 2]);
    rules.open_orders = 2500;
    rules.session_keys = 64;
    rules.replicas.truncate(1);
    let genesis = Rc::new(rules);
    let name = format!("timers, seed {seed}");
    let mut generator = Generator::new(Random(seed), world.cast.clone(), Rc::clone(&genesis));
    check(world, &name, &genesis, |pair, history| {
        let cast = &world.cast;
        let mut batch = Vec::new();
        let mut steps = Vec::new();
        let mut nonce = 0;
        let mut push = |account: Key, action: Action| {
            nonce += 1;
            let transaction = generator.sign(account, account, action);
            batch.push(Ok(Transaction { nonce: Some(nonce), ..transaction }));
            if batch.len() == 1000 {
                steps.push(std::mem::take(&mut batch));
            }
        };
        for token in &genesis.tokens {
            for to in &cast.traders {
                let amount = Number::new(10u128.pow(18), 0);
                let symbol = token.symbol.clone();
                let reference = format!("{symbol}-{}", cast.name(*to));
                let action = Action::Deposit { token: symbol, to: *to, amount, reference };
                push(token.issuer, action);
            }
        }
        let times = [100, 101, 200];
        let orders = 4100 + random.below(160);
        for _ in 0..orders {
            let account = random.pick(&cast.traders);
            let expires = (!random.percent(1)).then(|| random.pick(&times));
            let market = usize::from(random.percent(30));
            let Market { tick, lot, .. } = genesis.markets[market];
            let order = Order {
                market: genesis.market_name(market),
                buy: true,
                quantity: decimal(100, lot).unwrap(),
                price: decimal(10 + u128::from(random.below(3)), tick).unwrap(),
                time_in_force: expires.map_or(TimeInForce::Gtc, |_| TimeInForce::Gtd),
                expires,
                self_trade: SelfTrade::CancelNewest,
                client_id: None,
            };
            push(account, Action::Order(order));
        }
        for _ in 0..random.below(20) {
            let account = random.pick(&cast.traders);
            let key = random.pick(&cast.session_keys);
            let expires = random.pick(&times);
            push(account, Action::AuthorizeKey { key, expires, market: None, spend: None });
        }
        for account in &cast.traders {
            if random.percent(40) {
                push(*account, Action::CancelAllAfter { time: random.pick(&times) });
            }
        }
        // All timers become due together, or all except the last.
        let clock = random.pick(&[150, 200, 300]);
        push(cast.replicas[0], Action::Attest { batch: 0, root: [0; 32], clock });
        steps.push(batch);
        steps.extend([vec![], vec![], vec![]]);
        for step in steps {
            history.push(step);
            pair.step(history.last().unwrap(), seen)?;
        }
        Ok(())
    });
}

#[test]
fn the_limit_of_timers_in_one_batch_agrees() {
    let world = World::new();
    let mut seen = Seen::default();
    for seed in 1..=8 {
        timers_case(&world, seed, &mut seen);
    }
    for what in ["timers wait", "expired", "switch fired", "key expired"] {
        seen.must(what);
    }
}
