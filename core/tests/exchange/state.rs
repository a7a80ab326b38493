//! The state root, restoring a state from its leaves, and the book's own data structures.

use std::collections::BTreeMap;
use std::sync::Arc;

use zellbook_core::bench::{BareEngine, BookPart, Footprint};
use zellbook_core::protocol::OrderRef;
use zellbook_core::types::{AccountIndex, MarketIndex};
use zellbook_core::{Action, Batch, Exchange, Side, Ticks};

use crate::venue::{Venue, trader};

fn busy() -> (Venue, BTreeMap<Vec<u8>, Vec<u8>>) {
    let mut venue = Venue::funded();
    for line in [
        "alice sells 2 @ 100",
        "bob buys 1 @ 100",
        "bob buys 3 @ 90",
        "carol sells 1 @ 90",
        "dave sells 5 @ 120",
        "erin buys 2 @ 91",
    ] {
        venue.order(line).unwrap();
    }
    venue.act(&trader("dave"), Action::CancelAll { market: None }).unwrap();
    let leaves = venue.leaves.clone();
    (venue, leaves)
}

#[test]
fn a_state_restored_from_its_leaves_continues_with_the_same_roots() {
    let (mut venue, leaves) = busy();
    let bytes = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let mut loaded = Exchange::from_leaves(Arc::clone(&venue.rules), bytes).unwrap();
    assert_eq!(loaded.root(), venue.exchange.root());
    loaded.recount().unwrap();
    let element = venue.sign(&trader("erin"), Action::CancelAll { market: None });
    for line in [format!("[{element}]"), "junk".into()] {
        let index = loaded.counters().batch + 1;
        let outcome = loaded.apply(&Batch::check(&venue.rules, index, line.as_bytes())).unwrap();
        assert_eq!(outcome.root, venue.apply(&line).root);
    }
}

#[test]
fn leaves_out_of_order_or_repeated_are_refused() {
    let (venue, leaves) = busy();
    let load =
        |leaves: Vec<(&[u8], &[u8])>| Exchange::from_leaves(Arc::clone(&venue.rules), leaves);
    let all: Vec<(&[u8], &[u8])> =
        leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
    assert!(load(all.iter().rev().copied().collect()).is_err());
    let mut repeated = all.clone();
    repeated.insert(1, all[0]);
    assert!(load(repeated).is_err());
    assert!(load(all).is_ok());
}

#[test]
fn a_changed_or_missing_leaf_changes_the_root_or_is_refused() {
    let (mut venue, leaves) = busy();
    let root = venue.exchange.root();
    for position in 0..leaves.len() {
        for change in ["flip", "drop", "shorten"] {
            let mut list: Vec<(Vec<u8>, Vec<u8>)> = leaves.clone().into_iter().collect();
            match change {
                "flip" => match list[position].1.last_mut() {
                    Some(byte) => *byte ^= 1,
                    None => continue,
                },
                "drop" => drop(list.remove(position)),
                _ => drop(list[position].1.pop()),
            }
            if list == leaves.clone().into_iter().collect::<Vec<_>>() {
                continue;
            }
            let bytes = list.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
            let loaded = Exchange::from_leaves(Arc::clone(&venue.rules), bytes);
            assert!(loaded.map_or(true, |mut loaded| loaded.root() != root), "{change} {position}");
        }
    }
}

#[test]
fn every_batch_changes_the_root() {
    let mut venue = Venue::funded();
    let mut roots = vec![venue.exchange.root()];
    for body in ["[]", "[]", "", "junk"] {
        roots.push(venue.apply(body).root);
    }
    roots.sort();
    roots.dedup();
    assert_eq!(roots.len(), 5);
}

#[test]
fn after_all_cancels_and_withdrawals_no_tokens_exist() {
    let (mut venue, _) = busy();
    for name in crate::venue::TRADERS {
        venue.act(&trader(name), Action::CancelAll { market: None }).unwrap();
    }
    assert_eq!(venue.describe_book(), "");
    for account in venue.exchange.engine().ledger().accounts() {
        for index in 0..3 {
            let balance = account.balance(zellbook_core::types::TokenIndex(index));
            assert_eq!(balance.locked.0, 0);
        }
    }
}

