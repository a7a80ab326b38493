//! secp256k1 keys and the signatures of transactions.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use k256::ecdsa::{RecoveryId, Signature as Ecdsa, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// An account: a compressed SEC1 public key that is known to be a point of the curve. Its text is
/// 66 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 33]);

/// Why bytes or text are no public key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PublicKeyError {
    /// The text is not 66 lower-case hex digits.
    #[error("a public key is 66 lower-case hex digits that start with 02 or 03")]
    Form,
    /// No point of secp256k1 has this encoding.
    #[error("this public key is not a point of secp256k1")]
    NotOnCurve,
}

impl PublicKey {
    /// Below every key, for ranges.
    pub(crate) const LOWEST: Self = Self([0; 33]);

    /// Reads a SEC1 point, compressed (33 bytes) or not (65 bytes).
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        // The library also knows a compact form (05), which would give one key two texts.
        if !matches!((bytes.len(), bytes.first()), (33, Some(2 | 3)) | (65, Some(4))) {
            return Err(PublicKeyError::Form);
        }
        let key = VerifyingKey::from_sec1_bytes(bytes).map_err(|_| PublicKeyError::NotOnCurve)?;
        Self::from_verifying_key(&key)
    }

    fn from_verifying_key(key: &VerifyingKey) -> Result<Self, PublicKeyError> {
        let point = key.to_sec1_point(true);
        point.as_bytes().try_into().map(Self).map_err(|_| PublicKeyError::NotOnCurve)
    }

    /// The 33 bytes of the compressed point.
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// Whether the ECDSA signature `r || s` (any s in range) over a 32-byte digest is this key's.
    /// For the guide's format only: nothing here binds the recovery id.
    pub fn verify_any_s(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        use k256::ecdsa::signature::hazmat::PrehashVerifier;
        let Ok(signature) = Ecdsa::from_slice(signature) else { return false };
        let Ok(key) = VerifyingKey::from_sec1_bytes(&self.0) else { return false };
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

/// Exactly `2 * N` lower-case hex digits as bytes.
pub fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// How the text of a transaction becomes the digest that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// SHA-256 of the text.
    Raw,
    /// Keccak-256 of the text behind Ethereum's prefix (EIP-191 version 0x45, `personal_sign`).
    Eip191,
}

impl Scheme {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Eip191 => "eip191",
        }
    }

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

impl FromStr for Scheme {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "raw" => Ok(Self::Raw),
            "eip191" => Ok(Self::Eip191),
            _ => Err(()),
        }
    }
}

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

impl FromStr for Signature {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        decode_hex(text).map(Self).ok_or(())
    }
}

/// A secret key. It is zeroized when dropped and never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// The bytes are no secret key: zero, or not below the order of the group.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a secret key is 64 hex digits, not zero and below the order of secp256k1")]
pub struct SecretKeyError;

impl SecretKey {
    /// From 32 random bytes. One value in 2^128 is refused; draw again then.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SecretKeyError> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| SecretKeyError)
    }

    /// From 64 hex digits, of either case, with or without `0x`.
    pub fn from_hex(text: &str) -> Result<Self, SecretKeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| SecretKeyError)?;
        Self::from_bytes(&bytes)
    }

    /// The 64 hex digits, for export and storage by the key's owner.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.0.to_bytes());
        Zeroizing::new(hex::encode(bytes.as_slice()))
    }

    /// The account of this key.
    pub fn public_key(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(true);
        let mut bytes = [0; 33];
        bytes.iter_mut().zip(point.as_bytes()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    /// Signs the digest of `text` (deterministic nonce, RFC 6979; low-s).
    pub fn sign(&self, scheme: Scheme, text: &str) -> Signature {
        let (signature, recovery_id) = self.0.sign_prehash_recoverable(&scheme.digest(text));
        let mut bytes = [0; 65];
        let parts = signature.to_bytes().into_iter().chain([recovery_id.to_byte()]);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Signature(bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    #[test]
    fn a_signature_is_valid_for_its_text_scheme_and_account_only() {
        for scheme in [Scheme::Raw, Scheme::Eip191] {
            let signature = key().sign(scheme, "text");
            let account = key().public_key();
            assert!(signature.is_valid(&scheme.digest("text"), &account));
            assert!(!signature.is_valid(&scheme.digest("texT"), &account));
            let other = SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
            assert!(!signature.is_valid(&scheme.digest("text"), &other));
        }
        let raw = key().sign(Scheme::Raw, "text");
        assert!(!raw.is_valid(&Scheme::Eip191.digest("text"), &key().public_key()));
    }

    #[test]
    fn the_recovery_id_must_be_the_right_one() {
        let digest = Scheme::Raw.digest("text");
        let signature = key().sign(Scheme::Raw, "text");
        for v in 0..=255 {
            let mut other = signature;
            other.0[64] = v;
            assert_eq!(other.is_valid(&digest, &key().public_key()), v == signature.0[64], "{v}");
        }
    }

    #[test]
    fn a_high_s_is_refused_with_either_recovery_id() {
        let digest = Scheme::Raw.digest("text");
        let signature = key().sign(Scheme::Raw, "text");
        let (r, s) = Ecdsa::from_slice(&signature.0[..64]).unwrap().split_scalars();
        let high = Ecdsa::from_scalars(r.to_bytes(), (-s).to_bytes()).unwrap();
        for v in [0, 1] {
            let mut bytes = [0; 65];
            bytes[..64].copy_from_slice(&high.to_bytes());
            bytes[64] = v;
            assert!(!Signature(bytes).is_valid(&digest, &key().public_key()));
        }
        assert!(key().public_key().verify_any_s(&digest, &high.to_bytes().into()));
    }

    #[test]
    fn eip191_digest_is_that_of_ethereum_wallets() {
        // The digest that eth-account's encode_defunct(text="Hello World") hashes to.
        assert_eq!(
            hex::encode(Scheme::Eip191.digest("Hello World")),
            "a1de988600a42c4b4ab089b619297c17d53cffae5d5120d82d8a92d0bb3b78f2"
        );
    }

    #[test]
    fn keys_out_of_range_or_off_the_curve_are_refused() {
        assert_eq!(SecretKey::from_bytes(&[0; 32]).unwrap_err(), SecretKeyError);
        assert_eq!(SecretKey::from_bytes(&[255; 32]).unwrap_err(), SecretKeyError);
        assert!(SecretKey::from_hex("12").is_err());
        let off_curve = alloc::format!("02{}", "00".repeat(32));
        assert_eq!(off_curve.parse::<PublicKey>(), Err(PublicKeyError::NotOnCurve));
        assert_eq!("zz".parse::<PublicKey>(), Err(PublicKeyError::Form));
        let compact = alloc::format!("05{}", &key().public_key().to_string()[2..]);
        assert_eq!(compact.parse::<PublicKey>(), Err(PublicKeyError::Form));
        let upper = key().public_key().to_string().to_uppercase();
        assert_eq!(upper.parse::<PublicKey>(), Err(PublicKeyError::Form));
    }

    #[test]
    fn debug_output_does_not_show_the_secret() {
        assert!(!alloc::format!("{:?}", key()).contains("0707070707"));
    }
}
