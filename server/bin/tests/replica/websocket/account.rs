//! Tests of the account channel: it sends what changed, all of it, once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use zellbook_core::protocol::{KeyGrant, OrderRef};
use zellbook_core::types::SelfTrade;
use zellbook_core::{Action, Order, SecretKey, Side, TimeInForce};

use super::Client;
use crate::harness::{Replica, key, now_ms, number, order};

/// The bounds of the lists in `GET /v1/accounts/{account}`, with the names of the numbers that they are sorted by.
const LISTS: [(&str, &str, usize); 3] =
    [("past_orders", "id", 50), ("fills", "id", 100), ("withdrawals", "number", 50)];

/// Applies a change as docs/api.md tells a client to.
fn apply(account: &mut Value, change: &Value) {
    let entries = |name: &str| change[name].as_array().cloned().unwrap_or_default();
    for name in ["batch", "certified_batch"] {
        account[name] = change[name].clone();
    }
    for new in entries("balances") {
        let balances = account["balances"].as_array_mut().unwrap();
        *balances.iter_mut().find(|old| old["token"] == new["token"]).unwrap() = new.clone();
    }
    let changed = [entries("open_orders"), entries("past_orders")].concat();
    let open = account["open_orders"].as_array_mut().unwrap();
    open.retain(|old| changed.iter().all(|new| new["id"] != old["id"]));
    open.extend(entries("open_orders"));
    open.sort_by_key(|order| std::cmp::Reverse(number(&order["id"])));
    for (name, id, length) in LISTS {
        let list = account[name].as_array_mut().unwrap();
        list.extend(entries(name));
        list.sort_by_key(|entry| std::cmp::Reverse(number(&entry[id])));
        if list.len() > length {
            list.truncate(length);
            account["more"][name] = json!(true);
        }
    }
    let (new, ended) = (entries("session_keys"), entries("ended_session_keys"));
    let keys = account["session_keys"].as_array_mut().unwrap();
    keys.retain(|old| {
        new.iter().all(|new| new["key"] != old["key"]) && ended.iter().all(|end| *end != old["key"])
    });
    keys.extend(new);
    keys.sort_by_key(|entry| entry["key"].to_string());
    if let Some(switch) = change.get("switch_ms") {
        account["switch_ms"] = switch.clone();
    }
    certify(account);
}

/// Marks the withdrawals that are certified by now.
fn certify(account: &mut Value) {
    let certified = account["certified_batch"].as_str().map_or(0, |batch| batch.parse().unwrap());
    for withdrawal in account["withdrawals"].as_array_mut().unwrap() {
        withdrawal["certified"] = json!(number(&withdrawal["batch"]) <= certified);
    }
}

/// A follower of an account, with the account as it was after each batch that changed it.
struct Follower {
    messages: UnboundedReceiver<Value>,
    number: u64,
    states: BTreeMap<u64, Value>,
    fills: usize,
}

impl Follower {
    async fn start(replica: &Replica, account: &SecretKey) -> Self {
        let mut socket = Client::connect(replica).await;
        let account = account.public_key().to_string();
        socket.send(json!({"op": "subscribe", "channel": "account", "account": account})).await;
        let snapshot = socket.next("account").await;
        assert_eq!((&snapshot["type"], &snapshot["number"]), (&json!("snapshot"), &json!("0")));
        let state = snapshot["data"].clone();
        let states = BTreeMap::from([(number(&state["batch"]), state)]);
        Self { messages: socket.read_on(), number: 0, states, fills: 0 }
    }

    /// Reads changes until one is of this batch or a later one, and complete.
    async fn read_until(&mut self, batch: u64) {
        loop {
            let message = self.messages.recv().await.unwrap();
            self.number += 1;
            assert_eq!(message["type"], "change");
            assert_eq!(number(&message["number"]), self.number);
            let change = &message["data"];
            let mut state = self.states.values().next_back().unwrap().clone();
            apply(&mut state, change);
            self.fills += change["fills"].as_array().map_or(0, Vec::len);
            let at = number(&change["batch"]);
            self.states.insert(at, state);
            if at >= batch && change["continues"] != true {
                return;
            }
        }
    }

