//! Checks that the emulated nodes respond exactly like the captured reference network.
//!
//! Every request of `http_index.json` is sent over real HTTP to an emulated network with the captured keys,
//! apps and bodies. The secret keys of the captured nodes are known, and so are the time and the non-signers
//! of every proof; BLS signatures are deterministic. So the emulation's own rounds must produce every response
//! **to the byte**, signatures included. The comparison covers the status, all headers but `date` (which
//! the vectors leave out), and all bytes of the body.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use zellular::NodeList;
use zellular::bls::BlsSecretKey;

use super::node::Condition;
use super::rounds::Late;
use super::{Network, NetworkOptions};
use zellbook_server::listen;

const LEADER: &str = "0x3e841c1d3bb035a943f4877a8e4da9c7da58a9bb";

/// The secret keys of the captured nodes, which exist for tests only. They were meant to be the SHA-256 of
/// `zsequencer_bls_1` to `_4`. But mcl's `setStr` refuses numbers that are not below the group order r, as
/// three of these are, and leaves the digits in memory, where they count as a Montgomery number: the key is
/// x / 2^256 mod r.
const KEYS: [&str; 4] = [
    "12a10e2894813a4582158966eab8f3d39cd147a3ee74bf931e26e76c6fcba5c8",
    "1e8f3a665b97f58a1b8dd9fd5f6f3b699fdb6a18e99f72265764533aa3e82901",
    "16902540ae75d68407abbead65c5e2e85c3915bd406ac7a7121c9932518ac962",
    "3002d10047fb1a655bb8e6cb4f10ea75bcafddb264685e4ceadce984b105babf",
];

fn vector(path: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../zellular/tests/vectors");
    std::fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&vector(path)).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn exchanges(run: &str) -> Vec<Value> {
    let index = json("http_index.json");
    let all = index["exchanges"].as_array().unwrap();
    all.iter().filter(|exchange| exchange["run"] == run).cloned().collect()
}

/// An emulated network with the nodes of a captured run, each listening on its own port.
struct Served {
    network: Network,
    ids: Vec<String>,
    urls: Vec<String>,
    client: Client,
    _stop: watch::Sender<bool>,
}

/// A captured group of batches: the last index, the time, and who did not sign.
struct Signed<'a> {
    index: usize,
    timestamp: u64,
    lock_nonsigners: Option<&'a Value>,
    nonsigners: &'a Value,
}

impl Served {
    async fn start(nodes: &str, leader: &str, options: NetworkOptions) -> Self {
        let list = NodeList::read(&vector(nodes)).unwrap();
        let keys = KEYS.map(|key| BlsSecretKey::from_hex(key).unwrap()).into_iter().map(|key| {
            let named = list.nodes().find(|node| node.public_key == key.public_key());
            (named.expect("a key of the captured nodes").id.clone(), key)
        });
        let keys: Vec<_> = keys.collect();
        let ids: Vec<String> = keys.iter().map(|(id, _)| id.clone()).collect();
        let stakes = ids.iter().map(|id| list.get(id).unwrap().stake).collect();
        let network = Network::of_keys(NetworkOptions { stakes, ..options }, keys);
        // The nodes take turns in leading, so the epoch makes the captured leader the leader here.
        let epoch = ids.iter().position(|id| id == leader).unwrap() as u64;
        network.shared.nodes().nodes.iter_mut().for_each(|node| node.epoch = epoch);
        let (stop, stopped) = watch::channel(false);
        let mut urls = Vec::new();
        for node in 0..ids.len() {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let (listener, address) = listen::bind(any).await.unwrap();
            tokio::spawn(listen::serve(listener, network.router(node), stopped.clone()));
            urls.push(format!("http://{address}"));
        }
        // Fails if another test of this process was first, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // One captured response is a redirect, so none is followed. A proxy of the environment would not
        // reach loopback.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self { network, ids, urls, client: client.build().unwrap(), _stop: stop }
    }

