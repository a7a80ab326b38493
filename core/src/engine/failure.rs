//! Why a transaction did nothing.

use alloc::boxed::Box;

use crate::protocol::Reject;
use crate::types::Corrupt;

/// Why a transaction did nothing: by the rules, or because this replica is broken.
#[derive(Debug)]
pub enum Failure {
    /// By the rules. In a box, so that what nearly always succeeds has little to hand back.
    Reject(Box<Reject>),
    /// Because this replica is broken.
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

pub(crate) const TOO_MUCH: Corrupt = Corrupt("an order is worth more than can exist");
