//! Matching: each test is a script of orders and the events and the book that follow from it.

use expect_test::{Expect, expect};

use crate::venue::Venue;

fn check(script: &str, expected: Expect) {
    let mut venue = Venue::funded();
    let mut text = String::new();
    for line in script.split(';') {
        let result = venue.order(line);
        text.push_str(&venue.describe(&result));
    }
    text.push_str(&venue.describe_book());
    expected.assert_eq(&text);
}

#[test]
fn taker_pays_each_makers_price() {
    check(
        "alice sells 2 @ 100; bob sells 3 @ 101; carol buys 4 @ 105",
        expect![[r#"
            fill alice -> carol 2 @ 100
            fill bob -> carol 2 @ 101
            ask bob 1 @ 101
        "#]],
    );
}

#[test]
fn earlier_orders_at_a_price_fill_first() {
    check(
        "alice buys 1 @ 100; bob buys 1 @ 100; carol buys 1 @ 100.5; dave sells 2.5 @ 99",
        expect![[r#"
            fill carol -> dave 1 @ 100.5
            fill alice -> dave 1 @ 100
            fill bob -> dave 0.5 @ 100
            bid bob 0.5 @ 100
        "#]],
    );
}

#[test]
fn a_partly_filled_maker_keeps_its_queue_position() {
    check(
        "alice sells 2 @ 100; bob sells 2 @ 100; carol buys 1 @ 100; dave buys 2 @ 100",
        expect![[r#"
            fill alice -> carol 1 @ 100
            fill alice -> dave 1 @ 100
            fill bob -> dave 1 @ 100
            ask bob 1 @ 100
        "#]],
    );
}

#[test]
fn the_rest_of_a_gtc_order_rests() {
    check(
        "alice sells 1 @ 100; bob buys 3 @ 100",
        expect![[r#"
            fill alice -> bob 1 @ 100
            bid bob 2 @ 100
        "#]],
    );
}

#[test]
fn the_rest_of_an_ioc_order_is_cancelled() {
    check(
        "alice sells 1 @ 100; bob buys 3 @ 100 ioc; carol buys 1 @ 50 ioc",
        expect![[r#"
            fill alice -> bob 1 @ 100
            cancel bob 2 (ioc)
            cancel carol 1 (ioc)
        "#]],
    );
}

#[test]
fn orders_that_do_not_cross_do_not_trade() {
    check(
        "alice sells 1 @ 100.5; bob buys 1 @ 100",
        expect![[r#"
            ask alice 1 @ 100.5
            bid bob 1 @ 100
        "#]],
    );
}

#[test]
fn a_post_only_order_rests_or_is_rejected() {
    check(
        "alice sells 1 @ 100; bob buys 1 @ 99.5 post_only; carol buys 1 @ 100 post_only; dave sells 1 @ 99 post_only",
        expect![[r#"
            rejected: this post-only order would trade immediately: the best ask is 100
            rejected: this post-only order would trade immediately: the best bid is 99.5
            ask alice 1 @ 100
            bid bob 1 @ 99.5
        "#]],
    );
}

#[test]
fn cancel_newest_cancels_the_rest_of_the_incoming_order() {
    check(
        "alice sells 1 @ 99; bob sells 1 @ 100; carol sells 1 @ 101; bob buys 3 @ 101",
        expect![[r#"
            fill alice -> bob 1 @ 99
            cancel bob 2 (self_trade)
            ask bob 1 @ 100
            ask carol 1 @ 101
        "#]],
    );
}

#[test]
fn cancel_oldest_cancels_own_resting_orders_and_continues() {
    check(
        "bob sells 1 @ 100; bob sells 1 @ 100; carol sells 1 @ 101; bob buys 2 @ 101 cancel_oldest",
        expect![[r#"
            cancel bob 1 (self_trade)
            cancel bob 1 (self_trade)
            fill carol -> bob 1 @ 101
            bid bob 1 @ 101
        "#]],
    );
}

#[test]
fn cancel_both_cancels_the_first_own_order_and_the_rest() {
    check(
        "bob sells 1 @ 100; bob sells 1 @ 100; bob buys 2 @ 101 cancel_both",
        expect![[r#"
            cancel bob 1 (self_trade)
            cancel bob 2 (self_trade)
            ask bob 1 @ 100
        "#]],
    );
}

#[test]
fn a_buyer_pays_the_makers_price_and_not_its_limit() {
    let mut venue = Venue::funded();
    venue.order("alice sells 2 @ 100").unwrap();
    venue.order("bob buys 3 @ 110").unwrap();
    // 2 at 100 are paid; 1 at 110 is locked.
    assert_eq!(venue.balance("bob", "USDT"), "999690 + 110");
    assert_eq!(venue.balance("bob", "ETH"), "1002 + 0");
    assert_eq!(venue.balance("alice", "ETH"), "998 + 0");
    assert_eq!(venue.balance("alice", "USDT"), "1000200 + 0");
}

#[test]
fn a_seller_receives_the_price_of_the_bid() {
    let mut venue = Venue::funded();
    venue.order("alice buys 2 @ 110").unwrap();
    venue.order("bob sells 3 @ 100").unwrap();
    assert_eq!(venue.balance("bob", "USDT"), "1000220 + 0");
    assert_eq!(venue.balance("bob", "ETH"), "997 + 1");
    assert_eq!(venue.balance("alice", "USDT"), "999780 + 0");
}
