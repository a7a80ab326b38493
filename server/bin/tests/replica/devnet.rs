//! Tests of `zellbook devnet`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::{Action, Genesis, Transaction};

use crate::harness::{TIMEOUT, client, key, now_ms, order, program, run, text};

pub struct Devnet {
    child: Child,
    /// The JSON that it printed.
    printed: Value,
}

impl Devnet {
    /// Starts it and waits until it has printed all addresses.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = program()
            .args(["devnet", "--json", "--port", "0", "--node-port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let printed =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, printed }
    }

    pub fn urls(&self, name: &str) -> Vec<String> {
        let urls = self.printed[name].as_array().unwrap();
        urls.iter().map(|url| url.as_str().unwrap().to_string()).collect()
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            return;
        }
        // SIGTERM, so that it stops its replicas before it exits.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
    }
}

async fn get(url: &str) -> Value {
    let answer = client().get(url).send().await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Repeats a request until the response is as wanted.
async fn until(url: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let found = get(url).await;
        if wanted(&found) {
            return found;
        }
        assert!(started.elapsed() < TIMEOUT, "{url}: still {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn all_replicas_apply_what_one_accepts_and_all_stop_together() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("devnet");
    let data = data.to_str().unwrap();
    let faults = ["--faults", "freeze,lie,duplicate,drop", "--every", "2s", "--seed", "7"];
    let arguments = ["--replicas", "2", "--nodes", "4", "--interval-ms", "20", "--data", data];
    let mut devnet = Devnet::start(&[&arguments[..], &faults].concat());
    let (replicas, nodes) = (devnet.urls("replicas"), devnet.urls("nodes"));
    assert_eq!((replicas.len(), nodes.len()), (2, 4));

    let genesis = std::fs::read(devnet.printed["genesis"].as_str().unwrap()).unwrap();
    let rules = Genesis::read(&genesis).unwrap();
    assert_eq!(rules.genesis.replicas.len(), 2);
    let account = key(1).public_key().to_string();
    let faucet = client()
        .post(format!("{}/v1/faucet", replicas[0]))
        .header("content-type", "application/json")
        .body(json!({ "account": account }).to_string());
    let answer = faucet.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let transaction = Transaction {
        account: key(1).public_key(),
        signer: None,
        nonce: now_ms(),
        valid_until: None,
        action: Action::Order(order("buy 1 ETH/USDT @ 2000")),
    };
    let hash = transaction.hash(&rules.network).to_string();
    until(&format!("{}/v1/accounts/{account}", replicas[0]), |found| {
        found["balances"].as_array().is_some_and(|balances| balances.len() >= 3)
    })
    .await;
    let post = client()
        .post(format!("{}/v1/transactions", replicas[0]))
        .header("content-type", "application/json")
        .body(transaction.sign(&rules.network, &key(1)).to_json());
    assert!(post.send().await.unwrap().status().is_success());
    let mut batches = Vec::new();
    for replica in &replicas {
        let url = format!("{replica}/v1/transactions/{hash}");
        let found = until(&url, |found| found["status"] == "applied").await;
        batches.push(found["batch"].as_str().unwrap().to_string());
    }
    assert_eq!(batches[0], batches[1]);
    let mut roots = Vec::new();
    for replica in &replicas {
        roots.push(get(&format!("{replica}/v1/batches/{}", batches[0])).await["root"].clone());
    }
    assert!(roots[0].is_string());
    assert_eq!(roots[0], roots[1]);

    let id = devnet.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(devnet.child.wait().unwrap().code(), Some(0));
    for url in replicas.iter().chain(&nodes) {
        assert!(client().get(url).send().await.is_err(), "{url} still answers");
    }
    let again = run(&["devnet", "--data", data]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("already exists"), "{}", text(&again.stderr));
}

/// The process of a replica, by its data directory.
fn process_of(data: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
    let mut numbers = processes.filter_map(|entry| entry.file_name().into_string().ok());
    numbers.find(|number| {
        let command = std::fs::read_to_string(format!("/proc/{number}/cmdline"));
        command.is_ok_and(|command| command.split('\0').any(|argument| argument == data))
    })
}

#[tokio::test]
async fn a_killed_replica_is_restarted_and_none_outlives_the_command() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("devnet");
    let data = data.to_str().unwrap();
    let arguments = ["--replicas", "2", "--nodes", "4", "--interval-ms", "20", "--data", data];
    let mut devnet = Devnet::start(&arguments);
    let replicas = devnet.urls("replicas");
    let names = [0, 1].map(|number| format!("{data}/replica-{number}"));
    let before = process_of(&names[1]).unwrap();
    assert!(Command::new("kill").args(["-KILL", &before]).status().unwrap().success());
    let started = Instant::now();
    loop {
        let other = client().get(format!("{}/healthz", replicas[0])).send().await;
        assert!(other.unwrap().status().is_success(), "the others keep running");
        let again = process_of(&names[1]).filter(|now| *now != before);
        let answer = client().get(format!("{}/readyz", replicas[1])).send().await;
        if again.is_some() && answer.is_ok_and(|answer| answer.status().is_success()) {
            break;
        }
        assert!(started.elapsed() < TIMEOUT, "it is not restarted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    devnet.child.kill().unwrap();
    devnet.child.wait().unwrap();
    let killed = Instant::now();
    while names.iter().any(|name| process_of(name).is_some()) {
        assert!(killed.elapsed() < TIMEOUT, "a replica outlives the command");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn the_number_of_stakes_must_be_the_number_of_nodes() {
    let output = run(&["devnet", "--nodes", "4", "--stakes", "1,2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("2 stakes for 4 nodes"));
}
