//! The faucet of test tokens. It runs if genesis enables it and this replica has the issuer's key.
//!
//! Each account is credited once per hour. The deposits of one hour have the same reference, and the
//! exchange credits a reference only once, so the limit holds across restarts and across replicas that
//! share the key.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zellbook_core::rules::Token;
use zellbook_core::{Action, PublicKey, Rules, SecretKey, SignedTransaction, Transaction};

pub(super) const HOUR_MS: u64 = 3_600_000;

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

    /// Whether it has the key of this token's issuer.
    pub(super) fn issues(&self, token: &Token) -> bool {
        token.issuer == self.issuer.public_key()
    }

    /// The signed deposits for an account, or `None` if it was credited in this hour.
    pub(super) fn deposits(
        &self,
        rules: &Rules,
        account: PublicKey,
        now: u64,
    ) -> Option<Vec<SignedTransaction>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now / HOUR_MS;
        // The reference names the hour, so accounts of earlier hours need not be remembered. If the clock
        // goes back, the state still has the references of the deposits that were applied.
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
            // Several deposits in the same millisecond need different nonces.
            // No nonce is stored: the clock is above the nonces of an earlier run.
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
    pub(super) fn forget(&self, account: &PublicKey) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.credited.remove(account);
    }
}

/// The reference of an account's deposits in one hour.
pub(super) fn reference(account: &PublicKey, hour: u64) -> String {
    // A digest and not the key itself: its 66 digits do not fit into the 64 characters of a reference.
    format!("faucet:{}:{hour}", hex::encode(&Sha256::digest(account.as_bytes())[..12]))
}
