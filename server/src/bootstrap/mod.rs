//! Catching up from another replica: with a snapshot that it serves, or with its log of batches. Its
//! word counts for nothing: the state must be what replicas of genesis certified, and every batch what
//! the network's nodes signed.

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

/// Why a replica could not catch up from another.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The other replica cannot be asked, or does not answer well.
    #[error("{url}: {error}")]
    Peer {
        /// Where it is.
        url: String,
        /// What happened.
        error: String,
    },
    /// What the other replica said is not so.
    #[error("{url}: {lie}; nothing of it was kept. Ask another replica")]
    Lie {
        /// Where it is.
        url: String,
        /// What is not so.
        lie: String,
    },
    /// It has nothing to start from.
    #[error("{url} has nothing to start from: {why}")]
    Nothing {
        /// Where it is.
        url: String,
        /// What is missing.
        why: String,
    },
    /// Who may sign for the network could not be found out.
    #[error("{0}")]
    Network(#[from] GatewayError),
    /// Our own disk failed.
    #[error("{0}")]
    File(#[from] ConfigError),
    /// Our own store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What was proven halts this replica.
    #[error("{0}")]
    Halt(#[from] Halt),
}
