//! The endpoints of the explorer: the elements and trades of a batch, and the signed text of a transaction.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use zellbook_core::wire::{BatchTradesResponse, ContentsBody, SignedBody};

use super::app::Shared;
use super::batches::parse_index;
use super::error::ApiError;
use super::markets::{bounded, parameters};
use super::reads::{Reads, Written};
use super::transactions::{parse_hash, unknown_transaction};

/// The most elements in one response. The bound limits CPU time: an element without a stored outcome is
/// checked again when it is shown, which includes its signature.
const ELEMENTS_SHOWN_MAX: u32 = 200;
/// The most trades in one response.
const TRADES_SHOWN_MAX: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentsQuery {
    from: Option<usize>,
    limit: Option<u32>,
}

/// `GET /v1/batches/{index}/contents?from=&limit=`: the elements with their outcomes, the first trades, and
/// the sequence proof.
pub async fn contents(
    State(app): Shared,
    reads: Reads,
    Path(index): Path<String>,
    query: Result<Query<ContentsQuery>, QueryRejection>,
) -> Result<Written, ApiError> {
    let index = parse_index(&index)?;
    let ContentsQuery { from, limit } = parameters(query)?;
    let limit = usize::try_from(bounded(limit, 50, ELEMENTS_SHOWN_MAX)?).unwrap_or(0);
    let from = from.unwrap_or(0);
    let read = reads.read(move |view| {
        // The newest batch before the next index is the requested one, or an earlier one if this replica
        // does not have it.
        let header = view.headers(index.saturating_add(1), 1)?.pop();
        let header = header.filter(|header| header.index == index.to_string());
        let Some(header) = header else { return Ok(Err(view.last_batch()?)) };
        let (elements_total, elements) = view.elements(index, from, limit)?;
        let (trades_total, trades) = view.trades_of(index, None, 0, TRADES_SHOWN_MAX)?;
        let has_more_trades = trades_total > u64::from(TRADES_SHOWN_MAX);
        let published = header.index.clone();
        let body = ContentsBody {
            header,
            previous_chaining_hash: view.chaining_hash(index.saturating_sub(1))?,
            proof: view.proof(index)?,
            elements_total: elements_total.to_string(),
            elements,
            trades,
            has_more_trades,
        };
        Ok(Ok((published, Written::new(&body))))
    });
    let (published, written) = read.await?.map_err(|last| app.no_batch(index, last))?;
    // Outcomes and trades show the state, so unlike the batch itself they wait until the commit is
    // published.
    app.wait_published(&published).await?;
    written
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradesQuery {
    from: Option<u32>,
    limit: Option<u32>,
    taker_order: Option<u64>,
}

/// `GET /v1/batches/{index}/trades?from=&limit=&taker_order=`: all trades of a batch, or those of one
/// taker order.
pub async fn trades(
    State(app): Shared,
    reads: Reads,
    Path(index): Path<String>,
    query: Result<Query<TradesQuery>, QueryRejection>,
) -> Result<Json<BatchTradesResponse>, ApiError> {
    let index = parse_index(&index)?;
    let TradesQuery { from, limit, taker_order } = parameters(query)?;
    let limit = bounded(limit, 50, TRADES_SHOWN_MAX)?;
    let from = from.unwrap_or(0);
    let read = reads.read(move |view| {
        if view.headers(index.saturating_add(1), 1)?.pop().map(|it| it.index)
            != Some(index.to_string())
        {
            return Ok(Err(view.last_batch()?));
        }
        let (total, trades) = view.trades_of(index, taker_order, from, limit)?;
        Ok(Ok(BatchTradesResponse { total: total.to_string(), trades }))
    });
    let body = read.await?.map_err(|last| app.no_batch(index, last))?;
    app.wait_published(&index.to_string()).await?;
    Ok(Json(body))
}

/// `GET /v1/transactions/{hash}/signed`: the text that was signed, and the signature.
pub async fn signed(
    State(app): Shared,
    reads: Reads,
    Path(hash): Path<String>,
) -> Result<Json<SignedBody>, ApiError> {
    let hash = parse_hash(&hash)?;
    // The outbox is read first: a transaction leaves it only once it is in the store, so reading in this
    // order cannot miss it.
    let waiting = app.outbox.element(&hash);
    let stored = reads.read(move |view| view.signed(&hash)).await?;
    let found = stored.or_else(|| SignedBody::read(&app.rules, &waiting?).ok());
    found.map(Json).ok_or_else(unknown_transaction)
}
