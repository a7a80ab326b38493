//! What an auditor and the page verify: balance and order proofs, sequence proofs, certified roots.
//!
//! A light client trusts no replica. Attestations certify a root; an inclusion proof against that root shows
//! one leaf of the state, or that the state has no such leaf. The client must decode the balance or order from
//! the leaf's value itself: the readable form next to it is a convenience that no proof covers.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::accounts::BalanceBody;
use crate::types::Side;

/// Answer to `GET /v1/accounts/{public key}/proof?token=ETH`: a balance proof. It shows the account's balance
/// in the state with this root, or that it has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceProofBody {
    /// The batch after which the root is that of the state.
    pub batch: String,
    /// The last certified batch; `null` before the first. A root after a later batch is only this replica's word.
    pub certified_batch: Option<String>,
    /// The state root after that batch.
    pub root: String,
    /// The leaf's key in hex.
    pub key: String,
    /// The leaf's value in hex; `null` if the state has no such leaf.
    pub value: Option<String>,
    /// The inclusion proof in hex: see *Inclusion proofs* in `docs/protocol.md`.
    pub proof: String,
    /// The balance decoded from the value; zero if there is no leaf.
    pub balance: BalanceBody,
}

/// Answer to `GET /v1/accounts/{public key}/orders/{id}/proof`: an order proof. It shows an open order in the
/// state with this root, or that the account has no such open order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderProofBody {
    /// The batch after which the root is that of the state.
    pub batch: String,
    /// The last certified batch; `null` before the first. A root after a later batch is only this replica's word.
    pub certified_batch: Option<String>,
    /// The state root after that batch.
    pub root: String,
    /// The leaf's key in hex.
    pub key: String,
    /// The leaf's value in hex; `null` if the account has no such open order.
    pub value: Option<String>,
    /// The inclusion proof in hex: see *Inclusion proofs* in `docs/protocol.md`.
    pub proof: String,
    /// The order decoded from the value; `null` if there is no leaf.
    pub order: Option<ProvenOrderBody>,
}

/// An open order as the state stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenOrderBody {
    /// Name of the market.
    pub market: String,
    /// `buy` or `sell`.
    pub side: Side,
    /// Limit price.
    pub price: String,
    /// Total quantity, including what is filled.
    pub quantity: String,
    /// Quantity when the order entered the book.
    pub rested: String,
    /// Unfilled quantity.
    pub remaining: String,
    /// The first 16 hex digits of the hash of the transaction that placed the order; the state stores no more.
    pub transaction: String,
    /// When the order expires, by the exchange's time; `null` if it does not.
    pub expires_ms: Option<String>,
    /// The trader's own name for the order.
    pub client_id: Option<String>,
}

/// A sequence proof: the statement that the network's nodes signed, and their BLS signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofBody {
    /// The last batch that the proof covers.
    pub index: String,
    /// The newest index that was signed before this proof.
    pub parent_index: String,
    /// The time of the proof in Unix seconds. This is the network's own unit, and the value that is signed.
    pub timestamp: String,
    /// The network's chaining hash at `index`.
    pub chaining_hash: String,
    /// Ids of the nodes that did not sign.
    pub nonsigners: Vec<String>,
    /// The aggregated signature: `1 x y`, a point of the curve.
    pub signature: String,
    /// The block at which the signers' stakes and keys are read; `0` if the network has a fixed list of nodes.
    pub tag: String,
}

/// Answer to `GET /v1/certified?from=N`: a certified root and the attestations that certify it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedBody {
    /// The first certified batch with an index of at least N.
    pub batch: String,
    /// The state root after that batch.
    pub root: String,
    /// One attestation of each replica that attested to this root.
    pub attestations: Vec<AttestationBody>,
}

/// An `attest` transaction and its position in the sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationBody {
    /// The batch that contains the transaction.
    pub batch: String,
    /// Position of the transaction in that batch, from 0.
    pub position: String,
    /// The signed transaction: the element of the batch body, unchanged.
    pub transaction: String,
}
