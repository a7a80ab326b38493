//! Batches: as they were sequenced, in short, and with their contents and effects.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::errors::RejectBody;
use super::markets::TradeBody;
use super::proofs::ProofBody;

/// Answer to `GET /v1/batches/{index}`: everything that is needed to verify and replay one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchBody {
    /// Index in the sequence, from 1.
    pub index: String,
    /// The body exactly as it was sequenced.
    pub body: String,
    /// The network's chaining hash after this batch.
    pub chaining_hash: String,
    /// The state root after this batch.
    pub root: String,
    /// The number of elements that were applied.
    pub applied: String,
    /// The number of elements that were rejected.
    pub rejected: String,
    /// A sequence proof of this or a later batch. It covers this one through the chaining hash.
    pub proof: ProofBody,
    /// Whether the batch is certified: replicas attested a root of it or of a later batch.
    pub certified: bool,
}

/// Answer to `GET /v1/batches?after=N`: complete batches for replaying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchesResponse {
    /// The batches in sequence, from N + 1 on.
    pub batches: Vec<BatchBody>,
    /// The last batch that this replica has.
    pub last: String,
    /// The batch of the snapshot that this replica started from; it has only later batches. `0` if it has all.
    pub start: String,
}

/// A batch without its contents, in `GET /v1/headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderBody {
    /// Index in the sequence, from 1.
    pub index: String,
    /// The network's chaining hash after this batch.
    pub chaining_hash: String,
    /// The state root after this batch.
    pub root: String,
    /// The number of elements that were applied.
    pub applied: String,
    /// The number of elements that were rejected.
    pub rejected: String,
    /// The size of the body in bytes.
    pub bytes: String,
    /// The time of the sequence proof that covers this batch.
    pub time_ms: String,
    /// When this replica applied the batch, by its own clock.
    pub applied_ms: String,
    /// Whether the batch is certified: replicas attested a root of it or of a later batch.
    pub certified: bool,
    /// The batch whose attestations certified this very root; `null` if no root of this batch was certified.
    pub certified_in: Option<String>,
}

/// Answer to `GET /v1/headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadersResponse {
    /// Headers, newest first.
    pub headers: Vec<HeaderBody>,
    /// The last batch that this replica has.
    pub last: String,
    /// The batch of the snapshot that this replica started from; it has only later batches. `0` if it has all.
    pub start: String,
}

/// Answer to `GET /v1/batches/{index}/contents`: the elements of a batch with their outcomes, and its trades.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentsBody {
    /// The batch without its contents.
    pub header: HeaderBody,
    /// The network's chaining hash before this batch; `null` for the first batch, and if this replica does not
    /// have it.
    pub previous_chaining_hash: Option<String>,
    /// The sequence proof that covers this batch.
    pub proof: ProofBody,
    /// The number of elements in the body.
    pub elements_total: String,
    /// One page of the elements, in sequence.
    pub elements: Vec<ElementBody>,
    /// The first 200 trades, in sequence.
    pub trades: Vec<TradeBody>,
    /// Whether the batch has more trades than these.
    pub has_more_trades: bool,
}

/// Answer to `GET /v1/batches/{index}/trades`: trades of a batch, in sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTradesResponse {
    /// The number of trades in the batch.
    pub total: String,
    /// One page of the trades.
    pub trades: Vec<TradeBody>,
}

/// An element of a batch with its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementBody {
    /// Position in the batch, from 0.
    pub position: String,
    /// The transaction's hash; `null` if the element is malformed or its signature is not valid.
    pub hash: Option<String>,
    /// The kind; `null` if the element is malformed.
    pub kind: Option<String>,
    /// The account; `null` if the element is malformed or its signature is not valid.
    pub account: Option<String>,
    /// The fields of its kind as (name, value), in the order of the signed text.
    pub fields: Vec<(String, String)>,
    /// Why the element was rejected; `null` if it was applied, or is a copy.
    pub reject: Option<RejectBody>,
    /// The batch that has this transaction's outcome, if this element is a copy of it, which has no effect;
    /// otherwise `null`. A replica posts again what it does not see in time, so a transaction can be in the
    /// sequence twice.
    pub copy_of: Option<String>,
}
