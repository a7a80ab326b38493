//! The withdrawals of all accounts, for the issuers who pay them.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use zellbook_core::wire::WithdrawalsResponse;

use super::app::Shared;
use super::error::ApiError;
use super::markets::{bounded, parameters};
use crate::store::PayoutQuery;

/// The most withdrawals in one response.
const WITHDRAWALS_MAX: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalsQuery {
    token: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
    /// Also return withdrawals that are sequenced and not certified.
    sequenced: Option<bool>,
}

/// `GET /v1/withdrawals?token=&after=&limit=&sequenced=`: by ascending number. An issuer who pays what is only
/// sequenced can be deceived by one gateway, so without `sequenced=true` the response has none of it.
pub async fn list(
    State(app): Shared,
    query: Result<Query<WithdrawalsQuery>, QueryRejection>,
) -> Result<Json<WithdrawalsResponse>, ApiError> {
    let WithdrawalsQuery { token, after, limit, sequenced } = parameters(query)?;
    let token = match &token {
        Some(symbol) => Some(app.token(symbol)?),
        None => None,
    };
    let query = PayoutQuery {
        token,
        after: after.unwrap_or(0),
        limit: bounded(limit, 100, WITHDRAWALS_MAX)?,
        with_sequenced: sequenced.unwrap_or(false),
    };
    let (batch, certified, withdrawals) = app
        .reader
        .read(move |view| Ok((view.last_batch()?, view.certified_batch()?, view.payouts(query)?)))
        .await?;
    let batch = batch.to_string();
    app.wait_published(&batch).await?;
    let certified_batch = certified.map(|batch| batch.to_string());
    Ok(Json(WithdrawalsResponse { batch, certified_batch, withdrawals }))
}
