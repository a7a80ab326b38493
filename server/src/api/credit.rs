//! `POST /v1/faucet`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::{SubmitResponse, Submitted};
use zellbook_core::{LeafKey, SignedTransaction};

use super::accounts::parse_account;
use super::app::{App, Shared};
use super::error::ApiError;
use super::faucet::{HOUR_MS, reference};
use crate::client_address::ClientAddress;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaucetRequest {
    account: String,
}

/// `POST /v1/faucet` with `{"account": "<public key>"}`: deposits every faucet token.
pub async fn credit(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    body: Bytes,
) -> Result<(StatusCode, Json<SubmitResponse>), ApiError> {
    let Some(faucet) = &app.faucet else {
        let message =
            "this network has no faucet, or this replica does not have the issuer's key for it";
        return Err(ApiError::not_found("no_faucet", message));
    };
    let request: FaucetRequest = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the body must be {{\"account\": \"<public key>\"}}: {error}");
        ApiError::bad_request("not_json", message)
    })?;
    let account = parse_account(&request.account)?;
    let now = app.clock.now_ms();
    let reference = reference(&account, now / HOUR_MS);
    let tokens = u16::try_from(app.rules.genesis.tokens.len()).unwrap_or(u16::MAX);
    // The state has the references of applied deposits, also of those before a restart and of those that
    // another replica with the same key signed.
    let was_credited = app
        .reader
        .read(move |view| {
            for token in (0..tokens).map(TokenIndex) {
                if view.has_leaf(&LeafKey::Reference(token, reference.clone()))? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await?;
    // `deposits` also remembers the account in memory, for the time until the state has the reference. Two
    // requests at once would otherwise both be accepted, and the second would be rejected by the exchange.
    let deposits = if was_credited { None } else { faucet.deposits(&app.rules, account, now) };
    let Some(deposits) = deposits else {
        let minutes = (HOUR_MS - now % HOUR_MS).div_ceil(60_000);
        let message =
            format!("this account was already credited this hour; ask again in {minutes} minutes");
        let seconds = u32::try_from(minutes * 60).unwrap_or(3600);
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "credited_already", message)
            .retry_after(seconds));
    };
    let elements = deposits.iter().map(SignedTransaction::to_json).collect();
    match submit(&app, client, elements).await {
        Ok(transactions) => Ok((StatusCode::ACCEPTED, Json(SubmitResponse { transactions }))),
        Err(error) => {
            // A failure of this replica must not cost the account its hour.
            // If some of the deposits were stored all the same, new ones have the same reference, so
            // nothing is credited twice.
            faucet.forget(&account);
            Err(error)
        }
    }
}

/// Submits the deposits, and returns all of them or the first error.
async fn submit(
    app: &Arc<App>,
    client: ClientAddress,
    deposits: Vec<String>,
) -> Result<Vec<Submitted>, ApiError> {
    let mut transactions = Vec::new();
    for taken in app.take(client, deposits).await? {
        transactions.push(taken?.into());
    }
    Ok(transactions)
}