    /// Compares with what `GET` said: it includes all changes up to its batch, and no others.
    fn check(&self, fetched: &Value) {
        let batch = number(&fetched["batch"]);
        let (_, state) = self.states.range(..=batch).next_back().unwrap();
        let mut state = state.clone();
        // Other accounts' batches and the attestations go on while this account does not change.
        for name in ["batch", "certified_batch"] {
            state[name] = fetched[name].clone();
        }
        certify(&mut state);
        assert_eq!(state, *fetched, "at batch {batch}");
    }
}

/// Numbers that look random and follow from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn order(&mut self) -> Order {
        let kinds = [TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Gtd, TimeInForce::Ioc];
        let time_in_force = kinds[usize::try_from(self.below(4)).unwrap()];
        let policies = [SelfTrade::CancelNewest, SelfTrade::CancelOldest];
        Order {
            market: "ETH/USDT".into(),
            side: if self.below(2) == 0 { Side::Buy } else { Side::Sell },
            quantity: format!("0.{:02}", 1 + self.below(9)).parse().unwrap(),
            price: (1998 + self.below(5)).to_string().parse().unwrap(),
            time_in_force,
            // Some are due at once, some during the test, some after it.
            expires: (time_in_force == TimeInForce::Gtd).then(|| {
                now_ms() + [500, 3000, 3_600_000][usize::try_from(self.below(3)).unwrap()]
            }),
            self_trade: policies[usize::try_from(self.below(2)).unwrap()],
            client_id: None,
        }
    }

    /// An action of an account that was last in this state.
    fn action(&mut self, account: &Value, other: &SecretKey) -> Action {
        // The last digit is no zero, which a canonical number does not end with.
        let amount = |number: u64| format!("0.{:03}", number * 10 + 1).parse().unwrap();
        let open = account["open_orders"].as_array().unwrap();
        let target = match open.len() {
            0 => OrderRef::Id(u64::MAX),
            length => {
                let position = self.below(u64::try_from(length).unwrap());
                OrderRef::Id(number(&open[usize::try_from(position).unwrap()]["id"]))
            }
        };
        let session = key(u8::try_from(100 + self.below(3)).unwrap()).public_key();
        match self.below(20) {
            0 | 1 => Action::Cancel(target),
            2 => Action::CancelAll { market: None },
            3 | 4 => Action::Replace { target, order: self.order() },
            5 => Action::Transfer {
                token: "ETH".into(),
                to: other.public_key(),
                amount: amount(self.below(9)),
            },
            6 => Action::Withdraw {
                token: "USDT".into(),
                amount: amount(self.below(9)),
                destination: "eth:0xabc".into(),
            },
            7 => Action::AuthorizeKey(KeyGrant {
                key: session,
                expires: now_ms() + [1500, 3_600_000][usize::try_from(self.below(2)).unwrap()],
                market: None,
                spend: None,
            }),
            8 => Action::RevokeKey { key: session },
            9 => Action::CancelAllAfter {
                time: [0, now_ms() + 1500, now_ms() + 3_600_000]
                    [usize::try_from(self.below(3)).unwrap()],
            },
            _ => Action::Order(self.order()),
        }
    }
}

