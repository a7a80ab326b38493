//! Batches: as they were ordered, and what they hold and did.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::errors::RejectBody;
use super::markets::TradeBody;
use super::proofs::ProofBody;

/// Answer to `GET /v1/batches/{index}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchBody {
    /// Index in the sequence.
    pub index: String,
    /// The body as it was finalized.
    pub body: String,
    /// The chaining hash with it.
    pub chaining_hash: String,
    /// The state root after it, 64 hex digits.
    pub root: String,
    /// How many elements had an effect.
    pub applied: String,
    /// How many elements had none.
    pub rejected: String,
    /// The proof that covers it.
    pub proof: ProofBody,
}

/// Answer to `GET /v1/batches?after=N`: whole batches, in sequence, for replaying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchesResponse {
    /// In sequence.
    pub batches: Vec<BatchBody>,
    /// The last batch that this replica has.
    pub last: String,
    /// The batch of the snapshot that it began with: it has none up to that one; `0` if it has all.
    pub start: String,
}

/// A batch in short, in `GET /v1/headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderBody {
    /// Index in the sequence.
    pub index: String,
    /// The chaining hash with it.
    pub chaining_hash: String,
    /// The state root after it, 64 hex digits.
    pub root: String,
    /// How many elements had an effect.
    pub applied: String,
    /// How many elements had none.
    pub rejected: String,
    /// Bytes of its body.
    pub bytes: String,
    /// The time of the proof that covers it.
    pub time_ms: String,
    /// When this replica applied it.
    pub applied_ms: String,
    /// The batch in which replicas of more than two thirds of the weight had attested to its root;
    /// `null` while they have not.
    pub certified_in: Option<String>,
}

/// Answer to `GET /v1/headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadersResponse {
    /// The newest first.
    pub headers: Vec<HeaderBody>,
    /// The last batch that this replica has.
    pub last: String,
    /// The batch of the snapshot that it began with: it has none up to that one; `0` if it has all.
    pub start: String,
}

/// Answer to `GET /v1/batches/{index}/contents`: what a batch holds and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentsBody {
    /// The batch in short.
    pub header: HeaderBody,
    /// The chaining hash before it; `null` for the first batch, and where it is not known here.
    pub previous_chaining_hash: Option<String>,
    /// The proof that covers it.
    pub proof: ProofBody,
    /// How many elements its body has.
    pub elements_total: String,
    /// Some of them, in sequence.
    pub elements: Vec<ElementBody>,
    /// Its trades, in sequence; the first 200.
    pub trades: Vec<TradeBody>,
    /// Whether it has more trades than these.
    pub has_more_trades: bool,
}

/// Answer to `GET /v1/batches/{index}/trades`: trades of a batch, in sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTradesResponse {
    /// How many there are in all.
    pub total: String,
    /// Some of them.
    pub trades: Vec<TradeBody>,
}

/// An element of a batch, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementBody {
    /// Its place in the batch, from 0.
    pub position: String,
    /// The transaction's hash; `null` if it is none, or its signature is not good.
    pub hash: Option<String>,
    /// Its kind, if it could be read.
    pub kind: Option<String>,
    /// Whose it is, where the signature is good.
    pub account: Option<String>,
    /// The fields of its kind, as they are signed: names and values.
    pub fields: Vec<(String, String)>,
    /// Why it had no effect, if it had none.
    pub reject: Option<RejectBody>,
    /// The batch that has its outcome, where that is not this one: this is a copy.
    pub copy_of: Option<String>,
}
