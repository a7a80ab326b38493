//! The leaves of the state: the values in bytes, and the list of all keys.
//!
//! What the leaves do not store is derived from them: books and open-order lists from the orders,
//! queue positions from the order ids, timers from everything that has a time. Formats: *State* in
//! `docs/protocol.md`.

use alloc::vec::Vec;

use super::engine::Engine;
use crate::state::{
    Balance, Counters, Latest, LeafKey, OrderDetails, OrderLeaf, RestingOrder, Withdrawal,
};
use crate::types::{Atoms, Corrupt, MarketIndex, Side, TokenIndex};

/// The empty value of a leaf whose presence says everything.
fn present(is_there: bool) -> Option<Vec<u8>> {
    is_there.then(Vec::new)
}

fn balance_bytes(balance: Balance) -> Option<Vec<u8>> {
    // An account in memory keeps a balance that went down to zero, and a restored account never had
    // it. Without a leaf for zero, both states have one root (I13).
    (balance != Balance::default())
        .then(|| [balance.available.0.to_be_bytes(), balance.locked.0.to_be_bytes()].concat())
}

fn nonce_bytes(nonces: &[u64]) -> Option<Vec<u8>> {
    let bytes = nonces.iter().flat_map(|nonce| nonce.to_be_bytes());
    (!nonces.is_empty()).then(|| bytes.collect())
}

impl Engine {
    /// The current value of a leaf; `None` if the state does not have it.
    pub fn leaf_value(&self, key: &LeafKey) -> Option<Vec<u8>> {
        match key {
            LeafKey::Counters => {
                let Counters { batch, body_chain, order, trade, withdrawal, time } = self.counters;
                let numbers = [order, trade, withdrawal, time].map(u64::to_be_bytes).concat();
                Some([&batch.to_be_bytes()[..], &body_chain, &numbers].concat())
            }
            LeafKey::Supply(token) => {
                let supply = self.ledger.supply(*token);
                (supply > Atoms::ZERO).then(|| supply.0.to_be_bytes().into())
            }
            LeafKey::Balance(account, token) => {
                balance_bytes(self.ledger.find(account)?.balance(*token))
            }
            LeafKey::Nonces(key) => nonce_bytes(self.ledger.find(key)?.nonces()),
            LeafKey::Order(account, id) => {
                let (market, _, order) = self.open_order(self.ledger.find(account)?, *id)?;
                Some(self.order_bytes(market, &order))
            }
            LeafKey::Reference(token, reference) => {
                present(self.references.contains(&(*token, reference.clone())))
            }
            LeafKey::GuideSignature(hash) => present(self.guide_signatures.contains(hash)),
            LeafKey::SessionKey(account, key) => {
                self.session_key(account, key).map(|session| session.to_bytes())
            }
            LeafKey::Withdrawal(number) => {
                let Withdrawal { account, token, amount, destination } =
                    self.withdrawal(*number)?;
                let (token, amount) = (token.0.to_be_bytes(), amount.0.to_be_bytes());
                let destination = destination.as_bytes();
                Some([&account.as_bytes()[..], &token, &amount, destination].concat())
            }
            LeafKey::Replica(replica) => {
                let Latest { batch, clock } = self.attestations.latest(*replica)?;
                Some([batch.to_be_bytes(), clock.to_be_bytes()].concat())
            }
            LeafKey::Vote(batch, replica) => {
                self.attestations.votes.get(&(*batch, *replica)).map(|root| root.to_vec())
            }
            LeafKey::Certified(batch) => {
                self.attestations.certified(*batch).map(|root| root.to_vec())
            }
            LeafKey::Switch(account) => {
                self.switches.get(account).map(|time| time.to_be_bytes().into())
            }
        }
    }

    fn order_bytes(&self, market: MarketIndex, order: &RestingOrder) -> Vec<u8> {
        let RestingOrder { side, price, quantity, rested, remaining, hash, .. } = *order;
        let OrderDetails { expires, client_id } = self.details(order.id);
        let leaf = OrderLeaf {
            market,
            side,
            price,
            quantity,
            rested,
            remaining,
            hash,
            expires,
            client_id,
        };
        leaf.to_bytes()
    }

