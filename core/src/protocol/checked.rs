//! Transactions whose signature was checked.

use super::action::Action;
use super::element::Element;
use super::reject::Reject;
use super::transaction::Transaction;
use crate::rules::Rules;
use crate::types::{PublicKey, TransactionHash};

/// What keeps a transaction from being applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayGuard {
    /// The signing key's nonce.
    Nonce(u64),
    /// An order in the guide's format has no nonce: its signature counts once.
    Signature,
}

/// A transaction whose signature is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTransaction {
    /// What it is known by.
    pub hash: TransactionHash,
    /// Whose it is.
    pub account: PublicKey,
    /// Who signed: the account, or what claims to be a session key of it.
    pub signer: PublicKey,
    /// What keeps it from being applied twice.
    pub replay_guard: ReplayGuard,
    /// The state's time in Unix milliseconds at which it is too late.
    pub valid_until: Option<u64>,
    /// What it does.
    pub action: Action,
}

impl CheckedTransaction {
    /// The session key that signed, if it was not the account's own.
    pub fn session_key(&self) -> Option<PublicKey> {
        Some(self.signer).filter(|signer| *signer != self.account)
    }

    /// The kind, as outcomes name it.
    pub const fn kind(&self) -> &'static str {
        match self.replay_guard {
            ReplayGuard::Nonce(_) => self.action.kind(),
            ReplayGuard::Signature => "guide_order",
        }
    }
}

/// An element that is no transaction, or whose signature is not its account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its kind, if it could be read.
    pub kind: Option<&'static str>,
    /// `Malformed` or `BadSignature`.
    pub reject: Reject,
}

/// Reads one element and checks its signature.
pub fn check_element(rules: &Rules, json: &str) -> Result<CheckedTransaction, Invalid> {
    match Element::read(json, rules.genesis.guide_orders) {
        Err(reject) => Err(Invalid { kind: None, reject }),
        Ok(Element::Signed(signed)) => {
            let Transaction { account, nonce, valid_until, .. } = signed.transaction;
            let signer = signed.transaction.signing_key();
            let text = signed.transaction.text(&rules.network);
            let digest = signed.scheme.digest(&text);
            if !signed.signature.is_valid(&digest, &signer) {
                let kind = Some(signed.transaction.action.kind());
                return Err(Invalid { kind, reject: Reject::BadSignature { signer } });
            }
            Ok(CheckedTransaction {
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
