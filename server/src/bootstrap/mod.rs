//! Catching up from another replica, from a state snapshot or from its log of batches.
//!
//! A snapshot is fast, but gives no history: the new replica has only the batches after it. The log gives the
//! whole history, and is for networks that no longer have their first batches.
//!
//! The other replica is not trusted: the state must be one that the replicas in genesis certified, and every
//! batch must be covered by a signature of the network.

mod download;
mod error;
mod log;
mod peer;
mod snapshot;

pub use error::BootstrapError;
pub use log::{catch_up, page_of};
pub use peer::Peer;
pub use snapshot::{FOLDER_NAME, Proofs, from_snapshot, read_snapshot};
