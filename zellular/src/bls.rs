//! BLS signatures on the curve BN254 as the Zellular network makes them.
//!
//! Signatures are points of G1 and keys points of G2. A message is hashed to G1 by try-and-increment,
//! as eigensdk 0.0.3 does. A signature `s` of key `k` over message `m` holds if
//! `e(hash(m), k) = e(s, generator of G2)`. Sums keep that relation, so one pairing checks the sum of
//! many signatures over one message against the sum of their keys.
//!
//! Try-and-increment takes a number of steps that depends on the message, and point arithmetic here is
//! not constant-time. Messages are public; secret keys belong on machines of their own.

#![allow(clippy::arithmetic_side_effects, reason = "field and group arithmetic cannot overflow")]

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use ark_bn254::{Bn254, Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField, Zero};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// A public key: a point of G2 in the subgroup of prime order, and not the point at infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlsPublicKey(G2Affine);

/// A signature: a point of G1 that is not the point at infinity. Its text is that of the library mcl:
/// `1 x y`, with the coordinates in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlsSignature(G1Affine);

/// Why something is not a key or a signature.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BlsError {
    /// A coordinate is not a canonical decimal number below the field modulus.
    #[error("a coordinate must be a decimal number below the field modulus, without leading zeros")]
    Coordinate,
    /// A signature does not have the form `1 x y`.
    #[error("a signature must be `1 x y`, three decimal numbers with single spaces")]
    Form,
    /// The coordinates are not those of a point of the curve, or not of its subgroup of prime order.
    #[error("the coordinates are not those of a point of the group")]
    NotInGroup,
    /// The point at infinity, which is a valid signature of the zero key over every message.
    #[error("the point at infinity is not a valid key or signature")]
    Infinite,
    /// A secret key is zero, not below the order of the group, or not 64 lower-case hex digits.
    #[error(
        "a BLS secret key must be 64 lower-case hex digits, not zero and below the order of BN254"
    )]
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
    // 77 digits fit 256 bits. A number that is not below the modulus was reduced, and so its text
    // differs. Two texts of one coordinate would make signatures malleable.
    let mut value = Fq::ZERO;
    for digit in text.bytes() {
        value = value * Fq::from(10_u8) + Fq::from(digit.wrapping_sub(b'0'));
    }
    if value.to_string() == text { Ok(value) } else { Err(BlsError::Coordinate) }
}

impl BlsPublicKey {
    /// Reads decimal coordinates, `[imaginary, real]` of x and y, as node lists hold them.
    ///
    /// # Errors
    ///
    /// Fails if a coordinate is not canonical, or if they are not those of a finite point of the group.
    pub fn from_decimal(x: [&str; 2], y: [&str; 2]) -> Result<Self, BlsError> {
        let [x1, x0] = x;
        let [y1, y0] = y;
        let x = Fq2::new(coordinate(x0)?, coordinate(x1)?);
        let y = Fq2::new(coordinate(y0)?, coordinate(y1)?);
        if x.is_zero() && y.is_zero() {
            return Err(BlsError::Infinite);
        }
        // Not `new`, which panics where the checks below fail. Unlike G1, the curve of G2 has points outside
        // of the subgroup, for which the pairing proves nothing.
        let point = G2Affine::new_unchecked(x, y);
        if !point.is_on_curve() || !point.is_in_correct_subgroup_assuming_on_curve() {
            return Err(BlsError::NotInGroup);
        }
        Ok(Self(point))
    }

    /// Returns the decimal coordinates, `[imaginary, real]` of x and y.
    pub fn to_decimal(&self) -> ([String; 2], [String; 2]) {
        let pair = |c: Fq2| [c.c1.to_string(), c.c0.to_string()];
        (pair(self.0.x), pair(self.0.y))
    }

    /// Whether a signature is that of this key over a message.
    pub fn verify(&self, message: &[u8], signature: &BlsSignature) -> bool {
        let Some(hash) = hash_to_g1(message) else { return false };
        let negated = (-signature.0.into_group()).into_affine();
        // e(H(m), key) · e(-signature, generator) = 1: one product needs only one final exponentiation,
        // the slow half of a pairing.
        Bn254::multi_pairing([hash, negated], [self.0, G2Affine::generator()]).is_zero()
    }
}

/// A sum of public keys, from which keys can be subtracted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateKey(G2Projective);

impl AggregateKey {
    /// Returns the sum of no keys.
    pub fn empty() -> Self {
        Self(G2Projective::ZERO)
    }

    /// Adds a key.
    pub fn plus(self, key: &BlsPublicKey) -> Self {
        Self(self.0 + key.0)
    }

    /// Subtracts a key.
    pub fn minus(self, key: &BlsPublicKey) -> Self {
        Self(self.0 - key.0)
    }

    /// Converts the sum into a key.
    ///
    /// # Errors
    ///
    /// Fails if the sum is the point at infinity.
    pub fn key(&self) -> Result<BlsPublicKey, BlsError> {
        if self.0.is_zero() {
            Err(BlsError::Infinite)
        } else {
            Ok(BlsPublicKey(self.0.into_affine()))
        }
    }
}

