//! Session keys, withdrawals and attestations: what accounts do besides trading.

use zellbook_core::protocol::{KeyGrant, OrderRef};
use zellbook_core::types::limits::{CERTIFIED_KEPT, VOTES_KEPT};
use zellbook_core::{Action, Event, LeafKey};

use crate::venue::{Venue, key, read_order, replica, trader};

fn grant(seed: u8, market: Option<&str>, spend: Option<(&str, &str)>) -> Action {
    Action::AuthorizeKey(KeyGrant {
        key: key(seed).public_key(),
        expires: 9000,
        market: market.map(Into::into),
        spend: spend.map(|(token, limit)| (token.into(), limit.parse().unwrap())),
    })
}

/// Places an order for alice, signed by session key 50. Returns the reject code, or 0 if it was applied.
fn place(venue: &mut Venue, line: &str) -> u16 {
    let (_, order) = read_order(&format!("alice {line}"));
    let result = venue.act_for("alice", &key(50), Action::Order(order));
    result.map_or_else(|reject| reject.code(), |_| 0)
}

#[test]
fn a_session_key_trades_with_the_balances_of_its_account_only() {
    let mut venue = Venue::funded();
    assert_eq!(place(&mut venue, "buys 1 @ 100"), 8);
    venue.act(&trader("alice"), grant(50, None, None)).unwrap();
    assert_eq!(place(&mut venue, "buys 1 @ 100 id=a"), 0);
    assert_eq!(venue.balance("alice", "USDT"), "999900 + 100");
    let cancel = Action::Cancel(OrderRef::ClientId("a".into()));
    venue.act_for("alice", &key(50), cancel).unwrap();
    assert_eq!(place(&mut venue, "buys 1 @ 100"), 0);
    let switch = Action::CancelAllAfter { time: 8000 };
    venue.act_for("alice", &key(50), switch).unwrap();
    venue.act_for("alice", &key(50), Action::CancelAll { market: None }).unwrap();
    assert_eq!(venue.balance("alice", "USDT"), "1000000 + 0");
    // The key has no rights over another account.
    let other = venue.act_for("bob", &key(50), Action::CancelAll { market: None });
    assert_eq!(other.unwrap_err().code(), 6);
}

#[test]
fn a_session_key_cannot_move_funds_or_authorize_keys() {
    let mut venue = Venue::funded();
    venue.act(&trader("alice"), grant(50, None, None)).unwrap();
    let amount = "1".parse().unwrap();
    let bob = trader("bob").public_key();
    for action in [
        Action::Transfer { token: "ETH".into(), to: bob, amount },
        Action::Withdraw { token: "ETH".into(), amount, destination: "x".into() },
        Action::Deposit { token: "ETH".into(), to: bob, amount, reference: "r".into() },
        grant(51, None, None),
        Action::RevokeKey { key: key(50).public_key() },
        Action::Attest { batch: 1, root: [0; 32], clock: 1 },
    ] {
        let reject = venue.act_for("alice", &key(50), action).unwrap_err();
        assert_eq!(reject.code(), 7, "{reject}");
    }
    assert_eq!(venue.balance("alice", "ETH"), "1000 + 0");
}

#[test]
fn a_session_key_ends_when_it_expires_or_is_revoked_and_its_nonces_stay_used() {
    let mut venue = Venue::funded();
    let alice = trader("alice");
    venue.act(&alice, grant(50, None, None)).unwrap();
    venue.tick(9000);
    let due = venue.apply("[]").due;
    assert!(matches!(due[..], [Event::KeyEnded { is_revoked: false, .. }]), "{due:?}");
    assert_eq!(place(&mut venue, "buys 1 @ 100"), 8);
    let renewed = Action::AuthorizeKey(KeyGrant {
        key: key(50).public_key(),
        expires: 10_000,
        market: None,
        spend: None,
    });
    venue.act(&alice, renewed).unwrap();
    let session = key(50);
    let set = |transaction: &mut zellbook_core::Transaction| {
        transaction.account = trader("alice").public_key();
        transaction.signer = Some(key(50).public_key());
    };
    let all = || Action::CancelAll { market: None };
    let element = venue.sign_as(&session, set, 5, all());
    venue.apply_one(&element).unwrap();
    venue.act(&alice, Action::RevokeKey { key: session.public_key() }).unwrap();
    assert_eq!(place(&mut venue, "buys 1 @ 100"), 6);
    venue.act(&alice, grant(50, None, None)).unwrap_err(); // the time is 9,000 already
    assert_eq!(venue.apply_one(&element).unwrap_err().code(), 3);
}

