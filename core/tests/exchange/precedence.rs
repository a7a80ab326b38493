//! The order of the reject codes: a transaction that breaks several rules is rejected with the lowest code. For
//! each kind, the tests break each two rules that follow each other in its list of checks. This implies the
//! order of all.

use zellbook_core::protocol::{KeyGrant, OrderRef};
use zellbook_core::{Action, Order, SecretKey, Side, Transaction};

use crate::venue::{TRADERS, Venue, issuer, key, order, replica, trader};

/// A key that the state knows, and that is no session key of alice.
fn stranger() -> SecretKey {
    key(77)
}

/// Returns a state in which every rule can be broken. The time is 5,000. Alice has the maximum of four open
/// orders in ETH/USDT, one of them with the client id `a`, and the maximum of two session keys, one of each
/// sort.
fn troubled() -> Venue {
    let mut venue = Venue::funded();
    venue.tick(5000);
    for line in [
        "alice buys 1 @ 100 id=a",
        "alice buys 1 @ 100",
        "alice buys 1 @ 100",
        "alice buys 1 @ 100",
        "bob sells 1 @ 200",
    ] {
        venue.order(line).unwrap();
    }
    let btc = Some("BTC/USDT".to_string());
    let spend = Some(("USDT".to_string(), "500".parse().unwrap()));
    for (seed, market, spend) in [(50, btc, None), (51, None, spend)] {
        let key = key(seed).public_key();
        let grant = KeyGrant { key, expires: 9000, market, spend };
        venue.act(&trader("alice"), Action::AuthorizeKey(grant)).unwrap();
    }
    let (to, amount) = (stranger().public_key(), "1".parse().unwrap());
    let send = Action::Transfer { token: "ETH".into(), to, amount };
    venue.act(&trader("bob"), send).unwrap();
    venue
}

/// Returns a valid order of alice, after changes that each break one rule.
fn with(changes: &[fn(&mut Order)]) -> Order {
    let mut order = order(Side::Buy, "1".parse().unwrap(), "150".parse().unwrap());
    changes.iter().for_each(|change| change(&mut order));
    order
}

fn unknown_market(order: &mut Order) {
    order.market = "DOGE/USDT".into();
}

fn zero(order: &mut Order) {
    order.quantity = "0".parse().unwrap();
}

fn off_tick(order: &mut Order) {
    order.price = "150.3".parse().unwrap();
}

fn off_lot(order: &mut Order) {
    order.quantity = "1.005".parse().unwrap();
}

fn huge(order: &mut Order) {
    order.price = "9".repeat(38).parse().unwrap();
}

fn dust(order: &mut Order) {
    order.quantity = "0.01".parse().unwrap();
    order.price = "50".parse().unwrap();
}

fn past(order: &mut Order) {
    order.time_in_force = "gtd".parse().unwrap();
    order.expires = Some(5000);
}

fn named_a(order: &mut Order) {
    order.client_id = Some("a".into());
}

fn crossing(order: &mut Order) {
    order.price = "200".parse().unwrap();
    order.time_in_force = "post_only".parse().unwrap();
}

fn fill_or_kill(order: &mut Order) {
    order.time_in_force = "fok".parse().unwrap();
}

fn large(order: &mut Order) {
    order.quantity = "100000".parse().unwrap();
}

fn seller(order: &mut Order) {
    order.side = Side::Sell;
}

/// Applies an action for alice that `signer` signs. Returns the reject code.
fn code(venue: &mut Venue, signer: &SecretKey, valid_until: Option<u64>, action: Action) -> u16 {
    let nonce = venue.nonce();
    let alice = trader("alice").public_key();
    let is_session = TRADERS.iter().all(|name| trader(name).public_key() != signer.public_key())
        && signer.public_key() != issuer().public_key()
        && signer.public_key() != replica(1).public_key();
    let set = |transaction: &mut Transaction| {
        transaction.valid_until = valid_until;
        if is_session {
            transaction.account = alice;
            transaction.signer = Some(signer.public_key());
        }
    };
    let element = venue.sign_as(signer, set, nonce, action);
    venue.apply_one(&element).map_or_else(|reject| reject.code(), |_| 0)
}

