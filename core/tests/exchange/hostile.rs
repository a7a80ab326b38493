//! Hostile bodies: anyone can post any bytes to the sequencer.

use zellbook_core::protocol::OrderRef;
use zellbook_core::types::limits::BODY_BYTES_MAX;
use zellbook_core::{Action, Batch};

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
fn a_batch_out_of_sequence_stops_the_replica() {
    let mut venue = Venue::empty();
    for index in [0, 2, u64::MAX] {
        assert!(venue.exchange.apply(&Batch::check(&venue.rules, index, b"[]")).is_err());
    }
    assert_eq!(venue.exchange.counters().batch, 0);
}
