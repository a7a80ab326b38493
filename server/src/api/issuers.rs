//! The deposits to and the withdrawals of all accounts, for the issuers who took in and pay out the amounts.
//!
//! Who relies on what is only sequenced can be deceived by one gateway, so without `sequenced=true` the responses have
//! none of it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use zellbook_core::wire::{DepositsResponse, WithdrawalsResponse};

use super::app::{App, Shared};
use super::error::ApiError;
use super::markets::{bounded, parameters};
use super::reads::Reads;
use crate::store::{IssuerQuery, QueryError, View};

/// The most deposits or withdrawals in one response.
const ROWS_MAX: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    token: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
    /// Also return what is sequenced and not certified.
    sequenced: Option<bool>,
}

type List = Result<Query<ListQuery>, QueryRejection>;

/// Rows by ascending number, the last batch that they include, and the last certified one.
struct Rows<T> {
    batch: String,
    certified_batch: Option<String>,
    rows: Vec<T>,
}

async fn list<T: Send + 'static>(
    app: &App,
    reads: &Reads,
    query: List,
    read: fn(&View<'_>, IssuerQuery) -> Result<Vec<T>, QueryError>,
) -> Result<Rows<T>, ApiError> {
    let ListQuery { token, after, limit, sequenced } = parameters(query)?;
    let query = IssuerQuery {
        token: token.map(|symbol| app.token(&symbol)).transpose()?,
        after: after.unwrap_or(0),
        limit: bounded(limit, 100, ROWS_MAX)?,
        with_sequenced: sequenced.unwrap_or(false),
    };
    let (batch, certified, rows) = reads
        .read(move |view| Ok((view.last_batch()?, view.certified_batch()?, read(view, query)?)))
        .await?;
    let batch = batch.to_string();
    app.wait_published(&batch).await?;
    Ok(Rows { batch, certified_batch: certified.map(|batch| batch.to_string()), rows })
}

/// `GET /v1/deposits?token=&after=&limit=&sequenced=`.
pub async fn deposits(
    State(app): Shared,
    reads: Reads,
    query: List,
) -> Result<Json<DepositsResponse>, ApiError> {
    let Rows { batch, certified_batch, rows: deposits } =
        list(&app, &reads, query, |view, query| view.deposits(query)).await?;
    Ok(Json(DepositsResponse { batch, certified_batch, deposits }))
}

/// `GET /v1/withdrawals?token=&after=&limit=&sequenced=`.
pub async fn withdrawals(
    State(app): Shared,
    reads: Reads,
    query: List,
) -> Result<Json<WithdrawalsResponse>, ApiError> {
    let Rows { batch, certified_batch, rows: withdrawals } =
        list(&app, &reads, query, |view, query| view.payouts(query)).await?;
    Ok(Json(WithdrawalsResponse { batch, certified_batch, withdrawals }))
}
