//! The sequence, for auditors.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use zellbook_core::wire::{BatchBody, BatchesResponse, CertifiedBody, HeadersResponse};

use super::markets::{bounded, parameters};
use super::{ApiError, App, Shared};
use crate::evidence::signed_attestations;

/// Bytes of bodies in one answer, about.
const BODY_BYTES: usize = 1 << 20;
/// Headers in one answer, at most.
const HEADERS_MAX: u32 = 100;

/// `GET /v1/batches/{index}`.
pub async fn one(
    State(app): Shared,
    Path(index): Path<String>,
) -> Result<Json<BatchBody>, ApiError> {
    let number = parse_index(&index)?;
    let (last, batches) =
        app.reader.read(move |view| Ok((view.last_batch()?, view.batches(number - 1, 0)?))).await?;
    let found = batches.into_iter().find(|batch| batch.index == number.to_string());
    found.map(Json).ok_or_else(|| app.no_batch(number, last))
}

/// A batch index of a path.
pub fn parse_index(text: &str) -> Result<u64, ApiError> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
        ApiError::bad_request("bad_index", "a batch index is a whole number from 1 on")
    })
}

impl App {
    /// Why a batch is not here.
    pub fn no_batch(&self, number: u64, last: u64) -> ApiError {
        let start = self.start;
        let message = if number <= start {
            format!(
                "this replica began with a snapshot of batch {start}; it has none up to that one"
            )
        } else {
            format!("this replica has no batch {number}; its last is {last}")
        };
        ApiError::not_found("unknown_batch", message)
    }
}

/// Parameters of a request for headers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadersQuery {
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET /v1/headers?before=&limit=`: the last batches in short, newest first.
pub async fn headers(
    State(app): Shared,
    query: Result<Query<HeadersQuery>, QueryRejection>,
) -> Result<Json<HeadersResponse>, ApiError> {
    let HeadersQuery { before, limit } = parameters(query)?;
    let limit = bounded(limit, 25, HEADERS_MAX)?;
    let before = before.unwrap_or(u64::MAX);
    let (last, headers) =
        app.reader.read(move |view| Ok((view.last_batch()?, view.headers(before, limit)?))).await?;
    let (last, start) = (last.to_string(), app.start.to_string());
    Ok(Json(HeadersResponse { headers, last, start }))
}

/// Parameters of a list request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchesQuery {
    after: u64,
}

/// `GET /v1/batches?after=N`: the batches from N+1 on, about 1 MB of them.
pub async fn list(
    State(app): Shared,
    query: Result<Query<BatchesQuery>, QueryRejection>,
) -> Result<Json<BatchesResponse>, ApiError> {
    let after = parameters(query)?.after;
    let (last, batches) = app
        .reader
        .read(move |view| Ok((view.last_batch()?, view.batches(after, BODY_BYTES)?)))
        .await?;
    let (last, start) = (last.to_string(), app.start.to_string());
    Ok(Json(BatchesResponse { batches, last, start }))
}

/// Parameters of a request for a certified root.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedQuery {
    from: u64,
}

/// `GET /v1/certified?from=N`: the first certified root of a batch from N on, with the signatures.
pub async fn certified(
    State(app): Shared,
    query: Result<Query<CertifiedQuery>, QueryRejection>,
) -> Result<Json<CertifiedBody>, ApiError> {
    let from = parameters(query)?.from;
    let found = app.reader.read(move |view| {
        let Some((batch, root)) = view.certified_from(from)? else { return Ok(None) };
        let attestations = signed_attestations(view, batch, &root)?;
        let (batch, root) = (batch.to_string(), hex::encode(root));
        Ok(Some(CertifiedBody { batch, root, attestations }))
    });
    found.await?.map(Json).ok_or_else(|| {
        let message = format!("no root of a batch from {from} on is certified yet");
        ApiError::not_found("not_certified", message)
    })
}
