//! The endpoints of one account: balances, history, and proofs of its balances and orders.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde::Deserialize;
use zellbook_core::state::OrderLeaf;
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::{
    AccountBody, BalanceBody, BalanceProofBody, FillsResponse, LedgerResponse, OrderProofBody,
    OrdersResponse, ProvenOrderBody,
};
use zellbook_core::{LeafKey, Lots, PublicKey, Rules};

use super::app::{App, Shared};
use super::error::ApiError;
use super::markets::{bounded, parameters};
use super::reads::Reads;
use crate::client_address::ClientAddress;
use crate::store::{QueryError, View, read_balance};

/// The most rows of history in one response.
const HISTORY_MAX: u32 = 200;

/// Parses the public key in a path, body or channel.
pub fn parse_account(text: &str) -> Result<PublicKey, ApiError> {
    text.parse()
        .map_err(|error| ApiError::bad_request("bad_account", format!("invalid account: {error}")))
}

impl App {
    /// The token with this symbol.
    pub fn token(&self, symbol: &str) -> Result<TokenIndex, ApiError> {
        if let Some((index, _)) = self.rules.listing.token(symbol) {
            return Ok(index);
        }
        let known = self.rules.genesis.tokens.iter().map(|token| token.symbol.as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        // The client chose this text, so the message repeats only its start.
        let symbol: String = symbol.chars().take(40).collect();
        let message = format!("no token is named {symbol}; the tokens are {known}");
        Err(ApiError::not_found("unknown_token", message))
    }

    pub async fn account(
        &self,
        reads: &Reads,
        account: PublicKey,
    ) -> Result<AccountBody, ApiError> {
        // The store is read first: then the wait covers every batch that the read can have seen.
        let body = reads.read(move |view| view.account(&account)).await?;
        self.wait_published(&body.batch).await?;
        Ok(body)
    }
}

/// `GET /v1/accounts/{public key}`. An account that was never used is empty, not an error.
pub async fn account(
    State(app): Shared,
    reads: Reads,
    Path(account): Path<String>,
) -> Result<Json<AccountBody>, ApiError> {
    Ok(Json(app.account(&reads, parse_account(&account)?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Return rows older than the one with this number; without it the newest.
    before: Option<u64>,
    limit: Option<u32>,
}

type History = Result<Query<HistoryQuery>, QueryRejection>;

/// Reads rows of an account that are older than a row number, newest first, up to a limit.
type ReadRows<T> = fn(&View<'_>, &PublicKey, u64, u32) -> Result<Vec<T>, QueryError>;

/// A page of an account's history, the last batch that it includes, and the last certified one.
struct Rows<T> {
    batch: String,
    certified_batch: Option<String>,
    rows: Vec<T>,
}

/// Reads a page of an account's history.
async fn history<T: Send + 'static>(
    app: &App,
    reads: &Reads,
    account: &str,
    query: History,
    read: ReadRows<T>,
) -> Result<Rows<T>, ApiError> {
    let account = parse_account(account)?;
    let HistoryQuery { before, limit } = parameters(query)?;
    let limit = bounded(limit, 50, HISTORY_MAX)?;
    let before = before.unwrap_or(u64::MAX);
    // One read transaction, so that the batch is the one that the rows belong to.
    let (batch, certified, rows) = reads
        .read(move |view| {
            let rows = read(view, &account, before, limit)?;
            Ok((view.last_batch()?, view.certified_batch()?, rows))
        })
        .await?;
    let batch = batch.to_string();
    app.wait_published(&batch).await?;
    Ok(Rows { batch, certified_batch: certified.map(|batch| batch.to_string()), rows })
}

/// `GET /v1/accounts/{public key}/orders?before=&limit=`: closed orders, newest first.
pub async fn orders(
    State(app): Shared,
    reads: Reads,
    Path(account): Path<String>,
    query: History,
) -> Result<Json<OrdersResponse>, ApiError> {
    let Rows { batch, certified_batch, rows: orders } =
        history(&app, &reads, &account, query, |view, account, before, limit| {
            view.past_orders(account, before, limit)
        })
        .await?;
    Ok(Json(OrdersResponse { batch, certified_batch, orders }))
}

/// `GET /v1/accounts/{public key}/fills?before=&limit=`, newest first.
pub async fn fills(
    State(app): Shared,
    reads: Reads,
    Path(account): Path<String>,
    query: History,
) -> Result<Json<FillsResponse>, ApiError> {
    let Rows { batch, certified_batch, rows: fills } =
        history(&app, &reads, &account, query, |view, account, before, limit| {
            view.fills(account, before, limit)
        })
        .await?;
    Ok(Json(FillsResponse { batch, certified_batch, fills }))
}

/// `GET /v1/accounts/{public key}/ledger?before=&limit=`: deposits, withdrawals and transfers, newest
/// first.
pub async fn ledger(
    State(app): Shared,
    reads: Reads,
    Path(account): Path<String>,
    query: History,
) -> Result<Json<LedgerResponse>, ApiError> {
    let Rows { batch, certified_batch, rows: entries } =
        history(&app, &reads, &account, query, |view, account, before, limit| {
            view.ledger(account, before, limit)
        })
        .await?;
    Ok(Json(LedgerResponse { batch, certified_batch, entries }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofQuery {
    token: String,
}

/// `GET /v1/accounts/{public key}/proof?token=ETH`: a balance with its inclusion proof.
pub async fn proof(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    Path(account): Path<String>,
    query: Result<Query<ProofQuery>, QueryRejection>,
) -> Result<Json<BalanceProofBody>, ApiError> {
    let account = parse_account(&account)?;
    let token = parameters(query)?.token;
    let index = app.token(&token)?;
    let key = LeafKey::Balance(account, index);
    let bytes = key.to_bytes();
    // The replica's task makes the proof, because only it has the tree. The store has the leaves, but no
    // hashes of inner nodes.
    let proven = app.watch.prover.prove(client, key).await?;
    let batch = proven.batch.to_string();
    app.wait_published(&batch).await?;
    let certified_batch = app.certified_batch();
    // Without a leaf the balance is zero, and the proof shows that there is no leaf.
    let balance = read_balance(proven.value.as_deref());
    Ok(Json(BalanceProofBody {
        batch,
        certified_batch,
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

/// `GET /v1/accounts/{public key}/orders/{id}/proof`: an open order with its inclusion proof, or a proof
/// that the account has no such open order.
pub async fn order_proof(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    Path((account, id)): Path<(String, String)>,
) -> Result<Json<OrderProofBody>, ApiError> {
    let account = parse_account(&account)?;
    let id = id.parse().map_err(|_| {
        ApiError::bad_request("bad_order", "an order id must be a whole number, for example 7")
    })?;
    let key = LeafKey::Order(account, id);
    let bytes = key.to_bytes();
    let proven = app.watch.prover.prove(client, key).await?;
    let batch = proven.batch.to_string();
    app.wait_published(&batch).await?;
    let certified_batch = app.certified_batch();
    // Reading cannot fail: the engine wrote this leaf.
    let order = proven.value.as_deref().and_then(|value| OrderLeaf::read(value).ok());
    Ok(Json(OrderProofBody {
        batch,
        certified_batch,
        root: hex::encode(proven.root),
        key: hex::encode(bytes),
        value: proven.value.map(hex::encode),
        proof: hex::encode(proven.proof.to_bytes()),
        order: order.and_then(|order| proven_order(&app.rules, order)),
    }))
}

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
