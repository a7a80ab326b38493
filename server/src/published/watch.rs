//! The receiving ends of everything that a replica publishes.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use zellbook_core::wire::ReplicaState;

use super::update::Update;
use super::view::Published;
use crate::metrics::Counts;
use crate::prover::Prover;

#[derive(Clone, Debug)]
pub struct Health {
    pub state: ReplicaState,
    /// Why the replica does not follow the sequencer, if it does not.
    pub reason: Option<String>,
    /// Whether all gateways have had fewer batches than this replica for a while, so that what is posted may become part
    /// of another history.
    pub network_is_behind: bool,
}

impl Health {
    /// Of a replica without a problem.
    pub const fn new(state: ReplicaState) -> Self {
        Self { state, reason: None, network_is_behind: false }
    }
}

/// What the rest of the process sees of the replica.
#[derive(Clone)]
pub struct Watch {
    pub published: watch::Receiver<Arc<Published>>,
    pub health: watch::Receiver<Health>,
    /// Sends every commit.
    pub feed: broadcast::Sender<Arc<Update>>,
    pub prover: Prover,
    pub counts: Arc<Counts>,
}