#[test]
fn the_market_of_a_session_key_limits_every_action() {
    let mut venue = Venue::funded();
    venue.act(&trader("alice"), grant(50, Some("BTC/USDT"), None)).unwrap();
    venue.order("alice buys 1 @ 100").unwrap();
    assert_eq!(place(&mut venue, "buys 1 @ 100"), 7);
    let act = |venue: &mut Venue, action| {
        let result = venue.act_for("alice", &key(50), action);
        result.map_or_else(|reject| reject.code(), |_| 0)
    };
    assert_eq!(act(&mut venue, Action::Cancel(OrderRef::Id(1))), 30);
    assert_eq!(act(&mut venue, Action::CancelAll { market: None }), 7);
    assert_eq!(act(&mut venue, Action::CancelAll { market: Some("ETH/USDT".into()) }), 7);
    assert_eq!(act(&mut venue, Action::CancelAllAfter { time: 8000 }), 7);
    let (_, mut order) = read_order("alice buys 1 @ 100");
    order.market = "BTC/USDT".into();
    assert_eq!(act(&mut venue, Action::Order(order)), 0);
    assert_eq!(act(&mut venue, Action::Cancel(OrderRef::Id(2))), 0);
    assert_eq!(act(&mut venue, Action::CancelAll { market: Some("BTC/USDT".into()) }), 0);
}

#[test]
fn a_spending_limit_does_not_count_the_part_of_an_order_that_is_cancelled_immediately() {
    let mut venue = Venue::funded();
    venue.act(&trader("alice"), grant(50, None, Some(("USDT", "250")))).unwrap();
    assert_eq!(place(&mut venue, "sells 1 @ 100"), 7, "that would spend ETH");
    venue.order("bob sells 1 @ 90").unwrap();
    // 1 of 2 fills, at 90, but it counts at the limit price of 100. The cancelled rest does not count.
    assert_eq!(place(&mut venue, "buys 2 @ 100 ioc"), 0);
    let spent = |venue: &Venue| {
        let (alice, session) = (trader("alice").public_key(), key(50).public_key());
        let found = venue.exchange.engine().session_key(&alice, &session);
        found.unwrap().spending.unwrap().spent.0
    };
    assert_eq!(spent(&venue), 1_000_000);
    assert_eq!(place(&mut venue, "buys 1.51 @ 100"), 35);
    assert_eq!(place(&mut venue, "buys 1.5 @ 100"), 0);
    assert_eq!(spent(&venue), 2_500_000);
    venue.act_for("alice", &key(50), Action::CancelAll { market: None }).unwrap();
    assert_eq!(
        place(&mut venue, "buys 0.01 @ 100"),
        35,
        "what was cancelled later is not returned"
    );
    venue.act(&trader("alice"), grant(50, None, Some(("ETH", "1")))).unwrap();
    assert_eq!(spent(&venue), 0, "set anew");
    assert_eq!(place(&mut venue, "buys 1 @ 100"), 7);
    assert_eq!(place(&mut venue, "sells 1.01 @ 500"), 35);
    assert_eq!(place(&mut venue, "sells 1 @ 500"), 0);
}

#[test]
fn a_withdrawal_is_recorded_under_its_number_and_can_be_proven() {
    let mut venue = Venue::funded();
    let withdraw = |amount: &str| Action::Withdraw {
        token: "ETH".into(),
        amount: amount.parse().unwrap(),
        destination: "0xabc".into(),
    };
    let (eth, _) = venue.rules.listing.token("ETH").unwrap();
    let before = venue.exchange.supply(eth).0;
    venue.act(&trader("alice"), withdraw("400")).unwrap();
    venue.act(&trader("bob"), withdraw("1000")).unwrap();
    assert_eq!(venue.balance("alice", "ETH"), "600 + 0");
    assert_eq!(venue.exchange.supply(eth).0, before - 1_400_000);
    let record = venue.exchange.engine().withdrawal(2).unwrap().clone();
    assert_eq!((record.account, record.amount.0), (trader("bob").public_key(), 1_000_000));
    let root = venue.exchange.root();
    let leaf = LeafKey::Withdrawal(2);
    let (value, proof) = venue.exchange.prove(&leaf);
    assert!(proof.verify(&root, &leaf.to_bytes(), value.as_deref()).is_ok());
    assert!(value.unwrap().ends_with(b"0xabc"));
    assert_eq!(venue.act(&trader("bob"), withdraw("0.001")).unwrap_err().code(), 40);
    assert!(venue.exchange.engine().withdrawal(0).is_none());
    assert!(venue.exchange.engine().withdrawal(3).is_none());
}

