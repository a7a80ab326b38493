//! What an auditor and the page check: proofs of balances and orders, of finality, of certified roots.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::accounts::BalanceBody;
use crate::types::Side;

/// Answer to `GET /v1/accounts/{public key}/proof?token=ETH`: a balance, and the proof that the state
/// root commits to it, or to there being none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceProofBody {
    /// The batch after which it is so.
    pub batch: String,
    /// The state root after that batch, 64 hex digits.
    pub root: String,
    /// The leaf's key in hex.
    pub key: String,
    /// The leaf's value in hex; `null` if the state has no such leaf.
    pub value: Option<String>,
    /// The proof in hex: see *Proofs* in `docs/protocol.md`.
    pub proof: String,
    /// The balance that the value says.
    pub balance: BalanceBody,
}

/// Answer to `GET /v1/accounts/{public key}/orders/{id}/proof`: an open order, and the proof that the state
/// root commits to it, or to there being none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderProofBody {
    /// The batch after which it is so.
    pub batch: String,
    /// The state root after that batch, 64 hex digits.
    pub root: String,
    /// The leaf's key in hex.
    pub key: String,
    /// The leaf's value in hex; `null` if the account has no such open order.
    pub value: Option<String>,
    /// The proof in hex: see *Proofs* in `docs/protocol.md`.
    pub proof: String,
    /// What the value says; `null` if there is none.
    pub order: Option<ProvenOrderBody>,
}

/// An open order, as its leaf has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenOrderBody {
    /// Market.
    pub market: String,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: String,
    /// All of it, in base.
    pub quantity: String,
    /// What of it came to rest, in base.
    pub rested: String,
    /// What is open of it, in base.
    pub remaining: String,
    /// The first 16 hex digits of the hash of the transaction that placed it.
    pub transaction: String,
    /// When it expires, Unix milliseconds; `null` if it does not.
    pub expires_ms: Option<String>,
    /// Its client id, if it has one.
    pub client_id: Option<String>,
}

/// The finality proof of a batch: what a signature proves, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofBody {
    /// The last batch that it covers.
    pub index: String,
    /// The finalized index before it.
    pub parent_index: String,
    /// Unix seconds.
    pub timestamp: String,
    /// The chaining hash at `index`.
    pub chaining_hash: String,
    /// Ids of nodes that did not sign.
    pub nonsigners: Vec<String>,
    /// `1 x y`.
    pub signature: String,
    /// The block at which the signers' stakes and keys count; `0` where the network's nodes are fixed.
    pub tag: String,
}

/// Answer to `GET /v1/certified?from=N`: a certified root with what certified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedBody {
    /// The first certified batch from N on.
    pub batch: String,
    /// The state root after it, 64 hex digits.
    pub root: String,
    /// One of each replica that signed it.
    pub attestations: Vec<AttestationBody>,
}

/// An `attest` transaction and where the sequence has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationBody {
    /// The batch that holds it.
    pub batch: String,
    /// Its place in that batch, from 0.
    pub position: String,
    /// The transaction as it stands there.
    pub transaction: String,
}
