//! The endpoints about the replica itself: genesis, status, health and metrics.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use zellbook_core::Genesis;
use zellbook_core::wire::{ReplicaState, ReplicasResponse, StatusBody};

use super::app::{App, Shared};
use super::error::ApiError;
use crate::metrics::{self, Counts};

/// `GET /v1/genesis`. Its hash is the network id.
pub async fn genesis(State(app): Shared) -> Json<Genesis> {
    Json(app.rules.genesis.clone())
}

/// `GET /v1/status`.
pub async fn status(State(app): Shared) -> Json<StatusBody> {
    Json(app.status())
}

/// `GET /v1/replicas`: the replicas in genesis and the last attestation of each.
pub async fn replicas(State(app): Shared) -> Result<Json<ReplicasResponse>, ApiError> {
    let this = app.replica_key.public_key().to_string();
    let (batch, replicas) = app
        .reader
        .read(move |view| Ok((view.last_batch()?.to_string(), view.replicas(&this)?)))
        .await?;
    app.wait_published(&batch).await?;
    Ok(Json(ReplicasResponse { batch, replicas }))
}

/// `GET /metrics`: the status and the counters, in the text format of Prometheus.
pub async fn metrics(State(app): Shared) -> Response {
    let text = metrics::render(&app.status(), &app.watch.counts);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

impl App {
    pub fn status(&self) -> StatusBody {
        let published = self.watch.published.borrow().clone();
        let health = self.watch.health.borrow().clone();
        let counts = &self.watch.counts;
        // If the gateway lags, this is below our own batch, and the lag is zero.
        let gateway_head = Counts::get(&counts.gateway_head);
        StatusBody {
            network: self.rules.network.to_string(),
            name: self.rules.genesis.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            state: health.state,
            reason: health.reason,
            batch: published.batch.to_string(),
            root: hex::encode(published.root),
            time_ms: published.time_ms.to_string(),
            certified_batch: published.certified.map(|(batch, _)| batch.to_string()),
            certified_root: published.certified.map(|(_, root)| hex::encode(root)),
            compared_batch: Some(Counts::get(&counts.compared_batch))
                .filter(|batch| *batch > 0)
                .map(|batch| batch.to_string()),
            chaining_hash: published.chaining_hash.clone(),
            applied_ms: published.applied_ms.map(|time| time.to_string()),
            start: self.start.to_string(),
            lag_batches: gateway_head.saturating_sub(published.batch).to_string(),
            lag_ms: Counts::get(&counts.lag_ms).to_string(),
            duplicates: Counts::get(&counts.duplicates).to_string(),
            outbox: self.outbox.waiting().to_string(),
            posting: self.outbox.posting(),
            gateways: (self.gateways)(),
            faucet: self.faucet.is_some(),
        }
    }
}

impl App {
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

/// `GET /healthz`: 200 while the process responds and has not halted.
pub async fn healthz(State(app): Shared) -> Response {
    // A disconnected replica counts as healthy: it recovers by itself, and a restart would only interrupt
    // it.
    app.halted().map_or_else(|| "ok\n".into_response(), IntoResponse::into_response)
}

/// `GET /readyz`: 200 while the replica follows the sequencer.
pub async fn readyz(State(app): Shared) -> Response {
    let health = app.watch.health.borrow().clone();
    if health.state == ReplicaState::Following {
        return "ready\n".into_response();
    }
    let reason =
        health.reason.unwrap_or_else(|| "this replica has not reached the sequencer yet".into());
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_following", reason)
        .retry_after(1)
        .into_response()
}
