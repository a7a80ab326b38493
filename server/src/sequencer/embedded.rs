//! The embedded sequencer: a network of one node, with the HTTP interface of Zellular's nodes.
//!
//! Statuses, bodies and limits are those captured from the reference sequencer v0.1.7
//! (`core/tests/vectors/zellular`). Batches are on disk before they are answered, which the
//! network does not promise.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use zellbook_core::bls::{BlsPublicKey, BlsSecretKey};
use zellbook_core::finality::{Node, NodeList};
use zellbook_core::limits::BATCH_BYTES_DEFAULT;

use super::embedded_store::{Put, Sequence, SequenceReader, StoredSignature, cost};
use crate::store::StoreError;

/// The version of the interface.
const VERSION: &str = "v0.1.7";
/// Bytes of a request; the bulk call can carry many batches.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// How a sequencer of one node behaves.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// Bytes of UTF-8 in a batch, at most.
    pub batch_bytes_max: usize,
    /// Bytes of bodies in one answer, at most (the network: bandwidth per window / nodes).
    pub page_bytes_max: usize,
    /// Bytes of bodies that are taken in a window, at most.
    pub window_bytes_max: usize,
    /// The window.
    pub window: Duration,
    /// How often what is new is finalized.
    pub interval: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            batch_bytes_max: BATCH_BYTES_DEFAULT,
            page_bytes_max: 2_500_000,
            window_bytes_max: 10_000_000,
            window: Duration::from_secs(1),
            interval: Duration::from_millis(20),
        }
    }
}

/// A running sequencer. It stops when it and all of its routers are dropped.
pub struct Embedded {
    node: Arc<NodeState>,
}

struct NodeState {
    app_name: String,
    id: String,
    public_key: BlsPublicKey,
    options: EmbeddedOptions,
    puts: Sender<Put>,
    reader: SequenceReader,
    window: Mutex<(Instant, usize)>,
}

type Shared = State<Arc<NodeState>>;

impl Embedded {
    /// Opens or makes the sequence at a path and starts numbering. The receiver is told if the disk
    /// fails; then the sequencer is dead and its process must end.
    pub fn start(
        path: &Path,
        app_name: &str,
        key: BlsSecretKey,
        options: EmbeddedOptions,
    ) -> Result<(Self, oneshot::Receiver<String>), StoreError> {
        let public_key = key.public_key();
        let sequence = Sequence::open(path, app_name, key)?;
        let (puts, receiver) = channel();
        let (failed, failure) = oneshot::channel();
        std::thread::spawn(move || {
            if let Err(error) = sequence.run(&receiver, options.interval) {
                // Nothing was answered that is not on disk; without its disk it cannot go on.
                let _ = failed.send(error.to_string());
            }
        });
        let node = Arc::new(NodeState {
            app_name: app_name.into(),
            id: node_id(&public_key),
            public_key,
            options,
            puts,
            reader: SequenceReader { path: path.to_path_buf() },
            window: Mutex::new((Instant::now(), 0)),
        });
        Ok((Self { node }, failure))
    }

