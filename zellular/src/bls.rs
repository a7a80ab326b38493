//! BLS signatures on BN254 as the Zellular network makes them: signatures in G1, keys in G2, the
//! message hashed to G1 by try-and-increment (eigensdk's `hash_to_g1`).

// Fields and groups have no overflow to guard against.
#![allow(clippy::arithmetic_side_effects)]

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use ark_bn254::{Bn254, Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField, Zero};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::key::decode_hex;

/// A public key: a point of G2, in its subgroup and not infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlsPublicKey(G2Affine);

/// A signature: a point of G1 that is not infinite. Its text is mcl's `1 x y` in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlsSignature(G1Affine);

/// Why something is no key or signature.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BlsError {
    /// A number that is not canonical decimal below the field modulus.
    #[error("a coordinate must be a decimal number below the field modulus, without leading zeros")]
    Coordinate,
    /// Not `1 x y`.
    #[error("a signature must be `1 x y`, three decimal numbers with single spaces")]
    Form,
    /// Not a point of the curve, or not of its prime-order subgroup.
    #[error("the coordinates are not those of a point of the group")]
    NotInGroup,
    /// The point at infinity.
    #[error("the point at infinity is no valid key or signature")]
    Infinite,
    /// Zero or not below the order of the group.
    #[error("a BLS secret key is 64 hex digits, not zero and below the order of BN254")]
    SecretKey,
}

fn coordinate(text: &str) -> Result<Fq, BlsError> {
    let is_canonical = !text.is_empty()
        && text.len() <= 77
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if !is_canonical {
        return Err(BlsError::Coordinate);
    }
    // 77 digits fit 256 bits; what is not below the modulus comes back as another number.
    let mut value = Fq::ZERO;
    for digit in text.bytes() {
        value = value * Fq::from(10_u8) + Fq::from(digit.wrapping_sub(b'0'));
    }
    if value.to_string() == text { Ok(value) } else { Err(BlsError::Coordinate) }
}

impl BlsPublicKey {
    /// From the decimal coordinates `[imaginary, real]` of x and y, as node lists hold them.
    pub fn from_decimal(x: [&str; 2], y: [&str; 2]) -> Result<Self, BlsError> {
        let [x1, x0] = x;
        let [y1, y0] = y;
        let x = Fq2::new(coordinate(x0)?, coordinate(x1)?);
        let y = Fq2::new(coordinate(y0)?, coordinate(y1)?);
        if x.is_zero() && y.is_zero() {
            return Err(BlsError::Infinite);
        }
        let point = G2Affine::new_unchecked(x, y);
        if !point.is_on_curve() || !point.is_in_correct_subgroup_assuming_on_curve() {
            return Err(BlsError::NotInGroup);
        }
        Ok(Self(point))
    }

    /// The decimal coordinates `[imaginary, real]` of x and y.
    pub fn to_decimal(&self) -> ([String; 2], [String; 2]) {
        let pair = |c: Fq2| [c.c1.to_string(), c.c0.to_string()];
        (pair(self.0.x), pair(self.0.y))
    }

    /// Whether the signature is this key's over the message.
    pub fn verify(&self, message: &[u8], signature: &BlsSignature) -> bool {
        let Some(hash) = hash_to_g1(message) else { return false };
        let negated = (-signature.0.into_group()).into_affine();
        // e(H(m), key) = e(signature, generator), as one product.
        Bn254::multi_pairing([hash, negated], [self.0, G2Affine::generator()]).is_zero()
    }
}

/// A sum of public keys, some of them taken away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateKey(G2Projective);

impl AggregateKey {
    /// The sum of no keys.
    pub fn empty() -> Self {
        Self(G2Projective::ZERO)
    }

    /// With a key added.
    pub fn plus(self, key: &BlsPublicKey) -> Self {
        Self(self.0 + key.0)
    }

    /// With a key taken away.
    pub fn minus(self, key: &BlsPublicKey) -> Self {
        Self(self.0 - key.0)
    }

    /// The sum as a key, which is refused at infinity.
    pub fn key(&self) -> Result<BlsPublicKey, BlsError> {
        if self.0.is_zero() {
            Err(BlsError::Infinite)
        } else {
            Ok(BlsPublicKey(self.0.into_affine()))
        }
    }
}

