//! Transactions: handing them in, how far they have come, what they would do.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::accounts::OrderBody;
use super::errors::RejectBody;

/// Answer to `POST /v1/transactions`: one entry for each transaction sent, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitResponse {
    /// What became of each.
    pub transactions: Vec<Submitted>,
}

/// What became of a submitted transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its hash, if it was taken.
    pub hash: Option<String>,
    /// The replica's signed word that it took it; `null` if it was not taken, or has its outcome.
    #[serde(default)]
    pub receipt: Option<ReceiptBody>,
    /// Why it was not taken.
    pub error: Option<RejectBody>,
}

/// That a replica took a transaction, signed by it: see `receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    /// The network id.
    pub network: String,
    /// The transaction's hash.
    pub transaction: String,
    /// When the replica took it.
    pub received_ms: String,
    /// The replica's public key.
    pub replica: String,
    /// Its signature over the text of the receipt.
    pub signature: String,
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// In this replica's outbox.
    Received,
    /// A gateway of the sequencer took it, which promises nothing yet.
    Posted,
    /// In a finalized batch, whose proof was checked.
    Finalized,
    /// It had its effect.
    Applied,
    /// It had none, for ever.
    Rejected,
    /// This replica gave it up: the state's time passed its `valid_until` before it was seen in a
    /// batch. If it still appears in one, it is rejected.
    Expired,
    /// This replica gave it up: its nonce was used by another transaction, or is too old by now. If it
    /// still appears in a batch, it is rejected.
    Superseded,
}

/// Answer to `GET /v1/transactions/{hash}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionStatus {
    /// Its hash.
    pub hash: String,
    /// How far it has come.
    pub status: Stage,
    /// Its kind.
    pub kind: Option<String>,
    /// Whose it is.
    pub account: Option<String>,
    /// When this replica took it, if it did.
    pub received_ms: Option<String>,
    /// When it was last posted to a gateway.
    pub posted_ms: Option<String>,
    /// How often it was posted, where this replica took it and knows that still.
    #[serde(default)]
    pub posts: Option<String>,
    /// The finality proof's time.
    pub finalized_ms: Option<String>,
    /// When this replica applied it.
    pub applied_ms: Option<String>,
    /// The batch that it is in.
    pub batch: Option<String>,
    /// Its position in that batch, from 0.
    pub position: Option<String>,
    /// Why it had no effect.
    pub reject: Option<RejectBody>,
    /// This replica's signed word that it took it, while it is in the outbox.
    #[serde(default)]
    pub receipt: Option<ReceiptBody>,
    /// The order that it placed or reduced.
    pub order: Option<OrderBody>,
}

/// Answer to `POST /v1/simulate`: what an order would do now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulationBody {
    /// The batch after which the book was so.
    pub batch: String,
    /// Why it would be rejected, if it would.
    pub reject: Option<RejectBody>,
    /// What it would trade: price and quantity, in sequence.
    pub fills: Vec<(String, String)>,
    /// All that it would trade, in base.
    pub filled: String,
    /// What that is worth, in quote.
    pub quote: String,
    /// What it would pay for it, in quote.
    pub fee: String,
    /// The mean price of its trades.
    pub average_price: Option<String>,
    /// What would rest in the book, in base.
    pub rests: String,
    /// What it would lock while it rests.
    pub locked: String,
    /// What would be cancelled at once, in base.
    pub cancelled: String,
    /// What it can cost at most, with its fee.
    pub cost: Option<String>,
    /// The token of `cost` and `locked`.
    pub cost_token: Option<String>,
    /// The closest price that the market accepts.
    pub suggested_price: Option<String>,
    /// The closest quantity that the market accepts at that price.
    pub suggested_quantity: Option<String>,
}

/// Answer to `GET /v1/transactions/{hash}/signed`: what was signed, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBody {
    /// The transaction's hash.
    pub hash: String,
    /// The text that was signed. The hash is its SHA-256, unless the scheme is `guide`.
    pub text: String,
    /// `raw`, `eip191` or `guide`.
    pub scheme: String,
    /// The signature in hex.
    pub signature: String,
    /// The key that signed: the account's, or a session key of it.
    pub signer: String,
    /// The element as the batch, or the outbox, has it.
    pub element: String,
}
