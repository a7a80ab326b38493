//! The reasons for which a replica halts: it stops, keeps the evidence and shows nothing any more.

use thiserror::Error;
use zellbook_core::Corrupt;

use crate::comparison::Difference;
use crate::store::StoreError;

#[derive(Debug, Error)]
pub enum Halt {
    /// The engine found its own state to be inconsistent.
    #[error("{0}; nothing of this batch was committed")]
    Corrupt(#[from] Corrupt),
    /// The disk failed.
    #[error("a batch could not be committed: {0}")]
    Store(#[from] StoreError),
    /// The network signed a history that contradicts ours.
    #[error(
        "fork: the network signed a history that contradicts ours. Batch {index} is the first one that differs; we have batches up to {ours}, and applied none of the other history. If the network was restarted, use another --data directory"
    )]
    Fork {
        /// The first batch that differs.
        index: u64,
        /// Our last batch.
        ours: u64,
    },
    /// Two gateways serve different bodies of one batch under one chaining hash.
    #[error(
        "gateway {theirs} has another body of batch {index} than {ours}, and both have the chaining hash that the network signed. One of them is forged, and only a certified root can tell which. Compare with other replicas, remove the dishonest gateway, and run zellbook rollback"
    )]
    Bodies {
        index: u64,
        /// The gateway that our body came from.
        ours: String,
        /// The gateway with the other body.
        theirs: String,
    },
    /// Replicas certified another root than ours.
    #[error(
        "replicas with more than two thirds of the weight certified the root {certified} for batch {batch}, but ours is {ours}: either this replica or the others are wrong. The batches up to {until} are stored as evidence, and this replica no longer shows its state. If one of its gateways served a forged body, zellbook rollback returns to the last batch whose certified root is ours"
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

impl From<&Difference> for Halt {
    fn from(difference: &Difference) -> Self {
        let ours = match &*difference.our_gateway {
            "" => "the one that this replica stored",
            gateway => gateway,
        };
        let theirs = difference.their_gateway.to_string();
        Self::Bodies { index: difference.index, ours: ours.into(), theirs }
    }
}
