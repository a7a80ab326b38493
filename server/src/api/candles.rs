//! The candles of a market.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use zellbook_core::wire::CandlesResponse;

use super::app::Shared;
use super::error::ApiError;
use super::markets::{bounded, parameters};
use super::reads::Reads;
use crate::store::Interval;

const CANDLES_MAX: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandlesQuery {
    interval: String,
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET /v1/markets/{base}-{quote}/candles?interval=&before=&limit=`, newest first.
pub async fn candles(
    State(app): Shared,
    reads: Reads,
    Path(market): Path<String>,
    query: Result<Query<CandlesQuery>, QueryRejection>,
) -> Result<Json<CandlesResponse>, ApiError> {
    let CandlesQuery { interval, before, limit } = parameters(query)?;
    let limit = bounded(limit, 300, CANDLES_MAX)?;
    let Some(interval) = Interval::ALL.into_iter().find(|known| known.name == interval) else {
        let known = Interval::ALL.map(|known| known.name).join(", ");
        let asked: String = interval.chars().take(20).collect();
        let message = format!("unknown interval {asked}; the intervals are {known}");
        return Err(ApiError::bad_request("bad_parameter", message));
    };
    let market = app.market(&market)?.clone();
    let name = market.name.clone();
    let (batch, candles) = reads
        .read(move |view| {
            let before = before.unwrap_or(u64::MAX);
            Ok((view.last_batch()?, view.candles(&market, interval, before, limit)?))
        })
        .await?;
    let (interval, batch) = (interval.name.into(), batch.to_string());
    app.wait_published(&batch).await?;
    Ok(Json(CandlesResponse { market: name, interval, batch, candles }))
}
