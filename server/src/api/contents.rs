//! What batches and transactions hold, for people who look into them.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use zellbook_core::wire::{BatchTradesResponse, ContentsBody, SignedBody};

use super::batches::parse_index;
use super::markets::{bounded, parameters};
use super::transactions::{parse_hash, unknown_transaction};
use super::{ApiError, Shared};
use crate::store;

/// Elements in one answer, at most. Those without an outcome of their own cost a check of a signature.
const ELEMENTS_SHOWN_MAX: u32 = 200;
/// Trades in one answer, at most.
const TRADES_SHOWN_MAX: u32 = 200;

/// Parameters of a request for the contents of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentsQuery {
    from: Option<usize>,
    limit: Option<u32>,
}

/// `GET /v1/batches/{index}/contents?from=&limit=`: elements with their outcomes, trades, and proof.
pub async fn contents(
    State(app): Shared,
    Path(index): Path<String>,
    query: Result<Query<ContentsQuery>, QueryRejection>,
) -> Result<Json<ContentsBody>, ApiError> {
    let index = parse_index(&index)?;
    let ContentsQuery { from, limit } = parameters(query)?;
    let limit = usize::try_from(bounded(limit, 50, ELEMENTS_SHOWN_MAX)?).unwrap_or(0);
    let from = from.unwrap_or(0);
    let read = app.reader.read(move |view| {
        let header = view.headers(index.saturating_add(1), 1)?.pop();
        let header = header.filter(|header| header.index == index.to_string());
        let Some(header) = header else { return Ok(Err(view.last_batch()?)) };
        let (elements_total, elements) = view.elements(index, from, limit)?;
        let (trades_total, trades) = view.trades_of(index, None, 0, TRADES_SHOWN_MAX)?;
        let has_more_trades = trades_total > u64::from(TRADES_SHOWN_MAX);
        Ok(Ok(ContentsBody {
            header,
            previous_chaining_hash: view.chaining_hash(index.saturating_sub(1))?,
            proof: view.proof(index)?,
            elements_total: elements_total.to_string(),
            elements,
            trades,
            has_more_trades,
        }))
    });
    let body = read.await?.map_err(|last| app.no_batch(index, last))?;
    app.shown(&body.header.index).await?;
    Ok(Json(body))
}

/// Parameters of a request for the trades of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradesQuery {
    from: Option<u32>,
    limit: Option<u32>,
    taker_order: Option<u64>,
}

/// `GET /v1/batches/{index}/trades?from=&limit=&taker_order=`: its trades, or those of one taker.
pub async fn trades(
    State(app): Shared,
    Path(index): Path<String>,
    query: Result<Query<TradesQuery>, QueryRejection>,
) -> Result<Json<BatchTradesResponse>, ApiError> {
    let index = parse_index(&index)?;
    let TradesQuery { from, limit, taker_order } = parameters(query)?;
    let limit = bounded(limit, 50, TRADES_SHOWN_MAX)?;
    let from = from.unwrap_or(0);
    let read = app.reader.read(move |view| {
        if view.headers(index.saturating_add(1), 1)?.pop().map(|it| it.index)
            != Some(index.to_string())
        {
            return Ok(Err(view.last_batch()?));
        }
        let (total, trades) = view.trades_of(index, taker_order, from, limit)?;
        Ok(Ok(BatchTradesResponse { total: total.to_string(), trades }))
    });
    let body = read.await?.map_err(|last| app.no_batch(index, last))?;
    app.shown(&index.to_string()).await?;
    Ok(Json(body))
}

/// `GET /v1/transactions/{hash}/signed`: the text that was signed, and the signature.
pub async fn signed(
    State(app): Shared,
    Path(hash): Path<String>,
) -> Result<Json<SignedBody>, ApiError> {
    let hash = parse_hash(&hash)?;
    // The outbox first: what leaves it is in the store already.
    let waiting = app.outbox.element(&hash);
    let stored = app.reader.read(move |view| view.signed(&hash)).await?;
    let found = stored.or_else(|| store::signed(&app.rules, &waiting?));
    found.map(Json).ok_or_else(unknown_transaction)
}
