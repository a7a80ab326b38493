//! Checks that many keys are points of the curve, at a fraction of the cost of a square root each.
//!
//! A key is a point if `x^3 + 7` is a square modulo the field's prime. A product of squares is a square, and a square
//! times a number that is none is none. So if one number of a set is no square, the product of a random subset is one with
//! a chance of exactly a half: that number is in the subset or not, whatever the others are. All keys pass if the products
//! of [`SUBSETS`] random subsets are squares. The subsets follow from a hash of all the keys, so someone who searches for
//! wrong keys that pass has a chance of one in 2^128 with each try. Even then nobody could sign for such a key, because a
//! signature is only valid for a point.

use alloc::vec;
use alloc::vec::Vec;

use k256::FieldBytes;
use sha2::{Digest, Sha256};

use super::point::{Compressed, Coordinate, curve, decompress, square_roots};
use crate::types::PublicKey;

/// Random subsets. The bits of a hash say for two keys in which they are.
const SUBSETS: usize = 128;
/// The subsets are in groups of eight, and a key is multiplied once into each group: into the product of the keys that are
/// in the same of its subsets.
const GROUPS: usize = SUBSETS / 8;
/// Below so many keys, the square roots of the keys cost less than those of the subsets.
const TOGETHER_MIN: usize = 256;

/// Whether each key is a point.
pub(crate) fn are_on_curve(keys: &[PublicKey]) -> bool {
    if keys.len() < TOGETHER_MIN {
        let encodings: Vec<Compressed> =
            keys.iter().map(|key| Compressed::from(key.as_bytes())).collect();
        return decompress(&encodings).iter().all(Option::is_some);
    }
    let mut hasher = Sha256::new_with_prefix(b"zellbook keys on the curve");
    keys.iter().for_each(|key| hasher.update(key.as_bytes()));
    let seed = hasher.finalize();
    let mut products = vec![[Coordinate::ONE; 256]; GROUPS];
    for (at, pair) in (0_u64..).zip(keys.chunks(2)) {
        let hash = Sha256::new_with_prefix(seed).chain_update(at.to_be_bytes()).finalize();
        for (key, subsets) in pair.iter().zip(hash.chunks(GROUPS)) {
            let x = FieldBytes::from(Compressed::from(key.as_bytes()).x);
            let Some(x) = Coordinate::from_bytes(&x).into_option() else { return false };
            let square = curve(&x);
            for (products, subsets) in products.iter_mut().zip(subsets) {
                if let Some(product) = products.get_mut(usize::from(*subsets)) {
                    *product = product.mul(&square);
                }
            }
        }
    }
    products.iter().all(|products| {
        (0..8).all(|subset| {
            let its = (0_u8..=255).zip(products).filter(|(subsets, _)| subsets >> subset & 1 == 1);
            let product = its.fold(Coordinate::ONE, |all, (_, product)| all.mul(product));
            let [root, _] = square_roots([product; 2]);
            bool::from((root.square().negate(1) + product).normalizes_to_zero())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that are points, and keys that are none.
    fn keys(count: usize) -> [Vec<PublicKey>; 2] {
        let candidates = (0_u64..).map(|number| {
            let mut bytes = [0; 33];
            bytes[0] = 2;
            bytes[25..].copy_from_slice(&number.to_be_bytes());
            PublicKey::from_unchecked(bytes).unwrap()
        });
        let (points, others): (Vec<_>, Vec<_>) =
            candidates.take(4 * count).partition(PublicKey::is_on_curve);
        [points, others].map(|keys| keys[..count].to_vec())
    }

    #[test]
    fn one_or_two_wrong_keys_among_many_are_found() {
        for count in [1, 2, TOGETHER_MIN - 1, TOGETHER_MIN, 3 * TOGETHER_MIN + 1] {
            let [points, others] = keys(count);
            assert!(are_on_curve(&points));
            for at in (0..count).step_by(97) {
                let mut keys = points.clone();
                keys[at] = others[at];
                assert!(!are_on_curve(&keys), "{at} of {count}");
                // The product of the two numbers that are no squares is a square.
                keys[(at + 1) % count] = others[(at + 1) % count];
                assert!(!are_on_curve(&keys), "{at} and the next of {count}");
            }
        }
    }

    #[test]
    fn an_x_that_is_not_below_the_modulus_is_no_point() {
        let [mut points, _] = keys(TOGETHER_MIN);
        points[7] = PublicKey::from_unchecked(
            [[2; 1].as_slice(), &[0xff; 32]].concat().try_into().unwrap(),
        )
        .unwrap();
        assert!(!are_on_curve(&points));
        assert!(!are_on_curve(&points[..8]));
    }
}
