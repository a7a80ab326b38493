//! The equation that a signature must fulfil.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::iter::zip;

use k256::ecdsa::Signature as Ecdsa;
use k256::elliptic_curve::ops::{LinearCombination, Reduce};
use k256::{FieldBytes, ProjectivePoint, Scalar};

use super::point::{Compressed, Point, decompress};
use super::signed_digest::SignedDigest;

/// `r_point = g_factor * G + key_factor * key`, where `G` is the generator of the group.
///
/// A signature `r, s, v` of the digest `z` is valid for a key if the key recovered from it is this one: if
/// `key = (s R - z G) / r`, where `R` is the point whose x is `r` and whose y is even or odd as `v` says. That is this
/// equation with the factors `z / s` and `r / s`. Source: SEC 1, version 2.0, section 4.1.6.
#[derive(Clone, Copy, Debug)]
pub struct Equation {
    pub r_point: Point,
    pub g_factor: Scalar,
    pub key_factor: Scalar,
    pub key: Point,
}

impl Equation {
    pub fn holds(&self) -> bool {
        let terms =
            [(ProjectivePoint::GENERATOR, self.g_factor), (self.key.to_k256(), self.key_factor)];
        ProjectivePoint::lincomb_vartime(&terms) == self.r_point.to_k256()
    }
}

/// The equation of each signature, or `None` where no key can make it hold.
pub fn equations(signed: &[SignedDigest]) -> Vec<Option<Equation>> {
    let parts: Vec<Option<Parts>> = signed.iter().map(Parts::read).collect();
    let mut inverses: Vec<Scalar> = parts.iter().flatten().map(|parts| parts.s).collect();
    invert(&mut inverses);
    let r_points: Vec<Compressed> = parts.iter().flatten().map(|parts| parts.r_point).collect();
    let mut found = zip(inverses, decompress(&r_points));
    let keys = keys(signed);
    zip(signed, parts)
        .map(|(signed, parts)| {
            let parts = parts?;
            let (s_inverse, r_point) = found.next()?;
            Some(Equation {
                r_point: r_point?,
                g_factor: Scalar::reduce(&FieldBytes::from(signed.digest)) * s_inverse,
                key_factor: parts.r * s_inverse,
                key: *keys.get(signed.signer.as_bytes())?,
            })
        })
        .collect()
}

/// The points of all signers. Each is found once.
fn keys(signed: &[SignedDigest]) -> BTreeMap<&[u8; 33], Point> {
    let mut keys: Vec<&[u8; 33]> = signed.iter().map(|signed| signed.signer.as_bytes()).collect();
    keys.sort_unstable();
    keys.dedup();
    let points = decompress(&keys.iter().copied().map(Compressed::from).collect::<Vec<_>>());
    zip(keys, points).filter_map(|(key, point)| Some((key, point?))).collect()
}

/// A signature whose numbers are in their ranges.
struct Parts {
    r: Scalar,
    s: Scalar,
    r_point: Compressed,
}

impl Parts {
    fn read(signed: &SignedDigest) -> Option<Self> {
        let (v, rs) = signed.signature.0.split_last()?;
        // Fails if `r` or `s` is zero or not below the order of the group.
        let signature = Ecdsa::from_slice(rs).ok()?;
        // A v of 2 or 3 would mean that the x of the point is r + n. Such signatures practically never occur.
        if signature.normalize_s() != signature || *v > 1 {
            return None;
        }
        let (r, s) = signature.split_scalars();
        let r_point = Compressed { x: r.to_bytes().into(), is_y_odd: *v == 1 };
        Some(Self { r: *r, s: *s, r_point })
    }
}

/// Replaces each number by its inverse. None of them is zero.
///
/// An inversion costs as much as a hundred products. So only the product of all is inverted, and split up again with
/// three products for each. Source: Montgomery, Speeding the Pollard and elliptic curve methods of factorization, 1987,
/// section 10.3.1.
fn invert(numbers: &mut [Scalar]) {
    let mut product = Scalar::ONE;
    let mut before = Vec::with_capacity(numbers.len());
    for number in numbers.iter() {
        before.push(product);
        product *= number;
    }
    // The inverse of the product of the numbers that are left.
    let mut inverse = product.invert_vartime().into_option().unwrap_or(Scalar::ZERO);
    for (number, before) in zip(numbers, before).rev() {
        (*number, inverse) = (inverse * before, inverse * *number);
    }
}