#[test]
fn codes_1_to_4_are_checked_first_and_in_order() {
    let mut venue = troubled();
    let alice = trader("alice");
    let cancel = || Action::CancelAll { market: None };
    let used = venue.sign_with(&alice, 7, cancel());
    venue.apply_one(&used).unwrap();
    // 1 before 2: malformed, and the signature is of another text.
    let malformed = used.replace("\"kind\":\"cancel_all\"", "\"kind\":\"cancel_some\"");
    assert_eq!(venue.apply_one(&malformed).unwrap_err().code(), 1);
    // 2 before 3: the signature is of another text, and the nonce was used.
    let forged = used.replace("cancel_all\"", "cancel_all\",\"market\":\"ETH/USDT\"");
    assert_eq!(venue.apply_one(&forged).unwrap_err().code(), 2);
    // 3 before 4: the nonce was used, and then fell below the window.
    for nonce in 7000..7063 {
        venue.apply_one(&venue.sign_with(&alice, nonce, cancel())).unwrap();
    }
    let lowest = venue.exchange.account(&alice.public_key()).unwrap().nonces()[0];
    let again = venue.sign_with(&alice, lowest, cancel());
    assert_eq!(venue.apply_one(&again).unwrap_err().code(), 3);
    // 4 before 5: the nonce is below the window, and `valid_until` has passed.
    let late = |transaction: &mut Transaction| transaction.valid_until = Some(1);
    let old = venue.sign_as(&alice, late, 1, cancel());
    assert_eq!(venue.apply_one(&old).unwrap_err().code(), 4);
    let new = venue.sign_as(&alice, late, 8000, cancel());
    assert_eq!(venue.apply_one(&new).unwrap_err().code(), 5);
}

#[test]
fn an_order_is_checked_in_the_order_of_the_codes() {
    let mut venue = troubled();
    let (alice, stranger, unknown) = (trader("alice"), stranger(), key(78));
    let (for_btc, for_usdt) = (key(50), key(51));
    let place = |changes: &[fn(&mut Order)]| Action::Order(with(changes));
    let mut check = |signer: &SecretKey, late: bool, changes: &[fn(&mut Order)], first: u16| {
        let valid_until = late.then_some(5000);
        let found = code(&mut venue, signer, valid_until, place(changes));
        assert_eq!(found, first, "{:?}", with(changes));
    };
    check(&unknown, true, &[unknown_market], 8); // and 5, 6, 10
    check(&stranger, true, &[], 5); // and 6
    check(&stranger, false, &[unknown_market], 6); // and 7, 10
    check(&for_btc, false, &[unknown_market], 7); // and 10
    check(&for_usdt, false, &[seller, zero], 7); // and 12
    check(&alice, false, &[unknown_market, zero], 10);
    check(&alice, false, &[off_tick, zero], 12); // and 13
    check(&alice, false, &[off_tick, off_lot], 13);
    check(&alice, false, &[off_lot, huge], 14);
    check(&alice, false, &[huge, past], 16); // nothing is both too large and too small
    check(&alice, false, &[dust, past], 17);
    check(&alice, false, &[past, named_a], 18);
    check(&alice, false, &[named_a, crossing], 31);
    check(&alice, false, &[crossing], 32); // and 33
    check(&alice, false, &[large], 33); // and 40
    check(&for_usdt, false, &[large, fill_or_kill], 34); // and 35
    check(&alice, false, &[large, fill_or_kill], 34); // and 40
    let mut venue = troubled();
    venue.act(&alice, Action::Cancel(OrderRef::Id(4))).unwrap();
    let large_order = || Action::Order(with(&[large]));
    assert_eq!(code(&mut venue, &for_usdt, None, large_order()), 35); // and 40
    assert_eq!(code(&mut venue, &alice, None, large_order()), 40);
}