    fn node(&self, id: &str) -> usize {
        self.ids.iter().position(|node| node == id).unwrap()
    }

    fn late(&self, nonsigners: Option<&Value>) -> BTreeSet<usize> {
        let ids = nonsigners.and_then(Value::as_array).into_iter().flatten();
        ids.map(|id| self.node(text(id))).collect()
    }

    fn round(&self, timestamp: u64, late: &Late) {
        self.network.shared.nodes().round(Instant::now(), timestamp, Some(late));
    }

    /// Posts bodies to a gateway under the given apps, and lets the network sign them.
    async fn finalize(&self, gateway: usize, apps: &[&str], bodies: &[Value], signed: &Signed<'_>) {
        let apps: serde_json::Map<String, Value> =
            apps.iter().map(|app| (app.to_string(), bodies.into())).collect();
        // In one request, so that one round takes all bodies and one signature covers them.
        let request = self.client.put(format!("{}/node/batches", self.urls[gateway]));
        let request = request.header(CONTENT_TYPE, "application/json");
        let answer = request.body(Value::Object(apps).to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let lock = self.late(signed.lock_nonsigners);
        let late = Late { lock, finality: self.late(Some(signed.nonsigners)) };
        // The first round sequences and locks them, the second finalizes them, the third spreads that.
        for _ in 0..3 {
            self.round(signed.timestamp, &late);
        }
    }

    /// Compares a node's response with the captured one, except for the date.
    async fn compare(&self, node: usize, exchange: &Value) {
        let file = format!("{}/{}", text(&exchange["run"]), text(&exchange["file"]));
        let request = &exchange["request"];
        let mut headers = HeaderMap::new();
        for (name, value) in request["headers"].as_object().unwrap() {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            headers.insert(name, HeaderValue::from_str(text(value)).unwrap());
        }
        let method: Method = text(&request["method"]).parse().unwrap();
        let url = format!("{}{}", self.urls[node], text(&request["path"]));
        let request = self.client.request(method, url).headers(headers).body(body_of(exchange));
        let answer = request.send().await.unwrap();
        assert_eq!(u64::from(answer.status().as_u16()), exchange["status"], "{file}");
        let found: BTreeSet<(String, String)> = answer
            .headers()
            .iter()
            .filter(|(name, _)| *name != "date")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_string()))
            .collect();
        let expected = exchange["headers"].as_array().unwrap().iter();
        let expected: BTreeSet<_> =
            expected.map(|pair| (text(&pair[0]).to_string(), text(&pair[1]).to_string())).collect();
        let body = answer.bytes().await.unwrap();
        let captured = vector(&file);
        assert_eq!(String::from_utf8_lossy(&body), String::from_utf8_lossy(&captured), "{file}");
        assert_eq!(found, expected, "{file}");
    }
}

/// The body of a captured request.
fn body_of(exchange: &Value) -> Vec<u8> {
    let request = &exchange["request"];
    match (request["body_utf8"].as_str(), request["body_hex"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(digits)) => hex::decode(digits).unwrap(),
        // Too long for the vectors; their README describes it.
        (None, None) if text(&exchange["file"]).contains("all_dropped") => {
            let large = "x".repeat(5121);
            serde_json::json!({ "nope": ["x"], "orderbook": [large] }).to_string().into_bytes()
        }
        (None, None) => match request["body_len"].as_u64() {
            Some(length) => vec![b'x'; usize::try_from(length).unwrap()],
            None => Vec::new(),
        },
    }
}

fn options() -> NetworkOptions {
    NetworkOptions {
        apps: vec!["orderbook".into()],
        // Rounds are run by hand, and no node is late by itself.
        dispute_after: Duration::from_secs(3600),
        late_percent: 0,
        ..NetworkOptions::default()
    }
}

