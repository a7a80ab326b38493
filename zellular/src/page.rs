//! Reads `finalized` answers within [`limits`](crate::limits), whatever a gateway sends.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bounded::Bounded;
use crate::chain::{SignedState, chain};
use crate::limits::{PAGE_BATCHES_MAX, PAGE_BYTES_MAX, PAGE_SIGNATURES_MAX};
use crate::page_error::PageError;
use crate::proof::{FinalitySignature, Verifier, null_is_empty, tag};

/// An answer to `GET /node/{app}/batches/finalized?after=N`. Nothing in it is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The bodies of batches N+1, N+2, ….
    pub batches: Vec<String>,
    /// The chaining hash that the sender claims for the first body.
    pub first_chaining_hash: String,
    /// Signatures over some of the indexes, in ascending order. One that cannot be read is an error at
    /// its position, so that it does not discard what the signatures before it prove.
    pub finalized_signatures: Vec<Result<FinalitySignature, String>>,
    /// Whether the answer had more batches or signatures than the limits allow to be read.
    pub is_cut: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: String,
    // Missing in error answers.
    #[serde(borrow, default)]
    data: Option<RawPage<'a>>,
    // Only its text: a deeply nested value would take memory without bound.
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    batches: Bounded<String, PAGE_BATCHES_MAX>,
    first_chaining_hash: String,
    // Each is parsed by itself later, so that a bad one is no error of the whole page.
    #[serde(borrow)]
    finalized_signatures: Bounded<&'a RawValue, PAGE_SIGNATURES_MAX>,
}

#[derive(Deserialize)]
struct LastAnswer<'a> {
    status: String,
    #[serde(default)]
    data: Option<LastBatch>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// The body is not read: without the hash before it, nothing proves it.
#[derive(Deserialize)]
struct LastBatch {
    index: u64,
    parent_index: u64,
    timestamp: u64,
    chaining_hash: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    finalized_nonsigners: Vec<String>,
    finalized_signature: String,
    #[serde(default, deserialize_with = "tag")]
    finalized_tag: u64,
}

/// Reads an answer to `GET /node/{app}/batches/finalized/last`: the signature over the last batch, with
/// the chaining hash that it claims. Returns `None` if the app has no batch yet.
///
/// # Errors
///
/// Fails if the answer reports an error or is not JSON of the expected shape.
pub fn read_last(json: &[u8]) -> Result<Option<FinalitySignature>, PageError> {
    let answer: LastAnswer<'_> = serde_json::from_slice(json)
        .map_err(|error| PageError::Json(start_of(&error.to_string())))?;
    if answer.status != "success" {
        let error = answer.error.map_or(answer.status.as_str(), RawValue::get);
        return Err(PageError::Status(start_of(error)));
    }
    Ok(answer.data.map(|last| FinalitySignature {
        index: last.index,
        parent_index: last.parent_index,
        timestamp: last.timestamp,
        chaining_hash: Some(last.chaining_hash),
        nonsigners: last.finalized_nonsigners,
        signature: last.finalized_signature,
        tag: last.finalized_tag,
    }))
}

/// Returns the start of a text from the network, so that no message is longer than a reader expects.
fn start_of(text: &str) -> String {
    text.chars().take(200).collect()
}

impl Page {
    /// Reads an answer. Returns `None` if there is nothing new.
    ///
    /// # Errors
    ///
    /// Fails if the answer reports an error, is larger than [`PAGE_BYTES_MAX`], or is not JSON of the
    /// expected shape.
    pub fn read(json: &[u8]) -> Result<Option<Self>, PageError> {
        if json.len() > PAGE_BYTES_MAX {
            return Err(PageError::TooLarge);
        }
        let answer: Answer<'_> = serde_json::from_slice(json)
            .map_err(|error| PageError::Json(start_of(&error.to_string())))?;
        if answer.status != "success" {
            let error = answer.error.map_or(answer.status.as_str(), RawValue::get);
            return Err(PageError::Status(start_of(error)));
        }
        Ok(answer.data.map(|data| Self {
            is_cut: data.batches.is_cut || data.finalized_signatures.is_cut,
            batches: data.batches.items,
            first_chaining_hash: data.first_chaining_hash,
            finalized_signatures: data
                .finalized_signatures
                .items
                .into_iter()
                .map(|raw| {
                    serde_json::from_str(raw.get()).map_err(|error| start_of(&error.to_string()))
                })
                .collect(),
        }))
    }

    /// Whether the first signature of this answer proves that `first_chaining_hash` is the network's
    /// hash at `index`, where the answer is to `?after=` `index - 1`. The first body plays no part: a
    /// reader who starts at `index` can so check the hash that it starts from.
    pub fn proves_first(&self, verifier: &Verifier, index: u64) -> bool {
        // A signature that cannot be read proves nothing, for or against a fork: the next one counts.
        let Some(signature) = self.finalized_signatures.iter().flatten().next() else {
            return false;
        };
        let count =
            signature.index.checked_sub(index).and_then(|count| usize::try_from(count).ok());
        let Some(count) = count else { return false };
        // The chain starts from the claimed hash, after the first body. `None` if the signature is over a
        // batch that the page does not have.
        let followers = self.batches.get(1..).and_then(|bodies| bodies.get(..count));
        followers.is_some_and(|bodies| {
            let start = self.first_chaining_hash.clone();
            let last = bodies.iter().fold(start, |previous, body| chain(&previous, body));
            verifier.verify(SignedState::Locked, signature, &last).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE_BYTES_MAX, Page};
    use crate::page_error::PageError;
    use alloc::vec;

    #[test]
    fn an_answer_of_too_many_bytes_is_not_read() {
        let answer = vec![b' '; PAGE_BYTES_MAX.wrapping_add(1)];
        assert_eq!(Page::read(&answer), Err(PageError::TooLarge));
        assert!(matches!(Page::read(&answer[1..]), Err(PageError::Json(_))));
    }
}
