//! secp256k1 secret keys: signing, and import and export as hex.

use alloc::string::String;
use core::fmt;

use k256::ecdsa::SigningKey;
use thiserror::Error;
use zeroize::Zeroizing;

use super::public_key::PublicKey;
use super::signature::{Scheme, Signature};

/// A secret key. Its memory is overwritten with zeros when it is dropped, and `Debug` shows only the public key.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// The bytes are not a secret key: zero, or not below the order of the group.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a secret key is 64 hex digits, not zero and below the order of secp256k1")]
pub struct SecretKeyError;

impl SecretKey {
    /// Makes a key of 32 random bytes, big endian. Fails if they are zero or not below the order of the group;
    /// for random bytes the probability is about 2^-128, and the caller can draw again.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SecretKeyError> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| SecretKeyError)
    }

    /// Reads 64 hex digits of either case, with or without `0x`, as other wallets export them.
    pub fn from_hex(text: &str) -> Result<Self, SecretKeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        // Overwritten with zeros on every way out, also where the text is no key.
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| SecretKeyError)?;
        Self::from_bytes(&bytes)
    }

    /// The key as 64 lower-case hex digits, for export and storage by its owner.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.0.to_bytes());
        Zeroizing::new(hex::encode(bytes.as_slice()))
    }

    /// The public key, which is the account of this key.
    pub fn public_key(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(true);
        let mut bytes = [0; 33];
        bytes.iter_mut().zip(point.as_bytes()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    /// Signs the digest of `text` with the given scheme. The signature has a low `s`. ECDSA's secret number is
    /// derived from key and digest (RFC 6979), so signing needs no randomness and gives the same signature each
    /// time.
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
    use alloc::string::ToString;

    use k256::ecdsa::Signature as Ecdsa;

    use super::*;
    use crate::types::PublicKeyError;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    #[test]
    fn a_signature_is_valid_only_for_its_text_scheme_and_account() {
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
    fn only_the_recovery_id_of_the_signature_is_valid() {
        let digest = Scheme::Raw.digest("text");
        let signature = key().sign(Scheme::Raw, "text");
        for v in 0..=255 {
            let mut other = signature;
            other.0[64] = v;
            assert_eq!(other.is_valid(&digest, &key().public_key()), v == signature.0[64], "{v}");
        }
    }

    #[test]
    fn a_high_s_is_refused_except_in_the_guides_format() {
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
    fn the_eip191_digest_equals_that_of_ethereum_wallets() {
        // Source: eth-account (Python), the hash of encode_defunct(text="Hello World").
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
    fn debug_output_does_not_contain_the_secret() {
        assert!(!alloc::format!("{:?}", key()).contains("0707070707"));
    }
}
