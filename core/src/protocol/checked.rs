//! Transactions after the checks that need only genesis: their form and their signature.
//!
//! Both formats, our own and the guide's, end in the same [`CheckedTransaction`], so the engine does not know
//! which one a transaction came in. A transaction that fails here has no effect at all, not even on a nonce:
//! nobody's signature stands behind it.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::action::Action;
use super::element::Element;
use super::fields::parse_public_key;
use super::reject::Reject;
use super::transaction::Transaction;
use crate::rules::Rules;
use crate::signatures::{SignedDigest, check_all};
use crate::types::{PublicKey, Scheme, TransactionHash};

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
    let Unchecked { transaction, signed } = Unchecked::read(rules, json, &mut parse_public_key)?;
    if let Some(SignedDigest { digest, signature, signer }) = signed
        && !signature.is_valid(&digest, &signer)
    {
        return Err(bad_signature(&transaction));
    }
    Ok(transaction)
}

/// Does what [`check_element`] does to each element, many times faster if there are many.
pub fn check_elements(
    rules: &Rules,
    elements: &[&str],
) -> Vec<Result<CheckedTransaction, Invalid>> {
    // Whether a key is a point costs a square root to find out, and most keys sign many elements.
    let mut keys: BTreeMap<String, PublicKey> = BTreeMap::new();
    let mut parse_key = |text: &str| match keys.get(text) {
        Some(key) => Ok(*key),
        None => parse_public_key(text).inspect(|key| _ = keys.insert(text.to_owned(), *key)),
    };
    let read: Vec<Result<Unchecked, Invalid>> =
        elements.iter().map(|element| Unchecked::read(rules, element, &mut parse_key)).collect();
    let signed: Vec<SignedDigest> =
        read.iter().flatten().filter_map(|unchecked| unchecked.signed).collect();
    let mut verdicts = check_all(&signed).into_iter();
    let mut check = |Unchecked { transaction, signed }: Unchecked| {
        if signed.is_some() && verdicts.next() != Some(true) {
            return Err(bad_signature(&transaction));
        }
        Ok(transaction)
    };
    read.into_iter().map(|unchecked| unchecked.and_then(&mut check)).collect()
}

/// A transaction that was read.
struct Unchecked {
    /// The transaction, as it is once its signature is checked.
    transaction: CheckedTransaction,
    /// The signature to check, or `None` if it is checked already.
    signed: Option<SignedDigest>,
}

impl Unchecked {
    fn read(
        rules: &Rules,
        json: &str,
        parse_key: &mut dyn FnMut(&str) -> Result<PublicKey, String>,
    ) -> Result<Self, Invalid> {
        let element = Element::read_with(json, rules.genesis.guide_orders, parse_key);
        match element.map_err(|reject| Invalid { kind: None, reject })? {
            Element::Signed(signed) => {
                let Transaction { account, nonce, valid_until, .. } = signed.transaction;
                // The transaction names its signer, so the signature can be checked without state. Whether the key
                // may sign for the account is reject 6, which depends on the state.
                let signer = signed.transaction.signing_key();
                // The text is built again from the fields instead of taken from the wire: what was signed is exactly
                // what will be applied.
                let text = signed.transaction.text(&rules.network);
                let digest = signed.scheme.digest(&text);
                let transaction = CheckedTransaction {
                    // SHA-256 of the text with either scheme.
                    hash: match signed.scheme {
                        Scheme::Raw => TransactionHash(digest),
                        Scheme::Eip191 => TransactionHash::of_text(&text),
                    },
                    account,
                    signer,
                    replay_guard: ReplayGuard::Nonce(nonce),
                    valid_until,
                    action: signed.transaction.action,
                };
                let signed = SignedDigest { digest, signature: signed.signature, signer };
                Ok(Self { transaction, signed: Some(signed) })
            }
            Element::Guide(order) => {
                let account = order.account;
                // This format has no recovery id, so its signatures cannot be checked with others.
                let is_valid = order.verify();
                let transaction = CheckedTransaction {
                    // Also the replay guard, so it must not depend on how the key is encoded or which `s` was sent.
                    hash: order.hash(),
                    account,
                    signer: account,
                    replay_guard: ReplayGuard::Signature,
                    valid_until: None,
                    action: Action::Order(order.order),
                };
                if !is_valid {
                    return Err(bad_signature(&transaction));
                }
                Ok(Self { transaction, signed: None })
            }
        }
    }
}

fn bad_signature(transaction: &CheckedTransaction) -> Invalid {
    let reject = Reject::BadSignature { signer: transaction.signer };
    Invalid { kind: Some(transaction.kind()), reject }
}
