//! Errors of the API: each knows its status, and says what was wrong and what would be right.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use zellbook_core::reject::Reject;
use zellbook_core::wire::{ErrorBody, ErrorDetail};

use crate::outbox::SubmitError;
use crate::prover::ProveError;

/// An error answer.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    retry_after: Option<u32>,
    detail: ErrorDetail,
}

impl ApiError {
    /// An error without details.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let detail = ErrorDetail { code: code.into(), message: message.into(), details: json!({}) };
        Self { status, retry_after: None, detail }
    }

    /// With details.
    pub fn with(mut self, details: Value) -> Self {
        self.detail.details = details;
        self
    }

    /// With a number of seconds after which to try again.
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// A parameter or body that cannot be read: 400.
    pub fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Something that is not there: 404.
    pub fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// A path that takes another method: 405.
    pub fn method_not_allowed() -> Self {
        let message = "this path takes another method; docs/api.md lists them";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// The replica is going away: 503.
    pub fn stopping() -> Self {
        let message = "this replica is stopping and took nothing; try another";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message).retry_after(2)
    }

    /// A failure of this replica: 500. What happened is logged, not told.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("{error}");
        let message = "this replica failed to answer; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// What the client is told.
    pub const fn detail(&self) -> &ErrorDetail {
        &self.detail
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<&Reject> for ApiError {
    fn from(reject: &Reject) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reject.name(), reject.to_string())
            .with(json!({ "reject_code": reject.code().to_string() }))
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full { retry_after_s } => {
                let message =
                    "this replica has too many transactions waiting; try again, or another replica";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "outbox_full", message)
                    .retry_after(retry_after_s)
            }
            SubmitError::Stopped => Self::stopping(),
        }
    }
}

impl From<ProveError> for ApiError {
    fn from(error: ProveError) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            ProveError::Busy => Self::new(status, "busy", error.to_string()).retry_after(1),
            ProveError::Halted => Self::new(status, "halted", error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.detail })).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
