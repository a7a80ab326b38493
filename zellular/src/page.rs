//! `finalized` answers: read within bounds, whatever a gateway sends.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{FinalitySignature, ProofError, SignedState, Verifier, chain, null_is_empty, tag};
use crate::limits::{PAGE_BATCHES_MAX, PAGE_BYTES_MAX, PAGE_SIGNATURES_MAX};

/// A `finalized` answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Bodies from the asked index on.
    pub batches: Vec<String>,
    /// The sender's chaining hash of the first body.
    pub first_chaining_hash: String,
    /// Signatures over some of the indexes, in order. One that cannot be read is an error in its
    /// place: it does not discard what those before it prove.
    pub finalized_signatures: Vec<Result<FinalitySignature, String>>,
    /// Whether the answer had more batches or signatures than are read.
    pub is_cut: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: String,
    // Absent in error answers.
    #[serde(borrow, default)]
    data: Option<RawPage<'a>>,
    // Its text alone: nothing that nests is read into memory.
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    batches: Bounded<String, PAGE_BATCHES_MAX>,
    first_chaining_hash: String,
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

/// Its body is not read: nothing here proves it.
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

/// Reads the body of a `finalized/last` answer: the signature over the last batch and the chaining hash
/// that it claims to be over; `None` where there is no batch yet.
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

/// The start of a text from the network, for a message.
fn start_of(text: &str) -> String {
    text.chars().take(200).collect()
}

impl Page {
    /// Reads the body of a `finalized` answer; `None` where there is nothing new.
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

    /// Whether a signature of this answer, which is to `?after=` the index before `index`, proves
    /// its `first_chaining_hash` to be the network's at `index`. The first body has no part in that.
    pub fn proves_first(&self, verifier: &Verifier, index: u64) -> bool {
        let Some(signature) = self.finalized_signatures.iter().flatten().next() else {
            return false;
        };
        let count =
            signature.index.checked_sub(index).and_then(|count| usize::try_from(count).ok());
        let Some(count) = count else { return false };
        let followers = self.batches.get(1..).and_then(|bodies| bodies.get(..count));
        followers.is_some_and(|bodies| {
            let start = self.first_chaining_hash.clone();
            let last = bodies.iter().fold(start, |previous, body| chain(&previous, body));
            verifier.verify(SignedState::Locked, signature, &last).is_ok()
        })
    }
}

/// What is wrong with a `finalized` answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PageError {
    /// Not JSON of the expected shape.
    #[error("the answer is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// The answer says that it failed.
    #[error("the answer's status is not success: {0}")]
    Status(String),
    /// More bytes, batches or signatures than an honest answer has.
    #[error("the answer is larger than an honest one can be")]
    TooLarge,
    /// Data without a batch.
    #[error("the answer has data but no batches")]
    Empty,
    /// The first chaining hash does not follow from ours.
    #[error("first_chaining_hash is {found}; after batch {after} of our history it is {expected}")]
    FirstChainingHash {
        /// What the answer says.
        found: String,
        /// What follows from our history.
        expected: String,
        /// The batch that we have.
        after: u64,
    },
    /// A signature over an index that is proven already, or out of order.
    #[error(
        "a signature over batch {index} does not belong here: batches up to {proven} are proven"
    )]
    SignatureOutOfOrder {
        /// The signature's index.
        index: u64,
        /// The last proven index.
        proven: u64,
    },
    /// A signature over an index that the answer does not reach.
    #[error("a signature over batch {index}, but the answer ends at {last}")]
    SignatureBeyondPage {
        /// The signature's index.
        index: u64,
        /// The last batch of the answer.
        last: u64,
    },
    /// A signature claims another chaining hash than follows from the bodies.
    #[error(
        "the signature over batch {index} is for chaining hash {found}; the bodies give {expected}"
    )]
    ChainingHash {
        /// The signature's index.
        index: u64,
        /// What the signature claims.
        found: String,
        /// What follows from the bodies.
        expected: String,
    },
    /// A signature that cannot be read.
    #[error("signature {position} of the answer, counted from 0, cannot be read: {error}")]
    SignatureForm {
        /// Its place in the answer.
        position: usize,
        /// Why.
        error: String,
    },
    /// Nothing new, although batches that we were sent are not proven: the last one always is.
    #[error("the answer has nothing after batch {last}, but the last signature is over {proven}")]
    TipNotSigned {
        /// The last batch that we were sent.
        last: u64,
        /// The last proven batch.
        proven: u64,
    },
    /// A signature that proves nothing.
    #[error("the signature over batch {index} proves nothing: {error}")]
    Proof {
        /// The signature's index.
        index: u64,
        /// Why.
        error: ProofError,
    },
}

