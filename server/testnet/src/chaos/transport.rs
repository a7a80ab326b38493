//! Links in memory between the replicas and the emulated nodes. They delay messages, lose some, and can be
//! cut.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request as HttpRequest, header};
use fastrand::Rng;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::network::Network;
use zellular::client::transport::{
    Answer, Bounds, Method, Request, SILENCE_MAX, Transport, TransportError,
};

/// The delay of a request or a response, in milliseconds.
const DELAY_MS: std::ops::Range<u64> = 1..15;

pub struct Links {
    network: Network,
    routers: Vec<Router>,
    state: Mutex<LinkState>,
}

pub struct LinkState {
    /// The pairs of a replica and a node whose link is cut.
    pub cut: BTreeSet<(usize, usize)>,
    /// The percentage of messages that are lost.
    pub lost_percent: u32,
    rng: Rng,
}

impl Links {
    pub fn new(network: Network, seed: u64) -> Self {
        let routers = (0..network.len()).map(|node| network.router(node)).collect();
        let state = LinkState { cut: BTreeSet::new(), lost_percent: 0, rng: Rng::with_seed(seed) };
        Self { network, routers, state: Mutex::new(state) }
    }

    /// The address of a node.
    pub fn url(node: usize) -> String {
        format!("http://node-{node}.chaos")
    }

    pub fn state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the fate of the next message.
    fn next(&self) -> Passage {
        let mut state = self.state();
        let percent = state.lost_percent;
        let delay = Duration::from_millis(state.rng.u64(DELAY_MS));
        // Half of the losses break the connection, and the others are silent: a client must handle both.
        if percent == 0 || state.rng.u32(0..100) >= percent {
            Passage::After(delay)
        } else if state.rng.bool() {
            Passage::Broken(delay)
        } else {
            Passage::Lost
        }
    }
}

/// The fate of a message.
enum Passage {
    /// It arrives after a delay.
    After(Duration),
    /// The connection is reset after a delay.
    Broken(Duration),
    /// It is lost, so that only a timeout ends the wait for it.
    Lost,
}

/// One replica's end of the links.
#[derive(Clone)]
pub struct MemoryTransport {
    pub links: Arc<Links>,
    pub replica: usize,
}

impl MemoryTransport {
    fn is_reached(&self, node: usize) -> Result<(), TransportError> {
        let is_cut = self.links.state().cut.contains(&(self.replica, node));
        if is_cut || self.links.network.is_down(node) {
            return Err(TransportError::Connection("connection refused".into()));
        }
        Ok(())
    }

    async fn exchange(&self, request: Request, bounds: Bounds) -> Result<Answer, TransportError> {
        let unknown = || TransportError::Connection(format!("no such node: {}", request.url));
        let rest = request.url.strip_prefix("http://node-").ok_or_else(unknown)?;
        let (node, path) = rest.split_once(".chaos").ok_or_else(unknown)?;
        let node: usize = node.parse().map_err(|_| unknown())?;
        let router = self.links.routers.get(node).ok_or_else(unknown)?.clone();
        self.pass().await?;
        // Checked when the message arrives, and not when it leaves: the link may be cut on the way.
        self.is_reached(node)?;
        let method = match request.method {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
        };
        let mut http = HttpRequest::builder().method(method).uri(path);
        if let Some(content_type) = request.content_type {
            http = http.header(header::CONTENT_TYPE, content_type);
        }
        let broken = |error: &dyn std::fmt::Display| TransportError::Connection(error.to_string());
        let http = http.body(Body::from(request.body)).map_err(|error| broken(&error))?;
        let response = match router.oneshot(http).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status().as_u16();
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // The client's own limit, as the real transport applies it.
        let body = to_bytes(response.into_body(), bounds.bytes_max)
            .await
            .map_err(|_| TransportError::TooLarge(bounds.bytes_max))?;
        self.pass().await?;
        // By now the node has acted on the request. A response that is lost here makes the client repeat a
        // post that has succeeded.
        self.is_reached(node)?;
        Ok(Answer { status, content_type, body: body.to_vec() })
    }

    /// Waits until a message has arrived; for ever if it is lost.
    async fn pass(&self) -> Result<(), TransportError> {
        match self.links.next() {
            Passage::After(delay) => sleep(delay).await,
            Passage::Broken(delay) => {
                sleep(delay).await;
                return Err(TransportError::Connection("connection reset by peer".into()));
            }
            // The timeout in `send` drops this future.
            Passage::Lost => std::future::pending().await,
        }
        Ok(())
    }
}

impl Transport for MemoryTransport {
    async fn send(&self, request: Request, bounds: Bounds) -> Result<Answer, TransportError> {
        // Responses are small here, so the time limit of a whole response is never reached before that of
        // silence.
        let time_max = bounds.time_max.min(SILENCE_MAX);
        let answer = timeout(time_max, self.exchange(request, bounds)).await;
        answer.unwrap_or(Err(TransportError::TimedOut(time_max)))
    }
}
