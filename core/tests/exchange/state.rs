//! The root, and loading a state from its leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use zellbook_core::batch::Batch;
use zellbook_core::exchange::Exchange;
use zellbook_core::transaction::Action;

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
fn a_state_loaded_from_its_leaves_has_the_same_root_and_goes_on_the_same() {
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
fn a_changed_missing_or_broken_leaf_changes_the_root_or_is_refused() {
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
fn winding_everything_down_ends_with_nothing_locked() {
    let (mut venue, _) = busy();
    for name in crate::venue::TRADERS {
        venue.act(&trader(name), Action::CancelAll { market: None }).unwrap();
    }
    assert_eq!(venue.describe_book(), "");
    for account in venue.exchange.ledger().accounts() {
        for index in 0..3 {
            let balance = account.balance(zellbook_core::genesis::TokenIndex(index));
            assert_eq!(balance.locked.0, 0);
        }
    }
}
