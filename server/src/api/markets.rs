//! The endpoints of a market: its listing and ticker, book and trades.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use zellbook_core::wire::{
    BookBody, LimitsBody, MarketBody, MarketsResponse, TokenBody, TradesResponse,
};
use zellbook_core::{Market, Side};

use super::app::{App, Shared};
use super::error::ApiError;
use super::reads::Reads;
use crate::published::BOOK_DEPTH_MAX;

const TRADES_MAX: u32 = 500;

/// The parameters of a query string, or an error that names the invalid parameter.
pub fn parameters<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query
        .map(|Query(parameters)| parameters)
        .map_err(|error| ApiError::bad_request("bad_parameter", error.body_text()))
}

/// The `limit` of a query: the default if it is missing, an error if it is not from 1 to `max`.
pub fn bounded(limit: Option<u32>, default: u32, max: u32) -> Result<u32, ApiError> {
    let limit = limit.unwrap_or(default);
    // An error and not a shorter page, which a client could take for the end of the list.
    if limit == 0 || limit > max {
        let message = format!("limit {limit} is out of range; use 1 to {max}");
        return Err(ApiError::bad_request("bad_parameter", message));
    }
    Ok(limit)
}

impl App {
    /// The market with this name, as in a path (`ETH-USDT`) or in a channel (`ETH/USDT`).
    pub fn market(&self, name: &str) -> Result<&Market, ApiError> {
        self.rules.listing.market(&name.replacen('-', "/", 1)).ok_or_else(|| {
            let names: Vec<_> =
                self.rules.listing.markets.iter().map(|market| market.name.as_str()).collect();
            let name: String = name.chars().take(40).collect();
            let message =
                format!("no market is named {name}; the markets are {}", names.join(", "));
            ApiError::not_found("unknown_market", message)
        })
    }

    /// The first `depth` price levels of each side, after the last commit.
    pub fn book(&self, market: &Market, depth: usize) -> BookBody {
        // From the published view, so a request for a book costs no query. `clone` copies an `Arc`: a
        // borrow that is held would block the next commit's update of the view.
        let published = self.watch.published.borrow().clone();
        let Some(book) = published.books.get(usize::from(market.index.0)) else {
            // Cannot happen, since the view has a book for each market of genesis. An empty book is safer
            // than a panic.
            return BookBody {
                market: market.name.clone(),
                batch: published.batch.to_string(),
                bids: Vec::new(),
                asks: Vec::new(),
            };
        };
        BookBody {
            market: book.market.clone(),
            batch: published.batch.to_string(),
            bids: book.bids.iter().take(depth).cloned().collect(),
            asks: book.asks.iter().take(depth).cloned().collect(),
        }
    }
}

/// `GET /v1/markets`.
pub async fn list(State(app): Shared) -> Json<MarketsResponse> {
    // One version of the view for all markets, so that all figures are after the same batch.
    let published = app.watch.published.borrow().clone();
    let now = app.clock.now_ms();
    let symbol = |index| {
        app.rules.listing.token_at(index).map_or_else(String::new, |token| token.symbol.clone())
    };
    let tokens = app.rules.genesis.tokens.iter().map(|token| TokenBody {
        symbol: token.symbol.clone(),
        decimals: token.decimals.to_string(),
        issuer: token.issuer.to_string(),
        // A faucet credits only the tokens of the issuer whose key it has.
        faucet: token
            .faucet
            .filter(|_| app.faucet.as_ref().is_some_and(|faucet| faucet.issues(token)))
            .map(|amount| amount.to_string()),
    });
    let markets = app.rules.listing.markets.iter().map(|market| {
        let index = usize::from(market.index.0);
        let book = published.books.get(index);
        let ticker = published.tickers.get(index).cloned().unwrap_or_default();
        let day = ticker.day(now);
        let price = |price| market.format_price(price);
        let best = |side: Side| {
            let levels = book.map(|book| if side == Side::Buy { &book.bids } else { &book.asks });
            levels.and_then(|levels| levels.first()).map(|level| level.0.clone())
        };
        MarketBody {
            name: market.name.clone(),
            base: symbol(market.base),
            quote: symbol(market.quote),
            tick_size: market.tick_size.to_string(),
            lot_size: market.lot_size.to_string(),
            notional_min: market.notional_min.to_string(),
            maker_fee_bps: market.maker_fee_bps.to_string(),
            taker_fee_bps: market.taker_fee_bps.to_string(),
            bid: best(Side::Buy),
            ask: best(Side::Sell),
            last: ticker.last().map(price),
            open_24h: day.prices.map(|(open, _, _)| price(open)),
            high_24h: day.prices.map(|(_, high, _)| price(high)),
            low_24h: day.prices.map(|(_, _, low)| price(low)),
            volume_24h: market.format_quantity(day.quantity),
        }
    });
    let limits = &app.rules.genesis.limits;
    let limits = LimitsBody {
        open_orders_per_account_and_market: limits.open_orders_per_account_and_market.to_string(),
        makers_per_order: limits.makers_per_order.to_string(),
        session_keys_per_account: limits.session_keys_per_account.to_string(),
    };
    Json(MarketsResponse { tokens: tokens.collect(), markets: markets.collect(), limits })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookQuery {
    depth: Option<usize>,
}

/// `GET /v1/markets/{base}-{quote}/book?depth=`.
pub async fn book(
    State(app): Shared,
    Path(market): Path<String>,
    query: Result<Query<BookQuery>, QueryRejection>,
) -> Result<Json<BookBody>, ApiError> {
    let depth = parameters(query)?.depth.unwrap_or(50);
    if depth == 0 || depth > BOOK_DEPTH_MAX {
        let message = format!("depth {depth} is out of range; use 1 to {BOOK_DEPTH_MAX}");
        return Err(ApiError::bad_request("bad_parameter", message));
    }
    Ok(Json(app.book(app.market(&market)?, depth)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradesQuery {
    limit: Option<u32>,
    before: Option<u64>,
}

/// `GET /v1/markets/{base}-{quote}/trades?limit=&before=`, newest first.
pub async fn trades(
    State(app): Shared,
    reads: Reads,
    Path(market): Path<String>,
    query: Result<Query<TradesQuery>, QueryRejection>,
) -> Result<Json<TradesResponse>, ApiError> {
    let TradesQuery { limit, before } = parameters(query)?;
    let limit = bounded(limit, 50, TRADES_MAX)?;
    let market = app.market(&market)?;
    Ok(Json(app.trades(&reads, market, before.unwrap_or(u64::MAX), limit).await?))
}

impl App {
    /// The newest trades of a market that are older than the trade with the number `before`.
    pub async fn trades(
        &self,
        reads: &Reads,
        market: &Market,
        before: u64,
        limit: u32,
    ) -> Result<TradesResponse, ApiError> {
        let (index, name) = (market.index, market.name.clone());
        let (batch, trades) = reads
            .read(move |view| Ok((view.last_batch()?, view.trades(index, before, limit)?)))
            .await?;
        let batch = batch.to_string();
        self.wait_published(&batch).await?;
        Ok(TradesResponse { market: name, batch, trades })
    }
}
