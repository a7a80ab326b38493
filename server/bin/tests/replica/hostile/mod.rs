//! Tests of hostile nodes over real sockets. Whatever a gateway sends, the replica stays up within bounds of
//! memory and time, applies only proven batches, and follows again once an honest gateway responds.

mod attacks;
mod captured;
pub mod node;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Replica, key, network_vectors, number, run};
use node::{Attack, Node};

/// The most memory that a replica may use under attack. A response may have 64 MiB, and is copied into
/// strings.
const MEMORY_MAX: u64 = 400 << 20;
/// The longest time of a test case, including the recovery from the attack.
const TIME_MAX: Duration = Duration::from_secs(60);
/// The number of test cases that run at the same time.
const AT_ONCE: usize = 4;

/// An attack and its expected result.
pub struct Case {
    pub name: String,
    pub attack: Attack,
    /// The number of batches that the hostile node proves all the same.
    pub proven: u64,
    /// A part of the error that the status shows for the gateway; empty for no error.
    pub failure: &'static str,
}

/// A genesis with the app name of the captured network.
fn genesis(folder: &TempDir) -> String {
    let path = folder.path().join("genesis.json");
    let account = key(9).public_key().to_string();
    let file = path.to_str().unwrap();
    let arguments = ["genesis", "new", "--issuer", &account, "--replica", &account, "--out", file];
    assert!(run(&arguments).status.success());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"zellbook\"", "\"orderbook\"")).unwrap();
    file.into()
}

/// A replica on the captured network with these gateways.
async fn replica(folder: &TempDir, genesis: &str, gateways: &[&str]) -> Replica {
    let nodes = network_vectors().join("equal4/nodes.json");
    let mut arguments = vec!["--genesis", genesis, "--network", nodes.to_str().unwrap()];
    arguments.extend(gateways.iter().flat_map(|url| ["--gateway", url]));
    Replica::start(folder, "data", &arguments).await
}

/// The root after each batch of the captured network, from a replica that has only an honest gateway.
async fn true_roots(genesis: &str) -> Vec<Value> {
    let folder = TempDir::new().unwrap();
    let honest = Node::start(Attack::none()).await;
    let replica = replica(&folder, genesis, &[&honest.url]).await;
    let first = replica.status().await;
    let last = replica.until("/v1/status", |status| status["batch"] == "14").await;
    let mut roots = vec![if first["batch"] == "0" { first["root"].clone() } else { Value::Null }];
    for index in 1..=14 {
        roots.push(replica.get(&format!("/v1/batches/{index}")).await["root"].clone());
    }
    assert_eq!(roots[14], last["root"]);
    roots
}

/// Runs a replica against the attack, with an honest gateway that responds only later. Returns the memory
/// that it used.
async fn check(case: Case, genesis: &str, roots: &[Value]) -> u64 {
    let Case { name, attack, proven, failure } = case;
    let folder = TempDir::new().unwrap();
    let hostile = Node::start(attack).await;
    let honest = Node::start_closed().await;
    let started = Instant::now();
    let replica = replica(&folder, genesis, &[&hostile.url, &honest.url]).await;
    // The status shows an error only until the gateway's next good response, so look in the log too.
    let was_logged =
        || {
            let gateway = format!("gateway {}: ", hostile.url);
            replica.process.log().lines().any(|line| {
                line.split_once(&gateway).is_some_and(|(_, text)| text.contains(failure))
            })
        };
    let is_seen = |status: &Value| {
        let has_failure = failure.is_empty()
            || status["gateways"][0]["last_failure"]
                .as_str()
                .is_some_and(|text| text.contains(failure))
            || was_logged();
        let is_read = number(&status["batch"]) >= proven;
        has_failure && is_read && hostile.attacks.load(Ordering::SeqCst) >= 1
    };
    let status = replica.until("/v1/status", is_seen).await;
    assert_eq!(status["batch"], proven.to_string(), "{name}: {status}");
    let root = &roots[usize::try_from(proven).unwrap()];
    assert!(root.is_null() || *root == status["root"], "{name}: {status}");
    assert_ne!(status["state"], "halted", "{name}: {status}");
    honest.open();
    let status = replica
        .until("/v1/status", |status| status["batch"] == "14" && status["state"] == "following")
        .await;
    assert_eq!(status["root"], roots[14], "{name}");
    let (took, memory) = (started.elapsed(), replica.process.memory_peak());
    assert!(took < TIME_MAX, "{name}: it took {took:?}");
    assert!(memory < MEMORY_MAX, "{name}: it took {} MiB", memory >> 20);
    assert!(!hostile.was_followed(), "{name}: the replica followed a redirect");
    memory
}

async fn check_all(cases: Vec<Case>) {
    let folder = TempDir::new().unwrap();
    let genesis = genesis(&folder);
    let roots = true_roots(&genesis).await;
    let checks = cases.into_iter().map(|case| check(case, &genesis, &roots));
    let peaks: Vec<u64> =
        futures_util::stream::iter(checks).buffer_unordered(AT_ONCE).collect().await;
    let most = peaks.into_iter().max().unwrap_or(0);
    println!("memory: {} MiB at most", most >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_or_response_exhausts_or_hangs_the_replica() {
    check_all(attacks::of_connections()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_pages_are_refused() {
    check_all(attacks::of_pages()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_proofs_are_refused() {
    check_all(attacks::of_proofs()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn false_claims_of_a_node_about_itself_do_not_capture_the_replica() {
    check_all(attacks::of_claims()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_captured_negative_page_and_last_batch_has_its_expected_result() {
    check_all(captured::cases()).await;
}

#[test]
fn there_are_at_least_forty_attacks_with_different_names() {
    let all = [
        attacks::of_connections(),
        attacks::of_pages(),
        attacks::of_proofs(),
        attacks::of_claims(),
    ];
    let names: std::collections::BTreeSet<String> =
        all.iter().flatten().map(|case| case.name.clone()).collect();
    assert_eq!(names.len(), all.iter().map(Vec::len).sum::<usize>());
    assert!(names.len() >= 40, "{}", names.len());
}
