//! Tests that the embedded sequencer responds like the captured nodes of the real network.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::Value;
use tempfile::TempDir;
use zellular::{NodeList, Page, Position, Threshold, Verifier, Walker};

use crate::harness::{Process, client, network_vectors};

async fn start(folder: &TempDir) -> Process {
    let data = folder.path().join("sequencer");
    let arguments = ["--data", data.to_str().unwrap(), "--app", "orderbook"];
    Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await
}

fn vector(path: &str) -> Vec<u8> {
    let path = network_vectors().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&vector(path)).unwrap()
}

/// A client that follows no redirects and adds no headers.
fn bare_client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}

/// Captured states that cannot occur in a network of one node, which never loses its leader.
const OTHER_STATES: [&str; 3] = ["not_synced", "paused", "not_posting"];

#[tokio::test]
async fn responses_to_posts_and_errors_equal_the_captured_ones_to_the_byte() {
    let folder = TempDir::new().unwrap();
    let sequencer = start(&folder).await;
    let client = bare_client();
    let index = json("http_index.json");
    let mut compared = 0;
    for exchange in index["exchanges"].as_array().unwrap() {
        let file = exchange["file"].as_str().unwrap();
        // The rate limit has its own test.
        let is_other = OTHER_STATES.iter().any(|state| file.contains(state));
        if exchange["run"] != "put" || is_other || file.contains("rate_limited") {
            continue;
        }
        let request = &exchange["request"];
        let mut headers = HeaderMap::new();
        for (name, value) in request["headers"].as_object().unwrap() {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            headers.insert(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
        }
        let body = match (request["body_utf8"].as_str(), request["body_hex"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(digits)) => hex::decode(digits).unwrap(),
            // Too long for the vectors; their README describes it.
            (None, None) if file.contains("all_dropped") => {
                let large = "x".repeat(5121);
                serde_json::json!({ "nope": ["x"], "orderbook": [large] }).to_string().into_bytes()
            }
            (None, None) => match request["body_len"].as_u64() {
                Some(length) => vec![b'x'; usize::try_from(length).unwrap()],
                None => Vec::new(),
            },
        };
        let method: Method = request["method"].as_str().unwrap().parse().unwrap();
        let url = format!("{}{}", sequencer.url, request["path"].as_str().unwrap());
        let answer = client.request(method, url).headers(headers).body(body).send().await.unwrap();
        assert_eq!(
            u64::from(answer.status().as_u16()),
            exchange["status"].as_u64().unwrap(),
            "{file}"
        );
        let found: BTreeMap<_, _> = answer
            .headers()
            .iter()
            // The vectors leave out the date.
            .filter(|(name, _)| *name != "date")
            .map(|(name, value)| (name.as_str().to_string(), value.to_str().unwrap().to_string()))
            .collect();
        let headers = exchange["headers"].as_array().unwrap().iter();
        let expected: BTreeMap<String, String> = headers
            .map(|header| (header[0].as_str().unwrap().into(), header[1].as_str().unwrap().into()))
            .collect();
        assert_eq!(found, expected, "{file}");
        let found = answer.bytes().await.unwrap();
        let expected = vector(&format!("put/{file}"));
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected), "{file}");
        compared += 1;
    }
    assert!(compared >= 25, "{compared}");
}

