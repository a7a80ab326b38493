//! A sequenced batch after parsing and signature checks.
//!
//! This is the part of applying a batch that needs no state. It is also the expensive part: one recovery of a
//! public key for each transaction. A replica can therefore check several batches in parallel while an earlier
//! one is being applied, and the result is the same.

use alloc::vec::Vec;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::checked::{CheckedTransaction, Invalid, check_element};
use crate::rules::Rules;
use crate::types::Hash;
use crate::types::limits::{BODY_BYTES_MAX, ELEMENTS_MAX};

/// A batch that is ready for [`crate::Exchange::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Index in the sequence, from 1.
    pub index: u64,
    /// SHA-256 of the body's bytes. It extends the chain over all bodies even where the body holds no
    /// transactions, so the root commits to every byte that was sequenced.
    pub body_hash: Hash,
    /// One entry for each element of the body, in order. Empty if the body is not a valid array.
    pub transactions: Vec<Result<CheckedTransaction, Invalid>>,
}

/// The elements of a body, byte for byte. A body that is not a JSON array, has more than 1 MiB or more than
/// 4,096 elements has none.
pub fn elements(body: &[u8]) -> Vec<&RawValue> {
    if body.len() > BODY_BYTES_MAX {
        return Vec::new();
    }
    // Raw values: the array's grammar is checked here, each element's own rules when it is read. So one bad
    // element is rejected alone.
    let elements: Vec<&RawValue> = serde_json::from_slice(body).unwrap_or_default();
    // 1 MiB has at most 524,288 elements, and each is only a slice of the body, so they can be counted after
    // parsing.
    if elements.len() > ELEMENTS_MAX { Vec::new() } else { elements }
}

impl Batch {
    /// Reads a body and checks every signature. It never fails: anyone can post any bytes to the sequencer, and
    /// all replicas must go on in the same way. A body without [`elements`] is a batch without transactions.
    pub fn check(rules: &Rules, index: u64, body: &[u8]) -> Self {
        Self::check_with(index, body, |element| check_element(rules, element))
    }

    /// Like [`Self::check`], for a caller that knows some results already. `check` must return for each element
    /// what [`check_element`] returns for it.
    pub fn check_with(
        index: u64,
        body: &[u8],
        mut check: impl FnMut(&str) -> Result<CheckedTransaction, Invalid>,
    ) -> Self {
        Self {
            index,
            // The whole body, also where it is too long or no array: the chain covers what was sequenced, not
            // what was understood.
            body_hash: Sha256::digest(body).into(),
            transactions: elements(body).into_iter().map(|element| check(element.get())).collect(),
        }
    }
}
