//! Writes `tests/golden.json`, the history that `tests/golden.rs` replays natively and in wasm.
//! `ZELLBOOK_BLESS=1 cargo test -p zellbook-core golden` writes it anew after a change of the
//! protocol.

use serde_json::{Value, json};
use zellbook_core::transaction::Action;

use crate::model::Random;
use crate::venue::{TRADERS, Venue, trader};

fn history() -> Value {
    let mut venue = Venue::funded();
    let mut random = Random(2026);
    let mut elements = Vec::new();
    for _ in 0..120 {
        let name = TRADERS[random.below(5) as usize];
        let key = trader(name);
        let action = match random.below(10) {
            0 => Action::CancelAll { market: None },
            1 => Action::Cancel { order: random.below(60) },
            2 => Action::Transfer {
                token: "USDT".into(),
                to: trader(TRADERS[random.below(5) as usize]).public_key(),
                amount: "0.5".parse().unwrap(),
            },
            _ => {
                let side = if random.below(2) == 0 { "buys" } else { "sells" };
                let price = 95 + random.below(10);
                let kinds = ["gtc", "gtc cancel_oldest", "ioc cancel_both", "post_only"];
                let kind = kinds[random.below(4) as usize];
                let quantity = 1 + random.below(9);
                venue.order(&format!("{name} {side} {quantity} @ {price} {kind}")).ok();
                continue;
            }
        };
        elements.push(venue.sign(&key, action));
        if elements.len() == 3 {
            let element = elements.join(",");
            venue.apply(&format!("[{element},{},null]", elements[0]));
            elements.clear();
        }
    }
    let seed: Value = serde_json::from_str(include_str!("../vectors/seed/orders.json")).unwrap();
    for case in seed["vectors"].as_array().unwrap() {
        venue.apply(&format!("[{}]", case["order"]));
    }
    for body in ["", "junk", "[", "{}", "h\u{e9}llo \u{1f600}"] {
        venue.apply(body);
    }
    // Replay from the first body, to have every root and code.
    let mut replay = Venue::empty();
    let batches: Vec<Value> = venue
        .bodies
        .iter()
        .map(|body| {
            let outcome = replay.apply(body);
            let codes: Vec<u16> = outcome
                .transactions
                .iter()
                .map(|outcome| outcome.result.as_ref().map_or_else(|reject| reject.code(), |_| 0))
                .collect();
            json!({"body": body, "root": hex(&outcome.root), "codes": codes})
        })
        .collect();
    assert_eq!(replay.exchange.root(), venue.exchange.root());
    json!({"genesis": venue.rules.genesis, "network": venue.rules.network.to_string(), "batches": batches})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_golden_history_is_what_the_engine_does_today() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.json");
    let text = history().to_string() + "\n";
    if std::env::var_os("ZELLBOOK_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap();
    assert!(stored == text, "the protocol changed: see the head of this file");
}