/// A sum of signatures over one message, which is the signature of the sum of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateSignature(G1Projective);

impl AggregateSignature {
    /// Returns the sum of no signatures.
    pub fn empty() -> Self {
        Self(G1Projective::ZERO)
    }

    /// Adds a signature.
    pub fn plus(self, signature: &BlsSignature) -> Self {
        Self(self.0 + signature.0)
    }

    /// Converts the sum into a signature.
    ///
    /// # Errors
    ///
    /// Fails if the sum is the point at infinity.
    pub fn signature(&self) -> Result<BlsSignature, BlsError> {
        if self.0.is_zero() {
            Err(BlsError::Infinite)
        } else {
            Ok(BlsSignature(self.0.into_affine()))
        }
    }
}

impl BlsSignature {
    /// Reads `1 x y`: canonical decimal numbers below the modulus, with single spaces.
    ///
    /// # Errors
    ///
    /// Fails for every other form, and if the coordinates are not those of a finite point of the curve.
    pub fn parse(text: &str) -> Result<Self, BlsError> {
        // `1 ` and two numbers of at most 77 digits.
        if text.len() > 2 + 77 + 1 + 77 {
            return Err(BlsError::Form);
        }
        // mcl writes the point at infinity as `0`.
        if text == "0" {
            return Err(BlsError::Infinite);
        }
        let (x, y) = text
            .strip_prefix("1 ")
            .and_then(|numbers| numbers.split_once(' '))
            .ok_or(BlsError::Form)?;
        let point = G1Affine::new_unchecked(coordinate(x)?, coordinate(y)?);
        // arkworks represents infinity as (0, 0) and counts it as on the curve.
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

/// Hashes a message to G1 by try-and-increment: x is the message as a big-endian number modulo p,
/// incremented until x³ + 3 has a square root; y is the root that the exponent (p+1)/4 gives. Returns
/// `None` after 256 steps without a root. Each step succeeds with probability one half, so no message
/// will be met for which that happens; the bound keeps the loop finite.
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

/// Returns the decimal coordinates of a message's hash, to compare with other implementations.
pub fn hash_to_g1_decimal(message: &[u8]) -> Option<(String, String)> {
    hash_to_g1(message).map(|point| (point.x.to_string(), point.y.to_string()))
}

/// A BLS secret key. It is overwritten when dropped and never printed.
pub struct BlsSecretKey(Fr);

impl BlsSecretKey {
    /// Reads 64 lower-case hex digits.
    ///
    /// # Errors
    ///
    /// Fails for another form, for zero, and for numbers that are not below the order of the group.
    pub fn from_hex(text: &str) -> Result<Self, BlsError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text, bytes.as_mut_slice()).map_err(|_| BlsError::SecretKey)?;
        // `hex` also reads upper case, which would give one key two texts.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(BlsError::SecretKey);
        }
        let value = Fr::from_be_bytes_mod_order(bytes.as_slice());
        // The reduction is silent, so only the way back shows that the number was below the order.
        let canonical = Zeroizing::new(value.into_bigint().to_bytes_be());
        let is_canonical = canonical.as_slice() == bytes.as_slice();
        if value.is_zero() || !is_canonical { Err(BlsError::SecretKey) } else { Ok(Self(value)) }
    }

    /// Makes a key from 48 random bytes, reduced modulo the order of the group. The 16 bytes above the
    /// size of a key make the reduction's bias negligible.
    ///
    /// # Errors
    ///
    /// Fails if the result is zero.
    pub fn from_random(bytes: &[u8; 48]) -> Result<Self, BlsError> {
        let value = Fr::from_be_bytes_mod_order(bytes);
        if value.is_zero() { Err(BlsError::SecretKey) } else { Ok(Self(value)) }
    }

    /// Returns the 64 hex digits, for the owner's own storage.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut number: BigInt<4> = self.0.into_bigint();
        let bytes = Zeroizing::new(number.to_bytes_be());
        number.zeroize();
        Zeroizing::new(hex::encode(bytes.as_slice()))
    }

    /// Returns the public key.
    pub fn public_key(&self) -> BlsPublicKey {
        BlsPublicKey((G2Projective::generator() * self.0).into_affine())
    }

    /// Signs a message. Returns `None` only for a message without a hash, see [`hash_to_g1_decimal`].
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
        f.write_str(&format!("BlsSecretKey(public key {:?})", self.public_key().to_decimal()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> BlsSecretKey {
        BlsSecretKey::from_random(&[7; 48]).unwrap()
    }

    #[test]
    fn a_signature_is_valid_only_for_its_message_and_key() {
        let signature = key().sign(b"message").unwrap();
        assert!(key().public_key().verify(b"message", &signature));
        assert!(!key().public_key().verify(b"messagE", &signature));
        let other = BlsSecretKey::from_random(&[8; 48]).unwrap();
        assert!(!other.public_key().verify(b"message", &signature));
    }

    #[test]
    fn a_sum_of_signatures_is_the_signature_of_the_sum_of_the_keys() {
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
