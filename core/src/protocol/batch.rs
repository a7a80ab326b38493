//! A finalized batch, read and with its signatures checked: all of `apply` that needs no state,
//! so that it can be done ahead and in parallel.

use alloc::vec::Vec;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::checked::{CheckedTransaction, Invalid, check_element};
use crate::rules::Rules;
use crate::types::Hash;
use crate::types::limits::{BODY_BYTES_MAX, ELEMENTS_MAX};

/// A batch that is ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its index in the sequence, from 1.
    pub index: u64,
    /// SHA-256 of its body.
    pub body_hash: Hash,
    /// One for each element. Empty if the body is no JSON array.
    pub transactions: Vec<Result<CheckedTransaction, Invalid>>,
}

impl Batch {
    /// Reads a body. Total: what is no JSON array of at most 1 MiB and 4,096 elements has no
    /// transactions.
    pub fn check(rules: &Rules, index: u64, body: &[u8]) -> Self {
        let mut elements: Vec<&RawValue> = Vec::new();
        if body.len() <= BODY_BYTES_MAX {
            elements = serde_json::from_slice(body).unwrap_or_default();
        }
        if elements.len() > ELEMENTS_MAX {
            elements.clear();
        }
        Self {
            index,
            body_hash: Sha256::digest(body).into(),
            transactions: elements
                .into_iter()
                .map(|element| check_element(rules, element.get()))
                .collect(),
        }
    }
}
