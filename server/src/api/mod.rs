//! The HTTP and WebSocket interface of a replica.
//!
//! Handlers read the store and the published view, and hand transactions to the outbox. None of them
//! touches the engine's state, so no request can slow down the task that applies batches. Every request is
//! bounded in size and time, and every list in length.

mod accounts;
mod app;
mod batches;
mod bodies;
mod candles;
mod channels;
mod checks;
mod contents;
mod credit;
mod error;
mod faucet;
mod gate;
mod guide;
mod in_progress;
mod issuers;
mod markets;
mod network;
mod origin;
mod page;
mod queues;
mod rate_limit;
mod reads;
mod simulate;
mod snapshots;
mod socket;
mod sockets;
mod status;
#[cfg(test)]
mod tests;
mod transactions;
mod unsent;
mod views;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub use app::{App, Readiness};
pub use bodies::Bodies;
pub use error::ApiError;
pub use faucet::Faucet;
pub use origin::{Origin, Origins};
pub use page::Page;
pub use queues::Queues;
pub use sockets::Sockets;

/// The longest plain-text error of the framework that is passed on.
const FRAMEWORK_ERROR_BYTES_MAX: usize = 4096;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The routes that only supervisors and monitoring need.
fn admin_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
}

/// The routes of the listener for supervisors and monitoring.
pub fn admin_router(app: Arc<App>) -> Router {
    admin_routes()
        .fallback(|uri: Uri| async move { views::not_found(uri.path()) })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        // Metrics name the gateways, which a page of another site could read by rebinding its name to this address.
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::check_site))
        .layer(middleware::from_fn(security_headers))
        .with_state(app)
}

/// The routes of the API, with or without those that can have a listener of their own.
pub fn router(app: Arc<App>, with_admin: bool) -> Router {
    // Endpoints that show or change the state. A halted replica refuses them, because its state may be
    // wrong; the endpoints below stay available, for people to find out what happened.
    let takes = Router::new()
        .route("/v1/transactions", gate::post_json(transactions::submit))
        .route("/v1/faucet", gate::post_json(credit::credit))
        .route("/order", post(guide::order))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), status::refuse_if_behind));
    let exchange = Router::new()
        .route("/v1/transactions/{hash}", get(transactions::status))
        .route("/v1/transactions/{hash}/signed", get(contents::signed))
        .route("/v1/simulate", gate::post_json(simulate::simulate))
        .route("/v1/markets", get(markets::list))
        .route("/v1/markets/{market}/book", get(markets::book))
        .route("/v1/markets/{market}/trades", get(markets::trades))
        .route("/v1/markets/{market}/candles", get(candles::candles))
        .route("/v1/accounts/{account}", get(accounts::account))
        .route("/v1/accounts/{account}/proof", get(accounts::proof))
        .route("/v1/accounts/{account}/orders", get(accounts::orders))
        .route("/v1/accounts/{account}/orders/{id}/proof", get(accounts::order_proof))
        .route("/v1/accounts/{account}/fills", get(accounts::fills))
        .route("/v1/accounts/{account}/ledger", get(accounts::ledger))
        .route("/v1/deposits", get(issuers::deposits))
        .route("/v1/withdrawals", get(issuers::withdrawals))
        .route("/v1/batches/{index}/contents", get(contents::contents))
        .route("/v1/batches/{index}/trades", get(contents::trades))
        .route("/v1/replicas", get(status::replicas))
        .route("/v1/snapshots", get(snapshots::list))
        .route("/v1/snapshots/{batch}", get(snapshots::download))
        .merge(takes)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), status::name_certified))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), status::refuse_if_halted));
    let admin = if with_admin { admin_routes() } else { Router::new() };
    Router::new()
        .route("/v1/genesis", get(status::genesis))
        .route("/v1/status", get(status::status))
        .route("/v1/network", get(network::network))
        .route("/v1/certified", get(batches::certified))
        .route("/v1/headers", get(batches::headers))
        .route("/v1/batches", get(batches::list))
        .route("/v1/batches/{index}", get(batches::one))
        .merge(admin)
        .merge(exchange)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::read_body))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::bound_unsent))
        // The limit is on the handler, which also reads the request's body. The response's body is sent
        // afterwards, so a large snapshot may take longer.
        .layer(middleware::from_fn(time_out))
        // Added after the timeout, because a WebSocket stays open for hours.
        .route("/v1/ws", get(websocket::upgrade))
        .fallback(views::serve)
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        // Each layer wraps those above it. So `shape_errors` also sees the errors of routing, of extractors
        // and of this limit, and every response gets the security headers.
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::bound_requests))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::check_site))
        .layer(middleware::from_fn(gate::check_codings))
        .layer(middleware::from_fn(shape_errors))
        .layer(middleware::from_fn(security_headers))
        .with_state(app)
}

async fn time_out(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timed_out",
            "the request took longer than 30 seconds; try again",
        )
        .into_response(),
    }
}

/// Turns the plain-text errors of the framework into the JSON form that all errors have.
async fn shape_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/plain")));
    // Our own errors are JSON already, so an error in plain text comes from the framework.
    if !(status.is_client_error() || status.is_server_error()) || !is_text {
        return response;
    }
    let bytes = axum::body::to_bytes(response.into_body(), FRAMEWORK_ERROR_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    let code = if status == StatusCode::UPGRADE_REQUIRED { "no_upgrade" } else { "bad_request" };
    ApiError::new(status, code, text).into_response()
}

async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name, value| {
        // A handler's own value wins, such as the cache policy of the page's files.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(header::HeaderName::from_static("cross-origin-embedder-policy"), "require-corp");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    response
}
