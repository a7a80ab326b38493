//! The endpoints about the replica itself: genesis, status, health and metrics.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use zellbook_core::Genesis;
use zellbook_core::wire::{ReplicaState, ReplicasResponse, StatusBody};

use super::app::{App, Readiness, Shared};
use super::error::ApiError;
use super::reads::Reads;
use crate::metrics::{self, Counts};
use crate::published::Health;

const CERTIFIED_BATCH: HeaderName = HeaderName::from_static("certified-batch");

/// `GET /v1/genesis`. Its hash is the network id.
pub async fn genesis(State(app): Shared) -> Json<Genesis> {
    Json(app.rules.genesis.clone())
}

/// `GET /v1/status`.
pub async fn status(State(app): Shared) -> Json<StatusBody> {
    Json(app.status())
}

/// `GET /v1/replicas`: the replicas in genesis and the last attestation of each.
pub async fn replicas(
    State(app): Shared,
    reads: Reads,
) -> Result<Json<ReplicasResponse>, ApiError> {
    let this = app.replica_key.public_key().to_string();
    let (batch, replicas) =
        reads.read(move |view| Ok((view.last_batch()?.to_string(), view.replicas(&this)?))).await?;
    app.wait_published(&batch).await?;
    Ok(Json(ReplicasResponse { batch, replicas }))
}

/// `GET /metrics`: the status and the counters, in the text format of Prometheus.
pub async fn metrics(State(app): Shared) -> Response {
    let text = metrics::render(&app.status(), &app.watch.counts);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

impl App {
    /// The last certified batch, as of the last commit.
    pub fn certified_batch(&self) -> Option<String> {
        self.watch.published.borrow().certified.map(|(batch, _)| batch.to_string())
    }

    pub fn status(&self) -> StatusBody {
        let published = self.watch.published.borrow().clone();
        let health = self.watch.health.borrow().clone();
        let counts = &self.watch.counts;
        let gateway_head = Counts::get(&counts.gateway_head);
        let milliseconds = |time: Duration| time.as_millis().to_string();
        let clock = published.clock(self.clock.now_ms());
        StatusBody {
            network: self.rules.network.to_string(),
            name: self.rules.genesis.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            state: health.state,
            reason: health.reason,
            batch: published.batch.to_string(),
            root: hex::encode(published.root),
            time_ms: published.time_ms.to_string(),
            now_ms: clock.best_ms().max(published.time_ms).to_string(),
            clock_ahead_ms: clock.ahead_ms().map(|ahead| ahead.to_string()),
            certified_batch: published.certified.map(|(batch, _)| batch.to_string()),
            certified_root: published.certified.map(|(_, root)| hex::encode(root)),
            compared_batch: Some(Counts::get(&counts.compared_batch))
                .filter(|batch| *batch > 0)
                .map(|batch| batch.to_string()),
            chaining_hash: published.chaining_hash.clone(),
            applied_ms: published.applied_ms.map(|time| time.to_string()),
            start: self.start.to_string(),
            batch_age_ms: self.batch_age().map(milliseconds),
            lag_batches: gateway_head.saturating_sub(published.batch).to_string(),
            lag_ms: Counts::get(&counts.lag_ms).to_string(),
            duplicates: Counts::get(&counts.duplicates).to_string(),
            outbox: self.outbox.waiting().to_string(),
            oldest_waiting_ms: self.outbox.oldest_waiting().map(milliseconds),
            not_ready: self.not_ready(),
            posting: self.outbox.posting(),
            gateways: (self.gateways)(),
            faucet: self.faucet.is_some(),
        }
    }
}

impl App {
    /// The age of the last batch, by the time of its sequence proof. Where this replica's clock is wrong, the network's time
    /// counts.
    fn batch_age(&self) -> Option<Duration> {
        let published = self.watch.published.borrow();
        let now_ms = published.clock(self.clock.now_ms()).best_ms();
        Some(Duration::from_millis(now_ms.saturating_sub(published.finalized_ms?)))
    }

    /// Why this replica should get no requests; `None` if it is ready.
    fn not_ready(&self) -> Option<String> {
        let Health { state, reason, .. } = self.watch.health.borrow().clone();
        if state != ReplicaState::Following {
            let unknown = "this replica has not reached the sequencer yet";
            return Some(reason.unwrap_or_else(|| unknown.into()));
        }
        let above = |age: Option<Duration>, max: Option<Duration>| {
            age.zip(max).filter(|(age, max)| age > max)
        };
        // While the network changes its leader its nodes still answer, so nothing else shows that it takes nothing.
        let Readiness { stall_max, wait_max, batch_age_max } = self.readiness;
        let limits = [
            (
                above(self.outbox.stalled(), stall_max),
                "transactions wait in the outbox, and none has come back for",
                "--ready-max-stall",
            ),
            (
                above(self.outbox.oldest_waiting(), wait_max),
                "the oldest transaction in the outbox has waited for",
                "--ready-max-wait",
            ),
            (
                above(self.batch_age(), batch_age_max),
                "no batch was sequenced for",
                "--ready-max-batch-age",
            ),
        ];
        limits.into_iter().find_map(|(found, what, option)| {
            let (found, max) = found?;
            let (found, max) = (found.as_secs(), max.as_secs());
            Some(format!("{what} {found} s; the limit is {option} {max}"))
        })
    }

    /// Waits until the published view includes the batch. A commit is in the store a moment before it is
    /// published; without this wait a client could read an account after a batch and then a book before it.
    pub async fn wait_published(&self, batch: &str) -> Result<(), ApiError> {
        // The text is a number that this replica wrote, or empty if the response names no batch.
        let batch: u64 = batch.parse().unwrap_or(0);
        let mut published = self.watch.published.clone();
        // An error means that the replica halted before it published that batch.
        let waited = published.wait_for(|published| published.batch >= batch).await;
        waited.map(drop).map_err(|_| self.halted().unwrap_or_else(ApiError::stopping))
    }

    /// The error response with the reason of the halt, if the replica has halted.
    pub fn halted(&self) -> Option<ApiError> {
        let health = self.watch.health.borrow();
        (health.state == ReplicaState::Halted).then(|| {
            let reason = health.reason.clone().unwrap_or_default();
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "halted", reason)
        })
    }
}

