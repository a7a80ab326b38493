//! The HTTP interface of a node of a Zellular network, for the embedded sequencer and the emulated network.
//!
//! Statuses, headers, bodies and limits are those of the reference sequencer v0.1.7, down to the wording of
//! errors, so that clients of real nodes work unchanged. They were captured in `zellular/tests/vectors`; the
//! test `conformance` of the emulated network compares them.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde::Serialize;
use serde_json::{Value, json};

use super::node::{Indexes, LastBatch, LastState, Node, NodeStatus, Refusal, SignedBatch};

/// The version of the interface. Requests that name another one are refused.
pub const VERSION: &str = "v0.1.7";
/// The largest request, in bytes. The bulk call can carry many batches.
const REQUEST_BYTES_MAX: usize = 16 << 20;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::NotSynced => {
                let message = "The node is not synced with the sequencer.";
                (StatusCode::SERVICE_UNAVAILABLE, "NotSyncedError", message)
            }
            Self::Paused => {
                (StatusCode::SERVICE_UNAVAILABLE, "IsPausedError", "This node is paused.")
            }
            Self::NotPosting => {
                let message = "This node does not have posting role.";
                (StatusCode::FORBIDDEN, "IsNotPostingNodeError", message)
            }
            Self::LimitExceeded => {
                let message = "Batches limit volume exceeded.";
                (StatusCode::TOO_MANY_REQUESTS, "BatchesLimitExceededError", message)
            }
            Self::Broken(reason) => return internal(&reason),
        };
        failure(status, code, message)
    }
}

/// Returns the routes of a node.
pub fn router<N: Node>(node: Arc<N>) -> Router {
    let redirect =
        || async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/node/state")]) };
    Router::new()
        .route("/", get(redirect))
        .route("/node/state", get(state::<N>))
        .route("/node/ready", get(ready::<N>))
        .route("/node/batches", put(put_bulk::<N>))
        .route("/node/batches/{state}/last", get(last_bulk::<N>))
        .route("/node/{app}/batches", put(put_batch::<N>))
        .route("/node/{app}/batches/{state}", get(batches::<N>))
        .route("/node/{app}/batches/{state}/last", get(last::<N>))
        .layer(middleware::from_fn(check_version))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(node)
        // Outermost, so that refusals of the layers inside carry the name too.
        .layer(middleware::map_response(name_server))
}

/// Adds the server name that the reference implementation sends.
async fn name_server(mut response: Response) -> Response {
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("uvicorn"));
    response
}

fn ok_raw(json: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn success(data: &impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Success<'a, T> {
        status: &'static str,
        message: &'static str,
        data: &'a T,
    }
    let answer = Success { status: "success", message: "Operation successful", data };
    serde_json::to_string(&answer).map_or_else(|error| internal(&error), ok_raw)
}

