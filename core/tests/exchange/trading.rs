//! Orders beyond plain matching: fees, times in force, replacements, client ids and dead-man's switches.

use expect_test::{Expect, expect};
use zellbook_core::protocol::OrderRef;
use zellbook_core::{Action, Event, TransactionHash};

use crate::venue::{Venue, key, trader};

fn check(venue: &mut Venue, script: &str, expected: Expect) {
    let mut text = String::new();
    for line in script.split(';') {
        let result = venue.order(line.trim());
        text.push_str(&venue.describe(&result));
    }
    text.push_str(&venue.describe_book());
    expected.assert_eq(&text);
}

fn fee_balance(venue: &Venue) -> u128 {
    let (usdt, _) = venue.rules.listing.token("USDT").unwrap();
    venue.exchange.balance(&key(98).public_key(), usdt).available.0
}

#[test]
fn both_sides_pay_fees_in_quote_rounded_up_once_for_each_order() {
    // One lot at one tick is worth 50 atoms, so the fee on it is far below one atom.
    let mut venue = Venue::funded_with_fees(3, 7);
    venue.order("alice sells 1 @ 100").unwrap();
    venue.order("bob buys 0.5 @ 100 ioc").unwrap();
    // The trade is worth 50 USDT = 500,000 atoms: bob pays 350, alice 150.
    assert_eq!(venue.balance("bob", "USDT"), "999949.965 + 0");
    assert_eq!(venue.balance("alice", "USDT"), "1000049.985 + 0");
    assert_eq!(fee_balance(&venue), 500);
    // 0.01 @ 100 = 10,000 atoms. Bob, a new taker, pays 7. Alice's total is 510,000 atoms: 153 of fee, of which
    // she has paid 150.
    venue.order("bob buys 0.01 @ 100 ioc").unwrap();
    assert_eq!(fee_balance(&venue), 500 + 7 + 3);
}

#[test]
fn a_bid_that_rests_locks_only_the_makers_fee() {
    let mut venue = Venue::funded_with_fees(10, 20);
    venue.order("bob buys 2 @ 100").unwrap();
    // Locked are 200 USDT and the maker's 10 basis points. The balance had to cover the taker's 20 and one more
    // atom.
    assert_eq!(venue.balance("bob", "USDT"), "999799.8 + 200.2");
    venue.order("alice sells 1 @ 90").unwrap();
    assert_eq!(venue.balance("bob", "USDT"), "999799.8 + 100.1");
    assert_eq!(venue.balance("alice", "USDT"), "1000099.8 + 0");
    venue.act(&trader("bob"), Action::CancelAll { market: None }).unwrap();
    assert_eq!(venue.balance("bob", "USDT"), "999899.9 + 0");
}

#[test]
fn a_partly_filled_bid_unlocks_the_exact_amount() {
    // One lot at 100.5 is worth 10,050 atoms, and 3 basis points of that are 3.015. Three lots lock a fee of
    // 10. The first pays 4, so 6 are left, which is less than the fee of 7 on two lots alone.
    let partly_filled = || {
        let mut venue = Venue::funded_with_fees(3, 0);
        venue.order("alice buys 0.03 @ 100.5").unwrap();
        assert_eq!(venue.balance("alice", "USDT"), "999996.984 + 3.016");
        venue.order("bob sells 0.01 @ 100.5").unwrap();
        assert_eq!(venue.balance("alice", "USDT"), "999996.984 + 2.0106");
        venue
    };
    let mut venue = partly_filled();
    venue.act(&trader("alice"), Action::Cancel(OrderRef::Id(1))).unwrap();
    assert_eq!(venue.balance("alice", "USDT"), "999998.9946 + 0");
    let mut venue = partly_filled();
    venue.replace(OrderRef::Id(1), "alice buys 0.02 @ 100.5").unwrap();
    assert_eq!(venue.balance("alice", "USDT"), "999997.9893 + 1.0053");
    let mut venue = partly_filled();
    venue.replace(OrderRef::Id(1), "alice buys 0.02 @ 100").unwrap();
    assert_eq!(venue.balance("alice", "USDT"), "999997.9943 + 1.0003");
}