#[test]
fn a_replacement_is_checked_in_the_order_of_the_codes() {
    let mut venue = troubled();
    let alice = trader("alice");
    let replace = |id, changes: &[fn(&mut Order)]| Action::Replace {
        target: OrderRef::Id(id),
        order: with(changes),
    };
    let mut check = |id, changes: &[fn(&mut Order)], first: u16| {
        assert_eq!(code(&mut venue, &alice, None, replace(id, changes)), first);
    };
    check(99, &[unknown_market], 10); // and 30
    check(99, &[dust], 17); // and 30
    check(99, &[past], 18); // and 30
    check(99, &[named_a], 30); // and 31
    check(5, &[], 30); // bob's
    check(1, &[seller], 30); // of the other side
    check(2, &[named_a, crossing], 31);
    check(2, &[crossing, large], 32); // and 40; 33 cannot be
    check(2, &[fill_or_kill, large], 34); // and 40
    check(2, &[large], 40);
    let large = replace(2, &[large]);
    assert_eq!(code(&mut venue, &key(51), None, large), 35); // and 40
}

#[test]
fn a_replacement_is_checked_as_a_whole_even_when_it_then_only_cancels() {
    type Change = fn(&mut Order);
    let changes: [(Change, u16); 6] =
        [(huge, 16), (dust, 17), (past, 18), (off_tick, 13), (off_lot, 14), (zero, 12)];
    for (change, first) in changes {
        let mut venue = Venue::funded();
        venue.tick(5000);
        venue.order("alice buys 3 @ 150").unwrap();
        venue.order("bob sells 2 @ 150").unwrap();
        // A total of 1 is less than the filled quantity of 2, so the replacement only cancels.
        let replace = |changes: &[fn(&mut Order)]| Action::Replace {
            target: OrderRef::Id(1),
            order: with(changes),
        };
        assert_eq!(code(&mut venue, &trader("alice"), None, replace(&[change])), first);
        assert_eq!(venue.describe_book(), "bid alice 1 @ 150\n", "a reject leaves the target open");
        assert_eq!(code(&mut venue, &trader("alice"), None, replace(&[])), 0);
        assert_eq!(venue.describe_book(), "");
    }
}

fn amount(text: &str) -> zellbook_core::Decimal {
    text.parse().unwrap()
}

#[test]
fn transfers_and_withdrawals_are_checked_in_the_order_of_the_codes() {
    let mut venue = troubled();
    let (alice, session) = (trader("alice"), key(51));
    let transfer = |token: &str, to: &str, text: &str| Action::Transfer {
        token: token.into(),
        to: trader(to).public_key(),
        amount: amount(text),
    };
    let withdraw = |token: &str, text: &str| Action::Withdraw {
        token: token.into(),
        amount: amount(text),
        destination: "x".into(),
    };
    let huge = "9".repeat(38);
    for (action, signer, first) in [
        (transfer("DOGE", "alice", "0"), &session, 7), // and 11
        (transfer("DOGE", "alice", "0"), &alice, 11),  // and 12
        (transfer("ETH", "alice", "0"), &alice, 12),   // and 22
        (transfer("ETH", "alice", "1.0001"), &alice, 15), // and 22
        (transfer("ETH", "alice", &huge), &alice, 16), // and 22
        (transfer("ETH", "alice", "5000"), &alice, 22), // and 40
        (transfer("ETH", "bob", "5000"), &alice, 40),
        (withdraw("DOGE", "0"), &session, 7), // and 11
        (withdraw("DOGE", "0"), &alice, 11),  // and 12
        (withdraw("ETH", "0"), &alice, 12),
        (withdraw("ETH", "5000.0001"), &alice, 15), // and 40
        (withdraw("ETH", &huge), &alice, 16),       // and 40
        (withdraw("ETH", "5000"), &alice, 40),
    ] {
        assert_eq!(code(&mut venue, signer, None, action.clone()), first, "{action:?}");
    }
}

