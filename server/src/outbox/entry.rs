//! One transaction of the outbox, while it waits and when it was given up.

use std::sync::Arc;

use tokio::time::Instant;
use zellbook_core::batch::{CheckedTransaction, Once};
use zellbook_core::key::PublicKey;
use zellbook_core::wire::Stage;

use super::lanes::Lanes;

/// A transaction's hash.
pub type Hash = [u8; 32];

/// What ends a transaction's usefulness, as far as it is in its text.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// Whose it is.
    pub account: PublicKey,
    /// Whose nonce it uses.
    pub signer: PublicKey,
    /// The nonce; an order in the guide's format has none.
    pub nonce: Option<u64>,
    /// The state's time from which on it is too late.
    pub valid_until: Option<u64>,
}

impl From<&CheckedTransaction> for Validity {
    fn from(checked: &CheckedTransaction) -> Self {
        let nonce = match checked.once {
            Once::Nonce(nonce) => Some(nonce),
            Once::Signature => None,
        };
        let CheckedTransaction { account, signer, valid_until, .. } = *checked;
        Self { account, signer, nonce, valid_until }
    }
}

/// Why a transaction was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The state's time passed its `valid_until`.
    Expired,
    /// Its nonce was used by another, or is too old.
    Superseded,
}

impl Reason {
    /// As the disk names it.
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

/// What the outbox knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// `Received`, `Posted`, `Finalized`, `Expired` or `Superseded`.
    pub stage: Stage,
    /// When it was taken.
    pub received_ms: u64,
    /// When it was last posted.
    pub posted_ms: Option<u64>,
    /// How often.
    pub posts: u32,
}

/// A transaction that waits.
#[derive(Clone, Debug)]
pub struct Entry {
    pub hash: Hash,
    pub element: Arc<str>,
    pub validity: Validity,
    pub received_ms: u64,
    pub posted_ms: Option<u64>,
    /// How often it was posted.
    pub posts: u32,
    /// When it was first and last posted since the start.
    pub first_posted: Option<Instant>,
    pub last_posted: Option<Instant>,
    /// When it is to be posted again, if it was posted.
    pub due: Option<Instant>,
    /// Who took it last.
    pub gateway: Option<Arc<str>>,
    /// Whether it is under way on its account's lane.
    pub is_under_way: bool,
    pub is_finalized: bool,
}

impl Entry {
    /// What is kept of it when it is given up.
    pub const fn ended(&self, reason: Reason) -> Ended {
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Ended { reason, received_ms, posted_ms, posts }
    }

    /// What is told of it.
    pub const fn sighting(&self) -> Sighting {
        let stage = match self {
            Self { is_finalized: true, .. } => Stage::Finalized,
            Self { posted_ms: Some(_), .. } => Stage::Posted,
            _ => Stage::Received,
        };
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Sighting { stage, received_ms, posted_ms, posts }
    }
    /// Notes that it is under way no more.
    pub fn leave(&mut self, lanes: &mut Lanes) {
        if std::mem::take(&mut self.is_under_way) {
            lanes.leave(&self.validity.account);
        }
    }
}