/// A sum of signatures over one message: the signature of the sum of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateSignature(G1Projective);

impl AggregateSignature {
    /// The sum of no signatures.
    pub fn empty() -> Self {
        Self(G1Projective::ZERO)
    }

    /// With a signature added.
    pub fn plus(self, signature: &BlsSignature) -> Self {
        Self(self.0 + signature.0)
    }

    /// The sum as a signature, which is refused at infinity.
    pub fn signature(&self) -> Result<BlsSignature, BlsError> {
        if self.0.is_zero() {
            Err(BlsError::Infinite)
        } else {
            Ok(BlsSignature(self.0.into_affine()))
        }
    }
}

impl BlsSignature {
    /// Reads `1 x y`: canonical decimals below the modulus, single spaces, a point of the curve.
    pub fn parse(text: &str) -> Result<Self, BlsError> {
        // `1 ` and two numbers of at most 77 digits.
        if text.len() > 2 + 77 + 1 + 77 {
            return Err(BlsError::Form);
        }
        if text == "0" {
            return Err(BlsError::Infinite);
        }
        let (x, y) = text
            .strip_prefix("1 ")
            .and_then(|numbers| numbers.split_once(' '))
            .ok_or(BlsError::Form)?;
        let point = G1Affine::new_unchecked(coordinate(x)?, coordinate(y)?);
        // The library writes infinity as (0, 0), and counts it as on the curve.
        if point.is_zero() {
            return Err(BlsError::Infinite);
        }
        // G1 of BN254 has cofactor 1: every point of the curve is in the group.
        if point.is_on_curve() { Ok(Self(point)) } else { Err(BlsError::NotInGroup) }
    }
}

impl fmt::Display for BlsSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 {} {}", self.0.x, self.0.y)
    }
}

/// Try-and-increment: x is the message as a big-endian number modulo p, raised by one until
/// x^3 + 3 has a root; y is that root as the exponent (p+1)/4 gives it. `None` if 256 steps find
/// none, which no message does.
fn hash_to_g1(message: &[u8]) -> Option<G1Affine> {
    let mut x = Fq::from_be_bytes_mod_order(message);
    for _ in 0..256 {
        if let Some(y) = (x.square() * x + Fq::from(3_u8)).sqrt() {
            return Some(G1Affine::new_unchecked(x, y));
        }
        x += Fq::ONE;
    }
    None
}

/// The coordinates of a message's hash, in decimal: to compare with other implementations.
pub fn hash_to_g1_decimal(message: &[u8]) -> Option<(String, String)> {
    hash_to_g1(message).map(|point| (point.x.to_string(), point.y.to_string()))
}

/// A BLS secret key. It is zeroized when dropped and never printed.
pub struct BlsSecretKey(Fr);

impl BlsSecretKey {
    /// From 64 lower-case hex digits.
    pub fn from_hex(text: &str) -> Result<Self, BlsError> {
        let bytes: Zeroizing<[u8; 32]> =
            decode_hex(text).map(Zeroizing::new).ok_or(BlsError::SecretKey)?;
        let value = Fr::from_be_bytes_mod_order(bytes.as_slice());
        let canonical = Zeroizing::new(value.into_bigint().to_bytes_be());
        let is_canonical = canonical.as_slice() == bytes.as_slice();
        if value.is_zero() || !is_canonical { Err(BlsError::SecretKey) } else { Ok(Self(value)) }
    }

    /// From 48 random bytes, reduced modulo the order of the group.
    pub fn from_random(bytes: &[u8; 48]) -> Result<Self, BlsError> {
        let value = Fr::from_be_bytes_mod_order(bytes);
        if value.is_zero() { Err(BlsError::SecretKey) } else { Ok(Self(value)) }
    }

