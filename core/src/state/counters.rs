//! Counters of the whole exchange: sequence numbers, the exchange's time, and the hash chain over all
//! bodies.

use crate::types::Hash;

/// Counters of the whole exchange. They are one leaf, which every batch changes, so two different
/// histories never have the same root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Index of the last applied batch; 0 before the first.
    pub batch: u64,
    /// `c[0]` is the network id; `c[n] = SHA-256(c[n-1] || SHA-256(body[n]))` (I12).
    pub body_chain: Hash,
    /// Id of the last accepted order; 0 before the first.
    pub order: u64,
    /// Number of the last trade, over all markets; 0 before the first.
    pub trade: u64,
    /// Number of the last withdrawal, over all accounts; 0 before the first.
    pub withdrawal: u64,
    /// The exchange's time in Unix milliseconds. It only changes at the start of a batch, and never
    /// decreases.
    pub time: u64,
}
