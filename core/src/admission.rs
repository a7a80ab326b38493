//! Early refusal: the reject that a transaction would get now, from the few leaves that decide it.
//!
//! A replica can refuse what its committed state would reject, before it posts anything. The state is on disk, and
//! only a few leaves of it concern one transaction. So the caller reads [`leaves_of`] it, and the open orders that it
//! may name; [`reject_of`] puts them into an empty engine, which applies the transaction. The engine is then thrown
//! away. So the checks, their order and their messages are those of the exchange itself.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::engine::Engine;
use crate::protocol::{Action, CheckedTransaction, OrderRef, Reject, ReplayGuard};
use crate::rules::Rules;
use crate::state::{LeafKey, OrderLeaf};
use crate::types::{PublicKey, ReplicaIndex, TimeInForce, TokenIndex};

/// The ranges of keys whose leaves decide about a transaction, without open orders.
pub fn leaves_of(rules: &Rules, transaction: &CheckedTransaction) -> Vec<RangeInclusive<Vec<u8>>> {
    let CheckedTransaction { hash, account, signer, replay_guard, action, .. } = transaction;
    let one = |leaf: LeafKey| leaf.to_bytes()..=leaf.to_bytes();
    let balances = |key: PublicKey| {
        let bound = |token| LeafKey::Balance(key, TokenIndex(token)).to_bytes();
        bound(0)..=bound(u16::MAX)
    };
    let mut ranges = vec![one(LeafKey::Counters), balances(*account)];
    ranges.push(match replay_guard {
        ReplayGuard::Nonce(_) => one(LeafKey::Nonces(*signer)),
        ReplayGuard::Signature => one(LeafKey::GuideSignature(*hash)),
    });
    if signer != account {
        ranges.extend([balances(*signer), one(LeafKey::SessionKey(*account, *signer))]);
    } else if *replay_guard == ReplayGuard::Signature {
        // A guide order uses no nonce, but an account that used one before is known by it.
        ranges.push(one(LeafKey::Nonces(*signer)));
    }
    match action {
        Action::Deposit { token, reference, .. } => {
            if let Some((token, _)) = rules.listing.token(token) {
                let reference = LeafKey::Reference(token, reference.clone());
                ranges.extend([one(LeafKey::Supply(token)), one(reference)]);
            }
        }
        Action::AuthorizeKey(_) | Action::RevokeKey { .. } => {
            let first = LeafKey::SessionKey(*account, PublicKey::LOWEST).to_bytes();
            let last = LeafKey::SessionKey(*account, PublicKey::HIGHEST).to_bytes();
            ranges.push(first..=last);
        }
        Action::Attest { .. } => {
            let replicas = (0_u16..).zip(&rules.genesis.replicas);
            let own = replicas.filter(|(_, replica)| replica.public_key == *account);
            ranges.extend(own.map(|(index, _)| one(LeafKey::Replica(ReplicaIndex(index)))));
        }
        _ => {}
    }
    ranges
}

/// Which open orders of the account decide about a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrdersOf<'a> {
    /// The order that it cancels or replaces.
    pub target: Option<&'a OrderRef>,
    /// The client id that it gives to the order that it places: another open order may have it.
    pub client_id: Option<&'a str>,
    /// The market in which the order that it places may rest: the number of open orders there has a limit. If the
    /// limit is reached, all of them decide; else none of them does for this reason.
    pub rests_in: Option<&'a str>,
}

impl<'a> OrdersOf<'a> {
    /// Which open orders decide about a transaction.
    pub fn transaction(transaction: &'a CheckedTransaction) -> Self {
        match &transaction.action {
            Action::Cancel(target) => Self { target: Some(target), ..Self::default() },
            // A replaced order makes room for its successor, so the limit of open orders plays no part.
            Action::Replace { target, order } => {
                Self { target: Some(target), client_id: order.client_id.as_deref(), rests_in: None }
            }
            Action::Order(order) => Self {
                target: None,
                client_id: order.client_id.as_deref(),
                rests_in: (!matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok))
                    .then_some(order.market.as_str()),
            },
            _ => Self::default(),
        }
    }

    /// The id of the only order that decides, if the transaction gives it.
    pub fn only_id(&self) -> Option<u64> {
        match self {
            Self { target: Some(OrderRef::Id(id)), client_id: None, rests_in: None } => Some(*id),
            _ => None,
        }
    }

    /// Whether a transaction names this open order of the account.
    pub fn names(&self, id: u64, order: &OrderLeaf) -> bool {
        let is_target = self.target.is_some_and(|target| match target {
            OrderRef::Id(wanted) => id == *wanted,
            OrderRef::Transaction(hash) => hash.0.starts_with(&order.hash),
            OrderRef::ClientId(name) => order.client_id.as_ref() == Some(name),
        });
        is_target || (self.client_id.is_some() && order.client_id.as_deref() == self.client_id)
    }
}

/// The reject that a transaction would get if it were the next one after these leaves; `None` if it would be applied,
/// or if the leaves do not suffice to tell.
///
/// `leaves` are those of [`leaves_of`] and of [`OrdersOf::transaction`], each at most once. Two rejects depend on
/// orders of others: 34 can be wrong unless they are there, and 32 is right if the best order of the other side is.
pub fn reject_of<'a>(
    rules: &Rules,
    leaves: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    transaction: &CheckedTransaction,
) -> Option<Reject> {
    let mut engine = Engine::new(rules);
    let mut orders = Vec::new();
    for (key, value) in leaves {
        engine.load_leaf(&LeafKey::from_bytes(key).ok()?, value, &mut orders).ok()?;
    }
    engine.open_stored(orders).ok()?;
    engine.counters.batch = engine.counters.batch.checked_add(1)?;
    // Part of a state can look broken when it is changed. That is after all checks, so it is no reject.
    engine.transact(rules, transaction).ok()?.err()
}
