//! The replica's HTTP interface, as the page uses it.

use gloo_net::http::{Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zellbook_core::wire::{MarketsResponse, SubmitResponse, TransactionStatus};

/// Why a request failed. Its text is for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There was no answer. The same request can be made again.
    Unreachable,
    /// The replica itself refused the request, in its own form of error. It would refuse the same request again.
    Refused(Reason),
    /// Any other answer: the replica cannot answer now, a proxy in front of it answered, or this page cannot read the
    /// answer. The request may have had its effect.
    Unclear {
        reason: Reason,
        /// How many seconds the next request should wait, if the answer said so.
        wait_s: Option<u32>,
    },
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable => f.write_str(
                "The replica does not answer. Signed transactions are stored in this browser and sent once it does.",
            ),
            Self::Refused(reason) | Self::Unclear { reason, .. } => f.write_str(&reason.message),
        }
    }
}

/// The part of an error answer that the page reads.
#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

/// Why an answer is an error: a code of docs/api.md, empty if it is not the replica's own answer, and a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Reason {
    #[serde(default)]
    pub code: String,
    pub message: String,
}

impl From<String> for Reason {
    fn from(message: String) -> Self {
        Self { message, ..Self::default() }
    }
}

pub type ApiResult<T> = Result<T, Problem>;

async fn read(sent: Result<Response, gloo_net::Error>) -> ApiResult<String> {
    let response = sent.map_err(|_| Problem::Unreachable)?;
    // A connection that breaks within the answer leaves the outcome as unknown as no answer at all.
    let text = response.text().await.map_err(|_| Problem::Unreachable)?;
    if response.ok() {
        return Ok(text);
    }
    let status = response.status();
    let wait_s = response.headers().get("retry-after").and_then(|text| text.parse().ok());
    // A proxy in front of the replica answers in a form of its own.
    Err(match serde_json::from_str::<Refusal>(&text) {
        // 429 and everything from 500 on say only "not now".
        Ok(refusal) if status < 500 && status != 429 => Problem::Refused(refusal.error),
        Ok(refusal) => Problem::Unclear { reason: refusal.error, wait_s },
        Err(_) => {
            let reason = format!("The replica answered with status {status}.");
            Problem::Unclear { reason: reason.into(), wait_s }
        }
    })
}

pub fn parse<T: DeserializeOwned>(text: &str) -> ApiResult<T> {
    // Without the parser's own words, whose code a first visit would load for nothing.
    serde_json::from_str(text).map_err(|_| Problem::Unclear {
        reason: "The replica sent an answer that this page cannot read.".to_string().into(),
        wait_s: None,
    })
}

/// The answer at a path, unread.
pub async fn text(path: &str) -> ApiResult<String> {
    read(Request::get(path).send().await).await
}

async fn get<T: DeserializeOwned>(path: &str) -> ApiResult<T> {
    parse(&text(path).await?)
}

async fn post<T: DeserializeOwned>(path: &str, body: String) -> ApiResult<T> {
    let request = Request::post(path).header("content-type", "application/json").body(body);
    let request = request.map_err(|error| Problem::Refused(error.to_string().into()))?;
    parse(&read(request.send().await).await?)
}

/// Tokens and markets with their figures of the last 24 hours.
pub async fn markets() -> ApiResult<MarketsResponse> {
    get("/v1/markets").await
}

/// Sends a signed transaction.
pub async fn submit(json: String) -> ApiResult<SubmitResponse> {
    post("/v1/transactions", json).await
}

pub async fn transaction(hash: &str) -> ApiResult<TransactionStatus> {
    get(&format!("/v1/transactions/{hash}")).await
}

pub async fn faucet(account: &str) -> ApiResult<SubmitResponse> {
    // An account is 66 hex digits, so it needs no escaping.
    post("/v1/faucet", format!("{{\"account\":\"{account}\"}}")).await
}