fn received(message: &str) -> Response {
    ok_raw(format!(r#"{{"status":"success","message":"{message}","data":{{}}}}"#))
}

fn failure(status: StatusCode, code: &str, message: &str) -> Response {
    let message = Value::from(message);
    let json = format!(r#"{{"status":"error","error":{{"code":"{code}","message":{message}}}}}"#);
    (status, ok_raw(json)).into_response()
}

/// Returns a validation error in the words of FastAPI, the framework of the reference sequencer. `fields` is
/// the content of the detail object.
fn unprocessable(fields: &str) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, ok_raw(format!(r#"{{"detail":[{{{fields}}}]}}"#)))
        .into_response()
}

fn internal(error: &dyn Display) -> Response {
    tracing::error!("request to the sequencer node failed: {error}");
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

async fn ready<N: Node>(State(node): State<Arc<N>>) -> Result<Response, Refusal> {
    node.ready()?;
    Ok(ok_raw(r#"{"status":true}"#.into()))
}

/// Returns the body of a PUT as text. It is a JSON string if the content type is JSON or missing, and plain text
/// otherwise.
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
        // The reference reports the offset at which Python's parser stopped. serde_json reports line and
        // column, and counts the wrong character too, unless the text ended early.
        let line = body.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        let before: usize = line.map(|line| line.len() + 1).sum();
        let column = if error.is_eof() { error.column() } else { error.column().saturating_sub(1) };
        let at = before + column;
        unprocessable(&format!(
            r#""type":"json_invalid","loc":["body",{at}],"msg":"JSON decode error","input":{{}},"ctx":{{"error":"Expecting value"}}"#
        ))
    })
}

async fn put_batch<N: Node>(
    State(node): State<Arc<N>>,
    Path(app): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    node.may_post().map_err(Refusal::into_response)?;
    let text = batch_text(&headers, &body)?;
    if !node.has_app(&app) {
        let message = format!("Invalid app name: {app}.");
        return Err(failure(StatusCode::BAD_REQUEST, "InvalidRequestError", &message));
    }
    if text.len() > node.batch_bytes_max() {
        return Err(failure(
            StatusCode::TOO_MANY_REQUESTS,
            "BatchSizeExceededError",
            "The batch exceeds the maximum allowed size.",
        ));
    }
    node.put(vec![(app, text)]).await.map_err(Refusal::into_response)?;
    Ok(received("The batch is received successfully."))
}

/// Takes batches of several apps. Like the reference sequencer, it drops batches of unknown apps and batches
/// that are too large without an error.
async fn put_bulk<N: Node>(State(node): State<Arc<N>>, body: Bytes) -> Result<Response, Response> {
    node.may_post().map_err(Refusal::into_response)?;
    let apps = match parse_json(&body)? {
        Value::Object(apps) => apps,
        other => {
            return Err(unprocessable(&format!(
                r#""type":"dict_type","loc":["body"],"msg":"Input should be a valid dictionary","input":{other}"#
            )));
        }
    };
    // All parts are read before the first is put, so that a malformed request leaves nothing behind.
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
            if node.has_app(&app) && text.len() <= node.batch_bytes_max() {
                taken.push((app.clone(), text));
            }
        }
    }
    node.put(taken).await.map_err(Refusal::into_response)?;
    Ok(received("The batches are received successfully."))
}

fn check_app<N: Node>(node: &N, app: &str) -> Result<(), Response> {
    if node.has_app(app) {
        return Ok(());
    }
    Err(failure(StatusCode::BAD_REQUEST, "InvalidRequestError", "Invalid app name."))
}

async fn batches<N: Node>(
    State(node): State<Arc<N>>,
    Path((app, state)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        batches: Vec<&'a str>,
        first_chaining_hash: &'a str,
        finalized_signatures: Vec<Value>,
    }
    let after = after(query.as_deref().unwrap_or_default())?;
    check_app(&*node, &app)?;
    // Batches in other states can still be lost, so the reference sequencer returns null, also for unknown
    // states.
    if state != "finalized" {
        return Ok(success(&Value::Null));
    }
    let page = node.page(&app, after).await.map_err(Refusal::into_response)?;
    let Some(page) = page else { return Ok(success(&Value::Null)) };
    Ok(success(&PageBody {
        batches: page.bodies.iter().map(|body| &**body).collect(),
        first_chaining_hash: &page.first_chaining_hash,
        finalized_signatures: page
            .signatures
            .iter()
            .filter_map(|signed| finality(signed))
            .collect(),
    }))
}

fn finality(signed: &SignedBatch) -> Option<Value> {
    // A batch with only a lock is not sequenced, and its signature proves nothing to a reader.
    let finalized = signed.finalized.as_ref()?;
    Some(json!({
        "state": "locked",
        "signature": finalized.signature,
        "chaining_hash": signed.chaining_hash,
        "nonsigners": finalized.nonsigners,
        "index": signed.index,
        "parent_index": signed.parent_index,
        // A tag names a block with a list of operators. This network has fixed nodes.
        "tag": 0,
        "timestamp": signed.timestamp,
    }))
}

/// Reads the `after` of a query, with FastAPI's errors.
fn after(query: &str) -> Result<u64, Response> {
    // Read by hand, since the errors of axum's own extractor are not FastAPI's.
    let value = query.split('&').find_map(|pair| pair.strip_prefix("after="));
    let Some(value) = value else {
        return Err(unprocessable(
            r#""type":"missing","loc":["query","after"],"msg":"Field required","input":null"#,
        ));
    };
    let input = Value::from(value);
    // One sign at most, and then digits alone: Rust would read a plus sign too.
    let digits = value.strip_prefix('-').unwrap_or(value);
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok());
    let number = number.flatten();
    // Python reads -0 as the number 0.
    if number.is_some_and(|number| number > 0) && digits != value {
        return Err(unprocessable(&format!(
            r#""type":"greater_than_equal","loc":["query","after"],"msg":"Input should be greater than or equal to 0","input":{input},"ctx":{{"ge":0}}"#
        )));
    }
    number.ok_or_else(|| {
        unprocessable(&format!(
            r#""type":"int_parsing","loc":["query","after"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":{input}"#
        ))
    })
}

fn last_state(state: &str) -> Result<LastState, Response> {
    match state {
        "locked" => Ok(LastState::Locked),
        "finalized" => Ok(LastState::Finalized),
        _ => {
            let message = "Invalid state. Must be 'locked' or 'finalized'.";
            Err(failure(StatusCode::BAD_REQUEST, "InvalidRequestError", message))
        }
    }
}

fn last_value(app: &str, state: LastState, last: &LastBatch) -> Value {
    let signed = &last.signed;
    let (finalized, nonsigners) = match &signed.finalized {
        Some(finalized) => (Some(&finalized.signature), Some(&finalized.nonsigners)),
        None => (None, None),
    };
    json!({
        "app_name": app,
        "body": &*last.body,
        "chaining_hash": signed.chaining_hash,
        "parent_index": signed.parent_index,
        "next_index": null,
        "timestamp": signed.timestamp,
        "locked_signature": signed.locked.signature,
        "locked_nonsigners": signed.locked.nonsigners,
        "locked_tag": 0,
        "finalized_signature": finalized,
        "finalized_nonsigners": nonsigners,
        "finalized_tag": 0,
        "index": signed.index,
        "state": state.name(),
    })
}

async fn last<N: Node>(
    State(node): State<Arc<N>>,
    Path((app, state)): Path<(String, String)>,
) -> Result<Response, Response> {
    check_app(&*node, &app)?;
    let state = last_state(&state)?;
    let last = node.last(&app, state).await.map_err(Refusal::into_response)?;
    Ok(success(&last.map_or(Value::Null, |last| last_value(&app, state, &last))))
}

async fn last_bulk<N: Node>(
    State(node): State<Arc<N>>,
    Path(state): Path<String>,
) -> Result<Response, Response> {
    let state = last_state(&state)?;
    let status = node.status().await.map_err(Refusal::into_response)?;
    let mut apps = serde_json::Map::new();
    for (app, _) in status.apps {
        let last = node.last(&app, state).await.map_err(Refusal::into_response)?;
        if let Some(last) = last {
            let value = last_value(&app, state, &last);
            apps.insert(app, value);
        }
    }
    Ok(success(&apps))
}

async fn state<N: Node>(State(node): State<Arc<N>>) -> Result<Response, Refusal> {
    let NodeStatus { version, leader_id, id, public_key, apps } = node.status().await?;
    let ([x1, x0], [y1, y0]) = public_key.to_decimal();
    let is_leader = leader_id == id;
    let mut fields = Vec::with_capacity(apps.len());
    for (app, Indexes { sequenced, locked, finalized }) in apps {
        let app = Value::from(app);
        fields.push(format!(
            r#"{app}:{{"last_sequenced_index":{sequenced},"last_locked_index":{locked},"last_finalized_index":{finalized}}}"#
        ));
    }
    let apps = fields.join(",");
    let [version, leader_id, id] = [version, leader_id, id].map(Value::from);
    // Keys are JSON integers of 254 bits, which no number type of serde_json holds.
    Ok(ok_raw(format!(
        r#"{{"status":"success","message":"Operation successful","data":{{"sequencer":{is_leader},"version":{version},"sequencer_id":{leader_id},"node_id":{id},"pubkeyG2_X":[{x1},{x0}],"pubkeyG2_Y":[{y1},{y0}],"address":{id},"apps":{{{apps}}}}}}}"#
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_as_pydantic_reads_whole_numbers() {
        let read = |value: &str| after(&format!("after={value}")).map_err(|error| error.status());
        for (value, index) in [("0", 0), ("-0", 0), ("007", 7), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(read(value), Ok(index), "{value}");
        }
        for wrong in ["", "-", "-5", "--5", "---0", "-+5", "5-", "5.5", "18446744073709551616", "a"]
        {
            assert_eq!(read(wrong), Err(StatusCode::UNPROCESSABLE_ENTITY), "{wrong:?}");
        }
    }
}
