//! The faucet of test tokens. It runs if genesis enables it and this replica has the issuer's key.
//!
//! Each account is credited once per hour with each token. The deposits of one hour have the same reference, and the
//! exchange credits a reference only once, so the limit holds across restarts and across replicas that share the key.
//! A deposit that was rejected or given up leaves no reference, so it costs the account nothing.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zellbook_core::protocol::check_element;
use zellbook_core::rules::Token;
use zellbook_core::types::TokenIndex;
use zellbook_core::{Action, PublicKey, Rules, SecretKey, Transaction, TransactionHash};

use crate::outbox::{Enqueued, Outbox, SubmitError};

pub(super) const HOUR_MS: u64 = 3_600_000;

pub struct Faucet {
    issuer: SecretKey,
    /// The last nonce. It is locked from choosing a nonce until the deposit is in the outbox, so that nonces arrive
    /// there in ascending order: behind 64 higher ones, a nonce would be too old.
    nonce: Mutex<u64>,
}

/// A deposit that is on its way to the outbox's disk.
pub(super) struct Deposit {
    pub hash: TransactionHash,
    pub enqueued: Enqueued,
}

impl Faucet {
    /// `None` if genesis has no token with a faucet of this issuer.
    pub fn new(rules: &Rules, issuer: SecretKey) -> Option<Self> {
        let faucet = Self { issuer, nonce: Mutex::default() };
        let has_tokens = faucet.tokens(rules).next().is_some();
        has_tokens.then_some(faucet)
    }

    /// Whether it has the key of this token's issuer.
    pub(super) fn issues(&self, token: &Token) -> bool {
        token.issuer == self.issuer.public_key()
    }

    /// The tokens that this faucet deposits.
    pub(super) fn tokens<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = TokenIndex> + 'a {
        (0..).map(TokenIndex).zip(&rules.genesis.tokens).filter_map(move |(index, token)| {
            (token.faucet.is_some() && self.issues(token)).then_some(index)
        })
    }

    /// Signs deposits of those of these tokens that are not on their way to the account, and hands them to the outbox.
    pub(super) fn deposit(
        &self,
        rules: &Rules,
        outbox: &Outbox,
        account: PublicKey,
        tokens: &[TokenIndex],
        now: u64,
    ) -> Result<Vec<Deposit>, SubmitError> {
        let mut nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
        let reference = reference(&account, now / HOUR_MS);
        let pending = pending(rules, outbox, &account, &reference);
        let mut deposits = Vec::new();
        for index in tokens.iter().filter(|index| !pending.contains(index)) {
            let token = rules.genesis.tokens.get(usize::from(index.0));
            let Some((token, amount)) = token.and_then(|token| Some((token, token.faucet?))) else {
                continue;
            };
            // No nonce is stored: the clock is above the nonces of an earlier run.
            *nonce = now.max(*nonce + 1);
            let (token, reference) = (token.symbol.clone(), reference.clone());
            let transaction = Transaction {
                account: self.issuer.public_key(),
                signer: None,
                nonce: *nonce,
                valid_until: None,
                action: Action::Deposit { token, to: account, amount, reference },
            };
            let element = transaction.sign(&rules.network, &self.issuer).to_json();
            let checked = check_element(rules, &element)
                .unwrap_or_else(|invalid| unreachable!("a signed deposit is valid: {invalid:?}"));
            let (hash, enqueued) = (checked.hash, outbox.enqueue(&checked, element)?);
            deposits.push(Deposit { hash, enqueued });
        }
        Ok(deposits)
    }
}

/// The tokens whose deposits with this reference are on their way to an account.
pub(super) fn pending(
    rules: &Rules,
    outbox: &Outbox,
    account: &PublicKey,
    reference: &str,
) -> Vec<TokenIndex> {
    let pending = outbox.pending_of(account);
    let tokens = pending.iter().filter_map(|checked| match &checked.action {
        Action::Deposit { token, reference: of, .. } if of == reference => Some(token),
        _ => None,
    });
    let index = |symbol: &String| {
        let tokens = (0..).map(TokenIndex).zip(&rules.genesis.tokens);
        tokens.into_iter().find(|(_, token)| token.symbol == *symbol).map(|(index, _)| index)
    };
    tokens.filter_map(index).collect()
}

/// The reference of an account's deposits in one hour.
pub(super) fn reference(account: &PublicKey, hour: u64) -> String {
    // A digest and not the key itself: its 66 digits do not fit into the 64 characters of a reference.
    format!("faucet:{}:{hour}", hex::encode(&Sha256::digest(account.as_bytes())[..12]))
}
