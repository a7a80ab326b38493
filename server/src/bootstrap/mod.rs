//! Catching up from another replica, from a state snapshot or from its log of batches.
//!
//! The other replica is not trusted: the state must be one that the replicas in genesis certified, and every
//! batch must be covered by a signature of the network.

mod download;
mod log;
mod peer;
mod snapshot;

use thiserror::Error;

use crate::config::ConfigError;
use crate::replica::Halt;
use crate::sequencer::GatewayError;
use crate::store::StoreError;

pub use log::{catch_up, page_of};
pub use peer::Peer;
pub use snapshot::{FOLDER_NAME, Proofs, from_snapshot, read_snapshot};

/// Why catching up from another replica failed.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The other replica could not be reached, or failed to respond.
    #[error("{url}: {error}")]
    Peer { url: String, error: String },
    /// The other replica sent something false.
    #[error("{url}: {lie}; nothing from it was kept. Use another replica")]
    Lie { url: String, lie: String },
    /// The other replica has nothing to start from.
    #[error("{url} has nothing to start from: {why}")]
    Nothing { url: String, why: String },
    /// The operators that may sign for the network could not be fetched.
    #[error("{0}")]
    Network(#[from] GatewayError),
    #[error("{0}")]
    File(#[from] ConfigError),
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The proven batches halt this replica.
    #[error("{0}")]
    Halt(#[from] Halt),
}
