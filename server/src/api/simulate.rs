//! `POST /v1/simulate`: order simulation, which shows what an order would do now, before it is signed.
//!
//! It runs core's matching over the resting orders in the store, so the result is what the engine would do
//! if the order came next. Only the checks that need the engine's own state are repeated here.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value};
use zellbook_core::engine::Maker;
use zellbook_core::protocol::Terms;
use zellbook_core::simulation::{self, Trader};
use zellbook_core::wire::{RejectBody, SimulationBody};
use zellbook_core::{Action, Order, PublicKey, Reject, Rules, Simulation, Transaction};

use super::app::Shared;
use super::error::ApiError;
use super::reads::Reads;
use crate::store::{QueryError, View};

/// Accepts the JSON fields of an order without a signature. If they include `account`, its balance, its
/// number of open orders and self-trade prevention are taken into account.
pub async fn simulate(
    State(app): Shared,
    reads: Reads,
    body: Bytes,
) -> Result<Json<SimulationBody>, ApiError> {
    let (order, account) = read(&app.rules, &body)?;
    let rules = Arc::clone(&app.rules);
    let body = reads.read(move |view| simulation_of(&rules, view, &order, account)).await?;
    // The client compares the result with the book that it sees, which must not be an older one.
    app.wait_published(&body.batch).await?;
    Ok(Json(body))
}

/// The order, and the account if the body names one.
fn read(rules: &Rules, body: &[u8]) -> Result<(Order, Option<PublicKey>), ApiError> {
    let not_json = |error: String| {
        let message = format!("the body is not a JSON object with the fields of an order: {error}");
        ApiError::bad_request("not_json", message)
    };
    let text = std::str::from_utf8(body).map_err(|error| not_json(error.to_string()))?;
    let fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| not_json(error.to_string()))?;
    // The same strict reader as for signed transactions, so that an order that can be simulated can be
    // signed. Only the fields that signing adds may be missing.
    // The kind is inserted into the text, not into the parsed map: the map has already lost repeated keys,
    // which the strict reader must refuse.
    let json = match text.trim_start().strip_prefix('{') {
        Some(rest) if !fields.contains_key("kind") => {
            let comma = if fields.is_empty() { "" } else { "," };
            format!("{{\"kind\":\"order\"{comma}{rest}")
        }
        _ => text.into(),
    };
    // The reader needs some account and some nonce. Neither is used: the account counts only if the body
    // names one.
    let nobody = rules.genesis.fee_account;
    let transaction = Transaction::from_json_unsigned(&json, nobody, 0)
        .map_err(|reject| ApiError::from(&reject))?;
    let account = fields.contains_key("account").then_some(transaction.account);
    match transaction.action {
        Action::Order(order) => Ok((order, account)),
        action => {
            let message = format!(
                "a transaction of kind {} cannot be simulated; send an order",
                action.kind()
            );
            Err(ApiError::from(&Reject::Malformed(message)))
        }
    }
}

fn simulation_of(
    rules: &Rules,
    view: &View<'_>,
    order: &Order,
    account: Option<PublicKey>,
) -> Result<SimulationBody, QueryError> {
    let mut body = empty(rules, order);
    body.batch = view.last_batch()?.to_string();
    let terms = match rules.listing.terms(order) {
        Ok(terms) => terms,
        Err(reject) => {
            body.reject = Some(RejectBody::from(&reject));
            return Ok(body);
        }
    };
    let makers_max = rules.genesis.limits.makers_per_order;
    // One more than an order may match, so that the simulation notices that limit.
    let opposite = terms.side.opposite();
    let makers = view.resting(terms.market, opposite, account, makers_max.saturating_add(1))?;
    let trader = match account {
        Some(account) => Some(Trader {
            available: view.balance(&account, terms.cost_token)?.available,
            open_orders: view.open_orders(&account, terms.market)?,
        }),
        None => None,
    };
    fill_in(&mut body, rules, &terms, makers.into_iter(), trader);
    // Overrides a reject of the book, since the reject with the lowest code is the one that counts (section
    // 8 of the protocol).
    if let Some(reject) = check_names(view, order, account)? {
        body.reject = Some(RejectBody::from(&reject));
    }
    Ok(body)
}

/// The engine's checks of expiry and client id (rejects 18 and 31), which come before those of the book.
fn check_names(
    view: &View<'_>,
    order: &Order,
    account: Option<PublicKey>,
) -> Result<Option<Reject>, QueryError> {
    let time = view.time()?;
    if let Some(value) = order.expires.filter(|expires| *expires <= time) {
        return Ok(Some(Reject::TimePassed { field: "expires", value, time }));
    }
    if let (Some(account), Some(client_id)) = (account, &order.client_id)
        && let Some(order) = view.order_of_client_id(&account, client_id)?
    {
        return Ok(Some(Reject::ClientIdUsed { client_id: client_id.clone(), order }));
    }
    Ok(None)
}

/// The response before the book is examined, with nothing filled or posted.
fn empty(rules: &Rules, order: &Order) -> SimulationBody {
    let suggested = rules.listing.market(&order.market).and_then(|market| market.suggest(order));
    let zero = || "0".to_string();
    SimulationBody {
        batch: zero(),
        reject: None,
        fills: Vec::new(),
        filled: zero(),
        quote: zero(),
        fee: zero(),
        average_price: None,
        rests: zero(),
        locked: zero(),
        cancelled: zero(),
        cost: None,
        cost_token: None,
        suggested_price: suggested.map(|suggested| suggested.price.to_string()),
        suggested_quantity: suggested.map(|suggested| suggested.quantity.to_string()),
    }
}

fn fill_in(
    body: &mut SimulationBody,
    rules: &Rules,
    terms: &Terms,
    makers: impl Iterator<Item = Maker<()>>,
    trader: Option<Trader>,
) {
    // Cannot fail: the terms were made from this listing.
    let Some(market) = rules.listing.market_at(terms.market) else { return };
    let result = simulation::simulate(&rules.listing, market, terms, makers, trader);
    let Simulation { reject, fills, filled, quote, fee, average_price, rests, locked, cancelled } =
        result;
    let quantity = |lots: u64| market.format_quantity(lots.into());
    body.reject = reject.as_ref().map(RejectBody::from);
    body.fills = fills
        .into_iter()
        .map(|(price, lots)| (market.format_price(price), quantity(lots.0)))
        .collect();
    body.filled = quantity(filled.0);
    body.quote = rules.listing.format_amount(market.quote, quote);
    body.fee = rules.listing.format_amount(market.quote, fee);
    body.average_price = average_price.map(|price| price.to_string());
    body.rests = quantity(rests.0);
    body.locked = rules.listing.format_amount(terms.cost_token, locked);
    body.cancelled = quantity(cancelled.map_or(0, |(lots, _)| lots.0));
    body.cost = Some(rules.listing.format_amount(terms.cost_token, terms.cost));
    body.cost_token = rules.listing.token_at(terms.cost_token).map(|token| token.symbol.clone());
}