    /// The 64 hex digits, for the owner's own storage.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut number: BigInt<4> = self.0.into_bigint();
        let bytes = Zeroizing::new(number.to_bytes_be());
        number.zeroize();
        Zeroizing::new(hex::encode(bytes.as_slice()))
    }

    /// The public key.
    pub fn public_key(&self) -> BlsPublicKey {
        BlsPublicKey((G2Projective::generator() * self.0).into_affine())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Option<BlsSignature> {
        hash_to_g1(message).map(|hash| BlsSignature((hash * self.0).into_affine()))
    }
}

impl Drop for BlsSecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for BlsSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("BlsSecretKey(of {:?})", self.public_key().to_decimal()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> BlsSecretKey {
        BlsSecretKey::from_random(&[7; 48]).unwrap()
    }

    #[test]
    fn a_signature_is_valid_for_its_message_and_key_only() {
        let signature = key().sign(b"message").unwrap();
        assert!(key().public_key().verify(b"message", &signature));
        assert!(!key().public_key().verify(b"messagE", &signature));
        let other = BlsSecretKey::from_random(&[8; 48]).unwrap();
        assert!(!other.public_key().verify(b"message", &signature));
    }

    #[test]
    fn a_sum_of_signatures_is_that_of_the_sum_of_keys() {
        let other = BlsSecretKey::from_random(&[8; 48]).unwrap();
        let keys = AggregateKey::empty().plus(&key().public_key()).plus(&other.public_key());
        let first = AggregateSignature::empty().plus(&key().sign(b"message").unwrap());
        let both = first.plus(&other.sign(b"message").unwrap()).signature().unwrap();
        assert!(keys.key().unwrap().verify(b"message", &both));
        assert!(!keys.key().unwrap().verify(b"message", &first.signature().unwrap()));
        assert_eq!(AggregateSignature::empty().signature(), Err(BlsError::Infinite));
    }

    #[test]
    fn keys_and_signatures_read_back_from_their_text() {
        let signature = key().sign(b"message").unwrap();
        assert_eq!(BlsSignature::parse(&signature.to_string()), Ok(signature));
        let (x, y) = key().public_key().to_decimal();
        let [x1, x0] = &x;
        let [y1, y0] = &y;
        assert_eq!(BlsPublicKey::from_decimal([x1, x0], [y1, y0]), Ok(key().public_key()));
        assert_eq!(BlsPublicKey::from_decimal([x0, x1], [y0, y1]), Err(BlsError::NotInGroup));
        assert_eq!(*BlsSecretKey::from_hex(&key().to_hex()).unwrap().to_hex(), *key().to_hex());
    }

    #[test]
    fn every_other_text_of_a_signature_is_refused() {
        let modulus =
            "21888242871839275222246405745257275088696311157297823662689037894645226208583";
        let cases = [
            ("0", BlsError::Infinite),
            ("1 0 0", BlsError::Infinite),
            ("", BlsError::Form),
            ("garbage", BlsError::Form),
            ("1 1", BlsError::Form),
            ("2 1 2", BlsError::Form),
            ("1  1 2", BlsError::Coordinate),
            ("1 1 2 ", BlsError::Coordinate),
            ("1 01 2", BlsError::Coordinate),
            ("1 +1 2", BlsError::Coordinate),
            ("1 1 3", BlsError::NotInGroup),
        ];
        for (text, error) in cases {
            assert_eq!(BlsSignature::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(BlsSignature::parse(&format!("1 {modulus} 2")), Err(BlsError::Coordinate));
        assert_eq!(BlsSignature::parse(&"1".repeat(1000)), Err(BlsError::Form));
        assert!(BlsSignature::parse("1 1 2").is_ok());
    }

    #[test]
    fn the_sum_of_no_keys_is_no_key() {
        let key = key().public_key();
        assert_eq!(AggregateKey::empty().key(), Err(BlsError::Infinite));
        assert_eq!(AggregateKey::empty().plus(&key).minus(&key).key(), Err(BlsError::Infinite));
        assert_eq!(AggregateKey::empty().plus(&key).key(), Ok(key));
    }

    #[test]
    fn secret_keys_out_of_range_are_refused() {
        assert!(BlsSecretKey::from_hex(&"0".repeat(64)).is_err());
        assert!(BlsSecretKey::from_hex(&"f".repeat(64)).is_err());
        assert!(BlsSecretKey::from_hex("1").is_err());
    }
}
