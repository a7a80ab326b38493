//! The endpoints for auditors and for other replicas: batches with their proofs, headers and certified
//! roots. They answer even when the replica has halted, because what they return carries its own proof.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use zellbook_core::wire::{BatchBody, BatchesResponse, CertifiedBody, HeadersResponse};

use super::app::{App, Shared};
use super::error::ApiError;
use super::markets::{bounded, parameters};
use super::reads::{Reads, Written};
use crate::evidence::signed_attestations;

/// The maximum length of all bodies in a response, which has at least one batch.
const BODY_BYTES: usize = 1 << 20;
/// The most headers in one response.
const HEADERS_MAX: u32 = 100;

/// `GET /v1/batches/{index}`.
pub async fn one(
    State(app): Shared,
    reads: Reads,
    Path(index): Path<String>,
) -> Result<Json<BatchBody>, ApiError> {
    let number = parse_index(&index)?;
    // With a limit of 0 bytes the result has exactly one batch.
    let (last, batches) =
        reads.read(move |view| Ok((view.last_batch()?, view.batches(number - 1, 0)?))).await?;
    // A replica that started from a snapshot can return a later batch, the first one that it has.
    let found = batches.into_iter().find(|batch| batch.index == number.to_string());
    found.map(Json).ok_or_else(|| app.no_batch(number, last))
}

pub fn parse_index(text: &str) -> Result<u64, ApiError> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
        ApiError::bad_request("bad_index", "a batch index must be a whole number of at least 1")
    })
}

impl App {
    /// The error for a batch that this replica does not have.
    pub fn no_batch(&self, number: u64, last: u64) -> ApiError {
        let start = self.start;
        let message = if number <= start {
            format!(
                "this replica started from a snapshot of batch {start} and has only the batches after it"
            )
        } else {
            format!("this replica has no batch {number}; its last batch is {last}")
        };
        ApiError::not_found("unknown_batch", message)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadersQuery {
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET /v1/headers?before=&limit=`: batches without their bodies, newest first.
pub async fn headers(
    State(app): Shared,
    reads: Reads,
    query: Result<Query<HeadersQuery>, QueryRejection>,
) -> Result<Json<HeadersResponse>, ApiError> {
    let HeadersQuery { before, limit } = parameters(query)?;
    let limit = bounded(limit, 25, HEADERS_MAX)?;
    let before = before.unwrap_or(u64::MAX);
    let (last, headers) =
        reads.read(move |view| Ok((view.last_batch()?, view.headers(before, limit)?))).await?;
    let (last, start) = (last.to_string(), app.start.to_string());
    Ok(Json(HeadersResponse { headers, last, start }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchesQuery {
    after: u64,
}

/// `GET /v1/batches?after=N`: the batches after N, in sequence, about 1 MB at a time.
pub async fn list(
    State(app): Shared,
    reads: Reads,
    query: Result<Query<BatchesQuery>, QueryRejection>,
) -> Result<Written, ApiError> {
    // Nothing in this file waits for the published view. When a certified root differs from ours, the last
    // commit is in the store as evidence but is never published, and these endpoints must still return it.
    let after = parameters(query)?.after;
    let start = app.start.to_string();
    let written = reads.read(move |view| {
        let (last, batches) = (view.last_batch()?.to_string(), view.batches(after, BODY_BYTES)?);
        Ok(Written::new(&BatchesResponse { batches, last, start }))
    });
    written.await?
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedQuery {
    from: u64,
}

/// `GET /v1/certified?from=N`: the first certified root of batch N or a later one, with the signatures of
/// the replicas that certified it.
pub async fn certified(
    reads: Reads,
    query: Result<Query<CertifiedQuery>, QueryRejection>,
) -> Result<Json<CertifiedBody>, ApiError> {
    let from = parameters(query)?.from;
    let found = reads.read(move |view| {
        let Some((batch, root)) = view.certified_from(from)? else { return Ok(None) };
        let attestations = signed_attestations(view, batch, &root)?;
        let (batch, root) = (batch.to_string(), hex::encode(root));
        Ok(Some(CertifiedBody { batch, root, attestations }))
    });
    found.await?.map(Json).ok_or_else(|| {
        let message = format!("no state root is certified yet for batch {from} or a later one");
        ApiError::not_found("not_certified", message)
    })
}