#[test]
fn order_ids_beyond_32_bits_are_distinct() {
    let (mut venue, mut leaves) = busy();
    let counters = leaves.get_mut(&vec![0]).unwrap();
    counters[40..48].copy_from_slice(&0xffff_ffff_u64.to_be_bytes());
    let bytes = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    venue.exchange = Exchange::from_leaves(Arc::clone(&venue.rules), bytes).unwrap();
    venue.leaves = leaves;
    let before = venue.describe_book();
    for line in ["alice buys 1 @ 10", "alice buys 1 @ 11", "alice buys 1 @ 12"] {
        venue.order(line).unwrap();
    }
    assert_eq!(venue.exchange.counters().order, 0x1_0000_0002);
    for id in [0x1_0000_0001, 0x1_0000_0002, 0x1_0000_0000] {
        venue.act(&trader("alice"), Action::Cancel(OrderRef::Id(id))).unwrap();
    }
    assert_eq!(venue.describe_book(), before);
}

#[test]
fn a_level_is_found_by_its_side_and_price() {
    let (mut venue, _) = busy();
    let mut check = |line: &str| {
        if !line.is_empty() {
            venue.order(line).unwrap();
        }
        let market = venue.rules.listing.market("ETH/USDT").unwrap().index;
        let book = venue.exchange.engine().book(market).unwrap();
        for side in [Side::Buy, Side::Sell] {
            let counted: BTreeMap<Ticks, u32> =
                book.levels(side).map(|level| (level.price, level.orders)).collect();
            for price in (1..400).map(Ticks) {
                let found = book.level(side, price).map(|level| level.orders);
                assert_eq!(found, counted.get(&price).copied(), "{side:?} {price:?} {line}");
            }
        }
    };
    check("");
    // A bid level appears at the price at which an ask level was removed.
    for line in ["carol sells 2 @ 91", "dave sells 1 @ 91", "carol buys 1 @ 91", "erin buys 1 @ 91"]
    {
        check(line);
    }
}

#[test]
fn prefetching_changes_nothing() {
    let (mut venue, leaves) = busy();
    let root = venue.exchange.root();
    let market = venue.rules.listing.market("ETH/USDT").unwrap().index;
    let engine = BareEngine::from(venue.exchange.engine());
    let mut footprints = vec![None];
    for account in (0..8).chain([u32::MAX]).map(AccountIndex) {
        for id in [0, 1, 3, u64::MAX] {
            footprints.push(Some(Footprint { account, part: BookPart::Order(id) }));
        }
        for (market, price) in [(market, 180), (market, 1), (MarketIndex(9), 1)] {
            let part = BookPart::Level(market, Side::Buy, Ticks(price));
            footprints.push(Some(Footprint { account, part }));
        }
    }
    for range in [0..0, 0..1, 30..footprints.len(), 0..footprints.len()] {
        let mut part = footprints[range].to_vec();
        (0..part.len()).for_each(|position| engine.prefetch(&mut part, position));
        engine.prefetch(&mut part, usize::MAX);
    }
    let now: BTreeMap<Vec<u8>, Vec<u8>> = engine.engine().leaves().into_iter().collect();
    assert_eq!(now, leaves);
    assert_eq!(venue.exchange.root(), root);
}

#[test]
fn memory_of_open_orders_is_counted() {
    let mut venue = Venue::funded();
    let memory = |venue: &Venue| venue.exchange.engine().open_orders_memory();
    assert_eq!(memory(&venue), 0, "nobody ever had an order");
    for name in crate::venue::TRADERS {
        for price in 1..=4 {
            venue.order(&format!("{name} buys 10 @ {price}")).unwrap();
        }
    }
    let full = memory(&venue);
    let market = venue.rules.listing.market("ETH/USDT").unwrap().index;
    let book = venue.exchange.engine().book(market).unwrap().memory();
    let accounts = venue.exchange.engine().ledger().accounts();
    let lists: Vec<usize> = accounts.map(|account| account.open_orders_memory()).collect();
    // An order takes 56 bytes in the book and 8 in its account's list; both have room to grow.
    assert!((20 * 56..20_000).contains(&book), "{book}");
    assert!(lists.iter().all(|list| *list == 0 || (4 * 8..400).contains(list)), "{lists:?}");
    assert_eq!(full, book + lists.iter().sum::<usize>());
    assert_eq!(lists.iter().filter(|list| **list > 0).count(), 5);
    for name in crate::venue::TRADERS {
        venue.act(&trader(name), Action::CancelAll { market: None }).unwrap();
    }
    assert_eq!(
        memory(&venue),
        book,
        "the book keeps room for the next orders, the accounts do not"
    );
}
