//! Transactions: their JSON on the wire, the text that is signed, and strict parsing.
//!
//! A transaction is a flat list of named texts. The same list, in the same order, makes the lines
//! of the signed text and the keys of the JSON object, so the two cannot differ.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::action::Action;
use super::action_fields::Named;
use super::fields::{Fields, malformed, parse_integer, parse_public_key};
use super::reject::Reject;
use crate::types::{NetworkId, PublicKey, Scheme, SecretKey, Signature, TransactionHash};

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Whose it is.
    pub account: PublicKey,
    /// The session key that signs, if it is not the account's own.
    pub signer: Option<PublicKey>,
    /// Used once by the signing key; by convention the client's clock in milliseconds.
    pub nonce: u64,
    /// The state's time in Unix milliseconds at which it is too late.
    pub valid_until: Option<u64>,
    /// What it does.
    pub action: Action,
}

/// A transaction with its signature, which is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What was signed.
    pub transaction: Transaction,
    /// How the text became a digest.
    pub scheme: Scheme,
    /// The signature over the digest.
    pub signature: Signature,
}

impl Transaction {
    /// Names and values in the one order that text and JSON share.
    pub fn fields(&self) -> Named {
        let mut fields = alloc::vec![
            ("kind", self.action.kind().to_string()),
            ("account", self.account.to_string())
        ];
        fields.extend(self.signer.map(|signer| ("signer", signer.to_string())));
        self.action.write(&mut fields);
        fields.push(("nonce", self.nonce.to_string()));
        fields.extend(self.valid_until.map(|time| ("valid_until", time.to_string())));
        fields
    }

    /// The key that signs.
    pub fn signing_key(&self) -> PublicKey {
        self.signer.unwrap_or(self.account)
    }

    /// Reads all fields but scheme and signature.
    pub(super) fn read(
        fields: &mut Fields,
        account: Option<PublicKey>,
        nonce: Option<u64>,
    ) -> Result<Self, Reject> {
        let missing = |name: &str| malformed(format!("field `{name}` is missing"));
        let action = Action::read(fields)?;
        let account = fields.optional("account", parse_public_key)?.or(account);
        let account = account.ok_or_else(|| missing("account"))?;
        let signer = fields.optional("signer", parse_public_key)?;
        let nonce = fields.optional("nonce", parse_integer)?.or(nonce);
        let nonce = nonce.ok_or_else(|| missing("nonce"))?;
        let valid_until = fields.optional("valid_until", parse_integer)?;
        if signer == Some(account) {
            let message = "field `signer` must be left out where the account itself signs";
            return Err(malformed(message.into()));
        }
        let session_key = match &action {
            Action::AuthorizeKey(grant) => Some(grant.key),
            Action::RevokeKey { key } => Some(*key),
            _ => None,
        };
        if session_key == Some(account) {
            return Err(malformed("field `key` must be another key than the account".into()));
        }
        Ok(Self { account, signer, nonce, valid_until, action })
    }

    /// The text that is signed: a domain line, then one `name: value` line for each field.
    pub fn text(&self, network: &NetworkId) -> String {
        let mut text = format!("Zellbook 1 {network}");
        for (name, value) in self.fields() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{name}: {value}");
        }
        text
    }

    /// The hash that a transaction is known by.
    pub fn hash(&self, network: &NetworkId) -> TransactionHash {
        TransactionHash::of_text(&self.text(network))
    }

    /// Signs the text for a network with the `raw` scheme.
    pub fn sign(self, network: &NetworkId, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(Scheme::Raw, &self.text(network));
        SignedTransaction { transaction: self, scheme: Scheme::Raw, signature }
    }

    /// Reads a transaction that is not signed yet: the same JSON without `scheme` and
    /// `signature`. `nonce` and `account` are given as defaults for where they are absent.
    pub fn from_json_unsigned(json: &str, account: PublicKey, nonce: u64) -> Result<Self, Reject> {
        let mut fields = Fields::read(json)?;
        let transaction = Self::read(&mut fields, Some(account), Some(nonce))?;
        fields.finish()?;
        Ok(transaction)
    }
}

impl SignedTransaction {
    /// The JSON object on the wire.
    pub fn to_json(&self) -> String {
        let mut fields = self.transaction.fields();
        fields.push(("scheme", self.scheme.name().to_string()));
        fields.push(("signature", self.signature.to_string()));
        let fields = fields
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{}", serde_json::Value::from(value)))
            .collect::<Vec<_>>();
        format!("{{{}}}", fields.join(","))
    }
}