fn vote(venue: &mut Venue, number: u8, batch: u64, root: u8) -> Vec<Event> {
    let action = Action::Attest { batch, root: [root; 32], clock: 1 };
    venue.act(&replica(number), action).unwrap()
}

fn certified(venue: &Venue) -> Option<(u64, u8)> {
    let last = venue.exchange.engine().attestations().last_certified();
    last.map(|(batch, root)| (batch, root[0]))
}

#[test]
fn more_than_two_thirds_of_the_weight_certify_a_root() {
    let mut venue = Venue::funded();
    vote(&mut venue, 1, 3, 7);
    vote(&mut venue, 2, 3, 7);
    assert_eq!(certified(&venue), None, "two thirds are not more than two thirds");
    let events = vote(&mut venue, 3, 3, 7);
    assert!(matches!(events[..], [Event::Attested { .. }, Event::Certified { batch: 3, .. }]));
    assert_eq!(certified(&venue), Some((3, 7)));
}

#[test]
fn a_replica_has_one_vote_on_a_batch() {
    let mut venue = Venue::funded();
    vote(&mut venue, 1, 3, 8);
    vote(&mut venue, 1, 3, 7);
    vote(&mut venue, 2, 3, 7);
    vote(&mut venue, 3, 3, 7);
    assert_eq!(certified(&venue), None, "the first vote of replica 1 stays");
    for number in 1..=3 {
        vote(&mut venue, number, 4, 9);
    }
    assert_eq!(certified(&venue), Some((4, 9)));
    vote(&mut venue, 1, 4, 9);
    assert_eq!(certified(&venue), Some((4, 9)), "nothing comes of a vote on a settled batch");
}

#[test]
fn stored_votes_and_certified_roots_are_limited() {
    let mut venue = Venue::funded();
    for _ in 0..=VOTES_KEPT {
        let batch = venue.exchange.counters().batch;
        vote(&mut venue, 1, batch, 7);
    }
    let count = |venue: &Venue, kind: u8| venue.leaves.keys().filter(|key| key[0] == kind).count();
    assert_eq!(count(&venue, 10), VOTES_KEPT);
    for _ in 0..=CERTIFIED_KEPT {
        let batch = venue.exchange.counters().batch;
        for number in 1..=3 {
            vote(&mut venue, number, batch, 7);
        }
    }
    assert_eq!((count(&venue, 10), count(&venue, 11)), (0, CERTIFIED_KEPT));
}

/// Returns an exchange whose three replicas have these weights.
fn weighted(weights: [u32; 3]) -> Venue {
    let mut genesis = crate::venue::rules().genesis.clone();
    for (replica, weight) in genesis.replicas.iter_mut().zip(weights) {
        replica.weight = weight;
    }
    Venue::with_rules(genesis.check().unwrap().into())
}

#[test]
fn half_of_the_weight_cannot_advance_the_state_time() {
    let mut venue = weighted([1, 1, 2]);
    venue.apply("[]");
    let mut attest = |number, clock| {
        let (batch, root) = (venue.exchange.counters().batch, venue.exchange.root());
        venue.act(&replica(number), Action::Attest { batch, root, clock }).unwrap();
        venue.apply("[]");
        venue.exchange.counters().time
    };
    assert_eq!(attest(3, 100), 0, "2 of 4 is half");
    assert_eq!(attest(1, 90), 90, "3 of 4 have reached 90");
    assert_eq!(attest(2, 200), 100, "3 of 4 have reached 100");
}

#[test]
fn a_root_is_certified_by_weight_and_not_by_the_number_of_replicas() {
    let mut venue = weighted([1, 1, 5]);
    venue.apply("[]");
    vote(&mut venue, 1, 1, 7);
    vote(&mut venue, 2, 1, 7);
    assert_eq!(certified(&venue), None, "2 of 7");
    vote(&mut venue, 3, 1, 7);
    assert_eq!(certified(&venue), Some((1, 7)));
    vote(&mut venue, 3, 2, 8);
    assert_eq!(certified(&venue), Some((2, 8)), "5 of 7 alone");
}
