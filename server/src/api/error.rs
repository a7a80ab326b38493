//! Error responses of the API. Each has an HTTP status, a stable code for programs, and a message for
//! people that states what was wrong and what would be right.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use zellbook_core::Reject;
use zellbook_core::wire::{ErrorBody, ErrorDetail};

use super::checks::{TooManyBad, Unfinished};
use super::rate_limit::RateLimit;
use super::sockets::Refused;
use crate::outbox::SubmitError;
use crate::prover::Halted;
use crate::store::QueryError;

#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    retry_after: Option<u32>,
    rate_limit: Option<RateLimit>,
    detail: ErrorDetail,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let detail = ErrorDetail { code: code.into(), message: message.into(), details: json!({}) };
        Self { status, retry_after: None, rate_limit: None, detail }
    }

    pub fn with(mut self, details: Value) -> Self {
        self.detail.details = details;
        self
    }

    /// Adds a `Retry-After` header.
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub const fn retry_after_s(&self) -> Option<u32> {
        self.retry_after
    }

    /// The header that [`Self::retry_after`] adds.
    pub fn retry_after_header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)))
    }

    /// 400: an invalid parameter or body.
    pub fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub fn method_not_allowed() -> Self {
        let message = "this path does not support this HTTP method; docs/api.md lists the methods";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// 503: the replica is shutting down, and the request had no effect.
    pub fn stopping() -> Self {
        let message =
            "this replica is stopping and did not accept the request; use another replica";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message).retry_after(2)
    }

    /// 500: a failure of this replica. The cause goes to the log and not to the client, since it may
    /// contain paths and other details of the machine.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("{error}");
        let message = "internal error of this replica; its log has the cause";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub const fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit
    }

    pub const fn detail(&self) -> &ErrorDetail {
        &self.detail
    }
}

impl From<Unfinished> for ApiError {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::TooManyBad(TooManyBad { retry_after_s }) => {
                let message = "too many transactions from your address have a bad signature; correct the signing, then try again";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "bad_signatures", message)
                    .retry_after(retry_after_s)
            }
            Unfinished::Failed(error) => Self::internal(&error),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Address => StatusCode::TOO_MANY_REQUESTS,
            Refused::All => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, "too_many_sockets", refused.message()).retry_after(10)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
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
                    "the outbox of this replica is full; try again later or use another replica";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "outbox_full", message)
                    .retry_after(retry_after_s)
            }
            SubmitError::Quota(allowance) => {
                let message = "as many transactions of this account wait in the outbox of this replica as one account may have there; try again later";
                let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "outbox_quota", message)
                    .retry_after(allowance.reset_s);
                Self { rate_limit: Some(RateLimit::new(allowance)), ..error }
            }
            SubmitError::Stopped => Self::stopping(),
        }
    }
}

impl From<Halted> for ApiError {
    fn from(halted: Halted) -> Self {
        // Without Retry-After, because a halt is for good.
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "halted", halted.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after_header();
        let mut response = (self.status, Json(ErrorBody { error: self.detail })).into_response();
        response.headers_mut().extend(retry_after);
        if let Some(rate_limit) = self.rate_limit {
            rate_limit.write(response.headers_mut());
        }
        response
    }
}
