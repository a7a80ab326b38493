//! Inclusion proofs against the root, state snapshots, and the order simulation against the engine.

use std::sync::Arc;

use zellbook_core::bench::{StateTree, crosses};
use zellbook_core::engine::Maker;
use zellbook_core::protocol::KeyGrant;
use zellbook_core::simulation::Trader;
use zellbook_core::snapshot::{Decoder, SnapshotError};
use zellbook_core::state::{ProofEnd, ProofError};
use zellbook_core::types::ReplicaIndex;
use zellbook_core::{
    Action, Event, Exchange, LeafKey, Lots, Order, Proof, PublicKey, Simulation, TransactionHash,
    simulate,
};

use crate::random::Random;
use crate::venue::{TRADERS, Venue, key, read_order, replica, trader};

/// Returns a state with leaves of every kind except used guide signatures.
fn rich() -> Venue {
    let mut venue = Venue::funded_with_fees(3, 7);
    for line in [
        "alice sells 2 @ 100 id=x",
        "bob buys 1.5 @ 101",
        "carol buys 3 @ 90 gtd until=9000",
        "dave sells 5 @ 120",
    ] {
        venue.order(line).unwrap();
    }
    let spend = Some(("USDT".to_string(), "10".parse().unwrap()));
    let market = Some("ETH/USDT".to_string());
    let grant = KeyGrant { key: key(50).public_key(), expires: 8000, market, spend };
    let amount = "1".parse().unwrap();
    venue.act(&trader("alice"), Action::AuthorizeKey(grant)).unwrap();
    venue.act(&trader("bob"), Action::CancelAllAfter { time: 7000 }).unwrap();
    let destination = String::from("bank/1");
    venue
        .act(&trader("bob"), Action::Withdraw { token: "ETH".into(), amount, destination })
        .unwrap();
    venue.tick(5000);
    let batch = venue.exchange.counters().batch;
    let attest = Action::Attest { batch, root: [1; 32], clock: 5001 };
    venue.act(&replica(1), attest).unwrap();
    venue
}

#[test]
fn a_proof_shows_its_leaf_or_its_absence_and_nothing_else() {
    let mut venue = rich();
    let root = venue.exchange.root();
    let kinds: std::collections::BTreeSet<u8> = venue.leaves.keys().map(|key| key[0]).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]);
    for (key, value) in venue.leaves.clone() {
        let leaf = LeafKey::from_bytes(&key).unwrap();
        let (found, proof) = venue.exchange.prove(&leaf);
        assert_eq!(found.as_ref(), Some(&value));
        let read = Proof::from_bytes(&proof.to_bytes()).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(&root, &key, Some(&value)), Ok(()));
        assert_eq!(read.verify(&root, &key, None), Err(ProofError::Kind));
        let mut other = value.clone();
        other.push(0);
        assert_eq!(read.verify(&root, &key, Some(&other)), Err(ProofError::Root));
        assert_eq!(read.verify(&[9; 32], &key, Some(&value)), Err(ProofError::Root));
        assert!(read.verify(&root, &[key.as_slice(), &[0]].concat(), Some(&value)).is_err());
    }
    let mut ends = [0, 0];
    for id in 100..400 {
        let leaf = LeafKey::Withdrawal(id);
        let (value, proof) = venue.exchange.prove(&leaf);
        assert_eq!(value, None);
        let read = Proof::from_bytes(&proof.to_bytes()).unwrap();
        assert_eq!(read.verify(&root, &leaf.to_bytes(), None), Ok(()));
        assert_eq!(read.verify(&root, &leaf.to_bytes(), Some(b"")), Err(ProofError::Kind));
        ends[usize::from(read.end != ProofEnd::Empty)] += 1;
        // It proves nothing about a key on another path.
        let there = LeafKey::Counters.to_bytes();
        assert!(read.verify(&root, &there, None).is_err());
    }
    assert!(ends[0] > 10 && ends[1] > 10, "both ways to be absent occur: {ends:?}");
}