/// All bodies and signatures of a run, joined from its pages.
fn history(run: &str) -> (Vec<Value>, Vec<Value>) {
    let (mut bodies, mut signatures) = (Vec::new(), Vec::new());
    loop {
        let path = format!("{run}/finalized_after_{}.json", bodies.len());
        let page = json(&path);
        bodies.extend(page["data"]["batches"].as_array().unwrap().iter().cloned());
        let list = page["data"]["finalized_signatures"].as_array().unwrap();
        signatures.extend(list.iter().cloned());
        if list.last().is_some_and(|last| last["index"] == bodies.len() as u64) {
            return (bodies, signatures);
        }
    }
}

/// Replays a whole run: first the requests before any batch, then all batches, then the other requests.
async fn replay(run: &str, options: NetworkOptions) -> usize {
    let all = exchanges(run);
    let leader = all.iter().find(|exchange| exchange["file"] == "state_sequencer.json");
    let leader = leader.map(|_| json(&format!("{run}/state_sequencer.json")));
    let leader = leader.map_or(LEADER.to_string(), |state| text(&state["data"]["node_id"]).into());
    let served = Served::start(&format!("{run}/nodes.json"), &leader, options).await;
    let gateway = all.iter().find(|exchange| exchange["file"] == "state.json");
    let gateway = gateway.map(|_| json(&format!("{run}/state.json")));
    let gateway = gateway.map_or_else(
        || served.ids.iter().position(|id| *id != leader).unwrap(),
        |state| served.node(text(&state["data"]["node_id"])),
    );
    // In this run one node was never started.
    if run == "onedown4" {
        let down = served.node("0x79bc3986689ce4949fb7556b9b2d6a593cdb3d31");
        served.network.shared.nodes().set_condition(down, Condition::Down, Instant::now());
    }
    // In the first round the nodes get in contact with the leader. Before it, they refuse posts.
    served.round(0, &Late::default());
    let is_early = |file: &str| file.contains("empty") || file.contains("initial");
    let mut compared = 0;
    for exchange in all.iter().filter(|exchange| is_early(text(&exchange["file"]))) {
        served.compare(gateway, exchange).await;
        compared += 1;
    }
    let (bodies, signatures) = history(run);
    let last_lock = all.iter().find(|exchange| exchange["file"] == "last_finalized.json");
    let last_lock = last_lock.map(|_| json(&format!("{run}/last_finalized.json")));
    let mut from = 0;
    for signature in &signatures {
        let index = usize::try_from(signature["index"].as_u64().unwrap()).unwrap();
        // Lock signatures were captured only for the last batch. The others may have any signers.
        let lock = last_lock.as_ref().filter(|last| last["data"]["index"] == signature["index"]);
        let signed = Signed {
            index,
            timestamp: signature["timestamp"].as_u64().unwrap(),
            lock_nonsigners: lock.map(|last| &last["data"]["locked_nonsigners"]),
            nonsigners: &signature["nonsigners"],
        };
        served.finalize(gateway, &["orderbook"], &bodies[from..signed.index], &signed).await;
        from = index;
    }
    for exchange in all.iter().filter(|exchange| !is_early(text(&exchange["file"]))) {
        let is_leaders = exchange["file"] == "state_sequencer.json";
        let node = if is_leaders { served.node(&leader) } else { gateway };
        served.compare(node, exchange).await;
        compared += 1;
    }
    compared
}

#[tokio::test]
async fn responses_equal_every_captured_run_to_the_byte() {
    let mut compared = 0;
    for run in ["equal4", "unequal4", "onedown4", "collision4"] {
        compared += replay(run, options()).await;
    }
    compared += replay("allsign4", NetworkOptions { threshold_percent: 100, ..options() }).await;
    compared += replay("paged4", NetworkOptions { page_bytes_max: 40 << 10, ..options() }).await;
    let index = json("http_index.json");
    let others = ["put", "twoapps4"].map(|run| exchanges(run).len()).iter().sum::<usize>();
    // The other two tests compare the rest, so no captured exchange is left out.
    assert_eq!(compared + others, index["exchanges"].as_array().unwrap().len());
}

