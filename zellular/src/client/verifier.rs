//! The current verifier of a network.

use std::sync::Arc;

use tokio::sync::watch;

use crate::proof::Verifier;

/// The verifier as it is now: on networks that keep their operators on a chain it changes as they do.
pub type VerifierWatch = watch::Receiver<Arc<Verifier>>;

/// Returns a verifier that never changes, for a network with a fixed node list.
pub fn fixed(verifier: Verifier) -> VerifierWatch {
    // A receiver keeps its last value after the sender is gone.
    watch::channel(Arc::new(verifier)).1
}