#[test]
fn a_proof_with_any_bit_changed_is_refused() {
    let mut venue = rich();
    let root = venue.exchange.root();
    for leaf in [LeafKey::Counters, LeafKey::Withdrawal(100), LeafKey::Withdrawal(107)] {
        let (value, proof) = venue.exchange.prove(&leaf);
        let bytes = proof.to_bytes();
        for position in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[position / 8] ^= 1 << (position % 8);
            let result = Proof::from_bytes(&changed)
                .and_then(|proof| proof.verify(&root, &leaf.to_bytes(), value.as_deref()));
            assert!(result.is_err(), "bit {position} of {leaf:?}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Proof::from_bytes(&bytes[..length]), Err(ProofError::Form));
        }
        assert_eq!(Proof::from_bytes(&[&bytes[..], &[0]].concat()), Err(ProofError::Form));
    }
}

#[test]
fn a_proof_deeper_than_256_levels_is_refused() {
    assert_eq!(Proof::from_bytes(&[&[1, 1][..], &[0; 40]].concat()), Err(ProofError::Form));
    let deep = Proof { siblings: vec![[1; 32]; 257], end: ProofEnd::Empty };
    assert_eq!(deep.verify(&[0; 32], b"", None), Err(ProofError::Form));
    let empty = Proof { siblings: Vec::new(), end: ProofEnd::Empty };
    assert_eq!(empty.verify(&[0; 32], b"any", None), Ok(()), "nothing is in an empty state");
}

#[test]
fn a_state_read_from_a_snapshot_continues_with_the_same_roots() {
    let mut venue = rich();
    let bytes = venue.exchange.to_snapshot();
    let mut loaded = Exchange::from_snapshot(Arc::clone(&venue.rules), &bytes).unwrap();
    assert_eq!(loaded.to_snapshot(), bytes);
    let first = venue.bodies.len();
    venue.order("erin buys 1 @ 120").unwrap();
    venue.tick(9000);
    venue.apply("[]");
    for (index, body) in (first..).zip(venue.bodies[first..].to_vec()) {
        let index = u64::try_from(index).unwrap() + 1;
        let batch = zellbook_core::Batch::check(&venue.rules, index, body.as_bytes());
        loaded.apply(&batch).unwrap();
    }
    // I13
    assert_eq!(loaded.root(), venue.exchange.root());
    assert_eq!(loaded.to_snapshot(), venue.exchange.to_snapshot());
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut venue = rich();
    let rules = Arc::clone(&venue.rules);
    let bytes = venue.exchange.to_snapshot();
    let load = |bytes: &[u8]| Exchange::from_snapshot(Arc::clone(&rules), bytes).map(drop);
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 0x10;
        assert!(load(&changed).is_err(), "byte {position}");
    }
    for length in 0..bytes.len() {
        assert!(load(&bytes[..length]).is_err(), "cut to {length}");
    }
    assert!(load(&[&bytes[..], &[0]].concat()).is_err());
    assert_eq!(load(b"ZELLBOOK SNAPSHOT 2\n"), Err(SnapshotError::Magic));
    let other = crate::venue::rules_with_fees(1, 1);
    let error = Exchange::from_snapshot(other, &bytes).map(drop).unwrap_err();
    assert!(matches!(error, SnapshotError::Network { .. }), "{error}");
}

#[test]
fn a_snapshot_can_be_read_in_pieces_of_any_size() {
    let mut venue = rich();
    let bytes = venue.exchange.to_snapshot();
    for size in [1, 2, 7, 60, 61, 1000, bytes.len()] {
        let mut decoder = Decoder::new(Arc::clone(&venue.rules));
        bytes.chunks(size).for_each(|piece| decoder.take(piece).unwrap());
        assert_eq!(decoder.finish().unwrap().to_snapshot(), bytes, "pieces of {size}");
    }
}

