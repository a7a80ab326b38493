//! One test for each reject code, and the rule that a reject changes nothing but the nonce.

use zellbook_core::protocol::{KeyGrant, OrderRef, Suggestion};
use zellbook_core::rules::Token;
use zellbook_core::types::limits::SUPPLY_MAX;
use zellbook_core::wire::RejectBody;
use zellbook_core::{Action, Event, Reject, Rules, SecretKey, Side, TimeInForce, Transaction};

use crate::venue::{Venue, issuer, key, order, read_order, replica, trader};

/// Checks that an order is rejected with this code and message, and that only its nonce changed.
fn check_order(line: &str, code: u16, message: &str) {
    let mut venue = Venue::funded();
    let before = venue.exchange.clone();
    let reject = venue.order(line).unwrap_err();
    assert_eq!((reject.code(), reject.to_string().as_str()), (code, message));
    assert_only_nonces_changed(&before, &venue);
}

fn assert_only_nonces_changed(before: &zellbook_core::Exchange, venue: &Venue) {
    use zellbook_core::LeafKey;
    for (number, _) in venue.rules.genesis.tokens.iter().enumerate() {
        let token = zellbook_core::types::TokenIndex(u16::try_from(number).unwrap());
        for account in venue.exchange.engine().ledger().accounts() {
            let key = LeafKey::Balance(account.key, token);
            assert_eq!(before.engine().leaf_value(&key), venue.exchange.engine().leaf_value(&key));
        }
        assert_eq!(before.supply(token), venue.exchange.supply(token));
    }
    assert_eq!(before.counters().order, venue.exchange.counters().order);
    assert_eq!(before.counters().trade, venue.exchange.counters().trade);
}

