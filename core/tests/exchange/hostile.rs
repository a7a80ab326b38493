//! Hostile bodies: anyone can post any bytes to the sequencer.

use zellbook_core::protocol::{CheckedTransaction, OrderRef, ReplayGuard};
use zellbook_core::types::limits::BODY_BYTES_MAX;
use zellbook_core::{Action, Batch, PublicKey, SecretKey, TransactionHash};

use crate::venue::{Venue, trader};

#[test]
fn a_body_that_is_not_an_array_changes_only_the_index_and_the_chain() {
    let mut venue = Venue::funded();
    venue.order("alice buys 1 @ 100").unwrap();
    let nested = "[".repeat(100_000);
    let large = format!("[{}]", " ".repeat(BODY_BYTES_MAX));
    let signed = venue.sign(&trader("alice"), Action::CancelAll { market: None });
    let many = format!("[{}0]", "0,".repeat(zellbook_core::types::limits::ELEMENTS_MAX));
    let bodies = [
        many,
        "".to_string(),
        "plain".into(),
        "{}".into(),
        "null".into(),
        "\u{0}".into(),
        nested,
        large,
        format!("[{signed}"),
        format!("[{signed}] x"),
        format!("[{signed},]"),
        signed.clone(),
    ];
    for body in bodies {
        let before = *venue.exchange.counters();
        let outcome = venue.apply(&body);
        assert!(outcome.transactions.is_empty());
        assert_eq!(outcome.changes.len(), 1, "only the counters");
        let after = *venue.exchange.counters();
        assert_eq!(after.batch, before.batch + 1);
        assert_ne!(after.body_chain, before.body_chain);
        assert_eq!((after.order, after.trade), (before.order, before.trade));
    }
    assert!(venue.apply_one(&signed).is_ok(), "the signed element was never used up");
}

#[test]
fn a_body_of_invalid_utf_8_has_no_elements() {
    let mut venue = Venue::empty();
    let batch = Batch::check(&venue.rules, 1, b"[\"\xff\"]");
    assert!(batch.transactions.is_empty());
    assert!(venue.exchange.apply(&batch).unwrap().transactions.is_empty());
}

#[test]
fn a_malformed_element_does_not_affect_its_neighbours() {
    let mut venue = Venue::funded();
    let first = venue.sign(&trader("alice"), Action::CancelAll { market: None });
    let second = venue.sign(&trader("bob"), Action::CancelAll { market: None });
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let outcome = venue.apply(&format!(
        "[{first},null,1e999,{{}},{{\"kind\":\"\\ud800\"}},[{first}],{deep},\"x\",{second}]"
    ));
    let codes: Vec<u16> = outcome
        .transactions
        .iter()
        .map(|outcome| outcome.result.as_ref().map_or_else(|reject| reject.code(), |_| 0))
        .collect();
    assert_eq!(codes, [0, 1, 1, 1, 1, 1, 1, 1, 0]);
    let unknown = outcome.transactions.iter().filter(|outcome| outcome.hash.is_none()).count();
    assert_eq!(unknown, 7, "what nobody signed has no hash");
}

#[test]
fn random_changes_of_a_valid_body_never_panic() {
    let mut venue = Venue::funded();
    let mut random = crate::random::Random(0x5eed);
    println!("seed {:#x}", random.0);
    for _ in 0..300 {
        let mut body = format!(
            "[{},{}]",
            venue.sign(&trader("alice"), Action::CancelAll { market: None }),
            venue.sign(&trader("bob"), Action::Cancel(OrderRef::Id(1))),
        )
        .into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(body.len() as u64) as usize;
            match random.below(3) {
                0 => body[at] = random.below(256) as u8,
                1 => drop(body.remove(at)),
                _ => body.insert(at, b"{}[]\",:\\0"[random.below(9) as usize]),
            }
        }
        let index = venue.exchange.counters().batch + 1;
        let batch = Batch::check(&venue.rules, index, &body);
        venue.exchange.apply(&batch).unwrap();
        venue.exchange.recount().unwrap();
    }
}

#[test]
fn ten_thousand_unknown_keys_leave_the_number_of_leaves_and_accounts_unchanged() {
    let mut venue = Venue::funded();
    venue.order("alice buys 1 @ 100").unwrap();
    let accounts = |venue: &Venue| venue.exchange.engine().ledger().accounts().count();
    let before = (venue.exchange.engine().leaves().len(), accounts(&venue));
    let alice = trader("alice").public_key();
    // The signatures of these elements are taken as checked: to make and check them takes seconds.
    let element = |number: u32, key: PublicKey| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        let order = crate::venue::read_order("alice buys 1 @ 100").1;
        // As an account of its own, as a session key that nobody authorized, and in the guide's format.
        let kind = number % 3;
        CheckedTransaction {
            hash: TransactionHash(hash),
            account: if kind == 1 { alice } else { key },
            signer: key,
            replay_guard: if kind == 2 { ReplayGuard::Signature } else { ReplayGuard::Nonce(7) },
            valid_until: None,
            action: if kind == 0 {
                Action::CancelAllAfter { time: 9 }
            } else {
                Action::Order(order)
            },
        }
    };
    let mut number = 0_u32;
    for _ in 0..4 {
        let index = venue.exchange.counters().batch + 1;
        let keys = (0..2500).map(|_| {
            number += 1;
            let mut secret = [3; 32];
            secret[..4].copy_from_slice(&number.to_be_bytes());
            (number, SecretKey::from_bytes(&secret).unwrap().public_key())
        });
        let transactions = keys.map(|(number, key)| Ok(element(number, key))).collect();
        let batch = Batch { index, body_hash: [1; 32], transactions };
        let outcome = venue.exchange.apply(&batch).unwrap();
        let rejects =
            outcome.transactions.iter().filter_map(|outcome| outcome.result.as_ref().err());
        assert_eq!(rejects.filter(|reject| reject.code() == 8).count(), 2500);
        assert_eq!(outcome.changes.len(), 1, "only the counters");
    }
    assert_eq!(number, 10_000);
    assert_eq!((venue.exchange.engine().leaves().len(), accounts(&venue)), before);
    venue.exchange.recount().unwrap();
    let snapshot = venue.exchange.to_snapshot();
    let restored = zellbook_core::Exchange::from_snapshot(venue.rules.clone(), &snapshot).unwrap();
    assert_eq!(restored.engine().ledger().accounts().count(), before.1);
}

#[test]
fn a_batch_out_of_sequence_stops_the_replica() {
    let mut venue = Venue::empty();
    for index in [0, 2, u64::MAX] {
        assert!(venue.exchange.apply(&Batch::check(&venue.rules, index, b"[]")).is_err());
    }
    assert_eq!(venue.exchange.counters().batch, 0);
}