#[test]
fn a_snapshot_that_claims_impossible_sizes_is_refused_immediately() {
    let mut venue = rich();
    let bytes = venue.exchange.to_snapshot();
    let mut decoder = Decoder::new(Arc::clone(&venue.rules));
    // A key of 65,535 bytes; then a value of 4 GiB.
    let start = 20 + 32 + 32 + 8;
    let error = decoder.take(&[&bytes[..start], &[0xff; 2]].concat()).unwrap_err();
    assert!(error.to_string().contains("longer than any leaf can be"), "{error}");
    let mut decoder = Decoder::new(Arc::clone(&venue.rules));
    let error = decoder.take(&[&bytes[..start], &[0, 1, 0], &[0xff; 4]].concat()).unwrap_err();
    assert!(error.to_string().contains("longer than any leaf can be"), "{error}");
    // The counters claim 2^64 - 1 withdrawals.
    let forged = forge(&venue, |leaves| leaves.get_mut(&[0][..]).unwrap()[56..64].fill(0xff));
    let error = Exchange::from_snapshot(Arc::clone(&venue.rules), &forged).map(drop).unwrap_err();
    assert!(matches!(error, SnapshotError::Invariant(_)), "{error}");
}

/// Writes a snapshot of changed leaves with the root that they have, so that only the invariants can refuse it.
fn forge(
    venue: &Venue,
    change: impl FnOnce(&mut std::collections::BTreeMap<Vec<u8>, Vec<u8>>),
) -> Vec<u8> {
    let mut leaves = venue.leaves.clone();
    change(&mut leaves);
    let mut tree = StateTree::default();
    let mut bytes = b"ZELLBOOK SNAPSHOT 1\n".to_vec();
    for (key, value) in &leaves {
        tree.set(key, Some(value));
    }
    bytes.extend(venue.rules.network.0);
    bytes.extend(tree.root());
    bytes.extend((leaves.len() as u64).to_be_bytes());
    for (key, value) in leaves {
        bytes.extend((key.len() as u16).to_be_bytes());
        bytes.extend(key);
        bytes.extend((value.len() as u32).to_be_bytes());
        bytes.extend(value);
    }
    bytes
}

#[test]
fn a_snapshot_with_a_key_that_is_no_point_is_refused_even_with_a_correct_root() {
    let venue = rich();
    let no_point = (0..).find_map(|last| {
        let mut bytes = [2; 33];
        bytes[32] = last;
        PublicKey::from_sec1(&bytes).is_err().then_some(bytes)
    });
    // Balance, nonces, order, both keys of a session key, withdrawal, switch: the kind, and where in the leaf the key is.
    for (kind, is_in_key, at) in [
        (2, true, 1),
        (3, true, 1),
        (4, true, 1),
        (7, true, 1),
        (7, true, 34),
        (8, false, 0),
        (12, true, 1),
    ] {
        let bytes = forge(&venue, |leaves| {
            let key = leaves.keys().find(|key| key[0] == kind).unwrap().clone();
            let mut value = leaves.remove(&key).unwrap();
            let mut key = key;
            let part = if is_in_key { &mut key } else { &mut value };
            part[at..at + 33].copy_from_slice(&no_point.unwrap());
            leaves.insert(key, value);
        });
        let error = Exchange::from_snapshot(Arc::clone(&venue.rules), &bytes).unwrap_err();
        assert!(error.to_string().contains("not a point"), "{kind}, {at}: {error}");
    }
}

