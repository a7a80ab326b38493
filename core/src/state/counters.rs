//! Sequence numbers, the time, and the chain over all bodies.

use crate::types::Hash;

/// Sequence numbers, the time, and the chain over all bodies: one leaf, which every batch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Index of the last applied batch; 0 before the first.
    pub batch: u64,
    /// `c[0]` is the network id; `c[n] = SHA-256(c[n-1] || SHA-256(body[n]))` (I12).
    pub body_chain: Hash,
    /// Id of the last accepted order.
    pub order: u64,
    /// Number of the last trade.
    pub trade: u64,
    /// Number of the last withdrawal.
    pub withdrawal: u64,
    /// The state's time in Unix milliseconds. It changes between batches only, and never goes back.
    pub time: u64,
}
