//! A transaction on its way from a client to the outbox's disk.

use tokio::sync::oneshot;

use super::entry::{Hash, Validity};

/// Why a submission was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The outbox is full.
    Full { retry_after_s: u32 },
    /// The disk failed, or the replica is stopping.
    Stopped,
}

pub struct Submission {
    pub hash: Hash,
    pub element: String,
    pub validity: Validity,
    /// Receives the time at which the transaction was stored, in Unix milliseconds.
    pub done: oneshot::Sender<u64>,
}
