use thiserror::Error;

use crate::config::ConfigError;
use crate::replica::Halt;
use crate::store::StoreError;
use zellular::client::GatewayError;

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
    /// The sequenced batches halt this replica.
    #[error("{0}")]
    Halt(#[from] Halt),
}
