//! HTTP over the system's sockets.

use std::error::Error;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};

use super::pace::Pace;
use super::transport::{Answer, Bounds, Method, Request, SILENCE_MAX, Transport, TransportError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The slowest pace of an answer after [`SILENCE_MAX`], in bytes per second.
const PACE_MIN: u64 = 64 << 10;

/// HTTP over the system's sockets, with TLS for `https` addresses.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: Client,
    /// Where connections live. Callers may have runtimes of their own that block at times, for example
    /// while they apply a batch; connections there would time out.
    runtime: Handle,
}

impl HttpTransport {
    /// Makes a transport whose connections live in a runtime that never blocks.
    ///
    /// # Errors
    ///
    /// Fails if the system's TLS roots cannot be loaded.
    pub fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        // An app that has chosen a TLS provider keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would let one node answer for another, and a proxy would see every request.
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self { client, runtime })
    }
}

impl Transport for HttpTransport {
    async fn send(&self, request: Request, bounds: Bounds) -> Result<Answer, TransportError> {
        let exchange = exchange(self.client.clone(), request, bounds.bytes_max);
        let bounded = async move {
            let time_max = bounds.time_max;
            let answer = timeout(time_max, exchange).await;
            answer.unwrap_or(Err(TransportError::TimedOut(time_max)))
        };
        let mut task = AbortOnDrop(self.runtime.spawn(bounded));
        let answer = (&mut task.0).await;
        answer.unwrap_or_else(|_| Err(TransportError::Connection("the request was aborted".into())))
    }
}

/// A task that is aborted when its caller no longer waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange(
    client: Client,
    request: Request,
    bytes_max: usize,
) -> Result<Answer, TransportError> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    };
    let mut builder = client.request(method, request.url);
    if let Some(kind) = request.content_type {
        builder = builder.header(CONTENT_TYPE, kind).body(request.body);
    }
    let pace = Pace::new(PACE_MIN, SILENCE_MAX);
    // The time limit of a large answer is long. Without this shorter one, a frozen node would hold up its
    // reader for all of it.
    let response = timeout_at(pace.deadline(), builder.send()).await;
    let response = response.map_err(|_| TransportError::TimedOut(SILENCE_MAX))?;
    let response = response.map_err(connection)?;
    let status = response.status().as_u16();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = kind.map(Into::into);
    let body = read(response, bytes_max, pace).await?;
    Ok(Answer { status, content_type, body })
}

/// Reads a body. Fails if it is too large or comes too slowly.
async fn read(
    mut response: Response,
    bytes_max: usize,
    mut pace: Pace,
) -> Result<Vec<u8>, TransportError> {
    // The announced length is not trusted, but saves reading an answer that will be refused.
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(TransportError::TooLarge(bytes_max));
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = timeout_at(pace.deadline(), response.chunk()).await;
        let chunk = chunk.map_err(|_| TransportError::TooSlow(PACE_MIN))?;
        let Some(chunk) = chunk.map_err(connection)? else { return Ok(bytes) };
        if bytes.len() + chunk.len() > bytes_max {
            return Err(TransportError::TooLarge(bytes_max));
        }
        // In time, as it came before the deadline.
        let _ = pace.take(chunk.len());
        bytes.extend_from_slice(&chunk);
    }
}

fn connection(error: reqwest::Error) -> TransportError {
    // The innermost cause tells what happened. The outer messages repeat the address.
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    TransportError::Connection(cause.to_string().chars().take(200).collect())
}