impl PageError {
    /// A stable name, for machines.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Empty => "empty",
            Self::FirstChainingHash { .. } => "first_chaining_hash",
            Self::SignatureOutOfOrder { .. } => "signature_out_of_order",
            Self::SignatureBeyondPage { .. } => "signature_beyond_page",
            Self::ChainingHash { .. } => "chaining_hash",
            Self::SignatureForm { .. } => "signature_form",
            Self::TipNotSigned { .. } => "tip_not_signed",
            Self::Proof { error, .. } => match error {
                ProofError::UnknownTag(_) => "unknown_tag",
                ProofError::UnknownNonsigner(_) => "unknown_nonsigner",
                ProofError::RepeatedNonsigner(_) => "repeated_nonsigner",
                ProofError::NonsignerWithoutStake(_) => "nonsigner_without_stake",
                ProofError::Quorum { .. } => "quorum",
                ProofError::Encoding(_) => "encoding",
                ProofError::Signature => "signature",
            },
        }
    }
}

/// The first items of a JSON array. The others are passed over, so that no answer can take more
/// memory than its bound.
#[derive(Debug)]
pub(super) struct Bounded<T, const MAX: usize> {
    pub items: Vec<T>,
    pub is_cut: bool,
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(core::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = Bounded<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX {
                    match seq.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(Bounded { items, is_cut: false }),
                    }
                }
                let mut is_cut = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    is_cut = true;
                }
                Ok(Bounded { items, is_cut })
            }
        }
        deserializer.deserialize_seq(ListVisitor(core::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Threshold;
    use super::{PAGE_BYTES_MAX, Page, PageError, ProofError};
    use crate::bls::BlsError;
    use crate::units::Decimal;
    use alloc::collections::BTreeSet;
    use alloc::string::{String, ToString};
    use alloc::vec;

    #[test]
    fn every_error_has_a_name_and_a_sentence_of_its_own() {
        let text = || String::from("x");
        let proof = |error| PageError::Proof { index: 1, error };
        let threshold = Threshold::from_percent(Decimal::parse("67").unwrap()).unwrap();
        let errors = vec![
            PageError::Json(text()),
            PageError::Status(text()),
            PageError::TooLarge,
            PageError::Empty,
            PageError::FirstChainingHash { found: text(), expected: text(), after: 1 },
            PageError::SignatureOutOfOrder { index: 1, proven: 2 },
            PageError::SignatureBeyondPage { index: 2, last: 1 },
            PageError::ChainingHash { index: 1, found: text(), expected: text() },
            PageError::SignatureForm { position: 0, error: text() },
            PageError::TipNotSigned { last: 2, proven: 1 },
            proof(ProofError::UnknownTag(1)),
            proof(ProofError::UnknownNonsigner(text())),
            proof(ProofError::RepeatedNonsigner(text())),
            proof(ProofError::NonsignerWithoutStake(text())),
            proof(ProofError::Quorum { missing: 1, total: 2, threshold }),
            proof(ProofError::Encoding(BlsError::Infinite)),
            proof(ProofError::Signature),
        ];
        let names: BTreeSet<&str> = errors.iter().map(PageError::name).collect();
        let sentences: BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!((names.len(), sentences.len()), (errors.len(), errors.len()));
        assert!(names.iter().all(|name| name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
    }

    #[test]
    fn an_answer_of_too_many_bytes_is_not_read() {
        let answer = vec![b' '; PAGE_BYTES_MAX.wrapping_add(1)];
        assert_eq!(Page::read(&answer), Err(PageError::TooLarge));
        assert!(matches!(Page::read(&answer[1..]), Err(PageError::Json(_))));
    }
}
