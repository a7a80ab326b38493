//! The two kinds of failure of the engine.

use alloc::boxed::Box;

use crate::protocol::Reject;
use crate::types::Corrupt;

/// Why a transaction had no effect: a reject, or a replica that is broken. The two must never be
/// mixed: a reject is an answer that all replicas agree on, whereas a broken replica must stop.
#[derive(Debug)]
pub enum Failure {
    /// The transaction breaks a rule. Boxed, since a reject is large and nearly every transaction
    /// succeeds.
    Reject(Box<Reject>),
    /// This replica is broken.
    Corrupt(Corrupt),
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::Reject(Box::new(reject))
    }
}

impl From<Corrupt> for Failure {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

// No transaction causes this error. Reject 16 bounds the value of an order, fee included, by the
// supply bound, and what is traded is covered by balances, which the supply bounds too (I1).
pub(crate) const TOO_MUCH: Corrupt =
    Corrupt("the value of an order is larger than any amount can be");
