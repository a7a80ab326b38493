//! Orders in the format of the integration guide that Zellbook grew out of.
//!
//! Seven texts; the signature (64 bytes, any s) is ECDSA over the SHA-1 digest of
//! `order_type,base_token,quote_token,quantity,price`, as python-ecdsa signs by default. There is
//! no nonce, so such a signature counts once, whichever of its two s it carries.

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

/// An order in the guide's format, with its signature not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuideOrder {
    /// Who signed.
    pub account: PublicKey,
    /// The plain `gtc` order that it is.
    pub order: Order,
    /// `order_type,base_token,quote_token,quantity,price`, as signed.
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
        // Symbols and numbers hold no commas, so a message reads in one way only.
        let base = fields.required("base_token", parse_symbol)?;
        let quote = fields.required("quote_token", parse_symbol)?;
        let quantity = fields.required("quantity", text)?;
        let price = fields.required("price", text)?;
        let number = |name: &str, text: &str| {
            Decimal::parse_lenient(text)
                .map_err(|error| malformed(format!("field `{name}` is no number: {error}")))
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
            let mut buffer = [0; 66];
            let bytes = Base64::decode(text, &mut buffer).ok();
            bytes
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| "must be 64 bytes in base64".to_string())
        })?;
        let message = [order_type, base, quote, quantity, price].join(",");
        Ok(Self { account, order, message, signature })
    }

    /// The text that was signed.
    pub fn text(&self) -> &str {
        &self.message
    }

    /// The signature: r and s.
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Whether the signature is the account's.
    pub fn verify(&self) -> bool {
        let mut digest = [0; 32];
        let sha1 = Sha1::digest(self.message.as_bytes());
        // A digest shorter than the group order stands for a number: zeros in front.
        digest.iter_mut().skip(12).zip(sha1).for_each(|(to, from)| *to = from);
        self.account.verify_any_s(&digest, &self.signature)
    }

    /// What a used signature is remembered by, and the transaction's hash:
    /// SHA-256 of `zellbook guide order`, the account, r and the lower s.
    pub fn hash(&self) -> TransactionHash {
        let normal = Ecdsa::from_slice(&self.signature)
            .map_or(self.signature, |signature| signature.normalize_s().to_bytes().into());
        let mut hasher = Sha256::new();
        hasher.update(b"zellbook guide order");
        hasher.update(self.account.as_bytes());
        hasher.update(normal);
        TransactionHash(hasher.finalize().into())
    }
}

/// 33 or 65 bytes as in SEC1, or the 64 bytes x and y.
fn parse_public_key(text: &str) -> Result<PublicKey, String> {
    let error = "must be a secp256k1 public key of 33, 64 or 65 bytes in base64";
    let mut buffer = [0; 69];
    let bytes = Base64::decode(text, &mut buffer).map_err(|_| error.to_string())?;
    let mut uncompressed = [4; 65];
    let bytes = if bytes.len() == 64 {
        uncompressed.iter_mut().skip(1).zip(bytes.iter()).for_each(|(to, from)| *to = *from);
        &uncompressed
    } else {
        bytes
    };
    PublicKey::from_sec1(bytes).map_err(|_| error.to_string())
}