    /// The node list of this network of one, at an address.
    pub fn nodes(&self, socket: &str) -> NodeList {
        let node = Node {
            id: self.node.id.clone(),
            socket: socket.into(),
            stake: 10,
            public_key: self.node.public_key,
        };
        NodeList::new(vec![node])
            .unwrap_or_else(|error| unreachable!("one node with stake is a list: {error}"))
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        Router::new()
            .route(
                "/",
                get(|| async {
                    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/node/state")])
                }),
            )
            .route("/node/state", get(state))
            .route("/node/ready", get(|| async { ok_raw(r#"{"status":true}"#.into()) }))
            .route("/node/batches", put(put_bulk))
            .route("/node/batches/{state}/last", get(last_bulk))
            .route("/node/{app}/batches", put(put_batch))
            .route("/node/{app}/batches/{state}", get(batches))
            .route("/node/{app}/batches/{state}/last", get(last))
            .layer(middleware::from_fn(check_version))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(Arc::clone(&self.node))
    }
}

/// The first 20 bytes of SHA-256 over the key's coordinates, as an Ethereum-like address.
fn node_id(key: &BlsPublicKey) -> String {
    let (x, y) = key.to_decimal();
    let digest = Sha256::digest(format!("{} {} {} {}", x[0], x[1], y[0], y[1]));
    format!("0x{}", hex::encode(&digest[..20]))
}

fn ok_raw(json: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn success(data: &Value) -> Response {
    ok_raw(format!(r#"{{"status":"success","message":"Operation successful","data":{data}}}"#))
}

fn received(message: &str) -> Response {
    ok_raw(format!(r#"{{"status":"success","message":"{message}","data":{{}}}}"#))
}

fn failure(status: StatusCode, code: &str, message: &str) -> Response {
    let message = Value::from(message);
    let json = format!(r#"{{"status":"error","error":{{"code":"{code}","message":{message}}}}}"#);
    (status, ok_raw(json)).into_response()
}

/// A validation error as FastAPI words it. `fields` is the inside of the detail object.
fn unprocessable(fields: &str) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, ok_raw(format!(r#"{{"detail":[{{{fields}}}]}}"#)))
        .into_response()
}

fn internal(error: &dyn std::fmt::Display) -> Response {
    tracing::error!("embedded sequencer: {error}");
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (StatusCode::INTERNAL_SERVER_ERROR, text, "Internal Server Error").into_response()
}

async fn check_version(request: Request, next: Next) -> Response {
    match request.headers().get("version") {
        Some(version) if version != VERSION => failure(
            StatusCode::BAD_REQUEST,
            "InvalidNodeVersionError",
            "Invalid node version. Please get the latest version of node.",
        ),
        _ => next.run(request).await,
    }
}

impl NodeState {
    /// Whether so many bytes still fit this window.
    fn take_bandwidth(&self, bytes: usize) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= self.options.window {
            *window = (Instant::now(), 0);
        }
        window.1 = window.1.saturating_add(bytes);
        window.1 <= self.options.window_bytes_max
    }

    /// Numbers bodies; returns when they are on disk.
    async fn append(&self, bodies: Vec<String>) -> Result<(), Response> {
        if bodies.is_empty() {
            return Ok(());
        }
        let (done, wait) = oneshot::channel();
        let stopped = || internal(&"the sequence is stopped");
        self.puts.send(Put { bodies, done }).map_err(|_| stopped())?;
        wait.await.map_err(|_| stopped())
    }
}

/// The body of a PUT as a text: as it is, or a JSON string if the content type is JSON or absent.
fn batch_text(headers: &HeaderMap, body: &Bytes) -> Result<String, Response> {
    if body.is_empty() {
        return Err(unprocessable(
            r#""type":"missing","loc":["body"],"msg":"Field required","input":null"#,
        ));
    }
    if !is_json(headers) {
        return String::from_utf8(body.to_vec()).map_err(|error| internal(&error));
    }
    match parse_json(body)? {
        Value::String(text) => Ok(text),
        other => Err(not_a_string("", &other)),
    }
}

fn not_a_string(place: &str, value: &Value) -> Response {
    unprocessable(&format!(
        r#""type":"string_type","loc":["body"{place}],"msg":"Input should be a valid string","input":{value}"#
    ))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_none_or(|kind| {
        let kind = kind.to_str().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind == "application/json" || kind.ends_with("+json")
    })
}

fn parse_json(body: &Bytes) -> Result<Value, Response> {
    serde_json::from_slice(body).map_err(|error| {
        let line = body.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        let before: usize = line.map(|line| line.len() + 1).sum();
        let column = if error.is_eof() { error.column() } else { error.column().saturating_sub(1) };
        let at = before + column;
        unprocessable(&format!(
            r#""type":"json_invalid","loc":["body",{at}],"msg":"JSON decode error","input":{{}},"ctx":{{"error":"Expecting value"}}"#
        ))
    })
}

async fn put_batch(
    State(node): Shared,
    UrlPath(app): UrlPath<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let text = batch_text(&headers, &body)?;
    if app != node.app_name {
        let message = format!("Invalid app name: {app}.");
        return Err(failure(StatusCode::BAD_REQUEST, "InvalidRequestError", &message));
    }
    if text.len() > node.options.batch_bytes_max {
        return Err(failure(
            StatusCode::TOO_MANY_REQUESTS,
            "BatchSizeExceededError",
            "The batch exceeds the maximum allowed size.",
        ));
    }
    check_bandwidth(&node, cost(&text))?;
    node.append(vec![text]).await?;
    Ok(received("The batch is received successfully."))
}

fn check_bandwidth(node: &NodeState, bytes: usize) -> Result<(), Response> {
    if node.take_bandwidth(bytes) {
        return Ok(());
    }
    let message = "Batches limit volume exceeded.";
    Err(failure(StatusCode::TOO_MANY_REQUESTS, "BatchesLimitExceededError", message))
}

/// Batches of several apps. An unknown app and a batch that is too large are dropped silently, as
/// the network does.
async fn put_bulk(State(node): Shared, body: Bytes) -> Result<Response, Response> {
    let apps = match parse_json(&body)? {
        Value::Object(apps) => apps,
        other => {
            return Err(unprocessable(&format!(
                r#""type":"dict_type","loc":["body"],"msg":"Input should be a valid dictionary","input":{other}"#
            )));
        }
    };
    let mut taken = Vec::new();
    for (app, batches) in apps {
        let Value::Array(batches) = batches else {
            let app = Value::from(app);
            return Err(unprocessable(&format!(
                r#""type":"list_type","loc":["body",{app}],"msg":"Input should be a valid list","input":{batches}"#
            )));
        };
        for (position, batch) in batches.into_iter().enumerate() {
            let Value::String(text) = batch else {
                let app = Value::from(app);
                return Err(not_a_string(&format!(",{app},{position}"), &batch));
            };
            if app == node.app_name && text.len() <= node.options.batch_bytes_max {
                taken.push(text);
            }
        }
    }
    check_bandwidth(&node, taken.iter().map(|body| cost(body)).sum())?;
    node.append(taken).await?;
    Ok(received("The batches are received successfully."))
}

fn check_app(node: &NodeState, app: &str) -> Result<(), Response> {
    if app == node.app_name {
        return Ok(());
    }
    Err(failure(StatusCode::BAD_REQUEST, "InvalidRequestError", "Invalid app name."))
}

/// Runs a query of the sequence on a thread that may block.
async fn read<T: Send + 'static>(
    node: &NodeState,
    query: impl FnOnce(&SequenceReader) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Response> {
    let reader = node.reader.clone();
    let result = tokio::task::spawn_blocking(move || query(&reader)).await;
    result.map_err(|error| internal(&error))?.map_err(|error| internal(&error))
}

async fn batches(
    State(node): Shared,
    UrlPath((app, state)): UrlPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let after = after(query.as_deref().unwrap_or_default())?;
    check_app(&node, &app)?;
    // Other states can still vanish; nobody should read them, and unknown ones are null too.
    if state != "finalized" {
        return Ok(success(&Value::Null));
    }
    let bytes_max = node.options.page_bytes_max;
    let Some(page) = read(&node, move |reader| reader.page(after, bytes_max)).await? else {
        return Ok(success(&Value::Null));
    };
    let signatures: Vec<Value> = page
        .signatures
        .iter()
        .map(|signature| {
            json!({
                "state": "locked",
                "signature": signature.finalized,
                "chaining_hash": signature.chaining_hash,
                "nonsigners": [],
                "index": signature.index,
                "parent_index": signature.parent_index,
                "tag": 0,
                "timestamp": signature.timestamp,
            })
        })
        .collect();
    Ok(success(&json!({
        "batches": page.bodies,
        "first_chaining_hash": page.first_chaining_hash,
        "finalized_signatures": signatures,
    })))
}

/// The `after` of a query, as FastAPI reads it.
fn after(query: &str) -> Result<u64, Response> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("after="));
    let Some(value) = value else {
        return Err(unprocessable(
            r#""type":"missing","loc":["query","after"],"msg":"Field required","input":null"#,
        ));
    };
    let input = Value::from(value);
    let is_negative = value.strip_prefix('-').is_some_and(|digits| digits.parse::<u64>().is_ok());
    if is_negative && value != "-0" {
        return Err(unprocessable(&format!(
            r#""type":"greater_than_equal","loc":["query","after"],"msg":"Input should be greater than or equal to 0","input":{input},"ctx":{{"ge":0}}"#
        )));
    }
    value.trim_start_matches('-').parse().map_err(|_| {
        unprocessable(&format!(
            r#""type":"int_parsing","loc":["query","after"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":{input}"#
        ))
    })
}

fn last_value(node: &NodeState, state: &str, signature: &StoredSignature, body: &str) -> Value {
    json!({
        "app_name": node.app_name,
        "body": body,
        "chaining_hash": signature.chaining_hash,
        "parent_index": signature.parent_index,
        "next_index": null,
        "timestamp": signature.timestamp,
        "locked_signature": signature.locked,
        "locked_nonsigners": [],
        "locked_tag": 0,
        "finalized_signature": signature.finalized,
        "finalized_nonsigners": [],
        "finalized_tag": 0,
        "index": signature.index,
        "state": state,
    })
}

fn check_last_state(state: &str) -> Result<(), Response> {
    if matches!(state, "locked" | "finalized") {
        return Ok(());
    }
    let message = "Invalid state. Must be 'locked' or 'finalized'.";
    Err(failure(StatusCode::BAD_REQUEST, "InvalidRequestError", message))
}

async fn last(
    State(node): Shared,
    UrlPath((app, state)): UrlPath<(String, String)>,
) -> Result<Response, Response> {
    check_app(&node, &app)?;
    check_last_state(&state)?;
    let last = read(&node, SequenceReader::last).await?;
    Ok(success(
        &last.map_or(Value::Null, |(signature, body)| last_value(&node, &state, &signature, &body)),
    ))
}

async fn last_bulk(
    State(node): Shared,
    UrlPath(state): UrlPath<String>,
) -> Result<Response, Response> {
    check_last_state(&state)?;
    let mut apps = Map::new();
    if let Some((signature, body)) = read(&node, SequenceReader::last).await? {
        apps.insert(node.app_name.clone(), last_value(&node, &state, &signature, &body));
    }
    Ok(success(&Value::Object(apps)))
}

async fn state(State(node): Shared) -> Result<Response, Response> {
    let (last, finalized) = read(&node, SequenceReader::indexes).await?;
    let ([x1, x0], [y1, y0]) = node.public_key.to_decimal();
    let (id, app) = (&node.id, Value::from(node.app_name.clone()));
    // Keys are JSON integers of 254 bits, which no number type of serde_json holds.
    Ok(ok_raw(format!(
        r#"{{"status":"success","message":"Operation successful","data":{{"sequencer":true,"version":"{VERSION}","sequencer_id":"{id}","node_id":"{id}","pubkeyG2_X":[{x1},{x0}],"pubkeyG2_Y":[{y1},{y0}],"address":"{id}","apps":{{{app}:{{"last_sequenced_index":{last},"last_locked_index":{finalized},"last_finalized_index":{finalized}}}}}}}}}"#
    )))
}
