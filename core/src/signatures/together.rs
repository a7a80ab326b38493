//! Checks many equations at once, by a random combination of them.
//!
//! Why a wrong signature cannot pass is argued in `docs/decisions/0012-signatures-together.md`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::iter::zip;

use ark_ec::{AffineRepr, VariableBaseMSM};
use ark_ff::{BigInt, Zero};
use ark_secp256k1::{Affine, Projective};
use k256::Scalar;
use sha2::{Digest, Sha256};

use super::equation::{Equation, equations};
use super::point::{Point, limbs};
use super::signed_digest::SignedDigest;
use crate::types::PublicKey;

/// Fewer equations than this are checked one by one.
const TOGETHER_MIN: usize = 16;
/// Fewer equations than this are checked one by one after they failed together: halves of them would save too little.
const SPLIT_MIN: usize = 64;
/// What a combination that holds saved: about so many times its own cost.
const SAVED: usize = 3;

/// Whether each signature is valid.
pub fn check(signed: &[SignedDigest]) -> Vec<bool> {
    let found = zip(equations(signed), coefficients(signed));
    let candidates: Vec<Candidate> = zip(signed, found)
        .enumerate()
        .filter_map(|(at, (signed, (equation, coefficient)))| {
            Some(Candidate { at, signer: signed.signer, equation: equation?, coefficient })
        })
        .collect();
    let mut search = Search {
        verdicts: vec![false; signed.len()],
        budget: candidates.len().saturating_mul(2),
        doubted: BTreeSet::new(),
    };
    search.settle(candidates, false);
    search.verdicts
}

struct Candidate {
    /// The place of its verdict.
    at: usize,
    signer: PublicKey,
    equation: Equation,
    coefficient: u128,
}

/// The coefficients of the combination. Each depends on every byte of every digest, signature and key, so an attacker can
/// only try signatures and hope; the decision says how many tries that takes.
fn coefficients(signed: &[SignedDigest]) -> impl Iterator<Item = u128> {
    let mut hasher = Sha256::new_with_prefix(b"zellbook signatures together");
    for SignedDigest { digest, signature, signer } in signed {
        hasher.update(digest);
        hasher.update(signature.0);
        hasher.update(signer.as_bytes());
    }
    let seed = hasher.finalize();
    (0_u64..).map(move |at| {
        let hash = Sha256::new_with_prefix(seed).chain_update(at.to_be_bytes()).finalize();
        hash.iter()
            .take(16)
            .fold(0, |number: u128, byte| number.wrapping_shl(8) | u128::from(*byte))
    })
}

/// The search for the equations that do not hold.
struct Search {
    verdicts: Vec<bool>,
    /// How many equations may still be part of combinations that fail. Two for each are enough to find one that is wrong. When
    /// they are used up, what is left is checked one by one, so wrong signatures cannot make the whole much slower than
    /// that. Each success adds what it saved.
    budget: usize,
    /// The keys that wrong signatures named as their signers. What else names them is checked one by one. Anybody can name
    /// any key, but that costs others nothing more than such a check.
    doubted: BTreeSet<PublicKey>,
}

impl Search {
    /// Finds the verdicts of these candidates. Returns whether all are valid. `is_one_wrong`: it is known that not all
    /// are.
    fn settle(&mut self, candidates: Vec<Candidate>, is_one_wrong: bool) -> bool {
        let (alone, mut candidates): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|one| self.doubted.contains(&one.signer));
        let is_one_wrong = is_one_wrong && alone.is_empty();
        let is_valid = self.settle_alone(&alone);
        let count = candidates.len();
        if count < TOGETHER_MIN || self.budget < count {
            return self.settle_alone(&candidates) && is_valid;
        }
        if !is_one_wrong {
            if hold_together(&candidates) {
                self.budget = self.budget.saturating_add(count.saturating_mul(SAVED));
                for candidate in &candidates {
                    self.report(candidate, true);
                }
                return is_valid;
            }
            self.budget = self.budget.saturating_sub(count);
        }
        if count < SPLIT_MIN {
            return self.settle_alone(&candidates) && is_valid;
        }
        let second = candidates.split_off(count.div_ceil(2));
        let is_first_valid = self.settle(candidates, false);
        let is_second_valid = self.settle(second, is_first_valid);
        is_valid && is_first_valid && is_second_valid
    }

    fn settle_alone(&mut self, candidates: &[Candidate]) -> bool {
        let mut are_valid = true;
        for candidate in candidates {
            let holds = candidate.equation.holds();
            if !holds {
                self.doubted.insert(candidate.signer);
            }
            self.report(candidate, holds);
            are_valid &= holds;
        }
        are_valid
    }

    fn report(&mut self, candidate: &Candidate, holds: bool) {
        if let Some(verdict) = self.verdicts.get_mut(candidate.at) {
            *verdict = holds;
        }
    }
}

/// Whether the equations, each times its coefficient, add up to one that holds: whether its left side less its right side
/// is infinity.
fn hold_together(candidates: &[Candidate]) -> bool {
    let mut points = Vec::with_capacity(candidates.len().saturating_mul(2));
    let mut factors = Vec::with_capacity(candidates.len().saturating_mul(2));
    let mut g_factor = Scalar::ZERO;
    // The terms of a key are one.
    let mut keys: BTreeMap<PublicKey, (Point, Scalar)> = BTreeMap::new();
    for Candidate { signer, equation, coefficient, .. } in candidates {
        let coefficient = Scalar::from(*coefficient);
        points.push(equation.r_point.to_ark());
        factors.push(to_ark(&coefficient));
        g_factor -= equation.g_factor * coefficient;
        let (_, key_factor) = keys.entry(*signer).or_insert((equation.key, Scalar::ZERO));
        *key_factor -= equation.key_factor * coefficient;
    }
    points.push(Affine::generator());
    factors.push(to_ark(&g_factor));
    for (key, key_factor) in keys.values() {
        points.push(key.to_ark());
        factors.push(to_ark(key_factor));
    }
    Projective::msm_bigint(&points, &factors).is_zero()
}

fn to_ark(factor: &Scalar) -> BigInt<4> {
    limbs(&factor.to_bytes().into())
}