async fn get(sequencer: &Process, path: &str) -> Value {
    let answer = client().get(format!("{}{path}", sequencer.url)).send().await.unwrap();
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn put(sequencer: &Process, body: &str) {
    let url = format!("{}/node/orderbook/batches", sequencer.url);
    let request = client().put(url).header(CONTENT_TYPE, "text/plain").body(body.to_string());
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// Waits until `count` batches are finalized, and returns the page that starts with the first.
async fn page(sequencer: &Process, count: usize) -> Value {
    loop {
        let page = get(sequencer, "/node/orderbook/batches/finalized?after=0").await;
        let finalized = page["data"]["batches"].as_array().map_or(0, Vec::len);
        if finalized >= count {
            assert_eq!(finalized, count);
            return page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn walk(nodes: &Path, page: &Value) -> Walker {
    let verifier = Verifier {
        app_name: "orderbook".into(),
        nodes: NodeList::read(&std::fs::read(nodes).unwrap()).unwrap().into(),
        threshold: Threshold::from_percent(100).unwrap(),
    };
    let mut walker = Walker::new(Position::start());
    let page = Page::read(page.to_string().as_bytes()).unwrap().unwrap();
    let (groups, error) = walker.take(&verifier, page);
    assert_eq!(error, None);
    assert!(!groups.is_empty());
    walker
}

/// The member names, types and nesting of a response.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(name, value)| format!("{name}: {}", shape(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!("[{}]", list.first().map_or_else(String::new, shape)),
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "bool".into(),
        Value::Null => "null".into(),
    }
}

#[tokio::test]
async fn the_same_bodies_give_the_captured_chain_and_valid_proofs() {
    let folder = TempDir::new().unwrap();
    let sequencer = start(&folder).await;
    let captured = json("equal4/finalized_after_0.json");
    let bodies = captured["data"]["batches"].as_array().unwrap();
    // The captured sequence has empty bodies, which only a bulk call can post.
    let bulk = serde_json::json!({ "orderbook": bodies }).to_string();
    let url = format!("{}/node/batches", sequencer.url);
    let request = client().put(url).header(CONTENT_TYPE, "application/json").body(bulk);
    assert!(request.send().await.unwrap().status().is_success());

    let page = page(&sequencer, bodies.len()).await;
    assert_eq!(page["data"]["batches"], captured["data"]["batches"]);
    assert_eq!(page["data"]["first_chaining_hash"], captured["data"]["first_chaining_hash"]);
    assert_eq!(shape(&page["data"]["finalized_signatures"][0]), {
        // The embedded sequencer has no non-signers.
        let mut signature = captured["data"]["finalized_signatures"][0].clone();
        signature["nonsigners"] = Value::Array(Vec::new());
        shape(&signature)
    });
    let walker = walk(&folder.path().join("sequencer/nodes.json"), &page);
    let chaining = json("equal4/chaining.json");
    let last = chaining["batches"].as_array().unwrap().last().unwrap();
    assert_eq!(walker.proven().chaining_hash, last["chaining_hash"].as_str().unwrap());

    for path in ["finalized/last", "locked/last"] {
        let name = if path.starts_with('f') { "last_finalized" } else { "last_locked" };
        let mut expected = json(&format!("equal4/{name}.json"));
        expected["data"]["locked_nonsigners"] = Value::Array(Vec::new());
        let found = get(&sequencer, &format!("/node/orderbook/batches/{path}")).await;
        assert_eq!(shape(&found), shape(&expected));
        assert_eq!(found["data"]["chaining_hash"], expected["data"]["chaining_hash"]);
    }
    let state = get(&sequencer, "/node/state").await;
    assert_eq!(shape(&state), shape(&json("equal4/state_sequencer.json")));
    assert_eq!(get(&sequencer, "/node/ready").await, json("equal4/ready.json"));
}

#[tokio::test]
async fn a_signature_has_the_chaining_hash_at_its_index_even_if_batches_follow() {
    let folder = TempDir::new().unwrap();
    let sequencer = start(&folder).await;
    // More batches than one signature covers.
    let bulk = serde_json::json!({ "orderbook": vec![""; 1500] }).to_string();
    let url = format!("{}/node/batches", sequencer.url);
    let request = client().put(url).header(CONTENT_TYPE, "application/json").body(bulk);
    assert!(request.send().await.unwrap().status().is_success());
    let page = loop {
        let page = get(&sequencer, "/node/orderbook/batches/finalized?after=0").await;
        if page["data"]["batches"].as_array().is_some_and(|batches| batches.len() == 1500) {
            break page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let walker = walk(&folder.path().join("sequencer/nodes.json"), &page);
    assert_eq!(walker.proven().index, 1500);
}

#[tokio::test]
async fn an_empty_sequence_responds_like_an_empty_network() {
    let folder = TempDir::new().unwrap();
    let sequencer = start(&folder).await;
    for (path, file) in [
        ("batches/finalized?after=0", "finalized_empty_after_0"),
        ("batches/finalized?after=1014", "finalized_after_beyond"),
        ("batches/finalized/last", "last_empty"),
    ] {
        let found = get(&sequencer, &format!("/node/orderbook/{path}")).await;
        assert_eq!(found, json(&format!("equal4/{file}.json")), "{path}");
    }
}

#[tokio::test]
async fn acknowledged_batches_the_key_and_the_chain_survive_kill_9() {
    let folder = TempDir::new().unwrap();
    let mut sequencer = start(&folder).await;
    for body in ["one", "two", "three"] {
        put(&sequencer, body).await;
    }
    // Without waiting for finality.
    sequencer.kill();
    sequencer.restart("/node/ready").await;
    put(&sequencer, "four").await;
    let page = page(&sequencer, 4).await;
    assert_eq!(page["data"]["batches"], serde_json::json!(["one", "two", "three", "four"]));
    walk(&folder.path().join("sequencer/nodes.json"), &page);
}

#[tokio::test]
async fn posts_beyond_the_bandwidth_window_are_refused() {
    let folder = TempDir::new().unwrap();
    let sequencer = start(&folder).await;
    // 16 MB at once: only some of it fits into a window of 10 MB.
    let bodies = serde_json::json!({ "orderbook": vec!["x".repeat(5000); 1500] }).to_string();
    let url = format!("{}/node/batches", sequencer.url);
    let send =
        || client().put(&url).header(CONTENT_TYPE, "application/json").body(bodies.clone()).send();
    let (first, second, third) = tokio::join!(send(), send(), send());
    let mut refused = 0;
    for answer in [first, second, third] {
        let answer = answer.unwrap();
        if answer.status().as_u16() == 429 {
            refused += 1;
            let expected = vector("put/put_error_rate_limited.json");
            assert_eq!(answer.bytes().await.unwrap(), expected);
        }
    }
    assert!(refused >= 1, "22 MB were taken in one second");
}
