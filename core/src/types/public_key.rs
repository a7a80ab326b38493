//! secp256k1 public keys, which identify the accounts.
//!
//! An account needs no registration: it is the key itself, so everybody who has a key has an account.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use k256::ecdsa::{Signature as Ecdsa, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::hex::decode_hex;

/// A compressed SEC1 public key (33 bytes) that was checked to be a point of secp256k1. Its text is 66
/// lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(super) [u8; 33]);

/// Why bytes or a text are not a public key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PublicKeyError {
    /// The length or the first byte is wrong, or the text is not lower-case hex.
    #[error("a public key is 66 lower-case hex digits that start with 02 or 03")]
    Form,
    /// No point of secp256k1 has this encoding.
    #[error("this public key is not a point of secp256k1")]
    NotOnCurve,
}

impl PublicKey {
    /// A value that sorts before every key, as the lower end of a range. It is not a point of the curve.
    pub(crate) const LOWEST: Self = Self([0; 33]);

    /// A value that sorts after every key, as the upper end of a range. It is not a point of the curve.
    pub(crate) const HIGHEST: Self = Self([0xff; 33]);

    /// Reads a SEC1 point, compressed (33 bytes) or uncompressed (65 bytes), and checks that it is on the curve.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        // The library also accepts the compact form (first byte 05), which would give one key two texts.
        if !matches!((bytes.len(), bytes.first()), (33, Some(2 | 3)) | (65, Some(4))) {
            return Err(PublicKeyError::Form);
        }
        let key = VerifyingKey::from_sec1_bytes(bytes).map_err(|_| PublicKeyError::NotOnCurve)?;
        Self::from_verifying_key(&key)
    }

    /// A compressed key that may be no point of the curve; `None` if the first byte is wrong.
    pub(crate) fn from_unchecked(bytes: [u8; 33]) -> Option<Self> {
        matches!(bytes, [2 | 3, ..]).then_some(Self(bytes))
    }

    /// Checks a key from [`Self::from_unchecked`].
    pub(crate) fn is_on_curve(&self) -> bool {
        VerifyingKey::from_sec1_bytes(&self.0).is_ok()
    }

    pub(super) fn from_verifying_key(key: &VerifyingKey) -> Result<Self, PublicKeyError> {
        let point = key.to_sec1_point(true);
        point.as_bytes().try_into().map(Self).map_err(|_| PublicKeyError::NotOnCurve)
    }

    /// The 33 bytes of the compressed point.
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// Whether an ECDSA signature `r || s` over a 32-byte digest is valid for this key. Both the low and the
    /// high `s` are accepted. For the guide's format only, whose replay guard treats the two as one signature.
    pub fn verify_any_s(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        use k256::ecdsa::signature::hazmat::PrehashVerifier;
        let Ok(signature) = Ecdsa::from_slice(signature) else { return false };
        let Ok(key) = VerifyingKey::from_sec1_bytes(&self.0) else { return false };
        // `s` and `n - s` are valid for the same keys, but the library accepts only the lower one.
        key.verify_prehash(digest, &signature.normalize_s()).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        Self::from_sec1(&decode_hex::<33>(text).ok_or(PublicKeyError::Form)?)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
