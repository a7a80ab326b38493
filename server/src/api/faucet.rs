//! The faucet of test tokens. It runs if genesis enables it and this replica has the issuer's key.
//!
//! Each account is credited once per hour with each token. The deposits of one hour have the same reference, and the
//! exchange credits a reference only once, so the limit holds across restarts and across replicas that share the key.
//! A deposit that was rejected or given up leaves no reference, so it costs the account nothing.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use zellbook_core::protocol::check_element;
use zellbook_core::rules::Token;
use zellbook_core::types::TokenIndex;
use zellbook_core::{Action, PublicKey, Rules, SecretKey, Transaction, TransactionHash};

use crate::client_address::ClientAddress;
use crate::outbox::{Enqueued, Outbox, SubmitError};

pub(super) const HOUR_MS: u64 = 3_600_000;
/// The accounts that one client may have credited at once: a class behind one address. Keys cost nothing, so the hour
/// of each account alone would let a client fill the state and use up the issuer's quota of the outbox.
const ACCOUNTS_AT_ONCE: NonZero<u32> = NonZero::new(100).unwrap();
/// Until a client that has used these up may have another account credited.
const NEXT_ACCOUNT: Duration = Duration::from_secs(60);
/// Above this number of clients, those that have not used the faucet for long are forgotten.
const CLIENTS_MAX: usize = 1 << 14;

pub struct Faucet {
    issuer: SecretKey,
    /// The last nonce. It is locked from choosing a nonce until the deposit is in the outbox, so that nonces arrive
    /// there in ascending order: behind 64 higher ones, a nonce would be too old.
    nonce: Mutex<u64>,
    credited: DefaultKeyedRateLimiter<ClientAddress>,
}

/// A deposit that is on its way to the outbox's disk.
pub(super) struct Deposit {
    pub hash: TransactionHash,
    pub enqueued: Enqueued,
}

impl Faucet {
    /// `None` if genesis has no token with a faucet of this issuer.
    pub fn new(rules: &Rules, issuer: SecretKey) -> Option<Self> {
        let quota = Quota::with_period(NEXT_ACCOUNT)?.allow_burst(ACCOUNTS_AT_ONCE);
        let credited = RateLimiter::keyed(quota);
        let faucet = Self { issuer, nonce: Mutex::default(), credited };
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

    /// Counts an account that a client has credited. The error says after how many seconds it may have another.
    pub(super) fn count(&self, client: ClientAddress) -> Result<(), u32> {
        if self.credited.len() > CLIENTS_MAX {
            self.credited.retain_recent();
        }
        self.credited.check_key(&client).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use zellbook_core::rules::ReplicaSpec;

    use super::*;
    use crate::config::{Fees, development_genesis};

    #[test]
    fn a_client_may_have_many_accounts_credited_but_not_as_many_as_it_can_make_keys() {
        let issuer = SecretKey::from_bytes(&[1; 32]).unwrap();
        let key = issuer.public_key();
        let replicas = vec![ReplicaSpec { public_key: key, weight: 1 }];
        let rules = development_genesis(key, true, replicas, Fees::none(key)).unwrap();
        let faucet = Faucet::new(&rules, issuer).unwrap();
        let client = |last| ClientAddress::new(Ipv4Addr::new(192, 0, 2, last).into());
        for number in 0..100 {
            assert_eq!(faucet.count(client(1)), Ok(()), "{number}");
        }
        let wait = faucet.count(client(1)).unwrap_err();
        assert!((1..=61).contains(&wait), "{wait}");
        assert_eq!(faucet.count(client(2)), Ok(()), "another client");
    }
}
