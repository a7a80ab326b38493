//! The reasons for which a replica halts: it stops, keeps the evidence and shows nothing any more.

use thiserror::Error;
use zellbook_core::Corrupt;

use crate::store::StoreError;

#[derive(Debug, Error)]
pub enum Halt {
    /// The engine found its own state to be inconsistent.
    #[error("{0}; nothing of this batch was committed")]
    Corrupt(#[from] Corrupt),
    /// The disk failed.
    #[error("a batch could not be committed: {0}")]
    Store(#[from] StoreError),
    /// The network proved a history that contradicts ours.
    #[error(
        "fork: the network proves a history that contradicts ours. Batch {index} is the first one that differs; we have batches up to {ours}, and applied none of the other history. If the network was restarted, use another --data directory"
    )]
    Fork {
        /// The first batch that differs.
        index: u64,
        /// Our last batch.
        ours: u64,
    },
    /// Replicas certified another root than ours.
    #[error(
        "replicas with more than two thirds of the weight certified the root {certified} for batch {batch}, but ours is {ours}: either this replica or the others are wrong. The batches up to {until} are stored as evidence, and this replica no longer shows its state"
    )]
    Certified {
        batch: u64,
        /// Our root, in hex.
        ours: String,
        /// The certified root, in hex.
        certified: String,
        /// The batch that completed the certification.
        until: u64,
    },
}
