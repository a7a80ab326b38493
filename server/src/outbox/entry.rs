//! One transaction in the outbox, while it waits and after it was given up.

use std::sync::Arc;

use tokio::time::Instant;
use zellbook_core::protocol::{CheckedTransaction, ReplayGuard};
use zellbook_core::wire::Stage;

use super::lanes::Lanes;

pub type Hash = [u8; 32];

/// Why a transaction was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The exchange's time reached its `valid_until`.
    Expired,
    /// Another transaction used its nonce, or the nonce is below the key's nonce window.
    Superseded,
}

impl Reason {
    /// The name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

/// A transaction that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub reason: Reason,
    pub received_ms: u64,
    pub posted_ms: Option<u64>,
    pub posts: u32,
}

/// How far a transaction has come, as far as the outbox knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `Received`, `Posted`, `Sequenced`, `Expired` or `Superseded`.
    pub stage: Stage,
    pub received_ms: u64,
    /// When it was last posted.
    pub posted_ms: Option<u64>,
    /// The number of times that it was posted.
    pub posts: u32,
}

/// A waiting transaction.
#[derive(Clone, Debug)]
pub struct Entry {
    pub checked: Arc<CheckedTransaction>,
    pub element: Arc<str>,
    pub received_ms: u64,
    pub posted_ms: Option<u64>,
    pub posts: u32,
    /// When it was first and last posted since this process started.
    pub first_posted: Option<Instant>,
    pub last_posted: Option<Instant>,
    /// When it is posted again; `None` while it is fresh, under way or finalized.
    pub due: Option<Instant>,
    /// The gateway that accepted it last.
    pub gateway: Option<Arc<str>>,
    /// Whether it occupies its account's lane.
    pub is_under_way: bool,
    pub is_finalized: bool,
}

impl Entry {
    pub fn hash(&self) -> Hash {
        self.checked.hash.0
    }

    /// `None` for an order in the guide's format.
    pub fn nonce(&self) -> Option<u64> {
        match self.checked.replay_guard {
            ReplayGuard::Nonce(nonce) => Some(nonce),
            ReplayGuard::Signature => None,
        }
    }

    pub const fn ended(&self, reason: Reason) -> Ended {
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Ended { reason, received_ms, posted_ms, posts }
    }

    pub const fn progress(&self) -> Progress {
        let stage = match self {
            Self { is_finalized: true, .. } => Stage::Sequenced,
            Self { posted_ms: Some(_), .. } => Stage::Posted,
            _ => Stage::Received,
        };
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Progress { stage, received_ms, posted_ms, posts }
    }

    /// Frees the place that it occupies on its account's lane.
    pub fn leave(&mut self, lanes: &mut Lanes) {
        // An entry leaves when it is finalized, overdue, taken back or removed, in any combination. Only the
        // first of these may reduce the count, or another entry of the account would lose its lane.
        if std::mem::take(&mut self.is_under_way) {
            lanes.leave(&self.checked.account);
        }
    }
}
