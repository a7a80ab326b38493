//! Tests of who is posted first: accounts take turns, urgent transactions go first, and no nonce becomes too old.

use std::time::Duration;

use tokio::time::sleep;
use zellbook_core::protocol::OrderRef;
use zellbook_core::types::SelfTrade;
use zellbook_core::wire::Stage;
use zellbook_core::{
    Action, Decimal, Order, SecretKey, Side, SignedTransaction, TimeInForce, Transaction,
    TransactionHash,
};
use zellular::client::GatewayError;

use super::quotas::{ENTRIES_MAX, NoRoom, Quotas};
use super::tests::{Bench, key};
use super::*;

const CLOCK_MS: u64 = 1_000_000;

fn order(client_id: &str) -> Action {
    Action::Order(Order {
        market: "ETH/USDT".into(),
        side: Side::Sell,
        quantity: Decimal::parse("1").unwrap(),
        price: Decimal::parse("2000").unwrap(),
        time_in_force: TimeInForce::Gtc,
        expires: None,
        self_trade: SelfTrade::CancelNewest,
        client_id: Some(client_id.into()),
    })
}

fn sign(rules: &Rules, key: &SecretKey, nonce: u64, action: Action) -> SignedTransaction {
    let account = key.public_key();
    let transaction = Transaction { account, signer: None, nonce, valid_until: None, action };
    transaction.sign(&rules.network, key)
}

async fn send(bench: &Bench, signed: SignedTransaction) -> Result<Hash, SubmitError> {
    let json = signed.to_json();
    let checked = check_element(&bench.rules, &json).unwrap();
    bench.outbox.submit(&checked, json).await?;
    Ok(checked.hash.0)
}

/// Who posted what, in order: the number of the key and the nonce.
fn posted(bench: &Bench) -> Vec<(u8, u64)> {
    let keys: Vec<String> = (3..30).map(|seed| key(seed).public_key().to_string()).collect();
    let mut posted = Vec::new();
    for body in bench.network.bodies() {
        let elements: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
        for element in elements {
            let account = element["account"].as_str().unwrap();
            let seed = 3 + keys.iter().position(|key| key == account).unwrap();
            let nonce = element["nonce"].as_str().unwrap().parse().unwrap();
            posted.push((u8::try_from(seed).unwrap(), nonce));
        }
    }
    posted
}

/// Posting fails until all that a test submits is in the outbox.
fn fail_first(bench: &Bench) {
    bench.network.fail([GatewayError::NoGateway]);
}

#[tokio::test(start_paused = true)]
async fn accounts_take_turns_and_urgent_transactions_go_first() {
    let bench = Bench::new();
    fail_first(&bench);
    for nonce in 1..=40 {
        send(&bench, sign(&bench.rules, &key(3), nonce, order(&nonce.to_string()))).await.unwrap();
    }
    for nonce in 1..=3 {
        send(&bench, sign(&bench.rules, &key(4), nonce, order(&nonce.to_string()))).await.unwrap();
    }
    let cancel = Action::Cancel(OrderRef::Id(7));
    send(&bench, sign(&bench.rules, &key(5), 1, cancel)).await.unwrap();
    let switch = Action::CancelAllAfter { time: CLOCK_MS + 10_000 };
    send(&bench, sign(&bench.rules, &key(3), 41, switch)).await.unwrap();
    sleep(Duration::from_millis(1000)).await;
    let posted = posted(&bench);
    let turns = [(3, 1), (4, 1), (3, 2), (4, 2), (3, 3), (4, 3), (3, 4)];
    assert_eq!(posted[..2], [(5, 1), (3, 41)]);
    assert_eq!(posted[2..9], turns);
    assert_eq!(posted.len(), 45);
}