#[tokio::test]
async fn responses_for_two_apps_equal_the_captured_ones_to_the_byte() {
    let options =
        NetworkOptions { apps: vec!["orderbook".into(), "simple_app".into()], ..options() };
    let state = json("twoapps4/state.json");
    let leader = text(&state["data"]["sequencer_id"]);
    let served = Served::start("twoapps4/nodes.json", leader, options).await;
    let last = json("twoapps4/last_bulk_finalized.json");
    let last = &last["data"]["orderbook"];
    let signed = Signed {
        index: 1,
        timestamp: last["timestamp"].as_u64().unwrap(),
        lock_nonsigners: Some(&last["locked_nonsigners"]),
        nonsigners: &last["finalized_nonsigners"],
    };
    let gateway = served.node(text(&state["data"]["node_id"]));
    served.round(0, &Late::default());
    served.finalize(gateway, &["orderbook", "simple_app"], &["seed".into()], &signed).await;
    for exchange in exchanges("twoapps4") {
        served.compare(gateway, &exchange).await;
    }
}

#[tokio::test]
async fn responses_to_posts_and_errors_equal_the_captured_ones_to_the_byte() {
    let mut compared = 0;
    for exchange in exchanges("put") {
        let file = text(&exchange["file"]);
        // A post changes the responses after it, so each request gets a new network.
        let options = NetworkOptions { window_bytes_max: 20_000, ..options() };
        let served = Served::start("equal4/nodes.json", LEADER, options).await;
        let gateway = served.node("0x79bc3986689ce4949fb7556b9b2d6a593cdb3d31");
        let mut node = gateway;
        if !file.contains("not_synced") {
            served.round(0, &Late::default());
        }
        if file.contains("while_paused") {
            let last = json("put/get_last_while_paused.json");
            let bodies = json("put/get_finalized_while_paused.json");
            let bodies = bodies["data"]["batches"].as_array().unwrap();
            let signed = Signed {
                index: 3,
                timestamp: last["data"]["timestamp"].as_u64().unwrap(),
                lock_nonsigners: Some(&last["data"]["locked_nonsigners"]),
                nonsigners: &last["data"]["finalized_nonsigners"],
            };
            served.finalize(gateway, &["orderbook"], bodies, &signed).await;
        }
        if file.contains("paused") {
            let until = Instant::now() + Duration::from_secs(60);
            served.network.shared.nodes().nodes[node].paused_until = Some(until);
        }
        if file.contains("not_posting") {
            served.network.shared.nodes().nodes[node].is_posting = false;
        }
        if file.contains("success_sequencer") || file.contains("rate_limited") {
            node = served.node(LEADER);
        }
        if file.contains("rate_limited") {
            let url = format!("{}/node/orderbook/batches", served.urls[node]);
            // Four posts fill the leader's window, so that the captured fifth is refused.
            for _ in 0..4 {
                let request = served.client.put(&url).header(CONTENT_TYPE, "text/plain");
                let answer = request.body("x".repeat(5000)).send().await.unwrap();
                assert!(answer.status().is_success());
            }
        }
        served.compare(node, &exchange).await;
        compared += 1;
    }
    assert!(compared >= 35, "{compared}");
}

#[tokio::test]
async fn a_posted_body_is_returned_only_once_it_is_final() {
    let served = Served::start("equal4/nodes.json", LEADER, options()).await;
    let url = format!("{}/node/orderbook/batches", served.urls[0]);
    let put = || served.client.put(&url).header(CONTENT_TYPE, "text/plain").body("one").send();
    assert_eq!(put().await.unwrap().status().as_u16(), 503, "no contact with a leader yet");
    let finalized = || served.network.finalized("orderbook");
    for round in 0..4 {
        served.round(1, &Late::default());
        if round == 0 {
            assert!(put().await.unwrap().status().is_success());
        }
        assert_eq!(finalized().is_empty(), round < 2, "after round {round}");
    }
    assert_eq!(finalized(), [Arc::from("one")]);
}
