//! What the replica is, and how it is.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use zellbook_core::genesis::Genesis;
use zellbook_core::wire::{ReplicaState, ReplicasResponse, StatusBody};

use super::{ApiError, App, Shared};
use crate::metrics::{self, Counts};

/// `GET /v1/genesis`: whose hash is the network id.
pub async fn genesis(State(app): Shared) -> Json<Genesis> {
    Json(app.rules.genesis.clone())
}

/// `GET /v1/status`.
pub async fn status(State(app): Shared) -> Json<StatusBody> {
    Json(app.status())
}

/// `GET /v1/replicas`: those of genesis, and what each attested to last.
pub async fn replicas(State(app): Shared) -> Result<Json<ReplicasResponse>, ApiError> {
    let this = app.replica_key.public_key().to_string();
    let (batch, replicas) = app
        .reader
        .read(move |view| Ok((view.last_batch()?.to_string(), view.replicas(&this)?)))
        .await?;
    app.shown(&batch).await?;
    Ok(Json(ReplicasResponse { batch, replicas }))
}

/// `GET /metrics`: the status and counts, as Prometheus reads them.
pub async fn metrics(State(app): Shared) -> Response {
    let text = metrics::render(&app.status(), &app.watch.counts);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

impl App {
    /// What the replica is doing now.
    pub fn status(&self) -> StatusBody {
        let published = self.watch.published.borrow().clone();
        let health = self.watch.health.borrow().clone();
        let counts = &self.watch.counts;
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
            chaining_hash: published.chaining_hash.clone(),
            applied_ms: published.applied_ms.map(|time| time.to_string()),
            start: self.start.to_string(),
            lag_batches: gateway_head.saturating_sub(published.batch).to_string(),
            lag_ms: Counts::get(&counts.lag_ms).to_string(),
            duplicates: Counts::get(&counts.duplicates).to_string(),
            outbox: self.outbox.len().to_string(),
            posting: self.outbox.posting(),
            gateways: (self.gateways)(),
            faucet: self.faucet.is_some(),
        }
    }
}

impl App {
    /// Waits until what everyone is shown is not older than what was just read from the store: a
    /// commit is stored a moment before it is shown.
    pub async fn shown(&self, batch: &str) -> Result<(), ApiError> {
        let batch: u64 = batch.parse().unwrap_or(0);
        let mut published = self.watch.published.clone();
        // An error means that the replica has halted before it showed that.
        let shown = published.wait_for(|published| published.batch >= batch).await;
        shown.map(drop).map_err(|_| self.halted().unwrap_or_else(ApiError::stopping))
    }

    /// What is answered once the replica has halted.
    pub fn halted(&self) -> Option<ApiError> {
        let health = self.watch.health.borrow();
        (health.state == ReplicaState::Halted).then(|| {
            let reason = health.reason.clone().unwrap_or_default();
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "halted", reason)
        })
    }
}

/// Keeps a replica that halted from showing what may be wrong, and from taking what it will not post.
pub async fn refuse_if_halted(State(app): Shared, request: Request, next: Next) -> Response {
    match app.halted() {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

/// `GET /healthz`: the process answers, and is not halted.
pub async fn healthz(State(app): Shared) -> Response {
    app.halted().map_or_else(|| "ok\n".into_response(), IntoResponse::into_response)
}

/// `GET /readyz`: it follows the sequencer.
pub async fn readyz(State(app): Shared) -> Response {
    let health = app.watch.health.borrow().clone();
    if health.state == ReplicaState::Following {
        return "ready\n".into_response();
    }
    let reason = health.reason.unwrap_or_else(|| "it has not reached the sequencer yet".into());
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_following", reason)
        .retry_after(1)
        .into_response()
}