#[test]
fn a_deposit_is_checked_in_the_order_of_the_codes() {
    let mut venue = troubled();
    let deposit = |token: &str, text: &str| Action::Deposit {
        token: token.into(),
        to: trader("bob").public_key(),
        amount: amount(text),
        reference: "once".into(),
    };
    let huge = "9".repeat(35);
    venue.act(&issuer(), deposit("ETH", "1")).unwrap();
    let alice = trader("alice");
    for (action, signer, first) in [
        (deposit("DOGE", "0"), &alice, 11),     // and 12
        (deposit("ETH", "0"), &alice, 12),      // and 20
        (deposit("ETH", "1.0001"), &alice, 15), // and 20
        (deposit("ETH", &huge), &alice, 16),    // and 20
        (deposit("ETH", "1"), &alice, 20),      // and 21
        (deposit("ETH", "1"), &issuer(), 21),
    ] {
        assert_eq!(code(&mut venue, signer, None, action.clone()), first, "{action:?}");
    }
}

#[test]
fn session_keys_and_switches_are_checked_in_the_order_of_the_codes() {
    let mut venue = troubled();
    let grant = |market: Option<&str>, spend: Option<(&str, &str)>, expires| {
        Action::AuthorizeKey(KeyGrant {
            key: key(60).public_key(),
            expires,
            market: market.map(Into::into),
            spend: spend.map(|(token, limit)| (token.into(), amount(limit))),
        })
    };
    let (alice, for_btc, huge) = (trader("alice"), key(50), "9".repeat(38));
    let cancel_all = |market: &str| Action::CancelAll { market: Some(market.into()) };
    for (action, signer, first) in [
        (grant(Some("A/B"), None, 1), &for_btc, 7), // and 10
        (grant(Some("A/B"), Some(("DOGE", "0")), 1), &alice, 10), // and 11
        (grant(None, Some(("DOGE", "0")), 1), &alice, 11), // and 12
        (grant(None, Some(("ETH", "0")), 1), &alice, 12), // and 18
        (grant(None, Some(("ETH", "1.0001")), 1), &alice, 15), // and 18
        (grant(None, Some(("ETH", &huge)), 1), &alice, 16), // and 18
        (grant(None, None, 1), &alice, 18),         // and 26
        (grant(None, None, 9000), &alice, 26),
        (Action::RevokeKey { key: key(60).public_key() }, &for_btc, 7), // and 27
        (Action::RevokeKey { key: key(60).public_key() }, &alice, 27),
        (Action::CancelAllAfter { time: 1 }, &for_btc, 7), // and 18
        (Action::CancelAllAfter { time: 1 }, &alice, 18),
        (cancel_all("A/B"), &for_btc, 7), // and 10
        (cancel_all("A/B"), &alice, 10),
        (Action::CancelAll { market: None }, &for_btc, 7),
        (Action::Cancel(OrderRef::Id(1)), &for_btc, 30), // of another market
        (Action::Attest { batch: 0, root: [0; 32], clock: 0 }, &for_btc, 7), // and 23
        (Action::Attest { batch: u64::MAX, root: [0; 32], clock: 0 }, &alice, 23), // and 25
        (Action::Attest { batch: 0, root: [0; 32], clock: 0 }, &replica(1), 24),
    ] {
        assert_eq!(code(&mut venue, signer, None, action.clone()), first, "{action:?}");
    }
}

#[test]
fn an_unknown_key_is_refused_before_expiry_and_expiry_before_authorization() {
    let mut venue = troubled();
    let action = Action::RevokeKey { key: key(60).public_key() };
    assert_eq!(code(&mut venue, &key(78), Some(5000), action.clone()), 8);
    assert_eq!(code(&mut venue, &stranger(), Some(5000), action.clone()), 5);
    assert_eq!(code(&mut venue, &stranger(), None, action), 6);
}
