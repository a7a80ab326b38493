//! Signatures of texts: ECDSA over secp256k1, with two ways from a text to its digest.

use alloc::string::ToString;
use core::fmt;
use core::str::FromStr;

use k256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::hex::decode_hex;
use super::names::names;
use super::public_key::PublicKey;

/// How the text of a transaction becomes the digest that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// SHA-256 of the text.
    Raw,
    /// Keccak-256 of the text behind Ethereum's prefix (EIP-191 version 0x45, `personal_sign`).
    Eip191,
}

impl Scheme {
    /// The digest of a text.
    pub fn digest(self, text: &str) -> [u8; 32] {
        match self {
            Self::Raw => Sha256::digest(text.as_bytes()).into(),
            Self::Eip191 => {
                let mut hasher = sha3::Keccak256::new();
                hasher.update(b"\x19Ethereum Signed Message:\n");
                hasher.update(text.len().to_string().as_bytes());
                hasher.update(text.as_bytes());
                hasher.finalize().into()
            }
        }
    }
}

names!(Scheme { Raw = "raw", Eip191 = "eip191" });

/// A signature on the wire: `r || s || v`, big endian, low-s, v the recovery id (0 or 1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 65]);

impl Signature {
    /// Whether recovering from (digest, r, s, v) gives `account`, with s in the lower half.
    pub fn is_valid(&self, digest: &[u8; 32], account: &PublicKey) -> bool {
        let Some((v, rs)) = self.0.split_last() else { return false };
        let Ok(signature) = Ecdsa::from_slice(rs) else { return false };
        let is_high = signature.normalize_s() != signature;
        if is_high || *v > 1 {
            return false;
        }
        let Ok(recovery_id) = RecoveryId::try_from(*v) else { return false };
        VerifyingKey::recover_from_prehash(digest, &signature, recovery_id)
            .ok()
            .and_then(|key| PublicKey::from_verifying_key(&key).ok())
            .is_some_and(|key| key == *account)
    }
}

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

/// The text is no signature.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a signature is 130 lower-case hex digits: r, s and the recovery id")]
pub struct SignatureError;

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        decode_hex(text).map(Self).ok_or(SignatureError)
    }
}