/// A halted replica neither shows a state that may be wrong nor accepts transactions that it will not post.
pub async fn refuse_if_halted(State(app): Shared, request: Request, next: Next) -> Response {
    match app.halted() {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

/// Names the last certified batch in the header of a response that shows the state. A response names the batch that
/// it includes, and comparing the two tells whether it is certified or only sequenced.
pub async fn name_certified(State(app): Shared, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // Read after the response was made. It may by then be later than the response's batch, and never claims too much.
    let batch = app.certified_batch().and_then(|batch| HeaderValue::from_str(&batch).ok());
    if let Some(batch) = batch {
        response.headers_mut().insert(CERTIFIED_BATCH, batch);
    }
    response
}

/// While the network's history is behind this replica's, what is posted may become part of another one. To say 202 and
/// not post it would be no better.
pub async fn refuse_if_behind(State(app): Shared, request: Request, next: Next) -> Response {
    let health = app.watch.health.borrow().clone();
    if !health.network_is_behind {
        return next.run(request).await;
    }
    let message = health.reason.unwrap_or_default();
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "network_behind", message);
    error.retry_after(10).into_response()
}

/// `GET /healthz`: 200 while the process responds and has not halted.
pub async fn healthz(State(app): Shared) -> Response {
    // A disconnected replica counts as healthy: it recovers by itself, and a restart would only interrupt
    // it.
    app.halted().map_or_else(|| "ok\n".into_response(), IntoResponse::into_response)
}

/// `GET /readyz`: 200 while the replica follows the sequencer and the network takes what it posts.
pub async fn readyz(State(app): Shared) -> Response {
    match app.not_ready() {
        None => "ready\n".into_response(),
        Some(reason) => {
            let is_following = app.watch.health.borrow().state == ReplicaState::Following;
            let code = if is_following { "not_ready" } else { "not_following" };
            let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, reason);
            error.retry_after(1).into_response()
        }
    }
}