#[test]
fn a_snapshot_of_an_impossible_state_is_refused_even_with_a_correct_root() {
    let venue = rich();
    let load = |bytes: &[u8]| {
        Exchange::from_snapshot(Arc::clone(&venue.rules), bytes)
            .map(drop)
            .map_err(|e| e.to_string())
    };
    assert_eq!(load(&forge(&venue, |_| ())), Ok(()));
    let find = |kind: u8| venue.leaves.keys().find(|key| key[0] == kind).unwrap().clone();
    let set = |kind: u8, at: usize, to: u8| {
        let key = find(kind);
        forge(&venue, |leaves| leaves.get_mut(&key).unwrap()[at] = to)
    };
    for (bytes, expected) in [
        (set(2, 15, 9), "I1"),                             // more than exists
        (set(1, 15, 9), "I1"),                             // another supply
        (set(2, 31, 9), "I"),                              // locked by no order
        (set(4, 2, 1), "I"),                               // an order on the other side
        (set(4, 34, 0xff), "I"),                           // more is left than rested
        (set(7, 6, 0), "the time of a timer has passed"),  // a session key that has ended
        (set(7, 9, 9), "session key"),                     // of no market
        (set(8, 34, 9), "a withdrawal of"),                // a withdrawal of no token
        (set(8, 51, b' '), "a withdrawal of"),             // to nowhere
        (set(9, 0, 1), "replica 0"),                       // an attestation of the future
        (set(12, 6, 0), "the time of a timer has passed"), // a switch that should have fired
        (set(0, 63, 9), "I1"),                             // withdrawals that are not there
        (set(0, 47, 0), "I6"),                             // orders that were never accepted
        (
            // A third session key, for an account that has nothing else.
            forge(&venue, |leaves| {
                let value = leaves[&find(7)].clone();
                for seed in [60, 61, 62] {
                    let (owner, session) = (key(70).public_key(), key(seed).public_key());
                    let key = [&[7][..], owner.as_bytes(), session.as_bytes()].concat();
                    leaves.insert(key, value.clone());
                }
            }),
            "too many session keys",
        ),
        (
            forge(&venue, |leaves| {
                leaves.insert([&[10][..], &[0; 10]].concat(), vec![1; 32]);
            }),
            "a vote on batch 0",
        ),
        (forge(&venue, |leaves| drop(leaves.remove(&vec![0]))), "counters"),
        (forge(&venue, |leaves| drop(leaves.remove(&find(8)))), "I1"),
        (forge(&venue, |leaves| drop(leaves.insert(vec![13], vec![]))), "unknown kind"),
        (forge(&venue, |leaves| drop(leaves.insert(vec![1, 0, 9], vec![0; 16]))), "not in genesis"),
        (forge(&venue, |leaves| drop(leaves.insert(vec![5, 0, 0, b' '], vec![]))), "I10"),
        (
            forge(&venue, |leaves| drop(leaves.insert([&[6][..], &[7; 32]].concat(), vec![1]))),
            "too long",
        ),
        (
            forge(&venue, |leaves| {
                let account = key(98).public_key();
                let key = [&[2][..], account.as_bytes(), &[0, 2]].concat();
                leaves.insert(key, vec![0; 32]);
            }),
            "its only form",
        ),
        (
            forge(&venue, |leaves| {
                let account = key(97).public_key();
                leaves.insert([&[3][..], account.as_bytes()].concat(), vec![]);
            }),
            "its only form",
        ),
        (
            forge(&venue, |leaves| {
                let account = key(97).public_key();
                let nonces = [2_u64, 1].map(u64::to_be_bytes).concat();
                leaves.insert([&[3][..], account.as_bytes()].concat(), nonces);
            }),
            "out of order",
        ),
        (
            forge(&venue, |leaves| {
                let key = find(4);
                let (mut other, value) = (key.clone(), leaves[&key].clone());
                other[1..34].copy_from_slice(trader("erin").public_key().as_bytes());
                leaves.insert(other, value);
            }),
            "the same id",
        ),
    ] {
        let error = load(&bytes).expect_err(expected);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// Simulates an order with the knowledge of a client that sees the single orders of the book.
fn simulated(venue: &Venue, name: &str, order: &Order) -> Option<Simulation> {
    let terms = venue.rules.listing.terms(order).ok()?;
    let market = venue.rules.listing.market(&order.market).unwrap();
    let book = venue.exchange.engine().book(market.index).unwrap();
    let account = trader(name).public_key();
    let own = venue.exchange.engine().ledger().index(&account);
    let makers = book.orders(terms.side.opposite()).map(|maker| Maker {
        price: maker.price,
        remaining: maker.remaining.0.into(),
        orders: 1,
        is_own: Some(maker.account) == own,
        key: (),
    });
    let state = venue.exchange.account(&account);
    let trader = Trader {
        available: venue.exchange.balance(&account, terms.cost_token).available,
        open_orders: state.map_or(0, |account| account.open_orders_in(market.index)),
    };
    Some(simulate(&venue.rules.listing, market, &terms, makers, Some(trader)))
}

#[test]
fn a_simulation_predicts_what_the_engine_does() {
    for seed in 1..=40 {
        let mut random = Random(seed);
        println!("seed {seed}");
        let mut venue = Venue::funded_with_fees(7, 13);
        for _ in 0..60 {
            let name = TRADERS[random.below(5) as usize];
            let side = ["buys", "sells"][random.below(2) as usize];
            let kind = ["gtc", "ioc", "fok", "post_only"][random.below(4) as usize];
            let own = ["cancel_newest", "cancel_oldest", "cancel_both"][random.below(3) as usize];
            let most = if random.below(9) == 0 { 20_000 } else { 9 };
            let quantity = 1 + random.below(most);
            let line = format!("{name} {side} {quantity} @ {} {kind} {own}", 95 + random.below(10));
            let (_, order) = read_order(&line);
            let expected = simulated(&venue, name, &order).unwrap();
            let result = venue.order(&line);
            match (&expected.reject, result) {
                (Some(expected), Err(found)) => assert_eq!(*expected, found, "{line}"),
                (None, Ok(events)) => compare(&venue, &expected, &events, &line),
                (expected, found) => panic!("{line}: {expected:?} but {found:?}"),
            }
        }
    }
}

fn compare(venue: &Venue, expected: &Simulation, events: &[Event], line: &str) {
    let mut fills = Vec::new();
    let (mut fee, mut quote) = (0, 0);
    let market = venue.rules.listing.market("ETH/USDT").unwrap();
    let mut cancelled = None;
    let taken = events.iter().find_map(|event| match event {
        Event::Accepted { order, .. } => Some(*order),
        _ => None,
    });
    for event in events {
        match event {
            Event::Filled(fill) => {
                fills.push((fill.price, fill.quantity));
                fee += fill.taker_fee.0;
                quote += market.quote_atoms(fill.price, fill.quantity).unwrap().0;
                assert!(crosses(fill.taker_side.opposite(), fill.price, fill.price));
            }
            Event::Cancelled { order, remaining, reason, .. } if Some(*order) == taken => {
                cancelled = Some((*remaining, *reason));
            }
            _ => {}
        }
    }
    assert_eq!((expected.fills.clone(), expected.cancelled), (fills, cancelled), "{line}");
    assert_eq!((expected.fee.0, expected.quote.0), (fee, quote), "{line}");
    let rests = taken.and_then(|id| {
        let owner = trader(line.split(' ').next().unwrap()).public_key();
        let account = venue.exchange.account(&owner)?;
        venue.exchange.engine().open_order(account, id)
    });
    assert_eq!(expected.rests, rests.map_or(Lots(0), |(.., order)| order.remaining), "{line}");
}

#[test]
fn an_average_price_is_rounded_down_to_a_millionth_of_a_tick() {
    let mut venue = Venue::funded();
    venue.order("alice sells 1 @ 100").unwrap();
    venue.order("bob sells 2 @ 101").unwrap();
    let (_, order) = read_order("carol buys 3 @ 101 ioc");
    let simulation = simulated(&venue, "carol", &order).unwrap();
    // 302 / 3
    assert_eq!(simulation.average_price.unwrap().to_string(), "100.6666665");
    let (_, order) = read_order("carol buys 3 @ 90 ioc");
    assert_eq!(simulated(&venue, "carol", &order).unwrap().average_price, None);
}

#[test]
fn a_simulation_on_levels_counts_the_orders_of_a_level() {
    let venue = Venue::funded();
    let market = venue.rules.listing.market("ETH/USDT").unwrap();
    let (_, order) = read_order("carol buys 100 @ 110");
    let terms = venue.rules.listing.terms(&order).unwrap();
    let price = |text: &str| {
        let steps = text.parse::<zellbook_core::Decimal>().unwrap();
        zellbook_core::Ticks(steps.in_steps_of(market.tick_size).unwrap() as u64)
    };
    let level = |text: &str, orders| Maker {
        price: price(text),
        remaining: 1000,
        orders,
        is_own: false,
        key: (),
    };
    // The order may meet three makers. The first level has three, so the second level would be the fourth.
    let makers = [level("100", 3), level("101", 1), level("200", 1)];
    let simulation = simulate(&venue.rules.listing, market, &terms, makers.into_iter(), None);
    assert_eq!(simulation.filled, Lots(1000));
    assert_eq!(simulation.cancelled.unwrap().1.name(), "maker_limit");
}

#[test]
fn suggested_values_are_valid() {
    let venue = Venue::funded();
    let market = venue.rules.listing.market("ETH/USDT").unwrap();
    for (line, expected) in [
        ("alice buys 1 @ 100", "1 @ 100"),
        ("alice buys 1.004 @ 100.3", "1 @ 100.5"),
        ("alice buys 1.005 @ 100.25", "1 @ 100"),
        ("alice buys 1.006 @ 0.1", "2 @ 0.5"),
        ("alice buys 0.001 @ 100", "0.01 @ 100"),
        ("alice buys 0.01 @ 99", "0.02 @ 99"),
        ("alice buys 0 @ 0", "2 @ 0.5"),
    ] {
        let (_, mut order) = read_order(line);
        let nearest = market.suggest(&order).unwrap();
        assert_eq!(format!("{} @ {}", nearest.quantity, nearest.price), expected, "{line}");
        (order.quantity, order.price) = (nearest.quantity, nearest.price);
        assert!(venue.rules.listing.terms(&order).is_ok(), "{line}");
    }
    let (_, mut huge) = read_order("alice buys 1 @ 1");
    huge.price = "9".repeat(38).parse().unwrap();
    assert_eq!(market.suggest(&huge), None);
}

#[test]
fn a_snapshot_that_breaks_an_invariant_is_refused_with_the_invariants_number() {
    let mut venue = rich();
    for line in ["dave sells 1 @ 130 id=y", "dave sells 1 @ 131 id=z", "dave sells 1 @ 132"] {
        venue.order(line).unwrap();
    }
    let account = |name: &str| trader(name).public_key();
    let order = |name: &str, id: u64| LeafKey::Order(account(name), id).to_bytes();
    let eth = venue.rules.listing.token("ETH").unwrap().0;
    let balance = LeafKey::Balance(account("dave"), eth).to_bytes();
    let (last, latest) = (venue.exchange.counters().batch, 17);
    let at = |key: &[u8], place: usize, bytes: &[u8]| {
        forge(&venue, |leaves| {
            leaves.get_mut(key).unwrap()[place..place + bytes.len()].copy_from_slice(bytes);
        })
    };
    let add = |leaf: LeafKey, value: Vec<u8>| {
        forge(&venue, |leaves| assert_eq!(leaves.insert(leaf.to_bytes(), value), None))
    };
    let session = |seed| LeafKey::SessionKey(account("alice"), key(seed).public_key()).to_bytes();
    let number = |bytes: &[u8]| u128::from_be_bytes(bytes.try_into().unwrap());
    let replica_leaf = |index| LeafKey::Replica(ReplicaIndex(index)).to_bytes();
    let latest_of_first = venue.leaves[&replica_leaf(0)].clone();
    let voted = u64::from_be_bytes(latest_of_first[..8].try_into().unwrap());
    assert!(voted < last && latest < voted);
    for (bytes, expected) in [
        // Dave's ask moves to 80, below carol's bid.
        (at(&order("dave", 4), 3, &160_u64.to_be_bytes()), "I3: ETH/USDT is crossed"),
        // The order's total is worth more than can exist, although most of it is filled.
        (at(&order("alice", 1), 3, &[0x7f; 16]), "I6: order 1 has invalid numbers"),
        (at(&order("dave", 6), 51, b"y"), "I6: the client id of order 5 leads to another order"),
        (at(&order("dave", 6), 51, b" "), "I10: a client id is invalid"),
        (
            at(&session(50), 12, &[0; 16]),
            "I10: the spending limit of a session key is out of range",
        ),
        (
            // Dave gets a fifth order, with the lock that it needs.
            forge(&venue, |leaves| {
                let value = leaves[&order("dave", 7)].clone();
                leaves.insert(order("dave", 2), value);
                let balance = leaves.get_mut(&balance).unwrap();
                let (available, locked) = (number(&balance[..16]), number(&balance[16..]));
                balance[..16].copy_from_slice(&(available - 1000).to_be_bytes());
                balance[16..].copy_from_slice(&(locked + 1000).to_be_bytes());
            }),
            "has too many open orders",
        ),
        (
            // Dave's balance is missing, and the supply is lower by the same amount.
            forge(&venue, |leaves| {
                let gone = leaves.remove(&balance).unwrap();
                let supply = leaves.get_mut(&LeafKey::Supply(eth).to_bytes()).unwrap();
                let left = number(supply) - number(&gone[..16]) - number(&gone[16..]);
                supply.copy_from_slice(&left.to_be_bytes());
            }),
            "have nothing locked",
        ),
        (
            forge(&venue, |leaves| {
                let value = leaves[&session(50)].clone();
                leaves.extend([51, 52].map(|seed| (session(seed), value.clone())));
            }),
            "has too many session keys",
        ),
        (add(LeafKey::Certified(last), vec![0; 32]), "I10: there are too many certified roots"),
        (add(LeafKey::Certified(0), vec![0; 32]), "I10: there are too many certified roots"),
        (add(LeafKey::Vote(voted + 1, ReplicaIndex(0)), vec![0; 32]), "I10: a vote on batch"),
        (add(LeafKey::Vote(latest, ReplicaIndex(0)), vec![0; 32]), "I10: a vote on batch 17"),
        (
            // All three replicas vote for the same root of one batch, so it should be certified.
            forge(&venue, |leaves| {
                for index in 0..3 {
                    leaves.insert(replica_leaf(index), latest_of_first.clone());
                    let vote = LeafKey::Vote(voted, ReplicaIndex(index)).to_bytes();
                    leaves.insert(vote, vec![7; 32]);
                }
            }),
            "I10: a root of batch",
        ),
    ] {
        let loaded = Exchange::from_snapshot(Arc::clone(&venue.rules), &bytes);
        let error = loaded.map(drop).map_err(|error| error.to_string()).expect_err(expected);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_state_before_the_first_batch_must_be_empty() {
    let venue = Venue::funded();
    let bytes = forge(&venue, |leaves| leaves.get_mut(&vec![0]).unwrap()[..8].fill(0));
    let error = Exchange::from_snapshot(Arc::clone(&venue.rules), &bytes).map(drop).unwrap_err();
    assert!(error.to_string().contains("I12"), "{error}");
}

#[test]
fn without_the_guides_format_a_state_has_no_used_guide_signatures() {
    let mut genesis = crate::venue::rules().genesis.clone();
    genesis.guide_orders = false;
    let mut venue = Venue::with_rules(Arc::new(genesis.check().unwrap()));
    venue.apply("[]");
    let used = LeafKey::GuideSignature(TransactionHash([7; 32])).to_bytes();
    let bytes = forge(&venue, |leaves| assert_eq!(leaves.insert(used, vec![]), None));
    let error = Exchange::from_snapshot(Arc::clone(&venue.rules), &bytes).map(drop).unwrap_err();
    assert!(error.to_string().contains("guide's format"), "{error}");
}
