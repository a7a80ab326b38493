//! What the exchange with the sequencer network costs: posts per transaction, and the comparison with another gateway.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use zellbook_core::SecretKey;

use crate::harness::{Given, Process, Replica, TIMEOUT, key, number};

/// The accounts whose orders make the burst. Each has a share of the outbox.
const TRADERS: u8 = 25;
/// How many bursts are made before the test fails. A machine that stands still for a second looks like a loss.
const BURSTS: usize = 3;
/// The traders that send at once.
const CLIENTS: usize = 8;
/// The orders in one request.
const ORDERS_MAX: usize = 1000;
/// The batches that are compared.
const BATCHES: u64 = 100;
/// The shortest time between two requests of the comparison.
const COMPARISON_PACE: Duration = Duration::from_millis(250);

/// The orders of the burst: few enough for every run of the tests, or as many as `ZELLBOOK_TEST_ORDERS` says.
fn orders() -> usize {
    std::env::var("ZELLBOOK_TEST_ORDERS").map_or(5000, |count| count.parse().unwrap())
}

/// Submits the burst and waits until all of it has come in. Returns how often its orders were posted again, and how many
/// copies of them are in the sequence, in percent.
async fn burst(replica: &Replica, traders: &[SecretKey]) -> (u64, u64) {
    // Signed beforehand, so that it arrives faster than it can come in.
    let mut requests = vec![Vec::new(); traders.len()];
    for round in 0..orders().div_ceil(ORDERS_MAX) {
        let trader = round % traders.len();
        let sign = |_| replica.sign_order(&traders[trader], "buy 0.01 ETH/USDT @ 100 ioc").0;
        requests[trader].push((0..ORDERS_MAX).map(sign).collect::<Vec<_>>());
    }
    let accepted = requests.iter().flatten().map(Vec::len).sum::<usize>();
    let before = counted(replica).await;
    let first = replica.batch().await + 1;
    let started = Instant::now();
    let minutes = Duration::from_secs(60) * u32::try_from(1 + accepted / 10_000).unwrap();
    let submit = async |requests: Vec<Vec<String>>| {
        let mut hashes = Vec::new();
        for orders in requests {
            // What finds no room is sent again: an account may have used up its quota.
            let of_request = loop {
                let taken = replica.submit_all(&orders).await;
                if taken.len() == orders.len() {
                    break taken;
                }
                assert!(started.elapsed() < minutes, "{}", replica.status().await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            hashes.extend(of_request);
        }
        hashes
    };
    let submitting = stream::iter(requests).map(submit).buffer_unordered(CLIENTS);
    let hashes: Vec<String> = submitting.flat_map(stream::iter).collect().await;
    let (waiting, submitted) = (number(&replica.status().await["outbox"]), started.elapsed());
    loop {
        let status = replica.status().await;
        if status["outbox"] == "0" {
            break;
        }
        assert!(started.elapsed() < submitted + minutes, "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = counted(replica).await;
    let [again, copies] = std::array::from_fn(|count| after[count] - before[count]);
    println!(
        "{accepted} orders: {again} posted again, {copies} copies in the sequence; {waiting} waited when all were submitted, after {submitted:.1?}; sequenced after {:.1?}",
        started.elapsed()
    );
    let applied = applied(replica, first..=replica.batch().await).await;
    let missing = hashes.iter().filter(|hash| !applied.contains(*hash)).count();
    assert_eq!(missing, 0, "of {accepted} orders");
    let percent = |count: u64| count * 100 / accepted as u64;
    (percent(again), percent(copies))
}

/// The hashes of the transactions that are applied in some batches.
async fn applied(replica: &Replica, batches: RangeInclusive<u64>) -> HashSet<String> {
    let mut applied = HashSet::new();
    for batch in batches {
        for from in (0..).step_by(200) {
            let path = format!("/v1/batches/{batch}/contents?from={from}&limit=200");
            let elements = replica.get(&path).await["elements"].take();
            let elements = elements.as_array().unwrap();
            if elements.is_empty() {
                break;
            }
            let has_effect = |element: &&Value| element["reject"].is_null();
            let hashes = elements
                .iter()
                .filter(has_effect)
                .map(|element| element["hash"].as_str().unwrap().into());
            applied.extend(hashes);
        }
    }
    applied
}

/// The transactions that were posted again so far, and the copies in the sequence.
async fn counted(replica: &Replica) -> [u64; 2] {
    let status = replica.status().await;
    [number(&status["posting"]["posted_again"]), number(&status["duplicates"])]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_through_the_embedded_sequencer_is_posted_once() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let traders: Vec<_> = (1..=TRADERS).map(key).collect();
    let accounts: Vec<_> = traders.iter().map(|trader| trader.public_key()).collect();
    replica.fund(&accounts).await;
    let mut bursts = Vec::new();
    while bursts.len() < BURSTS {
        let (again, copies) = burst(&replica, &traders).await;
        // Where a burst takes long to come in, a replica that cannot tell slow from lost posts all of it again.
        if again < 5 && copies < 5 {
            return;
        }
        bursts.push((again, copies));
    }
    panic!("percent of the orders posted again, and in the sequence again: {bursts:?}");
}

/// A proxy that counts the requests to read batches.
struct Counted {
    url: String,
    reads: Arc<AtomicUsize>,
}

impl Counted {
    async fn start(upstream: &Process) -> Self {
        let upstream: SocketAddr = upstream.url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let reads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reads);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let server = TcpStream::connect(upstream).await.unwrap();
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
                    let mut bytes = vec![0; 64 << 10];
                    // A request is short and waits for its response, so that it arrives alone.
                    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                        let is_read = bytes[..length].starts_with(b"GET ")
                            && bytes[..length].windows(9).any(|part| part == b"/batches/");
                        count.fetch_add(usize::from(is_read), Ordering::Relaxed);
                        if to_server.write_all(&bytes[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { url, reads }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

/// What a replica needed to follow some batches.
struct Cost {
    reads: usize,
    cpu_ms: u64,
    took: Duration,
}

async fn follow(folder: &Path, gateways: usize) -> Cost {
    let folder = TempDir::new_in(folder).unwrap();
    let data = folder.path().join("sequencer");
    let arguments = ["--data", data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let given = Given::network(&folder, &data.join("nodes.json"));
    let mut proxies = Vec::new();
    for _ in 0..gateways {
        proxies.push(Counted::start(&sequencer).await);
    }
    let mut arguments = given.arguments();
    arguments.extend(proxies.iter().flat_map(|proxy| ["--gateway", proxy.url.as_str()]));
    let replica = Replica::start(&folder, "data", &arguments).await;
    replica.fund(&[key(1).public_key()]).await;
    let reads = || proxies.iter().map(Counted::reads).sum::<usize>();
    let (cpu, before, started) = (replica.process.cpu_ms(), reads(), Instant::now());
    let first = replica.batch().await;
    while replica.batch().await < first + BATCHES {
        replica.order(&key(1), "sell 0.01 ETH/USDT @ 2000 ioc").await;
        assert!(started.elapsed() < TIMEOUT, "{}", replica.status().await);
    }
    if gateways > 1 {
        let last = replica.batch().await;
        let compared = |status: &serde_json::Value| {
            status["compared_batch"].is_string() && number(&status["compared_batch"]) >= last
        };
        replica.until("/v1/status", compared).await;
    }
    let (reads, cpu_ms) = (reads() - before, replica.process.cpu_ms() - cpu);
    Cost { reads, cpu_ms, took: started.elapsed() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_comparison_with_another_gateway_costs_little() {
    let folder = TempDir::new().unwrap();
    let alone = follow(folder.path(), 1).await;
    let compared = follow(folder.path(), 2).await;
    for (name, cost) in [("one gateway", &alone), ("two gateways", &compared)] {
        println!(
            "{BATCHES} batches, {name}: {} reads, {} ms of CPU, {:.1?}",
            cost.reads, cost.cpu_ms, cost.took
        );
    }
    assert!(alone.reads > 0 && compared.reads > 0);
    // What the faster of two runs reads less while it waits is the same for both.
    let periods = compared.took.as_millis() / COMPARISON_PACE.as_millis();
    let more = compared.reads.saturating_sub(alone.reads);
    let most = usize::try_from(periods).unwrap() + alone.reads / 2 + 10;
    assert!(more <= most, "{more} more reads in {periods} periods");
    // The proxy and the test use the same processors, but their time is not the replica's.
    assert!(compared.cpu_ms <= 2 * alone.cpu_ms + 500, "{} ms", compared.cpu_ms);
}
