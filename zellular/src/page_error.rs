//! What can be wrong with a `finalized` answer.

use alloc::string::String;

use thiserror::Error;

use crate::proof::ProofError;

/// What is wrong with a `finalized` answer. An honest node sends only those for which [`PageError::is_dishonest`] is
/// false.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PageError {
    /// The answer is not JSON of the expected shape.
    #[error("the answer is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// The node reports an error.
    #[error("the node reports an error: {0}")]
    Status(String),
    /// The answer has more bytes, batches or signatures than an honest one can have.
    #[error("the answer is larger than an honest one can be")]
    TooLarge,
    /// The answer has data but no batch.
    #[error("the answer has data but no batches")]
    Empty,
    /// The first chaining hash does not continue the reader's history.
    #[error("first_chaining_hash is {found}; after batch {after} of our history it is {expected}")]
    FirstChainingHash {
        /// The hash in the answer.
        found: String,
        /// The hash that continues the reader's history.
        expected: String,
        /// The last batch that the reader holds.
        after: u64,
    },
    /// A signature is over an index that is already proven, or the signatures are not in order.
    #[error(
        "the signature over batch {index} is out of order: batches up to {proven} have one already"
    )]
    SignatureOutOfOrder {
        /// The signature's index.
        index: u64,
        /// The last proven index.
        proven: u64,
    },
    /// A signature is over an index that the answer does not reach.
    #[error("there is a signature over batch {index}, but the answer ends at batch {last}")]
    SignatureBeyondPage {
        /// The signature's index.
        index: u64,
        /// The last batch of the answer.
        last: u64,
    },
    /// A signature claims another chaining hash than the one that the bodies give.
    #[error(
        "the signature over batch {index} is for chaining hash {found}; the bodies give {expected}"
    )]
    ChainingHash {
        /// The signature's index.
        index: u64,
        /// The hash that the signature claims.
        found: String,
        /// The hash that the bodies give.
        expected: String,
    },
    /// A signature cannot be read.
    #[error("signature {position} of the answer, counted from 0, cannot be read: {error}")]
    SignatureForm {
        /// Its position in the answer, from 0.
        position: usize,
        /// Why.
        error: String,
    },
    /// There is nothing new, although batches that the reader was sent are not proven. An honest node
    /// always has a signature over its last batch.
    #[error(
        "the answer has nothing after batch {last}, but the last signature is over batch {proven}"
    )]
    TipNotSigned {
        /// The last batch that the reader was sent.
        last: u64,
        /// The last proven batch.
        proven: u64,
    },
    /// A signature proves nothing.
    #[error("the signature over batch {index} proves nothing: {error}")]
    Proof {
        /// The signature's index.
        index: u64,
        /// Why.
        error: ProofError,
    },
}

impl PageError {
    /// Whether no honest node sends such an answer. One that reports an error may be honest, and so may one whose
    /// network asks fewer nodes to sign than this reader, or has operators that this reader does not know.
    pub const fn is_dishonest(&self) -> bool {
        !matches!(
            self,
            Self::Status(_)
                | Self::TipNotSigned { .. }
                | Self::Proof { error: ProofError::Quorum { .. } | ProofError::UnknownTag(_), .. }
        )
    }

    /// Returns a stable name for metrics and machine-readable reports.
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

#[cfg(test)]
mod tests {
    use super::{PageError, ProofError};
    use crate::bls::BlsError;
    use crate::threshold::Threshold;
    use alloc::collections::BTreeSet;
    use alloc::string::{String, ToString};
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn every_error_has_a_name_and_a_sentence_of_its_own() {
        let text = || String::from("x");
        let proof = |error| PageError::Proof { index: 1, error };
        let threshold = Threshold::DEFAULT;
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
        let honest: Vec<&str> =
            errors.iter().filter(|error| !error.is_dishonest()).map(PageError::name).collect();
        assert_eq!(honest, ["status", "tip_not_signed", "unknown_tag", "quorum"]);
        let names: BTreeSet<&str> = errors.iter().map(PageError::name).collect();
        let sentences: BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!((names.len(), sentences.len()), (errors.len(), errors.len()));
        assert!(names.iter().all(|name| name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
    }
}