#[test]
fn the_balance_that_an_order_needs_depends_on_its_time_in_force() {
    for (maker, taker, kind, enough, short) in [
        (10, 20, "post_only", "100.1", "100.0999"),
        (10, 20, "ioc", "100.2", "100.1999"),
        (10, 20, "gtc", "100.2001", "100.2"),
        // If one of the fees is zero, only one rounding can happen.
        (0, 20, "gtc", "100.2", "100.1999"),
        (10, 0, "gtc", "100.1", "100.0999"),
        (0, 0, "gtc", "100", "99.9999"),
    ] {
        for (amount, is_enough) in [(enough, true), (short, false)] {
            let mut venue = Venue::with_rules(crate::venue::rules_with_fees(maker, taker));
            venue.deposit("bob", "USDT", amount);
            let result = venue.order(&format!("bob buys 1 @ 100 {kind}"));
            assert_eq!(result.is_ok(), is_enough, "{kind} with {amount}: {result:?}");
        }
    }
}

#[test]
fn an_order_with_exactly_the_needed_balance_fills_and_rests() {
    let mut venue = Venue::with_rules(crate::venue::rules_with_fees(3, 3));
    venue.deposit("alice", "ETH", "10");
    // 1 @ 100 is worth 1,000,000 atoms, the fee is 300, and the two roundings can cost one more.
    venue.deposit("bob", "USDT", "100.0301");
    venue.order("alice sells 0.33 @ 100").unwrap();
    venue.order("bob buys 1 @ 100").unwrap();
    // Bob paid 330,000 + 99 atoms, and 670,000 + 201 are locked.
    assert_eq!(venue.balance("bob", "USDT"), "0.0001 + 67.0201");
}

