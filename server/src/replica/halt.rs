//! Why a replica stops for good.

use thiserror::Error;
use zellbook_core::event::Corrupt;

use crate::store::StoreError;

/// Why a replica stops for good.
#[derive(Debug, Error)]
pub enum Halt {
    /// The state is broken.
    #[error("{0}; nothing of this batch was committed")]
    Corrupt(#[from] Corrupt),
    /// The disk failed.
    #[error("a batch could not be committed: {0}")]
    Store(#[from] StoreError),
    /// A valid proof of another history than ours.
    #[error(
        "the network proves a history that contradicts ours: batch {index} is the first that differs, and we hold up to {ours}; nothing of theirs was applied. Was the network started anew? Then use another --data directory"
    )]
    OtherHistory {
        /// The first batch that differs.
        index: u64,
        /// The last batch that we hold.
        ours: u64,
    },
    /// Replicas certified another root than ours.
    #[error(
        "replicas of more than two thirds of the weight certified the root {certified} of batch {batch}, but ours is {ours}: this replica or they went wrong. The batches up to {until} are kept as evidence, and nothing is shown any more"
    )]
    Certified {
        /// The batch.
        batch: u64,
        /// Our root, in hex.
        ours: String,
        /// Theirs, in hex.
        certified: String,
        /// The batch in which they did.
        until: u64,
    },
}
