//! One transaction in the outbox, while it waits and after it was given up.

use std::sync::Arc;

use tokio::time::Instant;
use zellbook_core::Action;
use zellbook_core::protocol::{CheckedTransaction, ReplayGuard};
use zellbook_core::wire::Stage;

use super::windows::Numbered;

pub type Hash = [u8; 32];

/// Why a transaction was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The exchange's time reached its end; or this replica's clock did, before it was posted.
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

/// What happens next to a waiting transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for its first post.
    Turn,
    /// It is too large for the network at present, and waits for its turn from this time on.
    TurnAt(Instant),
    /// It is part of a body that is being posted.
    Answer,
    /// A gateway accepted it. It waits to be seen in a batch. The numbers are those of the first and the last body
    /// that it was posted in.
    Batch { first: u64, last: u64 },
    /// It is past its end by this replica's clock and is not posted any more, but may have been before.
    Expiry,
    /// It is in a proven batch. It waits for the commit.
    Commit,
}

/// A waiting transaction.
#[derive(Clone, Debug)]
pub struct Entry {
    pub checked: Arc<CheckedTransaction>,
    pub element: Arc<str>,
    pub sequence: u64,
    pub received_ms: u64,
    pub posted_ms: Option<u64>,
    pub posts: u32,
    /// When it was first and last posted since this process started.
    pub first_posted: Option<Instant>,
    pub last_posted: Option<Instant>,
    pub next: Next,
    /// An earlier transaction of the account that it must not overtake.
    pub after: Option<u64>,
    /// The gateway that accepted it last.
    pub gateway: Option<Arc<str>>,
    /// Whether a gateway may have it. After a restart that is unknown, so it counts as true.
    pub was_handed_over: bool,
    /// Whether it occupies its account's lane.
    pub has_lane: bool,
    /// Whether it counts in the bound of what is in flight.
    pub is_counted: bool,
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

    pub fn is_urgent(&self) -> bool {
        is_urgent(&self.checked.action)
    }

    pub fn end_ms(&self) -> Option<u64> {
        end_ms(&self.checked)
    }

    pub fn numbered(&self) -> Numbered {
        Numbered {
            key: self.checked.signer,
            nonce: self.nonce(),
            sequence: self.sequence,
            is_urgent: self.is_urgent(),
        }
    }

    pub const fn ended(&self, reason: Reason) -> Ended {
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Ended { reason, received_ms, posted_ms, posts }
    }

    pub const fn progress(&self) -> Progress {
        let stage = match self {
            Self { next: Next::Commit, .. } => Stage::Sequenced,
            Self { posted_ms: Some(_), .. } => Stage::Posted,
            _ => Stage::Received,
        };
        let Self { received_ms, posted_ms, posts, .. } = *self;
        Progress { stage, received_ms, posted_ms, posts }
    }
}

/// The time from which on the exchange rejects a transaction: its `valid_until`, or the expiry of the order or session key
/// that it would make. A switch has no such end here, although it is rejected too once its time has passed: if the
/// exchange's time is behind, it still cancels orders that should be gone by then.
pub fn end_ms(checked: &CheckedTransaction) -> Option<u64> {
    let expires = match &checked.action {
        Action::Order(order) | Action::Replace { order, .. } => order.expires,
        Action::AuthorizeKey(grant) => Some(grant.expires),
        _ => None,
    };
    checked.valid_until.into_iter().chain(expires).min()
}

/// Whether a transaction goes before others: it takes risk off the book, or moves the exchange's time.
pub const fn is_urgent(action: &Action) -> bool {
    matches!(
        action,
        Action::Cancel(_)
            | Action::CancelAll { .. }
            | Action::CancelAllAfter { .. }
            | Action::Attest { .. }
    )
}