    /// The keys of all leaves of the kinds after nonces: the kinds in ascending order, the leaves of one kind in no
    /// particular order.
    fn keys_after_nonces(&self) -> impl Iterator<Item = LeafKey> {
        let sides =
            self.books.iter().flat_map(|book| [Side::Buy, Side::Sell].map(|side| (book, side)));
        let orders = sides.flat_map(|(book, side)| book.orders(side)).filter_map(|order| {
            let account = self.ledger.get(order.account)?;
            Some(LeafKey::Order(account.key, order.id))
        });
        let references = self.references.iter().cloned();
        let sessions = self.session_keys.keys();
        let votes = self.attestations.votes.keys();
        orders
            .chain(references.map(|(token, reference)| LeafKey::Reference(token, reference)))
            .chain(self.guide_signatures.iter().copied().map(LeafKey::GuideSignature))
            .chain(sessions.map(|(account, key)| LeafKey::SessionKey(*account, *key)))
            .chain((1..).zip(&self.withdrawals).map(|(number, _)| LeafKey::Withdrawal(number)))
            .chain(self.attestations.latest.keys().copied().map(LeafKey::Replica))
            .chain(votes.map(|(batch, replica)| LeafKey::Vote(*batch, *replica)))
            .chain(self.attestations.certified.keys().copied().map(LeafKey::Certified))
            .chain(self.switches.keys().copied().map(LeafKey::Switch))
    }

    /// All leaves, keys and values, in the order of the kinds. They are encoded one after the other,
    /// so that the whole state is never in memory twice.
    pub fn leaves_one_by_one(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + Send {
        let supplies = (0..self.ledger.tokens()).map(|token| LeafKey::Supply(TokenIndex(token)));
        // The leaves of accounts are by far the most, so none of them searches for its account.
        let accounts = || self.ledger.accounts();
        let balances = accounts().flat_map(|account| {
            let balances = account.balances();
            balances.map(|(token, its)| (LeafKey::Balance(account.key, token), balance_bytes(its)))
        });
        let nonces =
            accounts().map(|account| (LeafKey::Nonces(account.key), nonce_bytes(account.nonces())));
        let value = |key: LeafKey| {
            let value = self.leaf_value(&key);
            (key, value)
        };
        // Some of these leaves are absent, like the supply of a token that nobody holds.
        core::iter::once(LeafKey::Counters)
            .chain(supplies)
            .map(value)
            .chain(balances)
            .chain(nonces)
            .chain(self.keys_after_nonces().map(value))
            .filter_map(|(key, value)| Some((key.to_bytes(), value?)))
    }

    /// All leaves, keys and values, in ascending order of their keys.
    pub fn leaves(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut leaves: Vec<(Vec<u8>, Vec<u8>)> = self.leaves_one_by_one().collect();
        leaves.sort_unstable();
        leaves
    }

    /// Takes the touched leaves, each once.
    pub(crate) fn take_touched(&mut self) -> Result<Vec<LeafKey>, Corrupt> {
        let mut touched = core::mem::take(&mut self.touched);
        // Sorted only to find repetitions. Account indices differ between replicas, so the caller
        // sorts the leaves by their keys.
        touched.balances.sort_unstable();
        touched.balances.dedup();
        touched.nonces.sort_unstable();
        touched.nonces.dedup();
        touched.orders.sort_unstable();
        touched.orders.dedup();
        let mut leaves: Vec<LeafKey> = touched.others.into_iter().collect();
        for (account, token) in touched.balances {
            leaves.push(LeafKey::Balance(self.key(account)?, token));
        }
        for account in touched.nonces {
            leaves.push(LeafKey::Nonces(self.key(account)?));
        }
        for (account, id) in touched.orders {
            leaves.push(LeafKey::Order(self.key(account)?, id));
        }
        Ok(leaves)
    }
}
