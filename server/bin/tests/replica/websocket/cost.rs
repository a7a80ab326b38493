//! What many followers of one account cost.

use std::net::Ipv4Addr;

use serde_json::json;
use tempfile::TempDir;

use super::Client;
use crate::harness::{Replica, key, number};

/// As many as a replica accepts, from four addresses.
const FOLLOWERS: u8 = 128;
const ADDRESSES: u8 = 4;
const TRANSACTIONS: usize = 17;

#[tokio::test]
async fn a_commit_costs_its_followers_what_changed() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let lines = (0..190).map(|tick| format!("sell 0.01 ETH/USDT @ {}", 2000 + tick));
    let orders: Vec<String> = lines.map(|line| replica.sign_order(&alice, &line).0).collect();
    let (first, rest) = orders.split_at(100);
    replica.submit_all(first).await;
    replica.submit_all(rest).await;
    let path = format!("/v1/accounts/{}", alice.public_key());
    replica
        .until(&path, |account| account["open_orders"].as_array().is_some_and(|it| it.len() == 190))
        .await;
    let mut followers = Vec::new();
    let mut snapshot = 0;
    for address in 1..=ADDRESSES {
        for _ in 0..FOLLOWERS {
            let from = Ipv4Addr::new(127, 0, 0, address);
            let mut socket = Client::connect_from(&replica, from).await.unwrap();
            let account = alice.public_key().to_string();
            socket.send(json!({"op": "subscribe", "channel": "account", "account": account})).await;
            snapshot = socket.next("account").await.to_string().len();
            followers.push(socket.read_on());
        }
    }
    let cpu = replica.process.cpu_ms();
    let mut batch = 0;
    for tick in 0..TRANSACTIONS {
        // Nothing is for sale at this price, so that the number of open orders stays.
        let line = format!("buy 0.01 ETH/USDT @ {} ioc", 1000 + tick);
        let placed = replica.order(&alice, &line).await;
        assert_eq!(placed["status"], "applied", "{placed}");
        batch = number(&placed["batch"]);
    }
    let mut sizes = Vec::new();
    for messages in &mut followers {
        let mut bytes = 0;
        loop {
            let change = messages.recv().await.unwrap();
            bytes += change.to_string().len();
            if number(&change["data"]["batch"]) >= batch {
                break;
            }
        }
        sizes.push(bytes);
    }
    let all: usize = sizes.iter().sum();
    println!(
        "{} followers of an account with 190 orders, {TRANSACTIONS} transactions: {all} bytes, {} ms of the replica's CPU",
        followers.len(),
        replica.process.cpu_ms() - cpu,
    );
    for bytes in sizes {
        // All changes together are smaller than one snapshot of the account.
        assert!(bytes < snapshot / 2, "{bytes} bytes of changes, {snapshot} of a snapshot");
    }
}
