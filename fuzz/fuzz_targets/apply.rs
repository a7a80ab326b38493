//! Hostile batches on an exchange with a rich state. It must never be corrupt, every invariant must hold, and
//! tree, changes and leaves must agree.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use zellbook_core::bench::StateTree;
use zellbook_core::{Event, Exchange, Outcome, Reject};
use zellbook_fuzz::input::Input;
use zellbook_fuzz::recount::recount;
use zellbook_fuzz::{hostile, venue};

type Leaves = BTreeMap<Vec<u8>, Vec<u8>>;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let choice = input.byte();
    let number = usize::from(choice) % venue::KINDS;
    let mut exchange = venue::rich(number).clone();
    let mut leaves: Leaves = exchange.engine().leaves().into_iter().collect();
    // Empty batches too, because they advance the time.
    for _ in 0..4 {
        let batch = hostile::batch(&mut input, &exchange, 8);
        let outcome = exchange.apply(&batch).expect("no bytes can corrupt the state");
        assert_eq!(outcome.transactions.len(), batch.transactions.len());
        exchange.recount().unwrap_or_else(|error| panic!("{error}"));
        leaves = check_changes(&exchange, &outcome, leaves);
        check_events(&outcome);
        if input.is_empty() {
            break;
        }
    }
    check_leaves(&mut exchange);
    // Only sometimes, because parsing public keys takes long.
    if twox_hash::XxHash3_64::oneshot(data).is_multiple_of(64) {
        reload(number, exchange);
    }
});

/// Checks that a batch reports exactly the leaves that changed.
fn check_changes(exchange: &Exchange, outcome: &Outcome, before: Leaves) -> Leaves {
    let mut after = before;
    let is_idle =
        outcome.due.is_empty() && outcome.transactions.iter().all(|one| one.result.is_err());
    assert!(outcome.changes.is_sorted_by(|(a, _), (b, _)| a < b));
    // These leave the nonce and the signature unused.
    let is_unused = |reject: &Reject| matches!(reject.code(), 1..=4 | 8);
    if is_idle && outcome.transactions.iter().all(|one| one.result.as_ref().is_err_and(is_unused)) {
        assert!(outcome.changes.iter().all(|(key, _)| key[0] == 0), "{:?}", outcome.changes);
    }
    for (key, value) in &outcome.changes {
        // A rejected transaction uses up its nonce or signature and changes nothing else.
        if is_idle && !matches!(key[0], 0 | 3 | 6) {
            assert_eq!(after.get(key), value.as_ref(), "a rejected transaction changed {key:?}");
        }
        match value {
            Some(value) => after.insert(key.clone(), value.clone()),
            None => after.remove(key),
        };
    }
    let all = exchange.engine().leaves();
    assert!(after.iter().eq(all.iter().map(|(key, value)| (key, value))), "changes are missing");
    after
}

/// Checks the invariants on the leaves, and that the root is that of the tree over all of them.
fn check_leaves(exchange: &mut Exchange) {
    let leaves = exchange.engine().leaves();
    recount(exchange, &leaves);
    let mut tree = StateTree::default();
    leaves.iter().for_each(|(key, value)| tree.set(key, Some(value)));
    assert_eq!(tree.root(), exchange.root());
}

/// I7: no account trades with itself.
fn check_events(outcome: &Outcome) {
    let done = outcome.transactions.iter().filter_map(|one| one.result.as_ref().ok());
    for event in done.flatten().chain(&outcome.due) {
        if let Event::Filled(fill) = event {
            assert_ne!(fill.maker, fill.taker);
            assert!(fill.quantity.0 > 0 && fill.price.0 > 0);
        }
    }
}

/// I13: a state restored from its leaves has the same root and continues with the same roots.
fn reload(number: usize, mut exchange: Exchange) {
    let rules = Arc::new(exchange.rules().clone());
    let leaves = exchange.engine().leaves();
    let read = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let mut loaded = Exchange::from_leaves(rules, read).expect("its own leaves");
    assert_eq!(loaded.root(), exchange.root());
    loaded.recount().unwrap_or_else(|error| panic!("loaded: {error}"));
    // Both apply the same hostile batch.
    let bytes: Vec<u8> =
        (0..120_u32).map(|n| (n.wrapping_mul(97) >> 1) as u8 ^ number as u8).collect();
    let batch = hostile::batch(&mut Input(&bytes), &exchange, 8);
    assert_eq!(loaded.apply(&batch), exchange.apply(&batch));
}
