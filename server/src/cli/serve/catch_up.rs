//! Catching up from another replica before serving.

use std::path::Path;
use std::sync::Arc;

use zellbook_core::Rules;

use crate::bootstrap::{self, BootstrapError, Peer, Proofs};
use crate::cli::failure::Failure;
use crate::config::DataDir;
use crate::listen;
use crate::replica::Replica;
use crate::sequencer::Sequencer;
use crate::store::Store;

/// Creates the store from a snapshot of another replica, unless there is a store already.
pub async fn bootstrap_from<Q: Sequencer>(
    url: &str,
    data: &DataDir,
    store: &Path,
    rules: &Arc<Rules>,
    proofs: &Proofs<'_, Q>,
    bytes_max: u64,
) -> Result<(), Failure> {
    if store.exists() {
        tracing::info!("--bootstrap {url} is not needed: {} already has a state", store.display());
        return Ok(());
    }
    let peer = Peer::new(url).map_err(bootstrap_failure)?;
    let folder = data.file(bootstrap::FOLDER_NAME);
    // A stop may interrupt this anywhere. The part that was downloaded stays for the next start, and
    // everything else is removed then.
    let begun = tokio::select! {
        begun = bootstrap::from_snapshot(&peer, rules, proofs, &folder, store, bytes_max) => begun,
        () = listen::stop_signal() => return Err("stopped during --bootstrap".into()),
    };
    let position = begun.map_err(bootstrap_failure)?;
    tracing::info!("starting from the certified snapshot of batch {}", position.index);
    Ok(())
}

/// Applies the sequenced batches of another replica's log.
pub async fn catch_up_from<Q: Sequencer>(
    url: &str,
    replica: &mut Replica<Store>,
    sequencer: &Q,
) -> Result<(), Failure> {
    let peer = Peer::new(url).map_err(bootstrap_failure)?;
    // A stop takes effect only between pages, each of which is committed as a whole. The next start
    // continues there.
    let caught_up = tokio::select! {
        caught_up = bootstrap::catch_up(replica, &peer, sequencer) => caught_up,
        () = listen::stop_signal() => return Err("stopped during --bootstrap-log".into()),
    };
    let batch = caught_up.map_err(bootstrap_failure)?;
    tracing::info!("caught up to batch {batch} from the log of {url}");
    Ok(())
}

fn bootstrap_failure(error: BootstrapError) -> Failure {
    match error {
        BootstrapError::Lie { .. } => Failure::difference(error),
        BootstrapError::Halt(halt) => Failure::halted(halt),
        error => Failure::from(error),
    }
}