#[tokio::test(start_paused = true)]
async fn more_session_keys_bring_an_account_no_more_turns() {
    let bench = Bench::new();
    fail_first(&bench);
    for nonce in 1..=10 {
        for session in [9, 10, 11, 12] {
            let transaction = Transaction {
                account: key(3).public_key(),
                signer: Some(key(session).public_key()),
                nonce: u64::from(session) * 100 + nonce,
                valid_until: None,
                action: order(&format!("{session}-{nonce}")),
            };
            send(&bench, transaction.sign(&bench.rules.network, &key(session))).await.unwrap();
        }
    }
    for nonce in 1..=10 {
        send(&bench, sign(&bench.rules, &key(4), nonce, order(&nonce.to_string()))).await.unwrap();
    }
    sleep(Duration::from_millis(1000)).await;
    let posted = posted(&bench);
    let turns: Vec<u8> = posted.iter().map(|(account, _)| *account).take(20).collect();
    assert_eq!(turns, [3, 4].repeat(10));
    let of_first: Vec<u64> =
        posted.iter().filter(|(account, _)| *account == 3).map(|(_, nonce)| *nonce).collect();
    assert_eq!(of_first[..6], [901, 1001, 1101, 1201, 902, 1002], "its keys take turns too");
    assert_eq!(posted.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_does_not_overtake_the_order_that_it_is_meant_for() {
    let bench = Bench::new();
    fail_first(&bench);
    let mut hashes = Vec::new();
    for nonce in 1..=4 {
        let signed = sign(&bench.rules, &key(3), nonce, order(&nonce.to_string()));
        hashes.push(send(&bench, signed).await.unwrap());
    }
    let by_hash = Action::Cancel(OrderRef::Transaction(TransactionHash(hashes[2])));
    let by_client_id = Action::Cancel(OrderRef::ClientId("1".into()));
    let all = Action::CancelAll { market: None };
    let unknown = Action::Cancel(OrderRef::ClientId("other".into()));
    for (nonce, action) in (11..).zip([by_hash, by_client_id, all, unknown]) {
        send(&bench, sign(&bench.rules, &key(3), nonce, action)).await.unwrap();
    }
    // Another account's transactions do not delay these.
    let foreign = Action::Cancel(OrderRef::ClientId("1".into()));
    send(&bench, sign(&bench.rules, &key(4), 1, foreign)).await.unwrap();
    sleep(Duration::from_millis(1000)).await;
    let nonces = |seed| {
        let posted = posted(&bench).into_iter().filter(move |(of, _)| *of == seed);
        posted.map(|(_, nonce)| nonce).collect::<Vec<_>>()
    };
    assert_eq!(posted(&bench)[..2], [(3, 14), (4, 1)], "these are meant for no pending order");
    assert_eq!(nonces(3), [14, 1, 12, 2, 3, 11, 4, 13]);
}

#[tokio::test(start_paused = true)]
async fn a_session_key_does_not_overtake_its_permission() {
    let bench = Bench::new();
    fail_first(&bench);
    for nonce in 1..=3 {
        send(&bench, sign(&bench.rules, &key(3), nonce, order(&nonce.to_string()))).await.unwrap();
    }
    let grant = zellbook_core::protocol::KeyGrant {
        key: key(9).public_key(),
        expires: CLOCK_MS + 1_000_000,
        market: None,
        spend: None,
    };
    send(&bench, sign(&bench.rules, &key(3), 4, Action::AuthorizeKey(grant))).await.unwrap();
    let transaction = Transaction {
        account: key(3).public_key(),
        signer: Some(key(9).public_key()),
        nonce: 100,
        valid_until: None,
        action: order("session"),
    };
    send(&bench, transaction.sign(&bench.rules.network, &key(9))).await.unwrap();
    sleep(Duration::from_millis(1000)).await;
    assert_eq!(posted(&bench), [(3, 1), (3, 2), (3, 3), (3, 4), (3, 100)]);
}

#[tokio::test(start_paused = true)]
async fn of_one_key_no_more_is_in_flight_than_its_nonce_window_holds() {
    let bench = Bench::new();
    let mut hashes = Vec::new();
    for nonce in 1..=200 {
        let signed = sign(&bench.rules, &key(3), nonce, order(&nonce.to_string()));
        hashes.push(send(&bench, signed).await.unwrap());
    }
    sleep(Duration::from_millis(500)).await;
    let nonces = |bench| posted(bench).into_iter().map(|(_, nonce)| nonce).collect::<Vec<_>>();
    assert_eq!(nonces(&bench), (1..=48).collect::<Vec<_>>());
    // All but the first come in. If it is posted again, 64 higher nonces would make it too old.
    bench.outbox.finalized(hashes[1..48].iter().copied());
    bench.outbox.applied(hashes[1..48].iter().copied());
    sleep(Duration::from_millis(500)).await;
    assert_eq!(nonces(&bench).len(), 48, "the window has not moved");
    // An urgent one may still go.
    let switch = Action::CancelAllAfter { time: CLOCK_MS + 10_000 };
    send(&bench, sign(&bench.rules, &key(3), 1000, switch)).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(nonces(&bench).last(), Some(&1000));
    bench.outbox.finalized([hashes[0]]);
    bench.outbox.applied([hashes[0]]);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(nonces(&bench).len(), 49 + 47, "the urgent one counts above the lowest");
    let mut next: usize = 48;
    while bench.outbox.waiting() > 1 {
        let known = nonces(&bench).into_iter().filter(|nonce| *nonce <= 200).max().unwrap();
        let known = usize::try_from(known).unwrap();
        assert!(known > next && known <= next + 64, "{next} {known}");
        bench.outbox.finalized(hashes[next..known].iter().copied());
        bench.outbox.applied(hashes[next..known].iter().copied());
        next = known;
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(nonces(&bench).len(), 201);
}

#[tokio::test(start_paused = true)]
async fn nonces_that_arrive_in_descending_order_are_all_posted() {
    let bench = Bench::new();
    fail_first(&bench);
    let mut hashes = std::collections::BTreeMap::new();
    for nonce in (1..=150).rev() {
        let signed = sign(&bench.rules, &key(3), nonce, order(&nonce.to_string()));
        hashes.insert(nonce, send(&bench, signed).await.unwrap());
    }
    let mut seen = Vec::new();
    while bench.outbox.waiting() > 0 {
        sleep(Duration::from_millis(300)).await;
        let all: Vec<u64> = posted(&bench).into_iter().map(|(_, nonce)| nonce).collect();
        let new = &all[seen.len()..];
        assert!(!new.is_empty(), "{all:?}");
        for nonce in new {
            let above = seen.iter().filter(|seen| *seen > nonce).count();
            assert!(above < 64, "{nonce} would be too old");
            seen.push(*nonce);
            bench.outbox.finalized([hashes[nonce]]);
            bench.outbox.applied([hashes[nonce]]);
        }
    }
    assert_eq!(seen.len(), 150);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_not_overtaken_by_the_bodies_behind_it() {
    let bench = Bench::new();
    bench.network.fail([GatewayError::NoGateway, GatewayError::BatchTooLarge]);
    for nonce in 1..=40 {
        send(&bench, sign(&bench.rules, &key(3), nonce, order(&nonce.to_string()))).await.unwrap();
    }
    sleep(Duration::from_millis(2000)).await;
    let nonces: Vec<u64> = posted(&bench).into_iter().map(|(_, nonce)| nonce).collect();
    assert_eq!(nonces, (1..=40).collect::<Vec<_>>());
}

#[test]
fn one_account_cannot_fill_the_outbox_and_can_still_cancel() {
    let mut quotas = Quotas::default();
    let keys: Vec<_> = (3..103).map(|seed| key(seed).public_key()).collect();
    let mut fill = |key: &PublicKey| {
        let mut count = 0;
        while quotas.check(key, false, 400).is_ok() {
            quotas.take(*key, false, 400);
            count += 1;
        }
        let cancel = quotas.check(key, true, 400);
        (count, quotas.check(key, false, 400), cancel)
    };
    // A twentieth of what is left, and of that only nine tenths are for orders.
    let mut last = ENTRIES_MAX / 20;
    for (number, key) in keys.iter().enumerate() {
        let (count, order, cancel) = fill(key);
        assert_eq!((order, cancel), (Err(NoRoom::Quota), Ok(())), "key {number}");
        // Many keys leave less and less to each other, but never nothing for one more.
        assert!(count <= last && count > 0, "key {number}: {count} after {last}");
        assert!(number > 0 || count > 4000, "{count}");
        last = count;
    }
    let (limit, remaining) = quotas.limit(&keys[0], false);
    assert!(limit > 0 && remaining == 0);
    quotas.give_back(&keys[1], false, 400);
    assert!(quotas.limit(&keys[1], false).0 >= limit);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_has_used_up_its_quota_is_told_so() {
    let bench = Bench::new();
    let sender = key(3).public_key();
    let checked =
        check_element(&bench.rules, &sign(&bench.rules, &key(3), 1, order("1")).to_json());
    let mut checked = checked.unwrap();
    let before = bench.outbox.allowance(&sender);
    let refused = (0_u64..).find_map(|number| {
        checked.hash.0[..8].copy_from_slice(&number.to_be_bytes());
        bench.outbox.enqueue(&checked, "1".repeat(400)).err().map(|error| (number, error))
    });
    let (count, SubmitError::Quota(allowance)) = refused.unwrap() else { panic!("{refused:?}") };
    assert!(usize::try_from(count).unwrap() <= before.limit && count > 4000, "{count} {before:?}");
    assert_eq!((allowance.remaining, allowance.reset_s), (0, 5));
    assert_eq!(bench.outbox.allowance(&sender).remaining, 0);
    // A session key has no quota of its own beside that of its account.
    checked.hash.0[8] ^= 1;
    checked.signer = key(4).public_key();
    let of_session_key = bench.outbox.enqueue(&checked, "1".repeat(400));
    assert!(matches!(of_session_key, Err(SubmitError::Quota(_))));
    assert!(bench.outbox.allowance(&key(4).public_key()).remaining > 4000);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_posted_expires_by_the_replicas_clock() {
    let bench = Bench::new();
    bench.network.fail((0..4).map(|_| GatewayError::NoGateway));
    let until = CLOCK_MS + 1500;
    let never = bench.submit(1, Some(until)).await;
    let good = bench.submit(2, None).await;
    sleep(Duration::from_millis(1400)).await;
    assert_eq!(bench.stage(&never), Some(Stage::Received));
    // After so many failures, it waits for the exchange's time too, which nobody moves here.
    sleep(Duration::from_millis(30_000)).await;
    assert_eq!(bench.stage(&good), Some(Stage::Posted));
    let posted = posted(&bench);
    assert!(posted.iter().all(|of| *of == (3, 2)), "it is dropped before it is posted: {posted:?}");
    assert_eq!(
        bench.stage(&never),
        Some(Stage::Received),
        "a gateway may have it: the call failed"
    );
    let bench = Bench::new();
    bench.network.fail((0..4).map(|_| GatewayError::NoGateway));
    bench.submit(1, None).await;
    sleep(Duration::from_millis(100)).await;
    // Posting waits after the failure, so this one is never handed to a gateway.
    let never = bench.submit(2, Some(CLOCK_MS + 150)).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.stage(&never), Some(Stage::Expired));
    assert_eq!(bench.outbox.progress(&never).unwrap().posts, 0);
    assert_eq!((bench.outbox.waiting(), bench.outbox.posting().expired), (1, "1".into()));
    let bench = bench.restart().await;
    assert_eq!(bench.stage(&never), Some(Stage::Expired), "its end survives a restart");
}

#[tokio::test(start_paused = true)]
async fn what_was_posted_is_not_posted_again_past_its_expiry_and_stays_posted() {
    let bench = Bench::new();
    let until = CLOCK_MS + 1500;
    let hash = bench.submit(1, Some(until)).await;
    sleep(Duration::from_millis(60_000)).await;
    assert_eq!(bench.stage(&hash), Some(Stage::Posted), "it may still come in");
    assert_eq!(posted(&bench).len(), 1);
    bench.set_time(until);
    sleep(Duration::from_millis(2000)).await;
    assert_eq!(bench.stage(&hash), Some(Stage::Expired));
}
