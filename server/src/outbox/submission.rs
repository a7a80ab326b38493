//! A transaction on its way from a client to the outbox's disk.

use std::sync::Arc;

use tokio::sync::oneshot;
use zellbook_core::protocol::CheckedTransaction;

use super::quotas::Allowance;

/// Why a submission was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The outbox is full.
    Full { retry_after_s: u32 },
    /// The account has as many transactions in the outbox as it may.
    Quota(Allowance),
    /// The disk failed, or the replica is stopping.
    Stopped,
}

pub struct Submission {
    /// Its number in the order of arrival.
    pub sequence: u64,
    pub checked: Arc<CheckedTransaction>,
    pub element: String,
    /// Receives the time at which the transaction was stored, in Unix milliseconds.
    pub done: oneshot::Sender<u64>,
}

/// A transaction that was handed over to be stored.
pub enum Enqueued {
    /// It is stored already, since this time.
    Known(u64),
    Waiting(oneshot::Receiver<u64>),
}

impl Enqueued {
    /// Returns once the transaction is on disk, with the time of its first submission.
    pub async fn stored(self) -> Result<u64, SubmitError> {
        match self {
            Self::Known(received_ms) => Ok(received_ms),
            Self::Waiting(stored) => stored.await.map_err(|_| SubmitError::Stopped),
        }
    }
}
