//! What the replica is, and how it is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use zellbook_core::genesis::Genesis;
use zellbook_core::wire::{ReplicaState, StatusBody};

use super::{ApiError, App, Shared};

/// `GET /v1/genesis`: whose hash is the network id.
pub async fn genesis(State(app): Shared) -> Json<Genesis> {
    Json(app.rules.genesis.clone())
}

/// `GET /v1/status`.
pub async fn status(State(app): Shared) -> Json<StatusBody> {
    Json(app.status())
}

impl App {
    /// What the replica is doing now.
    pub fn status(&self) -> StatusBody {
        let published = self.watch.published.borrow().clone();
        let health = self.watch.health.borrow().clone();
        StatusBody {
            network: self.rules.network.to_string(),
            name: self.rules.genesis.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            state: health.state,
            reason: health.reason,
            batch: published.batch.to_string(),
            root: hex::encode(published.root),
            chaining_hash: published.chaining_hash.clone(),
            applied_ms: published.applied_ms.map(|time| time.to_string()),
            outbox: self.outbox.len().to_string(),
            gateways: (self.gateways)(),
            faucet: self.faucet.is_some(),
        }
    }
}

impl App {
    /// Waits until what everyone is shown is not older than what was just read from the store: a
    /// commit is stored a moment before it is shown.
    pub async fn shown(&self, batch: &str) {
        let batch: u64 = batch.parse().unwrap_or(0);
        let mut published = self.watch.published.clone();
        // An error means that the replica has halted, and nothing more will be shown.
        let _ = published.wait_for(|published| published.batch >= batch).await;
    }
}

/// `GET /healthz`: the process answers, and is not halted.
pub async fn healthz(State(app): Shared) -> Response {
    let health = app.watch.health.borrow().clone();
    if health.state == ReplicaState::Halted {
        let reason = health.reason.unwrap_or_default();
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "halted", reason).into_response();
    }
    "ok\n".into_response()
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
