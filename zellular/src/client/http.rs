//! The transport over real sockets.

use std::error::Error;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::transport::{Answer, Bounds, Method, Request, SILENCE_MAX, Transport, TransportError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is a bearable pace, in bytes a second, after the grace.
const PACE_MIN: u64 = 64 << 10;

/// HTTP by the system's sockets.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: Client,
    /// Where connections live: those who ask may have runtimes of their own, which block at times.
    runtime: Handle,
}

impl HttpTransport {
    /// A transport whose connections live in a runtime that never blocks.
    pub fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        // Redirects would let one node speak for another; a proxy would see all.
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
        let mut task = Ended(self.runtime.spawn(bounded));
        let answer = (&mut task.0).await;
        answer.unwrap_or_else(|_| Err(TransportError::Connection("it was broken off".into())))
    }
}

/// A task that ends when nobody waits for it any more.
struct Ended<T>(JoinHandle<T>);

impl<T> Drop for Ended<T> {
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
    let started = Instant::now();
    // A node that is frozen, or far behind a broken link, would hold up its reader for as long as the
    // largest answer may take.
    let response = timeout_at(started + SILENCE_MAX, builder.send()).await;
    let response = response.map_err(|_| TransportError::TimedOut(SILENCE_MAX))?;
    let response = response.map_err(connection)?;
    let status = response.status().as_u16();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = kind.map(Into::into);
    let body = read(response, bytes_max, started).await?;
    Ok(Answer { status, content_type, body })
}

/// Reads a body that is not too large and does not trickle.
async fn read(
    mut response: Response,
    bytes_max: usize,
    started: Instant,
) -> Result<Vec<u8>, TransportError> {
    // What it says of its own length is not believed, but may be refused.
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(TransportError::TooLarge(bytes_max));
    }
    let mut bytes = Vec::new();
    loop {
        let bearable = Duration::from_secs(bytes.len() as u64 / PACE_MIN);
        let chunk = timeout_at(started + SILENCE_MAX + bearable, response.chunk()).await;
        let chunk = chunk.map_err(|_| TransportError::TooSlow(PACE_MIN))?;
        let Some(chunk) = chunk.map_err(connection)? else { return Ok(bytes) };
        if bytes.len() + chunk.len() > bytes_max {
            return Err(TransportError::TooLarge(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn connection(error: reqwest::Error) -> TransportError {
    // The cause says what happened; the outer message repeats the address.
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    TransportError::Connection(cause.to_string().chars().take(200).collect())
}
