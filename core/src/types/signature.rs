//! Signatures of texts: recoverable ECDSA over secp256k1, with two ways to compute the digest.
//!
//! A signature is checked by recovering the public key from it and comparing that with the expected key.
//! Ethereum wallets sign in this form, so they need no second one. Each (text, scheme, key) has exactly one
//! valid encoding for a given `r`: `s` must be the lower of its two values, and `v` must be the recovery id
//! that belongs to it. Otherwise anybody could change a signature that they saw into another valid one. See
//! *Keys and signatures* in `docs/protocol.md`.

use alloc::string::ToString;
use core::fmt;
use core::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::hex::decode_hex;
use super::names::names;

/// How the text of a transaction becomes the digest that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// SHA-256 of the text; for programs and for the page's own keys.
    Raw,
    /// Keccak-256 of the text after Ethereum's prefix, which is what a wallet signs for `personal_sign`. Source:
    /// EIP-191, version 0x45.
    Eip191,
}

impl Scheme {
    /// The digest of a text that is signed with this scheme.
    pub fn digest(self, text: &str) -> [u8; 32] {
        match self {
            Self::Raw => Sha256::digest(text.as_bytes()).into(),
            Self::Eip191 => {
                let mut hasher = sha3::Keccak256::new();
                hasher.update(b"\x19Ethereum Signed Message:\n");
                // The length in bytes, as decimal digits.
                hasher.update(text.len().to_string().as_bytes());
                hasher.update(text.as_bytes());
                hasher.finalize().into()
            }
        }
    }
}

names!(Scheme { Raw = "raw", Eip191 = "eip191" });

/// A signature: `r || s || v`. `r` and `s` have 32 bytes each, big endian; `v` is the recovery id. Any 65 bytes
/// can be read; [`Self::is_valid`] checks them. The text is 130 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 65]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a signature.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a signature is 130 lower-case hex digits: r, s and the recovery id")]
pub struct SignatureError;

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        decode_hex(text).map(Self).ok_or(SignatureError)
    }
}
