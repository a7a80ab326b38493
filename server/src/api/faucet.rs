//! The faucet of test tokens. It runs if genesis enables it and this replica has the issuer's key.
//!
//! Each account is credited once per hour. The deposits of one hour have the same reference, and the
//! exchange credits a reference only once, so the limit holds across restarts and across replicas that
//! share the key.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zellbook_core::genesis::Rules;
use zellbook_core::key::{PublicKey, SecretKey};
use zellbook_core::leaf::LeafKey;
use zellbook_core::listing::TokenIndex;
use zellbook_core::transaction::{Action, SignedTransaction, Transaction};
use zellbook_core::wire::SubmitResponse;

use super::accounts::parse_account;
use super::{ApiError, Shared};

const HOUR_MS: u64 = 3_600_000;

pub struct Faucet {
    issuer: SecretKey,
    state: Mutex<FaucetState>,
}

#[derive(Default)]
struct FaucetState {
    nonce: u64,
    hour: u64,
    /// The accounts credited in this hour, including those whose deposits are not applied yet.
    credited: HashSet<PublicKey>,
}

impl Faucet {
    /// `None` if genesis has no token with a faucet of this issuer.
    pub fn new(rules: &Rules, issuer: SecretKey) -> Option<Self> {
        let key = issuer.public_key();
        let has_tokens =
            rules.genesis.tokens.iter().any(|token| token.faucet.is_some() && token.issuer == key);
        has_tokens.then(|| Self { issuer, state: Mutex::default() })
    }

    /// The signed deposits for an account, or `None` if it was credited in this hour.
    fn deposits(
        &self,
        rules: &Rules,
        account: PublicKey,
        now: u64,
    ) -> Option<Vec<SignedTransaction>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now / HOUR_MS;
        if state.hour != hour {
            state.hour = hour;
            state.credited.clear();
        }
        if !state.credited.insert(account) {
            return None;
        }
        let issuer = self.issuer.public_key();
        let tokens = rules.genesis.tokens.iter().filter(|token| token.issuer == issuer);
        let deposits = tokens.filter_map(|token| {
            state.nonce = now.max(state.nonce + 1);
            let action = Action::Deposit {
                token: token.symbol.clone(),
                to: account,
                amount: token.faucet?,
                reference: reference(&account, hour),
            };
            let transaction = Transaction {
                account: issuer,
                signer: None,
                nonce: state.nonce,
                valid_until: None,
                action,
            };
            Some(transaction.sign(&rules.network, &self.issuer))
        });
        Some(deposits.collect())
    }

    /// Lets an account ask again, after its deposits could not be submitted.
    fn forget(&self, account: &PublicKey) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.credited.remove(account);
    }
}

fn reference(account: &PublicKey, hour: u64) -> String {
    format!("faucet:{}:{hour}", hex::encode(&Sha256::digest(account.as_bytes())[..12]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaucetRequest {
    account: String,
}

/// `POST /v1/faucet` with `{"account": "<public key>"}`: deposits every faucet token.
pub async fn credit(
    State(app): Shared,
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
    let deposits = if was_credited { None } else { faucet.deposits(&app.rules, account, now) };
    let Some(deposits) = deposits else {
        let minutes = (HOUR_MS - now % HOUR_MS).div_ceil(60_000);
        let message =
            format!("this account was already credited this hour; ask again in {minutes} minutes");
        let seconds = u32::try_from(minutes * 60).unwrap_or(3600);
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "credited_already", message)
            .retry_after(seconds));
    };
    let mut transactions = Vec::new();
    for signed in deposits {
        match app.take(&signed.to_json()).await {
            Ok(taken) => transactions.push(taken.into()),
            Err(refused) => {
                faucet.forget(&account);
                return Err(refused.into());
            }
        }
    }
    Ok((StatusCode::ACCEPTED, Json(SubmitResponse { transactions })))
}
