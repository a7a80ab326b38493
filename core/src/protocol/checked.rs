//! Transactions after the checks that need only genesis: their form and their signature.
//!
//! Both formats, our own and the guide's, end in the same [`CheckedTransaction`], so the engine does not know
//! which one a transaction came in. A transaction that fails here has no effect at all, not even on a nonce:
//! nobody's signature stands behind it.

use super::action::Action;
use super::element::Element;
use super::reject::Reject;
use super::transaction::Transaction;
use crate::rules::Rules;
use crate::types::{PublicKey, TransactionHash};

/// What prevents a transaction from being applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayGuard {
    /// The signing key's nonce, which it can use once.
    Nonce(u64),
    /// The transaction's hash, which covers the signature. Orders in the guide's format have no nonce.
    Signature,
}

/// A transaction whose signature is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTransaction {
    /// The hash by which clients and the API identify the transaction.
    pub hash: TransactionHash,
    /// The account that the transaction acts for.
    pub account: PublicKey,
    /// The key that signed: the account, or a key that claims to be a session key of it. Only the state knows
    /// whether the claim is true.
    pub signer: PublicKey,
    /// What prevents a second application.
    pub replay_guard: ReplayGuard,
    /// The transaction is rejected once the exchange's time, in Unix milliseconds, reaches this.
    pub valid_until: Option<u64>,
    /// What the transaction asks for.
    pub action: Action,
}

impl CheckedTransaction {
    /// The session key that signed, or `None` if the account itself signed.
    pub fn session_key(&self) -> Option<PublicKey> {
        Some(self.signer).filter(|signer| *signer != self.account)
    }

    /// The kind that outcomes report: the action's, or `guide_order` for the guide's format.
    pub const fn kind(&self) -> &'static str {
        match self.replay_guard {
            ReplayGuard::Nonce(_) => self.action.kind(),
            ReplayGuard::Signature => "guide_order",
        }
    }
}

/// An element that is not a transaction or whose signature is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The kind, or `None` if the element is malformed.
    pub kind: Option<&'static str>,
    /// [`Reject::Malformed`] or [`Reject::BadSignature`].
    pub reject: Reject,
}

/// Reads one element of a body and checks its signature against the key that it names as signer.
pub fn check_element(rules: &Rules, json: &str) -> Result<CheckedTransaction, Invalid> {
    match Element::read(json, rules.genesis.guide_orders) {
        Err(reject) => Err(Invalid { kind: None, reject }),
        Ok(Element::Signed(signed)) => {
            let Transaction { account, nonce, valid_until, .. } = signed.transaction;
            // The transaction names its signer, so the signature can be checked without state. Whether the key
            // may sign for the account is reject 6, which depends on the state.
            let signer = signed.transaction.signing_key();
            // The text is built again from the fields instead of taken from the wire: what was signed is exactly
            // what will be applied.
            let text = signed.transaction.text(&rules.network);
            let digest = signed.scheme.digest(&text);
            if !signed.signature.is_valid(&digest, &signer) {
                let kind = Some(signed.transaction.action.kind());
                return Err(Invalid { kind, reject: Reject::BadSignature { signer } });
            }
            Ok(CheckedTransaction {
                // The hash is SHA-256 of the text with either scheme. For `raw` it equals the digest.
                hash: TransactionHash::of_text(&text),
                account,
                signer,
                replay_guard: ReplayGuard::Nonce(nonce),
                valid_until,
                action: signed.transaction.action,
            })
        }
        Ok(Element::Guide(order)) => {
            let account = order.account;
            if !order.verify() {
                let kind = Some("guide_order");
                return Err(Invalid { kind, reject: Reject::BadSignature { signer: account } });
            }
            Ok(CheckedTransaction {
                // Also the replay guard, so it must not depend on how the key is encoded or which `s` was sent.
                hash: order.hash(),
                account,
                signer: account,
                replay_guard: ReplayGuard::Signature,
                valid_until: None,
                action: Action::Order(order.order),
            })
        }
    }
}