#[test]
fn code_1_malformed() {
    let reject = Venue::empty().apply_one(r#"{"kind":"order"}"#).unwrap_err();
    assert_eq!(reject.code(), 1);
    assert_eq!(reject.to_string(), "malformed transaction: field `market` is missing");
}

#[test]
fn code_2_bad_signature() {
    let mut venue = Venue::funded();
    let signed = venue.sign(&trader("alice"), Action::CancelAll { market: None });
    let bob = trader("bob").public_key().to_string();
    let forged = signed.replace(&trader("alice").public_key().to_string(), &bob);
    let reject = venue.apply_one(&forged).unwrap_err();
    assert_eq!(reject.code(), 2);
    assert!(reject.to_string().contains(&bob), "{reject}");
    let nonces = venue.exchange.account(&trader("bob").public_key()).unwrap().nonces();
    assert!(nonces.is_empty(), "a bad signature uses up nobody's nonce");
}

#[test]
fn a_signature_from_which_no_key_can_be_recovered_is_rejected_with_code_2() {
    // Not every r is the x of a point of the curve. Without a point there is no key to compare.
    let r = (1_u8..=255)
        .map(|last| format!("{last:064x}"))
        .find(|x| format!("02{x}").parse::<zellbook_core::PublicKey>().is_err())
        .unwrap();
    let mut venue = Venue::funded();
    let signed = venue.sign(&trader("alice"), Action::CancelAll { market: None });
    let at = signed.len() - 132;
    for v in ["00", "01"] {
        let other = format!("{}{r}{}{v}\"}}", &signed[..at], &signed[at + 64..at + 128]);
        assert_eq!(venue.apply_one(&other).unwrap_err().code(), 2);
    }
    assert!(venue.apply_one(&signed).is_ok(), "the nonce was not used up");
}

#[test]
fn code_3_nonce_used() {
    let mut venue = Venue::funded();
    let signed = venue.sign(&trader("alice"), Action::CancelAll { market: None });
    assert!(venue.apply_one(&signed).is_ok());
    assert_eq!(venue.apply_one(&signed).unwrap_err().code(), 3);
}

#[test]
fn code_3_twice_in_one_batch() {
    let mut venue = Venue::funded();
    let signed = venue.sign(&trader("alice"), Action::CancelAll { market: None });
    let outcome = venue.apply(&format!("[{signed},{signed}]"));
    assert!(outcome.transactions[0].result.is_ok());
    assert_eq!(outcome.transactions[1].result.as_ref().unwrap_err().code(), 3);
}

#[test]
fn a_rejected_transaction_uses_up_its_nonce() {
    let mut venue = Venue::funded();
    let poor = venue.sign(
        &trader("alice"),
        Action::Transfer {
            token: "ETH".into(),
            to: trader("bob").public_key(),
            amount: "2000".parse().unwrap(),
        },
    );
    assert_eq!(venue.apply_one(&poor).unwrap_err().code(), 40);
    venue.deposit("alice", "ETH", "5000");
    assert_eq!(venue.apply_one(&poor).unwrap_err().code(), 3);
}

#[test]
fn code_4_nonce_too_old() {
    let mut venue = Venue::funded();
    let alice = trader("alice");
    let cancel = || Action::CancelAll { market: None };
    // Nonces can come in any order until 64 are stored.
    for nonce in (101..=164).rev() {
        let signed = venue.sign_with(&alice, nonce, cancel());
        assert!(venue.apply_one(&signed).is_ok());
    }
    let reject = venue.apply_one(&venue.sign_with(&alice, 100, cancel())).unwrap_err();
    assert_eq!(reject.code(), 4);
    assert_eq!(
        reject.to_string(),
        "nonce 100 is too low: the lowest of the 64 nonces stored for this key is 101; use a higher one"
    );
    assert!(venue.apply_one(&venue.sign_with(&alice, 165, cancel())).is_ok());
    let again = venue.apply_one(&venue.sign_with(&alice, 101, cancel())).unwrap_err();
    assert_eq!(again.code(), 4, "101 was dropped, and can still not be used again");
}

#[test]
fn code_8_unknown_signer() {
    let mut venue = Venue::empty();
    let alice = trader("alice");
    let leaves = venue.leaves.len();
    let cancel = venue.sign(&alice, Action::CancelAll { market: None });
    let reject = venue.apply_one(&cancel).unwrap_err();
    assert_eq!(reject.code(), 8);
    let message = format!("the exchange does not know the key {}, ", alice.public_key());
    assert!(reject.to_string().starts_with(&message), "{reject}");
    assert_eq!(venue.leaves.len(), leaves, "a nonce of an unknown key is no leaf");
    assert!(venue.exchange.account(&alice.public_key()).is_none(), "nor is it in memory");
    // The nonce is unused, so the same bytes are applied once the key is known.
    venue.deposit("alice", "ETH", "1");
    assert!(venue.apply_one(&cancel).is_ok());
    assert_eq!(venue.apply_one(&cancel).unwrap_err().code(), 3);
}

#[test]
fn a_key_is_known_from_the_element_that_funds_it() {
    let mut venue = Venue::empty();
    venue.deposit("bob", "ETH", "5");
    let send = |venue: &mut Venue, from: &str, to: &str| {
        let (to, amount) = (trader(to).public_key(), "1".parse().unwrap());
        venue.sign(&trader(from), Action::Transfer { token: "ETH".into(), to, amount })
    };
    let codes = |venue: &mut Venue, elements: &[&String]| -> Vec<u16> {
        let elements: Vec<&str> = elements.iter().map(|element| element.as_str()).collect();
        let outcome = venue.apply(&format!("[{}]", elements.join(",")));
        let results = outcome.transactions.iter().map(|outcome| &outcome.result);
        results.map(|result| result.as_ref().map_or_else(Reject::code, |_| 0)).collect()
    };
    let (fund, spend) = (send(&mut venue, "bob", "carol"), send(&mut venue, "carol", "bob"));
    assert_eq!(codes(&mut venue, &[&spend, &fund]), [8, 0]);
    assert_eq!(codes(&mut venue, &[&spend]), [0], "what was rejected with 8 is not ended");
    let (fund, spend) = (send(&mut venue, "bob", "dave"), send(&mut venue, "dave", "bob"));
    assert_eq!(codes(&mut venue, &[&fund, &spend, &spend]), [0, 0, 3]);
    // Their balances are zero again. Their nonces are leaves, so they stay known.
    assert_eq!(venue.balance("carol", "ETH"), "0 + 0");
    let poor = send(&mut venue, "carol", "bob");
    assert_eq!(codes(&mut venue, &[&poor]), [40]);
}

#[test]
fn every_role_of_genesis_is_a_known_key() {
    let mut venue = Venue::empty();
    let fee_account = key(98);
    for role in [issuer(), fee_account, replica(1), replica(3)] {
        let known = venue.act(&role, Action::CancelAll { market: None });
        assert!(known.is_ok(), "{known:?}");
    }
}

#[test]
fn a_session_key_is_known_to_the_account_that_authorized_it_only() {
    let mut venue = Venue::funded();
    let session = key(50);
    let cancel = || Action::CancelAll { market: None };
    let grant = KeyGrant { key: session.public_key(), expires: 9000, market: None, spend: None };
    venue.act(&trader("alice"), Action::AuthorizeKey(grant)).unwrap();
    let before = venue.leaves.len();
    assert_eq!(venue.act_for("bob", &session, cancel()).unwrap_err().code(), 8);
    assert_eq!(venue.act(&session, cancel()).unwrap_err().code(), 8, "nor is it an account");
    assert_eq!(venue.leaves.len(), before);
    assert!(venue.act_for("alice", &session, cancel()).is_ok());
    assert_eq!(venue.leaves.len(), before + 1, "its nonces");
    // The nonces make it known, for ever: an old transaction must not count again.
    assert_eq!(venue.act_for("bob", &session, cancel()).unwrap_err().code(), 6);
    let revoke = Action::RevokeKey { key: session.public_key() };
    venue.act(&trader("alice"), revoke).unwrap();
    assert_eq!(venue.act_for("alice", &session, cancel()).unwrap_err().code(), 6);
}

#[test]
fn code_10_unknown_market() {
    let mut venue = Venue::funded();
    let mut unknown = order(Side::Buy, "1".parse().unwrap(), "1".parse().unwrap());
    unknown.market = "DOGE/USDT".into();
    let reject = venue.act(&trader("alice"), Action::Order(unknown)).unwrap_err();
    assert_eq!(reject.code(), 10);
    assert_eq!(
        reject.to_string(),
        "there is no market DOGE/USDT; the markets are ETH/USDT, BTC/USDT"
    );
    let cancel = Action::CancelAll { market: Some("A/B".into()) };
    assert_eq!(venue.act(&trader("alice"), cancel).unwrap_err().code(), 10);
}

fn transfer(venue: &mut Venue, token: &str, to: &str, amount: &str) -> (u16, String) {
    let action = Action::Transfer {
        token: token.into(),
        to: trader(to).public_key(),
        amount: amount.parse().unwrap(),
    };
    let before = venue.exchange.clone();
    let reject = venue.act(&trader("alice"), action).unwrap_err();
    assert_only_nonces_changed(&before, venue);
    (reject.code(), reject.to_string())
}

#[test]
fn code_11_unknown_token() {
    let (code, message) = transfer(&mut Venue::funded(), "DOGE", "bob", "1");
    assert_eq!(
        (code, message.as_str()),
        (11, "there is no token DOGE; the tokens are ETH, USDT, BTC")
    );
}

#[test]
fn code_12_not_positive() {
    check_order("alice buys 0 @ 100", 12, "quantity is zero; the minimum is 0.01");
    check_order("alice buys 1 @ 0", 12, "price is zero; the minimum is 0.5");
    let (code, message) = transfer(&mut Venue::funded(), "ETH", "bob", "0");
    assert_eq!((code, message.as_str()), (12, "amount is zero; the minimum is 0.001"));
}

#[test]
fn code_13_price_off_tick() {
    check_order(
        "alice buys 1 @ 100.3",
        13,
        "price 100.3 is not a multiple of the tick size 0.5; the nearest valid values are 100 and 100.5",
    );
    check_order(
        "alice buys 1 @ 0.3",
        13,
        "price 0.3 is not a multiple of the tick size 0.5; the nearest valid value is 0.5",
    );
}

#[test]
fn code_14_quantity_off_lot() {
    check_order(
        "alice buys 1.005 @ 100",
        14,
        "quantity 1.005 is not a multiple of the lot size 0.01; the nearest valid values are 1 and 1.01",
    );
}

#[test]
fn code_15_amount_off_atom() {
    let (code, message) = transfer(&mut Venue::funded(), "ETH", "bob", "1.0001");
    assert_eq!((code, message.as_str()), (15, "amount 1.0001 has too many decimals; ETH has 3"));
}

#[test]
fn code_16_too_large() {
    let huge = "9".repeat(38);
    let mut venue = Venue::funded();
    for line in [
        format!("alice buys 1 @ {huge}"),
        format!("alice buys {huge} @ 1"),
        "alice buys 184467440737095516.15 @ 9223372036854775807.5".into(),
        "alice buys 184467440737095516.16 @ 1".into(),
        "alice buys 1 @ 9223372036854775808".into(),
    ] {
        assert_eq!(venue.order(&line).unwrap_err().code(), 16, "{line}");
    }
    assert_eq!(transfer(&mut venue, "ETH", "bob", &huge).0, 16);
    let all = zellbook_core::Decimal::of_steps(SUPPLY_MAX, "0.001".parse().unwrap()).unwrap();
    let deposit = Action::Deposit {
        token: "ETH".into(),
        to: trader("bob").public_key(),
        amount: all,
        reference: "all".into(),
    };
    assert_eq!(venue.act(&issuer(), deposit).unwrap_err().code(), 16, "5,000 exist already");
}

#[test]
fn code_17_notional_too_small() {
    check_order(
        "alice buys 0.01 @ 99.5",
        17,
        "the order value (price times quantity) is 0.995 USDT; the minimum in this market is 1 USDT",
    );
}

fn deposit(venue: &mut Venue, signer: &str, reference: &str) -> Result<(), (u16, String)> {
    let key = if signer == "issuer" { issuer() } else { trader(signer) };
    let action = Action::Deposit {
        token: "ETH".into(),
        to: trader("alice").public_key(),
        amount: "1".parse().unwrap(),
        reference: reference.into(),
    };
    venue.act(&key, action).map(drop).map_err(|reject| (reject.code(), reject.to_string()))
}

#[test]
fn code_20_not_issuer() {
    let (code, message) = deposit(&mut Venue::funded(), "alice", "a").unwrap_err();
    assert_eq!(code, 20);
    assert!(message.starts_with("only the issuer of ETH, 03"), "{message}");
}

#[test]
fn code_21_reference_used() {
    let mut venue = Venue::funded();
    deposit(&mut venue, "issuer", "a").unwrap();
    deposit(&mut venue, "issuer", "b").unwrap();
    let (code, message) = deposit(&mut venue, "issuer", "a").unwrap_err();
    assert_eq!(code, 21);
    assert_eq!(
        message,
        "deposit a of ETH was already credited; a reference can be credited only once"
    );
    assert_eq!(venue.balance("alice", "ETH"), "1002 + 0");
}

#[test]
fn code_22_transfer_to_self() {
    assert_eq!(transfer(&mut Venue::funded(), "ETH", "alice", "1").0, 22);
}

#[test]
fn code_30_unknown_order() {
    let mut venue = Venue::funded();
    venue.order("alice buys 1 @ 100").unwrap();
    for order in [0, 2, u64::MAX] {
        let reject = venue.act(&trader("alice"), Action::Cancel(OrderRef::Id(order))).unwrap_err();
        assert_eq!(reject.code(), 30);
    }
    let not_mine = venue.act(&trader("bob"), Action::Cancel(OrderRef::Id(1))).unwrap_err();
    assert_eq!(not_mine.code(), 30);
    assert!(venue.act(&trader("alice"), Action::Cancel(OrderRef::Id(1))).is_ok());
    assert_eq!(venue.balance("alice", "USDT"), "1000000 + 0");
    let again = venue.act(&trader("alice"), Action::Cancel(OrderRef::Id(1))).unwrap_err();
    assert_eq!(again.code(), 30);
}

#[test]
fn code_32_would_cross() {
    let mut venue = Venue::funded();
    venue.order("bob sells 1 @ 100").unwrap();
    let reject = venue.order("alice buys 1 @ 100.5 post_only").unwrap_err();
    assert_eq!(reject.code(), 32);
    assert_eq!(
        reject.to_string(),
        "this post-only order would trade immediately: the best ask is 100"
    );
}

#[test]
fn code_33_too_many_orders() {
    let mut venue = Venue::funded();
    for _ in 0..4 {
        venue.order("alice buys 1 @ 100").unwrap();
    }
    let reject = venue.order("alice buys 1 @ 100").unwrap_err();
    assert_eq!(reject.code(), 33);
    assert!(venue.order("alice buys 1 @ 100 ioc").is_ok(), "an ioc order never rests");
    let fok = venue.order("alice buys 1 @ 100 fok").unwrap_err();
    assert_eq!(fok.code(), 34, "nor does a fok order");
    let replaced = venue.replace(OrderRef::Id(1), "alice buys 2 @ 101");
    assert!(replaced.is_ok(), "a replacement takes the place of what goes");
    let reject = venue.order("alice buys 1 @ 100").unwrap_err();
    assert_eq!(reject.code(), 33);
    let mut other = order(Side::Buy, "1".parse().unwrap(), "100".parse().unwrap());
    other.market = "BTC/USDT".into();
    assert!(venue.act(&trader("alice"), Action::Order(other)).is_ok(), "each market counts alone");
    venue.act(&trader("alice"), Action::Cancel(OrderRef::Id(2))).unwrap();
    assert!(venue.order("alice buys 1 @ 100").is_ok());
}

#[test]
fn code_34_cannot_fill() {
    let mut venue = Venue::funded();
    venue.order("alice sells 1 @ 100").unwrap();
    venue.order("bob sells 1 @ 101").unwrap();
    let before = venue.exchange.clone();
    let reject = venue.order("carol buys 3 @ 101 fok").unwrap_err();
    assert_eq!(reject.code(), 34);
    assert_eq!(reject.to_string(), "this fill-or-kill order would fill only 2 of 3");
    // A rejected order also cancels none of its account's orders that it would meet.
    assert_eq!(venue.order("alice buys 2 @ 101 fok cancel_oldest").unwrap_err().code(), 34);
    assert_only_nonces_changed(&before, &venue);
    assert_eq!(venue.describe_book(), "ask alice 1 @ 100\nask bob 1 @ 101\n");
    assert!(venue.order("carol buys 2 @ 101 fok").is_ok());
}

#[test]
fn code_31_client_id_used() {
    let mut venue = Venue::funded();
    venue.order("alice buys 1 @ 100 id=a").unwrap();
    venue.order("bob buys 1 @ 100 id=a").unwrap();
    let reject = venue.order("alice sells 1 @ 200 id=a").unwrap_err();
    assert_eq!(reject.code(), 31);
    assert_eq!(
        reject.to_string(),
        "client id a is already used by open order 1 of this account; use another one"
    );
    venue.order("alice buys 1 @ 90 id=b").unwrap();
    let taken = venue.replace(OrderRef::Id(3), "alice buys 1 @ 91 id=a").unwrap_err();
    assert_eq!(taken.code(), 31);
    venue.replace(OrderRef::Id(1), "alice buys 1 @ 91 id=a").unwrap();
    venue.act(&trader("alice"), Action::CancelAll { market: None }).unwrap();
    assert!(venue.order("alice sells 1 @ 200 id=a").is_ok(), "it is free once the order is gone");
}

#[test]
fn code_5_expired() {
    let mut venue = Venue::funded();
    let alice = trader("alice");
    let valid_until =
        |time| move |transaction: &mut Transaction| transaction.valid_until = Some(time);
    let cancel = || Action::CancelAll { market: None };
    let early = venue.sign_as(&alice, valid_until(1), 1, cancel());
    assert!(venue.apply_one(&early).is_ok(), "the time is 0 before replicas say otherwise");
    venue.tick(5000);
    let last = venue.sign_as(&alice, valid_until(5001), 2, cancel());
    assert!(venue.apply_one(&last).is_ok());
    let late = venue.sign_as(&alice, valid_until(5000), 3, cancel());
    let reject = venue.apply_one(&late).unwrap_err();
    assert_eq!(reject.code(), 5);
    assert_eq!(
        reject.to_string(),
        "this transaction was valid until 5000, but the exchange's time is 5000"
    );
}

#[test]
fn code_18_time_passed() {
    let mut venue = Venue::funded();
    venue.tick(5000);
    let reject = venue.order("alice buys 1 @ 100 gtd until=5000").unwrap_err();
    assert_eq!(reject.code(), 18);
    assert_eq!(
        reject.to_string(),
        "expires is 5000, but the exchange's time is already 5000; use a later time"
    );
    assert!(venue.order("alice buys 1 @ 100 gtd until=5001").is_ok());
    let late = venue.replace(OrderRef::Id(1), "alice buys 1 @ 100 gtd until=5000").unwrap_err();
    assert_eq!(late.code(), 18);
    let after = |time| Action::CancelAllAfter { time };
    assert_eq!(venue.act(&trader("alice"), after(4999)).unwrap_err().code(), 18);
    assert!(venue.act(&trader("alice"), after(0)).is_ok(), "0 disarms");
    let grant = |expires| {
        Action::AuthorizeKey(KeyGrant {
            key: key(50).public_key(),
            expires,
            market: None,
            spend: None,
        })
    };
    assert_eq!(venue.act(&trader("alice"), grant(5000)).unwrap_err().code(), 18);
    assert!(venue.act(&trader("alice"), grant(5001)).is_ok());
}

fn attest(
    venue: &mut Venue,
    key: &SecretKey,
    batch: u64,
    clock: u64,
) -> Result<Vec<Event>, Reject> {
    venue.act(key, Action::Attest { batch, root: [7; 32], clock })
}

#[test]
fn codes_23_to_25_attestations() {
    let mut venue = Venue::funded();
    let next = venue.exchange.counters().batch + 1;
    assert_eq!(attest(&mut venue, &trader("alice"), 1, 1).unwrap_err().code(), 23);
    let ahead = attest(&mut venue, &replica(1), next + 1, 1).unwrap_err();
    assert_eq!(ahead.code(), 25);
    assert!(attest(&mut venue, &replica(1), 3, 1).is_ok());
    assert!(attest(&mut venue, &replica(1), 3, 2).is_ok(), "the same batch again, a later clock");
    let stale = attest(&mut venue, &replica(1), 2, 3).unwrap_err();
    assert_eq!(stale.code(), 24);
    assert_eq!(stale.to_string(), "this replica already attested to batch 3; batch 2 is older");
}

#[test]
fn codes_26_and_27_session_keys() {
    let mut venue = Venue::funded();
    let alice = trader("alice");
    let grant = |seed| {
        Action::AuthorizeKey(KeyGrant {
            key: key(seed).public_key(),
            expires: 9000,
            market: None,
            spend: None,
        })
    };
    venue.act(&alice, grant(50)).unwrap();
    venue.act(&alice, grant(51)).unwrap();
    let reject = venue.act(&alice, grant(52)).unwrap_err();
    assert_eq!(reject.code(), 26);
    assert!(venue.act(&alice, grant(51)).is_ok(), "renewing one is not one more");
    let revoke = |seed| Action::RevokeKey { key: key(seed).public_key() };
    assert_eq!(venue.act(&alice, revoke(52)).unwrap_err().code(), 27);
    assert!(venue.act(&alice, revoke(50)).is_ok());
    assert_eq!(venue.act(&alice, revoke(50)).unwrap_err().code(), 27);
    assert!(venue.act(&alice, grant(52)).is_ok());
}

#[test]
fn code_40_balance_too_low() {
    check_order(
        "alice buys 10000.01 @ 100",
        40,
        "this needs 1000001 USDT, but only 1000000 USDT is available",
    );
    check_order(
        "alice sells 1000.01 @ 100",
        40,
        "this needs 1000.01 ETH, but only 1000 ETH is available",
    );
    let (code, message) = transfer(&mut Venue::funded(), "BTC", "bob", "10.00000001");
    assert_eq!(
        (code, message.as_str()),
        (40, "this needs 10.00000001 BTC, but only 10 BTC is available")
    );
    let mut venue = Venue::funded();
    venue.order("alice buys 10000 @ 100").unwrap();
    assert_eq!(
        transfer(&mut venue, "USDT", "bob", "0.0001").0,
        40,
        "what is locked cannot be moved"
    );
}

#[test]
fn cancel_all_cancels_in_one_market_or_in_all() {
    let mut venue = Venue::funded();
    venue.order("alice buys 1 @ 100").unwrap();
    venue.order("bob buys 1 @ 100").unwrap();
    let mut other = order(Side::Sell, "1".parse().unwrap(), "100".parse().unwrap());
    other.market = "BTC/USDT".into();
    other.time_in_force = TimeInForce::PostOnly;
    venue.act(&trader("alice"), Action::Order(other)).unwrap();
    let cancel = |market: Option<&str>| Action::CancelAll { market: market.map(Into::into) };
    assert_eq!(venue.act(&trader("alice"), cancel(Some("ETH/USDT"))).unwrap().len(), 1);
    assert_eq!(venue.balance("alice", "USDT"), "1000000 + 0");
    assert_eq!(venue.balance("alice", "BTC"), "9 + 1");
    assert_eq!(venue.act(&trader("alice"), cancel(None)).unwrap().len(), 1);
    assert_eq!(venue.balance("alice", "BTC"), "10 + 0");
    assert_eq!(venue.describe_book(), "bid bob 1 @ 100\n");
}

#[test]
fn a_transfer_can_go_to_an_account_without_transactions() {
    let mut venue = Venue::empty();
    venue.deposit("alice", "ETH", "1");
    let action = Action::Transfer {
        token: "ETH".into(),
        to: trader("erin").public_key(),
        amount: "0.4".parse().unwrap(),
    };
    venue.act(&trader("alice"), action).unwrap();
    assert_eq!(venue.balance("alice", "ETH"), "0.6 + 0");
    assert_eq!(venue.balance("erin", "ETH"), "0.4 + 0");
}

/// Returns one reject of each code.
fn rejects() -> Vec<Reject> {
    let one = "1".parse().unwrap();
    let (text, key) = (|| String::from("x"), trader("alice").public_key());
    vec![
        Reject::Malformed(text()),
        Reject::BadSignature { signer: key },
        Reject::NonceUsed,
        Reject::NonceTooOld { nonce: 1, lowest: 2 },
        Reject::Expired { valid_until: 1, time: 2 },
        Reject::KeyNotAuthorized { signer: key },
        Reject::KeyNotAllowed { problem: text() },
        Reject::UnknownSigner { signer: key },
        Reject::UnknownMarket { market: text(), known: text() },
        Reject::UnknownToken { token: text(), known: text() },
        Reject::NotPositive { field: "price", least: one },
        Reject::PriceOffTick { price: one, tick_size: one, suggestion: Suggestion(None) },
        Reject::QuantityOffLot { quantity: one, lot_size: one, suggestion: Suggestion(None) },
        Reject::AmountOffAtom { amount: one, token: text(), decimals: 0 },
        Reject::TooLarge { field: "price", value: text(), largest: text() },
        Reject::NotionalTooSmall { notional: one, notional_min: one, quote: text() },
        Reject::TimePassed { field: "time", value: 1, time: 2 },
        Reject::NotIssuer { token: text(), issuer: key },
        Reject::ReferenceUsed { token: text(), reference: text() },
        Reject::TransferToSelf,
        Reject::NotReplica,
        Reject::AttestationStale { batch: 1, last: 2 },
        Reject::AttestationInFuture { batch: 2, index: 1 },
        Reject::TooManyKeys { most: 1 },
        Reject::UnknownKey { key },
        Reject::UnknownOrder { order: OrderRef::Id(1) },
        Reject::ClientIdUsed { client_id: text(), order: 1 },
        Reject::WouldCross { side: "ask", best: one },
        Reject::TooManyOrders { market: text(), most: 1 },
        Reject::CannotFill { filled: one, quantity: one },
        Reject::KeyLimit { token: text(), needed: one, left: one },
        Reject::BalanceTooLow { token: text(), needed: one, available: one },
    ]
}

#[test]
fn codes_and_names_match_the_protocol() {
    let protocol = include_str!("../../../docs/protocol.md");
    let (_, section) = protocol.split_once("## 8. Reject codes").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim);
        let (code, name) = (cells.nth(1)?, cells.next()?);
        code.parse::<u16>().is_ok().then(|| (code.to_string(), name.trim_matches('`').to_string()))
    });
    let bodies: Vec<RejectBody> = rejects().iter().map(RejectBody::from).collect();
    let ours = bodies.iter().map(|body| (body.code.clone(), body.name.clone()));
    assert_eq!(ours.collect::<Vec<_>>(), rows.collect::<Vec<_>>());
    assert!(bodies.iter().all(|body| !body.message.is_empty()));
}

