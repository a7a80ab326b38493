//! Points of secp256k1 by their coordinates.

use alloc::vec::Vec;
use core::iter::zip;

use ark_ff::{BigInt, PrimeField};
use k256::elliptic_curve::hazmat::FieldArithmetic;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Secp256k1};

/// A coordinate. The library reduces it lazily: each sum and each negation adds to what it calls the magnitude, and
/// products need magnitudes of at most 8. Between functions all magnitudes are 1.
pub type Coordinate = <Secp256k1 as FieldArithmetic>::FieldElement;

/// A point other than infinity.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    x: Coordinate,
    y: Coordinate,
}

/// The encoding of a point.
#[derive(Clone, Copy, Debug)]
pub struct Compressed {
    pub x: [u8; 32],
    pub is_y_odd: bool,
}

impl From<&[u8; 33]> for Compressed {
    fn from([first, x @ ..]: &[u8; 33]) -> Self {
        Self { x: *x, is_y_odd: *first == 3 }
    }
}

impl Point {
    /// The point in the form of the crate k256.
    pub fn to_k256(self) -> ProjectivePoint {
        let point = AffinePoint::from_coordinates(&self.x.to_bytes(), &self.y.to_bytes());
        // It is there: the coordinates are those of a point.
        point.into_option().map_or(ProjectivePoint::IDENTITY, ProjectivePoint::from)
    }

    /// The point in the form of arkworks.
    pub fn to_ark(self) -> ark_secp256k1::Affine {
        let [x, y] = [self.x, self.y].map(|coordinate| {
            // It is there: a coordinate is below the modulus.
            let number = limbs(&coordinate.to_bytes().into());
            ark_secp256k1::Fq::from_bigint(number).unwrap_or_default()
        });
        ark_secp256k1::Affine::new_unchecked(x, y)
    }
}

/// Reads a number of 32 bytes, big endian, in the form of arkworks.
pub fn limbs(bytes: &[u8; 32]) -> BigInt<4> {
    let mut limbs = [0; 4];
    for (limb, bytes) in zip(&mut limbs, bytes.rchunks(8)) {
        *limb = bytes.iter().fold(0, |limb: u64, byte| limb.wrapping_shl(8) | u64::from(*byte));
    }
    BigInt::new(limbs)
}

/// The point of each encoding, or `None` where the x is not below the field's modulus or no point has it.
pub fn decompress(encodings: &[Compressed]) -> Vec<Option<Point>> {
    let mut points = Vec::with_capacity(encodings.len());
    for pair in encodings.chunks(2) {
        let x = |at: usize| {
            let encoding = pair.get(at)?;
            Coordinate::from_bytes(&FieldBytes::from(encoding.x)).into_option()
        };
        let xs = [x(0), x(1)];
        let squares = xs.map(|x| {
            let x = x.unwrap_or(Coordinate::ONE);
            curve(&x)
        });
        let roots = square_roots(squares);
        for (encoding, (x, (square, root))) in zip(pair, zip(xs, zip(squares, roots))) {
            let is_root = bool::from((root.square().negate(1) + square).normalizes_to_zero());
            let y = root.normalize();
            let is_other = bool::from(y.is_odd()) != encoding.is_y_odd;
            let y = if is_other { y.negate(1).normalize_weak() } else { y };
            points.push(x.filter(|_| is_root).map(|x| Point { x, y }));
        }
    }
    points
}

/// `x^3 + 7`, which is the square of y for a point of the curve.
pub fn curve(x: &Coordinate) -> Coordinate {
    (x.square().mul(x) + Coordinate::from_u64(7)).normalize_weak()
}

/// The square roots of two squares: their powers of `(p + 1) / 4`. In such a chain of products each waits for the one
/// before, so a processor does two chains in little more than the time of one.
pub fn square_roots(squares: [Coordinate; 2]) -> [Coordinate; 2] {
    // In binary, the exponent has blocks of 223, 22 and 2 ones. `ones3` is the power whose exponent is three ones.
    let ones1 = squares;
    let ones2 = append(ones1, 1, ones1);
    let ones3 = append(ones2, 1, ones1);
    let ones6 = append(ones3, 3, ones3);
    let ones9 = append(ones6, 3, ones3);
    let ones11 = append(ones9, 2, ones2);
    let ones22 = append(ones11, 11, ones11);
    let ones44 = append(ones22, 22, ones22);
    let ones88 = append(ones44, 44, ones44);
    let ones176 = append(ones88, 88, ones88);
    let ones220 = append(ones176, 44, ones44);
    let ones223 = append(ones220, 3, ones3);
    append(append(ones223, 23, ones22), 6, ones2).map(|power| power.square().square())
}

/// The powers whose exponents are those of `upper` with the last `bits` bits of `lower` appended.
fn append(upper: [Coordinate; 2], bits: u32, lower: [Coordinate; 2]) -> [Coordinate; 2] {
    let ([mut first, mut second], [lower_first, lower_second]) = (upper, lower);
    for _ in 0..bits {
        first = first.square();
        second = second.square();
    }
    [first.mul(&lower_first), second.mul(&lower_second)]
}
