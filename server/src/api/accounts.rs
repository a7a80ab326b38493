//! Accounts.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use zellbook_core::genesis::Rules;
use zellbook_core::key::PublicKey;
use zellbook_core::leaf::LeafKey;
use zellbook_core::order_leaf::OrderLeaf;
use zellbook_core::units::Lots;
use zellbook_core::wire::{
    AccountBody, BalanceBody, BalanceProofBody, FillsResponse, LedgerResponse, OrderProofBody,
    OrdersResponse, ProvenOrderBody,
};

use super::markets::{bounded, parameters};
use super::{ApiError, App, Shared};
use crate::store::{View, read_balance};

/// Rows of one page of an account's past, at most.
const PAST_MAX: u32 = 200;

/// A public key of a path, body or channel.
pub fn parse_account(text: &str) -> Result<PublicKey, ApiError> {
    text.parse()
        .map_err(|error| ApiError::bad_request("bad_account", format!("no account: {error}")))
}

impl App {
    /// All of an account.
    pub async fn account(&self, account: PublicKey) -> Result<AccountBody, ApiError> {
        let body = self.reader.read(move |view| view.account(&account)).await?;
        self.shown(&body.batch).await?;
        Ok(body)
    }
}

/// `GET /v1/accounts/{public key}`. An account that was never used has nothing.
pub async fn account(
    State(app): Shared,
    Path(account): Path<String>,
) -> Result<Json<AccountBody>, ApiError> {
    Ok(Json(app.account(parse_account(&account)?).await?))
}

/// Parameters of a request for a page of an account's past.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastQuery {
    before: Option<u64>,
    limit: Option<u32>,
}

type Past = Result<Query<PastQuery>, QueryRejection>;

/// Reads a page of an account's past with the batch after which it was so.
async fn past<T: Send + 'static>(
    app: &App,
    account: &str,
    query: Past,
    read: fn(&View<'_>, &PublicKey, u64, u32) -> rusqlite::Result<Vec<T>>,
) -> Result<(String, Vec<T>), ApiError> {
    let account = parse_account(account)?;
    let PastQuery { before, limit } = parameters(query)?;
    let limit = bounded(limit, 50, PAST_MAX)?;
    let before = before.unwrap_or(u64::MAX);
    let (batch, rows) = app
        .reader
        .read(move |view| Ok((view.last_batch()?, read(view, &account, before, limit)?)))
        .await?;
    let batch = batch.to_string();
    app.shown(&batch).await?;
    Ok((batch, rows))
}

/// `GET /v1/accounts/{public key}/orders?before=&limit=`: past orders, newest first.
pub async fn orders(
    State(app): Shared,
    Path(account): Path<String>,
    query: Past,
) -> Result<Json<OrdersResponse>, ApiError> {
    let (batch, orders) = past(&app, &account, query, |view, account, before, limit| {
        view.past_orders(account, before, limit)
    })
    .await?;
    Ok(Json(OrdersResponse { batch, orders }))
}

/// `GET /v1/accounts/{public key}/fills?before=&limit=`, newest first.
pub async fn fills(
    State(app): Shared,
    Path(account): Path<String>,
    query: Past,
) -> Result<Json<FillsResponse>, ApiError> {
    let (batch, fills) = past(&app, &account, query, |view, account, before, limit| {
        view.fills(account, before, limit)
    })
    .await?;
    Ok(Json(FillsResponse { batch, fills }))
}

/// `GET /v1/accounts/{public key}/ledger?before=&limit=`: deposits, withdrawals and transfers, newest
/// first.
pub async fn ledger(
    State(app): Shared,
    Path(account): Path<String>,
    query: Past,
) -> Result<Json<LedgerResponse>, ApiError> {
    let (batch, entries) = past(&app, &account, query, |view, account, before, limit| {
        view.ledger(account, before, limit)
    })
    .await?;
    Ok(Json(LedgerResponse { batch, entries }))
}

/// Parameters of a proof request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofQuery {
    token: String,
}

/// `GET /v1/accounts/{public key}/proof?token=ETH`: a balance, with the proof that the state root
/// commits to it.
pub async fn proof(
    State(app): Shared,
    Path(account): Path<String>,
    query: Result<Query<ProofQuery>, QueryRejection>,
) -> Result<Json<BalanceProofBody>, ApiError> {
    let account = parse_account(&account)?;
    let token = parameters(query)?.token;
    let Some((index, _)) = app.rules.listing.token(&token) else {
        let known = app.rules.genesis.tokens.iter().map(|token| token.symbol.as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        let token: String = token.chars().take(40).collect();
        let message = format!("there is no token {token}; the tokens are {known}");
        return Err(ApiError::not_found("unknown_token", message));
    };
    let key = LeafKey::Balance(account, index);
    let bytes = key.to_bytes();
    let proven = app.watch.prover.prove(key).await?;
    let batch = proven.batch.to_string();
    app.shown(&batch).await?;
    let balance = read_balance(proven.value.as_deref());
    Ok(Json(BalanceProofBody {
        batch,
        root: hex::encode(proven.root),
        key: hex::encode(bytes),
        value: proven.value.map(hex::encode),
        proof: hex::encode(proven.proof.to_bytes()),
        balance: BalanceBody {
            token,
            available: app.rules.listing.format_amount(index, balance.available),
            locked: app.rules.listing.format_amount(index, balance.locked),
        },
    }))
}

/// `GET /v1/accounts/{public key}/orders/{id}/proof`: an open order, with the proof that the state root
/// commits to it.
pub async fn order_proof(
    State(app): Shared,
    Path((account, id)): Path<(String, String)>,
) -> Result<Json<OrderProofBody>, ApiError> {
    let account = parse_account(&account)?;
    let id = id.parse().map_err(|_| {
        ApiError::bad_request("bad_order", "an order's id is a whole number, like 7")
    })?;
    let key = LeafKey::Order(account, id);
    let bytes = key.to_bytes();
    let proven = app.watch.prover.prove(key).await?;
    let batch = proven.batch.to_string();
    app.shown(&batch).await?;
    // What the engine wrote can be read.
    let order = proven.value.as_deref().and_then(|value| OrderLeaf::read(value).ok());
    Ok(Json(OrderProofBody {
        batch,
        root: hex::encode(proven.root),
        key: hex::encode(bytes),
        value: proven.value.map(hex::encode),
        proof: hex::encode(proven.proof.to_bytes()),
        order: order.and_then(|order| proven_order(&app.rules, order)),
    }))
}

/// What an order's leaf says, in decimals.
fn proven_order(rules: &Rules, order: OrderLeaf) -> Option<ProvenOrderBody> {
    let market = rules.listing.market_at(order.market)?;
    let quantity = |lots: Lots| market.format_quantity(lots.0.into());
    Some(ProvenOrderBody {
        market: market.name.clone(),
        side: order.side,
        price: market.format_price(order.price),
        quantity: quantity(order.quantity),
        rested: quantity(order.rested),
        remaining: quantity(order.remaining),
        transaction: hex::encode(order.hash),
        expires_ms: order.expires.map(|time| time.to_string()),
        client_id: order.client_id,
    })
}
