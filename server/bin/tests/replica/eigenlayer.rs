//! Tests of networks whose operators are listed by a subgraph, with a local server as the subgraph.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use zellular::NodeList;

use crate::harness::{Given, Process, Replica, key, program, replay, text};

/// The response of a subgraph that has indexed nothing.
const HEADLESS: &str = r#"{"data":null}"#;

/// A subgraph with a head and operators, which records the queries that it receives.
struct Subgraph {
    url: String,
    head: Arc<Mutex<String>>,
    operators: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Subgraph {
    async fn start(operators: String) -> Self {
        let head = Arc::new(Mutex::new(r#"{"data":{"_meta":{"block":{"number":100}}}}"#.into()));
        let operators = Arc::new(Mutex::new(operators));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = (Arc::clone(&head), Arc::clone(&operators), Arc::clone(&asked));
        let answer = post(move |body: String| {
            let (head, operators, asked) = shared.clone();
            async move {
                let query: Value = serde_json::from_str(&body).unwrap();
                let query = query["query"].as_str().unwrap().to_string();
                let answer = if query.contains("_meta") { &head } else { &operators };
                let answer = answer.lock().unwrap().clone();
                asked.lock().unwrap().push(query);
                ([("content-type", "application/json")], answer)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/subgraph", listener.local_addr().unwrap());
        let router = Router::new().route("/subgraph", answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, head, operators, asked }
    }

    fn network(&self) -> String {
        format!("eigenlayer:{}", self.url)
    }
}

/// The nodes of a list, in the form of the subgraph.
fn operators(nodes: &NodeList) -> String {
    let operators: Vec<Value> = nodes
        .nodes()
        .map(|node| {
            let ([x1, x0], [y1, y0]) = node.public_key.to_decimal();
            json!({
                "id": node.id, "socket": node.socket, "stake": "32000000000000000000",
                "pubkeyG2_X": [x1, x0], "pubkeyG2_Y": [y1, y0],
            })
        })
        .collect();
    json!({ "data": { "operators": operators } }).to_string()
}

#[tokio::test]
async fn operators_are_read_from_the_subgraph_and_stored() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let nodes = sequencer_data.join("nodes.json");
    let list = NodeList::read(&std::fs::read(&nodes).unwrap()).unwrap();
    let subgraph = Subgraph::start(operators(&list)).await;
    let given = Given::network(&folder, &nodes);
    let network = subgraph.network();
    let mut arguments = given.arguments();
    let place = arguments.iter().position(|argument| *argument == "--network").unwrap();
    arguments[place + 1] = &network;
    let mut replica = Replica::start(&folder, "data", &arguments).await;
    replica.ready().await;
    assert_eq!(replica.status().await["gateways"][0]["url"], sequencer.url);
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let outcome = replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    assert_eq!(outcome["status"], "applied");
    let asked = subgraph.asked.lock().unwrap().clone();
    assert!(
        asked.iter().any(|query| query.contains("operators(block: { number: 95 })")),
        "{asked:?}"
    );
    replica.until("/v1/status", |_| replica.data.join("operators/0.json").exists()).await;

    // Without the subgraph it keeps running, also after a restart, with the stored lists.
    *subgraph.operators.lock().unwrap() = r#"{"errors":[{"message":"down"}]}"#.into();
    assert_eq!(replica.process.terminate(), Some(0));
    replica.process.restart("/readyz").await;
    assert_eq!(replica.order(&alice, "sell 1 ETH/USDT @ 2001").await["status"], "applied");
    let root = replica.status().await["root"].clone();
    assert_eq!(replica.process.terminate(), Some(0));
    let (code, report, log) = replay(&replica.data);
    assert_eq!((code, &report["root"]), (Some(0), &root), "{log}");
}

#[tokio::test]
async fn batches_signed_by_other_keys_than_the_operators_are_not_applied() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let nodes = sequencer_data.join("nodes.json");
    // The operators are those of another network, and the sequencer is given as a gateway.
    let others = crate::harness::network_vectors().join("equal4/nodes.json");
    let others = NodeList::read(&std::fs::read(others).unwrap()).unwrap();
    let subgraph = Subgraph::start(operators(&others)).await;
    let given = Given::network(&folder, &nodes);
    let network = subgraph.network();
    let mut arguments = given.arguments();
    let place = arguments.iter().position(|argument| *argument == "--network").unwrap();
    arguments[place + 1] = &network;
    arguments.extend(["--gateway", &sequencer.url]);
    let replica = Replica::start(&folder, "data", &arguments).await;
    reqwest::Client::new()
        .put(format!("{}/node/zellbook/batches", sequencer.url))
        .header("content-type", "text/plain")
        .body("[]")
        .send()
        .await
        .unwrap();
    let status = replica
        .until("/v1/status", |status| status["gateways"][0]["dishonest_answers"] != "0")
        .await;
    assert_eq!(status["batch"], "0");
    let failure = status["gateways"][0]["last_failure"].as_str().unwrap();
    assert!(failure.contains("proves nothing"), "{failure}");
}

#[tokio::test]
async fn an_invalid_response_of_the_subgraph_is_reported_at_startup() {
    let folder = TempDir::new().unwrap();
    let subgraph = Subgraph::start(r#"{"data":{"operators":[]}}"#.into()).await;
    let genesis = folder.path().join("genesis.json");
    let account = key(9).public_key().to_string();
    let genesis = genesis.to_str().unwrap();
    let made = crate::harness::run(&[
        "genesis",
        "new",
        "--issuer",
        &account,
        "--replica",
        &account,
        "--out",
        genesis,
    ]);
    assert!(made.status.success());
    let head = subgraph.head.lock().unwrap().clone();
    let cases = [
        (HEADLESS, "no data"),
        (r#"{"data":{"operators":[]}}"#, "at least one of them with stake"),
        (r#"{"errors":[{"message":"the block is not indexed"}]}"#, "the block is not indexed"),
        (
            r#"{"data":{"operators":[{"id":"a","socket":"","stake":1e18,"pubkeyG2_X":["1","2"],"pubkeyG2_Y":["1","2"]}]}}"#,
            "stake",
        ),
        (
            r#"{"data":{"operators":[{"id":"a","socket":"","stake":"1","pubkeyG2_X":["1","2"],"pubkeyG2_Y":["1","2"]}]}}"#,
            "pubkeyG2",
        ),
    ];
    for (number, (answer, expected)) in cases.into_iter().enumerate() {
        *subgraph.operators.lock().unwrap() = answer.into();
        let head = if answer == HEADLESS { answer.into() } else { head.clone() };
        *subgraph.head.lock().unwrap() = head;
        let data = folder.path().join(number.to_string());
        let (data, network) = (data.to_str().unwrap().to_string(), subgraph.network());
        let genesis = genesis.to_string();
        let run = tokio::task::spawn_blocking(move || {
            let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--genesis"];
            program().args(arguments).args([&genesis, "--network", &network]).output().unwrap()
        });
        let output = run.await.unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected) && message.contains("subgraph"), "{message}");
    }
}
