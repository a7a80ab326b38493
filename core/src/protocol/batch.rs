//! A sequenced batch after parsing and signature checks.
//!
//! This is the part of applying a batch that needs no state, and the expensive one. So a replica can check several batches
//! at once, and others in parallel while an earlier one is being applied, and the result is the same.

use alloc::vec::Vec;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::checked::{CheckedTransaction, Invalid, check_elements};
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
        let elements = elements(body);
        let texts: Vec<&str> = elements.iter().map(|element| element.get()).collect();
        Self::new(index, body, check_elements(rules, &texts))
    }

    /// Does what [`Self::check`] does to each index and body, faster than one after the other. `known` may return the
    /// transaction that an element is, if its signature was checked before: what [`check_element`] returned for exactly
    /// these bytes.
    ///
    /// [`check_element`]: super::check_element
    pub fn check_all<'a>(
        rules: &Rules,
        bodies: impl IntoIterator<Item = (u64, &'a [u8])>,
        mut known: impl FnMut(&str) -> Option<CheckedTransaction>,
    ) -> Vec<Self> {
        let mut unknown = Vec::new();
        let mut batches = Vec::new();
        for (index, body) in bodies {
            let mut transactions = Vec::new();
            for element in elements(body) {
                let found = known(element.get());
                if found.is_none() {
                    unknown.push(element.get());
                }
                transactions.push(found);
            }
            batches.push((index, body, transactions));
        }
        let mut checked = check_elements(rules, &unknown).into_iter();
        batches
            .into_iter()
            .map(|(index, body, transactions)| {
                let transactions = transactions
                    .into_iter()
                    .filter_map(|found| found.map(Ok).or_else(|| checked.next()))
                    .collect();
                Self::new(index, body, transactions)
            })
            .collect()
    }

    fn new(
        index: u64,
        body: &[u8],
        transactions: Vec<Result<CheckedTransaction, Invalid>>,
    ) -> Self {
        // The whole body, also where it is too long or no array: the chain covers what was sequenced, not what was
        // understood.
        Self { index, body_hash: Sha256::digest(body).into(), transactions }
    }
}
