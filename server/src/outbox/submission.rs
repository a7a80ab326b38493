//! A transaction on its way from a client to the outbox's disk.

use std::sync::Arc;

use tokio::sync::oneshot;
use zellbook_core::protocol::CheckedTransaction;

/// Why a submission was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The outbox is full.
    Full { retry_after_s: u32 },
    /// The disk failed, or the replica is stopping.
    Stopped,
}

pub struct Submission {
    pub checked: Arc<CheckedTransaction>,
    pub element: String,
    /// Receives the time at which the transaction was stored, in Unix milliseconds.
    pub done: oneshot::Sender<u64>,
}
