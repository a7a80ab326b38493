//! Checks signatures, alone or many at once.
//!
//! Checked alone, a signature costs two multiplications of points, and two square roots to find its point R and its key.
//! Checked together, signatures share the multiplications, and those of one key its square root: see [`check_all`]. The
//! verdicts are the same.

mod equation;
mod on_curve;
mod point;
mod signed_digest;
mod together;

use alloc::vec::Vec;
use core::slice;

use crate::types::{PublicKey, Signature};
pub(crate) use on_curve::are_on_curve;
pub use signed_digest::SignedDigest;

/// More signatures than this are checked in several parts of about the same length. Longer parts would save little.
const TOGETHER_MAX: usize = 8192;

impl Signature {
    /// Whether the signature is valid for `signer`: `s` is at most half of the group's order, `v` is 0 or 1, and the
    /// public key recovered from the digest and the signature is `signer`.
    pub fn is_valid(&self, digest: &[u8; 32], signer: &PublicKey) -> bool {
        let signed = SignedDigest { digest: *digest, signature: *self, signer: *signer };
        let equations = equation::equations(slice::from_ref(&signed));
        equations.iter().flatten().any(equation::Equation::holds)
    }
}

/// Whether each signature [is valid](Signature::is_valid), in the same order.
///
/// Wrong signatures make it slower: in the worst case it takes about 1.75 times as long as checking one by one.
pub fn check_all(signed: &[SignedDigest]) -> Vec<bool> {
    // A short last part would cost a signature more than the others.
    let parts = signed.len().div_ceil(TOGETHER_MAX).max(1);
    let length = signed.len().div_ceil(parts).max(1);
    signed.chunks(length).flat_map(together::check).collect()
}