#[tokio::test]
async fn a_snapshot_and_its_changes_give_what_a_request_gives_after_every_batch() {
    // Another history each time. To repeat one, put the seed of its output here.
    let seed = now_ms();
    println!("seed {seed}");
    let mut random = Random(seed);
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    // A replica attests only while it follows the sequencer, and only attestations move the exchange's time.
    replica.ready().await;
    let traders = [key(1), key(2)];
    replica.fund(&traders.each_ref().map(SecretKey::public_key)).await;
    let mut followers = Vec::new();
    for trader in &traders {
        followers.push((trader, Follower::start(&replica, trader).await));
    }
    let mut fetched: [Vec<Value>; 2] = [Vec::new(), Vec::new()];
    let mut states = [replica.account(&traders[0]).await, replica.account(&traders[1]).await];
    let mut round = 0;
    // At least this long, and until there are more past orders than a snapshot lists.
    while round < 40 || states.iter().any(|state| state["more"]["past_orders"] == false) {
        assert!(round < 400, "the lists are never full: {states:?}");
        let mut batch = Vec::new();
        for _ in 0..=random.below(12) {
            let side = usize::try_from(random.below(2)).unwrap();
            let action = random.action(&states[side], &traders[1 - side]);
            batch.push(replica.sign(&traders[side], action).0);
        }
        // What the committed state would reject is refused. The rest makes the history.
        let accepted = replica.submit_all(&batch).await;
        // Not each time: several commits, or several batches of one commit, come between two requests.
        if random.below(3) > 0
            && let Some(last) = accepted.last()
        {
            replica.outcome(last).await;
        }
        for (side, trader) in traders.iter().enumerate() {
            states[side] = replica.account(trader).await;
            fetched[side].push(states[side].clone());
        }
        // Late followers start from a later snapshot.
        if round == 20 {
            for trader in &traders {
                followers.push((trader, Follower::start(&replica, trader).await));
            }
        }
        round += 1;
    }
    // A change of both accounts, after which all earlier ones have arrived.
    let (token, amount) = ("ETH".into(), "0.5".parse().unwrap());
    let transfer = Action::Transfer { token, to: traders[1].public_key(), amount };
    let done = replica.perform(&traders[0], transfer).await;
    assert_eq!(done["status"], "applied", "{done}");
    for (trader, follower) in &mut followers {
        follower.read_until(number(&done["batch"])).await;
        let start = *follower.states.keys().next().unwrap();
        let side = usize::from(trader.public_key() == traders[1].public_key());
        for answer in fetched[side].iter().filter(|answer| number(&answer["batch"]) >= start) {
            follower.check(answer);
        }
    }
    assert!(!states[0]["fills"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn all_fills_of_a_batch_are_sent() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (maker, taker) = (key(1), key(2));
    replica.fund(&[maker.public_key(), taker.public_key()]).await;
    let mut orders = Vec::new();
    // An account has at most 200 open orders in this genesis.
    for _ in 0..200 {
        orders.push(replica.sign_order(&maker, "sell 0.01 ETH/USDT @ 2000").0);
    }
    let accepted = replica.submit_all(&orders).await;
    assert_eq!(accepted.len(), 200);
    for hash in &accepted {
        assert_eq!(replica.outcome(hash).await["status"], "applied");
    }
    let mut followers =
        [Follower::start(&replica, &maker).await, Follower::start(&replica, &taker).await];
    let mut fills = 0;
    let mut batch = 0;
    while fills < 200 {
        // Genesis may bound how many orders one taker meets.
        let taken = replica.order(&taker, "buy 2 ETH/USDT @ 2000 ioc").await;
        assert_eq!(taken["status"], "applied", "{taken}");
        let account = replica.account(&maker).await;
        fills = 200 - account["open_orders"].as_array().unwrap().len();
        batch = number(&taken["batch"]);
    }
    for (follower, key) in followers.iter_mut().zip([&maker, &taker]) {
        follower.read_until(batch).await;
        assert_eq!(follower.fills, 200);
        let account = replica.account(key).await;
        follower.check(&account);
        // The snapshot has a bound, and says that there are more.
        assert_eq!(account["fills"].as_array().unwrap().len(), 100);
        assert_eq!(account["more"]["fills"], true);
    }
}

#[tokio::test]
async fn a_rejected_transaction_and_the_attestations_change_no_account() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let mut follower = Follower::start(&replica, &alice).await;
    // The book decides this one, so it is not refused but rejected.
    let rejected = replica.order(&alice, "buy 2 ETH/USDT @ 1999 fok").await;
    assert_eq!(rejected["status"], "rejected", "{rejected}");
    let placed = replica.perform(&alice, Action::Order(order("sell 1 ETH/USDT @ 2000"))).await;
    follower.read_until(number(&placed["batch"])).await;
    assert_eq!(follower.number, 1, "{:?}", follower.states);
}
