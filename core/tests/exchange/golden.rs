//! Checks `tests/golden.json`, the history that `tests/golden.rs` replays natively and in wasm.
//! `ZELLBOOK_BLESS=1 cargo test -p zellbook-core golden` rewrites it after a change of the protocol.

use serde_json::{Value, json};
use zellbook_core::protocol::{KeyGrant, OrderRef};
use zellbook_core::{Action, Side, TimeInForce, Transaction};

use crate::random::Random;
use crate::venue::{TRADERS, Venue, key, order, trader};

/// Draws an action of a trader. `now` is the exchange's time.
fn action(random: &mut Random, now: u64) -> Action {
    let number = |random: &mut Random, most| 1 + random.below(most);
    let someone = trader(TRADERS[random.below(5) as usize]).public_key();
    let quantity = number(random, 9).to_string().parse().unwrap();
    let price = (95 + random.below(10)).to_string().parse().unwrap();
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    let mut order = order(side, quantity, price);
    let kinds = ["gtc", "gtd", "ioc", "fok", "post_only"];
    order.time_in_force = kinds[random.below(5) as usize].parse().unwrap();
    if order.time_in_force == TimeInForce::Gtd {
        order.expires = Some(now + random.below(400));
    }
    let own = ["cancel_newest", "cancel_oldest", "cancel_both"];
    order.self_trade = own[random.below(3) as usize].parse().unwrap();
    if random.below(3) == 0 {
        order.client_id = Some(format!("c{}", random.below(4)));
    }
    let target = match random.below(2) {
        0 => OrderRef::Id(random.below(120)),
        _ => OrderRef::ClientId(format!("c{}", random.below(4))),
    };
    match random.below(20) {
        0 => Action::CancelAll { market: None },
        1 => Action::CancelAll { market: Some("ETH/USDT".into()) },
        2 => Action::Cancel(target),
        3..6 => Action::Replace { target, order },
        6 => Action::Transfer { token: "USDT".into(), to: someone, amount: quantity },
        7 => Action::Withdraw { token: "ETH".into(), amount: quantity, destination: "a/b".into() },
        8 => Action::CancelAllAfter { time: random.below(2) * (now + 200) },
        9 => Action::AuthorizeKey(KeyGrant {
            key: key(50).public_key(),
            expires: now + 500,
            market: None,
            spend: Some(("USDT".into(), "900".parse().unwrap())),
        }),
        10 => Action::RevokeKey { key: key(50).public_key() },
        _ => Action::Order(order),
    }
}

fn history() -> Value {
    let mut venue = Venue::funded_with_fees(3, 7);
    let mut random = Random(2026);
    let mut elements = Vec::new();
    for step in 0_u64..300 {
        let now = venue.exchange.counters().time;
        let owner = trader(TRADERS[random.below(5) as usize]);
        let action = action(&mut random, now);
        let nonce = venue.nonce();
        let by_session = random.below(4) == 0;
        let signer = if by_session { key(50) } else { owner.clone() };
        let set = |transaction: &mut Transaction| {
            transaction.account = owner.public_key();
            transaction.signer = by_session.then(|| key(50).public_key());
            transaction.valid_until = step.is_multiple_of(7).then_some(now + step % 3);
        };
        elements.push(venue.sign_as(&signer, set, nonce, action));
        if elements.len() == 3 {
            let element = elements.join(",");
            venue.apply(&format!("[{element},{},null]", elements[0]));
            elements.clear();
        }
        if step % 20 == 19 {
            venue.tick(1000 + 20 * step);
        }
    }
    let seed: Value = serde_json::from_str(include_str!("../vectors/seed/orders.json")).unwrap();
    for case in seed["vectors"].as_array().unwrap() {
        venue.apply(&format!("[{}]", case["order"]));
    }
    for body in ["", "junk", "[", "{}", "h\u{e9}llo \u{1f600}"] {
        venue.apply(body);
    }
    // Replays from the first body to collect every root and code.
    let mut replay = Venue::with_rules(std::sync::Arc::clone(&venue.rules));
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
    // I13
    assert_eq!(replay.exchange.root(), venue.exchange.root());
    json!({"genesis": venue.rules.genesis, "network": venue.rules.network.to_string(), "batches": batches})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_engine_reproduces_the_golden_history() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.json");
    let text = history().to_string() + "\n";
    if std::env::var_os("ZELLBOOK_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap();
    assert!(stored == text, "the protocol changed: see the head of this file");
}