#[test]
fn the_maker_limit_cancels_a_rest_that_still_crosses() {
    check(
        &mut Venue::funded(),
        "alice sells 1 @ 100; bob sells 1 @ 100; carol sells 1 @ 101; dave sells 1 @ 101; erin buys 9 @ 102",
        expect![[r#"
            fill alice -> erin 1 @ 100
            fill bob -> erin 1 @ 100
            fill carol -> erin 1 @ 101
            cancel erin 6 (maker_limit)
            ask dave 1 @ 101
        "#]],
    );
    // The order meets three makers, and then no other order crosses: its rest enters the book.
    check(
        &mut Venue::funded(),
        "alice sells 1 @ 100; bob sells 1 @ 100; carol sells 1 @ 101; dave sells 1 @ 103; erin buys 9 @ 102",
        expect![[r#"
            fill alice -> erin 1 @ 100
            fill bob -> erin 1 @ 100
            fill carol -> erin 1 @ 101
            ask dave 1 @ 103
            bid erin 6 @ 102
        "#]],
    );
}

#[test]
fn the_last_permitted_maker_can_fill_an_order_completely() {
    for time_in_force in ["gtc", "ioc", "fok"] {
        let orders =
            "alice sells 1 @ 100; bob sells 1 @ 100; carol sells 1 @ 101; dave sells 1 @ 101";
        check(
            &mut Venue::funded(),
            &format!("{orders}; erin buys 3 @ 102 {time_in_force}"),
            expect![[r#"
                fill alice -> erin 1 @ 100
                fill bob -> erin 1 @ 100
                fill carol -> erin 1 @ 101
                ask dave 1 @ 101
            "#]],
        );
    }
}

#[test]
fn own_orders_that_are_cancelled_count_towards_the_maker_limit() {
    check(
        &mut Venue::funded(),
        "erin sells 1 @ 100; erin sells 1 @ 100; erin sells 1 @ 100; bob sells 1 @ 100; erin buys 9 @ 102 cancel_oldest",
        expect![[r#"
            cancel erin 1 (self_trade)
            cancel erin 1 (self_trade)
            cancel erin 1 (self_trade)
            cancel erin 9 (maker_limit)
            ask bob 1 @ 100
        "#]],
    );
}

#[test]
fn a_fok_order_fills_completely() {
    check(
        &mut Venue::funded(),
        "alice sells 1 @ 100; bob sells 1 @ 101; carol buys 2 @ 101 fok; carol buys 1 @ 101 fok",
        expect![[r#"
            fill alice -> carol 1 @ 100
            fill bob -> carol 1 @ 101
            rejected: this fill-or-kill order would fill only 0 of 1
        "#]],
    );
}

#[test]
fn a_gtd_order_expires_before_the_first_transaction_of_the_batch() {
    let mut venue = Venue::funded();
    venue.order("alice sells 1 @ 100 gtd until=6000").unwrap();
    venue.order("bob sells 1 @ 101 gtd until=6001").unwrap();
    assert_eq!(venue.exchange.engine().next_due(), Some(6000));
    venue.tick(5999);
    let outcome = venue.apply("[]");
    assert!(outcome.due.is_empty());
    assert_eq!(venue.exchange.counters().time, 5999);
    venue.tick(6000);
    // Due orders are cancelled before the batch's transactions, also if the body is invalid.
    let outcome = venue.apply("no array");
    assert_eq!(venue.describe(&Ok(outcome.due)), "cancel alice 1 (expired)\n");
    assert_eq!(venue.balance("alice", "ETH"), "1000 + 0");
    assert_eq!(venue.describe_book(), "ask bob 1 @ 101\n");
    let outcome = venue.order("carol buys 1 @ 101").unwrap();
    assert_eq!(venue.describe(&Ok(outcome)), "fill bob -> carol 1 @ 101\n");
    assert_eq!(venue.exchange.engine().next_due(), None);
}

#[test]
fn the_state_time_is_the_weighted_median_and_never_goes_back() {
    let mut venue = Venue::funded();
    let mut attest = |number, clock| {
        let (batch, root) = (venue.exchange.counters().batch, venue.exchange.root());
        venue.act(&crate::venue::replica(number), Action::Attest { batch, root, clock }).unwrap();
        venue.apply("[]");
        venue.exchange.counters().time
    };
    assert_eq!(attest(1, u64::MAX), 0, "one of three decides nothing");
    assert_eq!(attest(2, 100), 100, "the honest one of two");
    assert_eq!(attest(3, 90), 100);
    assert_eq!(attest(2, 50), 100, "never back");
    assert_eq!(attest(3, 120), 120);
    assert_eq!(attest(1, 0), 120);
    assert_eq!(attest(2, 130), 120, "again one of three, the other way");
}

#[test]
fn a_switch_cancels_all_orders_unless_its_time_is_moved() {
    let mut venue = Venue::funded();
    let alice = trader("alice");
    venue.order("alice sells 1 @ 100").unwrap();
    venue.order("alice buys 1 @ 90").unwrap();
    venue.order("bob buys 1 @ 90").unwrap();
    venue.act(&alice, Action::CancelAllAfter { time: 6000 }).unwrap();
    venue.act(&alice, Action::CancelAllAfter { time: 7000 }).unwrap();
    venue.tick(6500);
    assert!(venue.apply("[]").due.is_empty(), "it was renewed");
    venue.tick(7000);
    let due = venue.apply("[]").due;
    assert!(matches!(due[0], Event::SwitchFired { .. }));
    assert_eq!(
        venue.describe(&Ok(due)),
        "cancel alice 1 (switch)\ncancel alice 1 (switch)\n",
        "in the order of ids"
    );
    assert_eq!(venue.describe_book(), "bid bob 1 @ 90\n");
    venue.order("alice sells 1 @ 100").unwrap();
    venue.act(&alice, Action::CancelAllAfter { time: 8000 }).unwrap();
    venue.act(&alice, Action::CancelAllAfter { time: 0 }).unwrap();
    venue.tick(9000);
    assert!(venue.apply("[]").due.is_empty(), "it was disarmed");
}

#[test]
fn an_order_is_cancelled_by_id_client_id_or_transaction() {
    let mut venue = Venue::funded();
    let alice = trader("alice");
    venue.order("alice buys 1 @ 100 id=first").unwrap();
    let (_, second) = crate::venue::read_order("alice buys 2 @ 100");
    let element = venue.sign(&alice, Action::Order(second));
    let outcome = venue.apply(&format!("[{element}]"));
    let hash = outcome.transactions[0].hash.unwrap();
    venue.order("alice buys 3 @ 100").unwrap();
    let cancel = |venue: &mut Venue, name, target| {
        let result = venue.act(&trader(name), Action::Cancel(target));
        venue.describe(&result)
    };
    assert!(cancel(&mut venue, "bob", OrderRef::Transaction(hash)).starts_with("rejected"));
    assert!(cancel(&mut venue, "bob", OrderRef::ClientId("first".into())).starts_with("rejected"));
    let other = TransactionHash([9; 32]);
    assert!(cancel(&mut venue, "alice", OrderRef::Transaction(other)).starts_with("rejected"));
    assert_eq!(
        cancel(&mut venue, "alice", OrderRef::Transaction(hash)),
        "cancel alice 2 (requested)\n"
    );
    assert_eq!(
        cancel(&mut venue, "alice", OrderRef::ClientId("first".into())),
        "cancel alice 1 (requested)\n"
    );
    assert_eq!(cancel(&mut venue, "alice", OrderRef::Id(3)), "cancel alice 3 (requested)\n");
    assert_eq!(venue.describe_book(), "");
}

fn replacing(lines: &str, target: u64, line: &str, expected: Expect) -> Venue {
    let mut venue = Venue::funded();
    for line in lines.split(';') {
        venue.order(line.trim()).unwrap();
    }
    let result = venue.replace(OrderRef::Id(target), line);
    let text = venue.describe(&result) + &venue.describe_book();
    expected.assert_eq(&text);
    venue
}

#[test]
fn reducing_the_quantity_keeps_the_queue_position() {
    let venue = replacing(
        "alice buys 3 @ 100; bob buys 1 @ 100; carol sells 1 @ 100",
        1,
        "alice buys 2 @ 100",
        expect![[r#"
            reduce alice to 1
            bid alice 1 @ 100
            bid bob 1 @ 100
        "#]],
    );
    assert_eq!(venue.balance("alice", "USDT"), "999800 + 100", "one is filled already");
}

#[test]
fn another_price_or_a_larger_quantity_loses_the_queue_position() {
    replacing(
        "alice buys 3 @ 100; bob buys 1 @ 100",
        1,
        "alice buys 4 @ 100",
        expect![[r#"
            cancel alice 3 (replaced)
            bid bob 1 @ 100
            bid alice 4 @ 100
        "#]],
    );
    replacing(
        "alice buys 3 @ 100 id=a; bob sells 1 @ 101",
        1,
        "alice buys 3 @ 101",
        expect![[r#"
            cancel alice 3 (replaced)
            fill bob -> alice 1 @ 101
            bid alice 2 @ 101
        "#]],
    );
}

#[test]
fn a_replacement_keeps_the_client_id_and_includes_the_filled_quantity() {
    let mut venue = replacing(
        "alice buys 3 @ 100 id=a; bob sells 2 @ 100",
        1,
        "alice buys 4 @ 99",
        expect![[r#"
            cancel alice 1 (replaced)
            bid alice 2 @ 99
        "#]],
    );
    let by_name = OrderRef::ClientId("a".into());
    let result = venue.replace(by_name.clone(), "alice buys 1.5 @ 99 id=b");
    assert_eq!(venue.describe(&result), "cancel alice 2 (replaced)\n", "a new name is a new order");
    assert!(venue.act(&trader("alice"), Action::Cancel(by_name)).is_err());
}

#[test]
fn a_replacement_needs_balance_only_for_its_unfilled_part() {
    let mut venue = Venue::empty();
    venue.deposit("alice", "USDT", "300");
    venue.deposit("bob", "ETH", "2");
    venue.order("alice buys 3 @ 100").unwrap();
    venue.order("bob sells 2 @ 100").unwrap();
    assert_eq!(venue.replace(OrderRef::Id(1), "alice buys 3 @ 100.5").unwrap_err().code(), 40);
    venue.replace(OrderRef::Id(1), "alice buys 3 @ 99.5").unwrap();
    assert_eq!(venue.balance("alice", "USDT"), "0.5 + 99.5");
}

#[test]
fn a_replacement_with_no_more_than_the_filled_quantity_cancels() {
    for total in ["1", "2"] {
        let venue = replacing(
            "alice buys 3 @ 100; bob sells 2 @ 100",
            1,
            &format!("alice buys {total} @ 150"),
            expect![[r#"
                cancel alice 1 (replaced)
            "#]],
        );
        assert_eq!(venue.balance("alice", "USDT"), "999800 + 0");
        assert_eq!(venue.exchange.counters().order, 2, "nothing is placed instead");
    }
    replacing(
        "alice buys 3 @ 100; bob sells 2 @ 100",
        1,
        "alice buys 2 @ 100",
        expect![[r#"
            cancel alice 1 (replaced)
        "#]],
    );
}

#[test]
fn a_rejected_replacement_leaves_the_order_open() {
    let mut venue = Venue::funded();
    venue.order("alice buys 9000 @ 100").unwrap();
    venue.order("bob sells 1 @ 200").unwrap();
    let root = |venue: &Venue| venue.exchange.engine().leaves().len();
    let before = root(&venue);
    for (line, code) in [
        ("alice buys 10000.01 @ 100", 40),
        ("alice buys 1 @ 200 post_only", 32),
        ("alice buys 2 @ 200 fok", 34),
        ("alice buys 1 @ 100.3", 13),
    ] {
        let reject = venue.replace(OrderRef::Id(1), line).unwrap_err();
        assert_eq!(reject.code(), code, "{line}");
        assert_eq!(venue.describe_book(), "ask bob 1 @ 200\nbid alice 9000 @ 100\n");
        assert_eq!(root(&venue), before);
    }
    // The balance that the replaced order locks counts as available.
    assert!(venue.replace(OrderRef::Id(1), "alice buys 10000 @ 100").is_ok());
}

#[test]
fn a_replacement_that_changes_only_the_time_is_a_new_order() {
    let mut venue = Venue::funded();
    venue.order("alice buys 1 @ 100 gtd until=6000").unwrap();
    let same = venue.replace(OrderRef::Id(1), "alice buys 1 @ 100 gtd until=6000").unwrap();
    assert!(matches!(same[..], [Event::Reduced { .. }]), "nothing changes, nothing moves");
    venue.replace(OrderRef::Id(1), "alice buys 1 @ 100 gtd until=7000").unwrap();
    assert_eq!(venue.exchange.counters().order, 2);
    venue.tick(6000);
    assert!(venue.apply("[]").due.is_empty());
    venue.tick(7000);
    assert_eq!(venue.apply("[]").due.len(), 1);
}

#[test]
fn a_fill_reports_the_fee_of_each_side() {
    let fees = |maker, taker| {
        let mut venue = Venue::funded_with_fees(maker, taker);
        venue.order("alice sells 1 @ 100").unwrap();
        let events = venue.order("bob buys 1 @ 100").unwrap();
        let paid = events.into_iter().find_map(|event| match event {
            Event::Filled(fill) => Some((fill.maker_fee.0, fill.taker_fee.0)),
            _ => None,
        });
        paid.unwrap()
    };
    assert_eq!(fees(0, 0), (0, 0));
    assert_eq!(fees(3, 7), (300, 700));
    assert_eq!(fees(0, 7), (0, 700));
    assert_eq!(fees(3, 0), (300, 0));
}

/// Places an order. Returns the numbers of balance and order leaves that changed; the counters and the signer's
/// nonces always change.
fn touched(venue: &mut Venue, line: &str) -> [usize; 2] {
    let (key, order) = crate::venue::read_order(line);
    let element = venue.sign(&key, Action::Order(order));
    let changes = venue.apply(&format!("[{element}]")).changes;
    let count = |kind: u8| changes.iter().filter(|(key, _)| key[0] == kind).count();
    let (balances, orders) = (count(2), count(4));
    assert_eq!(changes.len(), 2 + balances + orders);
    [balances, orders]
}

#[test]
fn an_order_touches_only_leaves_that_it_can_change() {
    let mut venue = Venue::funded();
    assert_eq!(touched(&mut venue, "alice sells 1 @ 100"), [1, 1], "what is locked");
    assert_eq!(touched(&mut venue, "bob buys 1 @ 90 ioc"), [0, 0], "nothing happened");
    assert_eq!(touched(&mut venue, "bob buys 0.5 @ 100"), [4, 1], "no fee, so no fee account");
    let mut venue = Venue::funded_with_fees(0, 1);
    touched(&mut venue, "alice sells 1 @ 100");
    assert_eq!(touched(&mut venue, "bob buys 0.5 @ 100"), [5, 1], "with the fee account");
}
