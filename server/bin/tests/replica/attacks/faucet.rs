//! A flood of requests to the faucet, beside an honest user.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zellbook_core::SecretKey;

use super::signatures::order;
use super::{Attackers, Scene, Source, WORK_SLACK, compare, trade};
use crate::harness::{TIMEOUT, key};
use crate::raw::{address, connect_from, first_answer};

const ATTACKERS: usize = 40;
const ORDERS: usize = 100;
/// The accounts that one client may have credited at once.
const PER_ADDRESS: usize = 100;

/// Clients that have one new account after the other credited, until this is dropped.
struct Flood {
    _attackers: Attackers,
    credited: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Flood {
    async fn start(scene: &Scene) -> Self {
        let to = address(&scene.replica);
        let next = Arc::new(AtomicU32::new(1));
        let credited = Arc::new(AtomicUsize::new(0));
        let refused = Arc::new(AtomicUsize::new(0));
        let attackers = Attackers::new();
        for attacker in 0..ATTACKERS {
            let next = Arc::clone(&next);
            let (credited, refused) = (Arc::clone(&credited), Arc::clone(&refused));
            attackers.spawn(async move {
                loop {
                    let mut bytes = [0xFA; 32];
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    bytes[28..].copy_from_slice(&number.to_be_bytes());
                    let account = SecretKey::from_bytes(&bytes).unwrap().public_key().to_string();
                    match ask(to, Source::Many.address(attacker), &account).await {
                        Ok(Some(202)) => credited.fetch_add(1, Ordering::Relaxed),
                        Ok(Some(429)) => refused.fetch_add(1, Ordering::Relaxed),
                        _ => 0,
                    };
                }
            });
        }
        Self { _attackers: attackers, credited, refused }
    }
}

/// Asks for test tokens, and returns the status of the response.
async fn ask(
    to: std::net::SocketAddr,
    source: [u8; 4],
    account: &str,
) -> std::io::Result<Option<u16>> {
    let body = json!({ "account": account }).to_string();
    let mut stream = connect_from(source, to).await?;
    let request = format!(
        "POST /v1/faucet HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(first_answer(&String::from_utf8_lossy(&text)).map(|answer| answer.status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_faucet_requests_delays_no_orders_and_others_are_credited() {
    let name = "requests to the faucet without end, 20 addresses";
    let scene = async || Scene::start(&[]).await;
    let check = async |scene: &Scene, flood: &Flood| {
        trade(scene).await;
        // A new user comes from another address than the flood.
        let started = Instant::now();
        scene.replica.fund(&[key(2).public_key()]).await;
        println!("{name}: a new user is credited after {:.1?}", started.elapsed());
        let sold = scene.replica.order(&key(2), "sell 1 ETH/USDT @ 2000").await;
        assert_eq!(sold["status"], "applied", "{sold}");
        // In the end each address has used up what it may.
        let started = Instant::now();
        while flood.refused.load(Ordering::Relaxed) == 0 {
            assert!(started.elapsed() < TIMEOUT, "the flood has no end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let credited = flood.credited.load(Ordering::Relaxed);
        println!("{name}: {credited} accounts credited");
        assert!(credited <= 20 * (PER_ADDRESS + 5), "{credited} accounts credited");
    };
    compare(name, (ORDERS, WORK_SLACK), scene, order, Flood::start, check).await;
}
