//! Transactions: their JSON on the wire, and the text that is signed.
//!
//! A transaction is a flat list of named texts. The same list makes the signed text and the JSON object, so the
//! two cannot differ. The signed text is a first line, `Zellbook 1 <network id>`, and then one line `name:
//! value` for each field in the order of [`Transaction::fields`]. A wallet can show it as it is, and people can
//! read what they sign. The first line binds the signature to this protocol and to one genesis, so it is
//! worthless on another exchange.
//!
//! The text is not sent: a reader parses the JSON and writes the text again. This works because every value has
//! only one valid text (see `fields.rs`), and no value can contain a line break.

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
    /// The account that the transaction acts for.
    pub account: PublicKey,
    /// The session key that signs; `None` if the account itself signs.
    pub signer: Option<PublicKey>,
    /// A number that the signing key uses once; by convention the client's clock in Unix milliseconds. Nonces
    /// need not be consecutive, and transactions of one key may arrive out of order, up to a window of 64.
    pub nonce: u64,
    /// The transaction is rejected once the exchange's time, in Unix milliseconds, reaches this. It lets a client be
    /// sure that a delayed transaction can no longer have an effect.
    pub valid_until: Option<u64>,
    /// What the transaction asks for.
    pub action: Action,
}

/// A transaction with a signature that is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// The transaction that was signed.
    pub transaction: Transaction,
    /// How the signed text became the digest.
    pub scheme: Scheme,
    /// The signature over the digest.
    pub signature: Signature,
}

impl Transaction {
    /// The fields as (name, value), in the order that the signed text and the JSON share.
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

    /// The key that signs: the session key if there is one, otherwise the account.
    pub fn signing_key(&self) -> PublicKey {
        self.signer.unwrap_or(self.account)
    }

    /// Takes all fields except `scheme` and `signature`. `account` and `nonce` are defaults for missing fields;
    /// `parse_key` parses the account and the signer.
    pub(super) fn read(
        fields: &mut Fields,
        account: Option<PublicKey>,
        nonce: Option<u64>,
        parse_key: &mut dyn FnMut(&str) -> Result<PublicKey, String>,
    ) -> Result<Self, Reject> {
        let missing = |name: &str| malformed(format!("field `{name}` is missing"));
        let action = Action::read(fields)?;
        let account = fields.optional("account", &mut *parse_key)?.or(account);
        let account = account.ok_or_else(|| missing("account"))?;
        let signer = fields.optional("signer", parse_key)?;
        let nonce = fields.optional("nonce", parse_integer)?.or(nonce);
        let nonce = nonce.ok_or_else(|| missing("nonce"))?;
        let valid_until = fields.optional("valid_until", parse_integer)?;
        // Otherwise one transaction would have two texts, with and without the needless line.
        if signer == Some(account) {
            let message = "field `signer` must be left out when the account itself signs";
            return Err(malformed(message.into()));
        }
        let session_key = match &action {
            Action::AuthorizeKey(grant) => Some(grant.key),
            Action::RevokeKey { key } => Some(*key),
            _ => None,
        };
        // An account's own key needs no permission, and must not be thought to be limited or revoked by one.
        if session_key == Some(account) {
            return Err(malformed("field `key` must be a key other than the account".into()));
        }
        Ok(Self { account, signer, nonce, valid_until, action })
    }

    /// The signed text: a line that names the protocol and the network, then one line `name: value` for each
    /// field.
    pub fn text(&self, network: &NetworkId) -> String {
        let mut text = format!("Zellbook 1 {network}");
        for (name, value) in self.fields() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{name}: {value}");
        }
        text
    }

    /// The hash by which the transaction is identified: SHA-256 of [`Self::text`]. It does not cover the
    /// signature, so it is known before signing, and a transaction has the same hash with either scheme.
    pub fn hash(&self, network: &NetworkId) -> TransactionHash {
        TransactionHash::of_text(&self.text(network))
    }

    /// Signs the text for a network with the scheme `raw`. `key` must be the one of [`Self::signing_key`].
    pub fn sign(self, network: &NetworkId, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(Scheme::Raw, &self.text(network));
        SignedTransaction { transaction: self, scheme: Scheme::Raw, signature }
    }

    /// Reads a transaction that is not signed yet: the same JSON without `scheme` and `signature`. `account` and
    /// `nonce` are used if the JSON does not have them.
    ///
    /// Fails with [`Reject::Malformed`], which names the field.
    pub fn from_json_unsigned(json: &str, account: PublicKey, nonce: u64) -> Result<Self, Reject> {
        let mut fields = Fields::read(json)?;
        let transaction =
            Self::read(&mut fields, Some(account), Some(nonce), &mut parse_public_key)?;
        fields.finish()?;
        Ok(transaction)
    }
}

impl SignedTransaction {
    /// The JSON object that is sent: one element of a batch body.
    pub fn to_json(&self) -> String {
        let mut fields = self.transaction.fields();
        fields.push(("scheme", self.scheme.name().to_string()));
        fields.push(("signature", self.signature.to_string()));
        let fields = fields
            .into_iter()
            // No valid value needs an escape. The library writes the quotes all the same, so that a text made
            // by other code cannot break out of its string.
            .map(|(name, value)| format!("\"{name}\":{}", serde_json::Value::from(value)))
            .collect::<Vec<_>>();
        format!("{{{}}}", fields.join(","))
    }
}
