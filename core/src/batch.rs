//! A finalized batch, read and with its signatures checked: all of `apply` that needs no state,
//! so that it can be done ahead and in parallel.

use alloc::vec::Vec;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::genesis::Rules;
use crate::key::PublicKey;
use crate::limits::{BODY_BYTES_MAX, ELEMENTS_MAX};
use crate::reject::Reject;
use crate::state_root::Hash;
use crate::transaction::{Action, Element, Transaction, TransactionHash};

/// What keeps a transaction from being applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
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
    pub once: Once,
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
        match self.once {
            Once::Nonce(_) => self.action.kind(),
            Once::Signature => "guide_order",
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

/// A batch that is ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its index in the sequence, from 1.
    pub index: u64,
    /// SHA-256 of its body.
    pub body_hash: Hash,
    /// One for each element. Empty if the body is no JSON array.
    pub transactions: Vec<Result<CheckedTransaction, Invalid>>,
}

impl Batch {
    /// Reads a body. Total: what is no JSON array of at most 1 MiB and 4,096 elements has no
    /// transactions.
    pub fn check(rules: &Rules, index: u64, body: &[u8]) -> Self {
        let mut elements: Vec<&RawValue> = Vec::new();
        if body.len() <= BODY_BYTES_MAX {
            elements = serde_json::from_slice(body).unwrap_or_default();
        }
        if elements.len() > ELEMENTS_MAX {
            elements.clear();
        }
        Self {
            index,
            body_hash: Sha256::digest(body).into(),
            transactions: elements
                .into_iter()
                .map(|element| check_element(rules, element.get()))
                .collect(),
        }
    }
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
                once: Once::Nonce(nonce),
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
                once: Once::Signature,
                valid_until: None,
                action: Action::Order(order.order),
            })
        }
    }
}
