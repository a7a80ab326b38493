//! `POST /v1/faucet`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use zellbook_core::LeafKey;
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::{SubmitResponse, Submitted};

use super::accounts::parse_account;
use super::app::Shared;
use super::error::ApiError;
use super::faucet::{HOUR_MS, pending, reference};
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
    let no_faucet = || {
        let message =
            "this network has no faucet, or this replica does not have the issuer's key for it";
        ApiError::not_found("no_faucet", message)
    };
    let Some(faucet) = &app.faucet else { return Err(no_faucet()) };
    let request: FaucetRequest = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the body must be {{\"account\": \"<public key>\"}}: {error}");
        ApiError::bad_request("not_json", message)
    })?;
    let account = parse_account(&request.account)?;
    let now = app.clock.now_ms();
    let reference = reference(&account, now / HOUR_MS);
    // The outbox is read before the store, so that a deposit that moves from one to the other is seen.
    let on_the_way = pending(&app.rules, &app.outbox, &account, &reference);
    let tokens: Vec<TokenIndex> =
        faucet.tokens(&app.rules).filter(|token| !on_the_way.contains(token)).collect();
    // The state has the references of applied deposits, also of those before a restart and of those that
    // another replica with the same key signed.
    let missing = app
        .read_to_judge(client, move |view| {
            let mut missing = Vec::new();
            for token in tokens {
                if !view.has_leaf(&LeafKey::Reference(token, reference.clone()))? {
                    missing.push(token);
                }
            }
            Ok(missing)
        })
        .await?;
    if !missing.is_empty() {
        faucet.count(client).map_err(|seconds| {
            let message = "your address had many accounts credited; wait before the next one";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_credits", message)
                .retry_after(seconds)
        })?;
    }
    let own = Arc::clone(&app);
    // Off the async threads, because signatures take long and the faucet is locked meanwhile.
    let deposits = spawn_blocking(move || {
        let faucet = own.faucet.as_ref().ok_or_else(no_faucet)?;
        let deposits = faucet.deposit(&own.rules, &own.outbox, account, &missing, now);
        deposits.map_err(ApiError::from)
    });
    let deposits = deposits.await.map_err(|error| ApiError::internal(&error))??;
    if deposits.is_empty() {
        let minutes = (HOUR_MS - now % HOUR_MS).div_ceil(60_000);
        let message =
            format!("this account was already credited this hour; ask again in {minutes} minutes");
        let seconds = u32::try_from(minutes * 60).unwrap_or(3600);
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "credited_already", message)
            .retry_after(seconds));
    }
    let mut transactions = Vec::new();
    for deposit in deposits {
        let received_ms = deposit.enqueued.stored().await?;
        let receipt = Some(app.receipt(deposit.hash, received_ms));
        let hash = Some(deposit.hash.to_string());
        transactions.push(Submitted { hash, receipt, error: None });
    }
    Ok((StatusCode::ACCEPTED, Json(SubmitResponse { transactions })))
}
