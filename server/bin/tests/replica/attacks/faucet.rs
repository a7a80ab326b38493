//! Many requests to the faucet, beside an honest user.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zellbook_core::SecretKey;

use super::signatures::order;
use super::{Attackers, Scene, Source, WORK_SLACK, compare, trade};
use crate::harness::{TIMEOUT, key};
use crate::raw::{Answer, address, connect_from, first_answer};

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
                        Ok(Some(Answer { status: 202, .. })) => {
                            credited.fetch_add(1, Ordering::Relaxed)
                        }
                        Ok(Some(Answer { status: 429, .. })) => {
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        _ => 0,
                    };
                }
            });
        }
        Self { _attackers: attackers, credited, refused }
    }
}

/// Asks for test tokens.
async fn ask(
    to: std::net::SocketAddr,
    source: [u8; 4],
    account: &str,
) -> std::io::Result<Option<Answer>> {
    let body = json!({ "account": account }).to_string();
    let mut stream = connect_from(source, to).await?;
    let request = format!(
        "POST /v1/faucet HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(first_answer(&String::from_utf8_lossy(&text)))
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

/// The accounts of a class that begins.
const CLASS: u8 = 50;

/// Has all accounts of a class credited at once.
struct Class {
    _attackers: Attackers,
    answers: Arc<Mutex<Vec<Option<Answer>>>>,
}

impl Class {
    async fn start(scene: &Scene) -> Self {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let attackers = Attackers::new();
        for account in (0..CLASS).map(|number| key(100 + number).public_key().to_string()) {
            let (to, answers) = (address(&scene.replica), Arc::clone(&answers));
            attackers.spawn(async move {
                // All behind one address.
                let answer = ask(to, Source::One.address(0), &account).await;
                answers.lock().unwrap().push(answer.ok().flatten());
            });
        }
        Self { _attackers: attackers, answers }
    }

    async fn check(scene: &Scene, class: &Self) {
        let replica = &scene.replica;
        let started = Instant::now();
        while class.answers.lock().unwrap().len() < CLASS.into() {
            assert!(started.elapsed() < TIMEOUT, "not all are answered");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut hashes = Vec::new();
        for answer in class.answers.lock().unwrap().iter() {
            let answer = answer.as_ref().expect("every connection is answered");
            assert_eq!(answer.status, 202, "{answer:?}");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            let entries = body["transactions"].as_array().unwrap();
            hashes.extend(entries.iter().map(|entry| entry["hash"].as_str().unwrap().to_string()));
        }
        assert!(hashes.len() >= 2 * usize::from(CLASS), "{}", hashes.len());
        for hash in &hashes {
            let outcome = replica.outcome(hash).await;
            assert_eq!(outcome["status"], "applied", "{outcome}");
        }
        let again = json!({ "account": key(100).public_key().to_string() }).to_string();
        let (status, answer) = replica.request(Method::POST, "/v1/faucet", &again).await;
        // If a new hour starts during the test, the account is rightly credited again.
        assert!(matches!(status.as_u16(), 429 | 202), "{status} {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_faucet_credits_fifty_accounts_at_once_and_delays_no_orders() {
    let name = "50 requests to the faucet at once";
    let scene = async || Scene::start(&[]).await;
    compare(name, (ORDERS, WORK_SLACK), scene, order, Class::start, Class::check).await;
}
