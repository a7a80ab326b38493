//! Orders in the format of the integration guide that Zellbook grew out of, so that the guide's client still
//! works.
//!
//! Such an order is a JSON object of seven texts. The signed text is
//! `order_type,base_token,quote_token,quantity,price` with the values exactly as in the JSON. The signature is
//! plain ECDSA (secp256k1, 64 bytes `r || s`, low or high `s`, no recovery id) over the SHA-1 digest of that
//! text, which is what python-ecdsa makes by default.
//!
//! The format is weaker than our own, and genesis can turn it off. SHA-1 is not collision resistant. The text
//! names no network, so an order is valid on every exchange that accepts the format. It has no nonce, so two
//! equal orders of one key differ only in their signatures, and each signature counts once. For that, a
//! signature is remembered by a hash over its lower `s`: anybody can compute the signature with the other `s`
//! from the first one, and must not be able to place the order again with it.

use alloc::format;
use alloc::string::{String, ToString};

use base64ct::{Base64, Encoding};
use k256::ecdsa::Signature as Ecdsa;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::action::Order;
use super::fields::{Fields, malformed, parse_symbol};
use super::reject::Reject;
use crate::types::{Decimal, PublicKey, SelfTrade, Side, TimeInForce, TransactionHash};

/// An order in the guide's format. Its signature is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuideOrder {
    /// The account, which is also the signing key: the format has no session keys.
    pub account: PublicKey,
    /// The same order in our own terms: `gtc`, with `cancel_newest` and without a client id.
    pub order: Order,
    /// The signed text. It is stored because the numbers may have needless zeros, which `order` no longer has.
    message: String,
    signature: [u8; 64],
}

impl GuideOrder {
    pub(crate) fn from_fields(fields: &mut Fields) -> Result<Self, Reject> {
        let text = |text: &str| Ok(text.to_string());
        let order_type = fields.required("order_type", text)?;
        let side = match order_type.as_str() {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(malformed("field `order_type` must be buy or sell".to_string())),
        };
        // Symbols and numbers contain no commas, so two different orders never have the same text.
        let base = fields.required("base_token", parse_symbol)?;
        let quote = fields.required("quote_token", parse_symbol)?;
        let quantity = fields.required("quantity", text)?;
        let price = fields.required("price", text)?;
        // Lenient: the guide's client writes needless zeros, like 2000.0.
        let number = |name: &str, text: &str| {
            Decimal::parse_lenient(text)
                .map_err(|error| malformed(format!("field `{name}` is not a number: {error}")))
        };
        let order = Order {
            market: format!("{base}/{quote}"),
            side,
            quantity: number("quantity", &quantity)?,
            price: number("price", &price)?,
            time_in_force: TimeInForce::Gtc,
            expires: None,
            self_trade: SelfTrade::CancelNewest,
            client_id: None,
        };
        let account = fields.required("public_key", parse_public_key)?;
        let signature = fields.required("signature", |text| {
            // Larger than needed: `try_into` below checks the length.
            let mut buffer = [0; 66];
            let bytes = Base64::decode(text, &mut buffer).ok();
            bytes
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| "must be 64 bytes in base64".to_string())
        })?;
        let message = [order_type, base, quote, quantity, price].join(",");
        Ok(Self { account, order, message, signature })
    }

    /// The signed text: `order_type,base_token,quote_token,quantity,price`.
    pub fn text(&self) -> &str {
        &self.message
    }

    /// The signature as `r || s`, each 32 bytes big endian.
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Whether the signature is valid for the account.
    pub fn verify(&self) -> bool {
        let mut digest = [0; 32];
        let sha1 = Sha1::digest(self.message.as_bytes());
        // ECDSA reads the digest as a number. SHA-1 has 20 bytes, so the 12 in front of it are zero.
        digest.iter_mut().skip(12).zip(sha1).for_each(|(to, from)| *to = from);
        self.account.verify_any_s(&digest, &self.signature)
    }

    /// The transaction's hash, by which its signature is also remembered as used:
    /// `SHA-256("zellbook guide order" || account || r || min(s, n - s))`.
    pub fn hash(&self) -> TransactionHash {
        // `r` or `s` out of range: there is no other `s`, and the signature is never valid.
        let normal = Ecdsa::from_slice(&self.signature)
            .map_or(self.signature, |signature| signature.normalize_s().to_bytes().into());
        let mut hasher = Sha256::new();
        // No signed text begins with these words, so the hash is never that of a transaction of our own.
        hasher.update(b"zellbook guide order");
        hasher.update(self.account.as_bytes());
        hasher.update(normal);
        TransactionHash(hasher.finalize().into())
    }
}

/// Parses base64 of a SEC1 point (33 or 65 bytes), or of its x and y alone (64 bytes), as python-ecdsa writes it.
fn parse_public_key(text: &str) -> Result<PublicKey, String> {
    let error = "must be a secp256k1 public key of 33, 64 or 65 bytes in base64";
    // Larger than needed: `from_sec1` checks the length.
    let mut buffer = [0; 69];
    let bytes = Base64::decode(text, &mut buffer).map_err(|_| error.to_string())?;
    let mut uncompressed = [4; 65];
    // 64 bytes are an uncompressed point without its first byte, 04, which the array begins with.
    let bytes = if bytes.len() == 64 {
        uncompressed.iter_mut().skip(1).zip(bytes.iter()).for_each(|(to, from)| *to = *from);
        &uncompressed
    } else {
        bytes
    };
    PublicKey::from_sec1(bytes).map_err(|_| error.to_string())
}