#[test]
fn rejects_that_depend_on_genesis_alone_need_no_state() {
    let mut venue = Venue::funded();
    let amount = |text: &str| text.parse().unwrap();
    let bob = trader("bob").public_key();
    let place = |line: &str| Action::Order(read_order(line).1);
    let transfer = |token: &str, text: &str| Action::Transfer {
        token: token.into(),
        to: bob,
        amount: amount(text),
    };
    let grant = |market: Option<&str>, spend: Option<(&str, &str)>| {
        Action::AuthorizeKey(KeyGrant {
            key: key(50).public_key(),
            expires: 9000,
            market: market.map(Into::into),
            spend: spend.map(|(token, limit)| (token.into(), amount(limit))),
        })
    };
    let cancel_all = |market: Option<&str>| Action::CancelAll { market: market.map(Into::into) };
    for (action, code) in [
        (place("alice buys 1 @ 100"), 0),
        (place("alice buys 1 @ 100.3"), 13),
        (place("alice buys 0.01 @ 1"), 17),
        (transfer("ETH", "1"), 0),
        (transfer("ETH", "0"), 12),
        (transfer("DOGE", "1"), 11),
        (transfer("ETH", "1.0001"), 15),
        (cancel_all(None), 0),
        (cancel_all(Some("ETH/USDT")), 0),
        (cancel_all(Some("A/B")), 10),
        (grant(None, None), 0),
        (grant(Some("BTC/USDT"), Some(("USDT", "1"))), 0),
        (grant(Some("A/B"), Some(("DOGE", "1"))), 10),
        (grant(None, Some(("DOGE", "1"))), 11),
        (grant(None, Some(("USDT", "0"))), 12),
        (Action::CancelAllAfter { time: 0 }, 0),
    ] {
        let known = venue.rules.listing.check_action(&action);
        assert_eq!(known.as_ref().map_or_else(Reject::code, |()| 0), code, "{action:?}");
        let found = venue.act(&trader("alice"), action.clone()).map(drop);
        assert_eq!(found, known, "{action:?}");
    }
    // Rejects that depend on the state do not concern genesis.
    for action in [
        place("alice buys 1000000 @ 100"),
        transfer("ETH", "5000"),
        Action::Cancel(OrderRef::Id(9)),
        Action::RevokeKey { key: key(60).public_key() },
        Action::Attest { batch: 9, root: [0; 32], clock: 1 },
    ] {
        assert_eq!(venue.rules.listing.check_action(&action), Ok(()), "{action:?}");
        assert!(venue.act(&trader("alice"), action).is_err());
    }
}

#[test]
fn a_message_lists_at_most_eight_names() {
    let mut genesis = crate::venue::rules().genesis.clone();
    let tokens =
        |rules: &Rules| rules.listing.amount("X", "1".parse().unwrap()).unwrap_err().to_string();
    let mut extend = |count: usize| {
        while genesis.tokens.len() < count {
            let symbol = format!("T{}", genesis.tokens.len());
            let token = Token { symbol, ..genesis.tokens[0].clone() };
            genesis.tokens.push(token);
        }
        tokens(&genesis.clone().check().unwrap())
    };
    let eight = "there is no token X; the tokens are ETH, USDT, BTC, T3, T4, T5, T6, T7";
    assert_eq!(extend(8), eight);
    assert_eq!(extend(9), format!("{eight}, \u{2026}"));
}
