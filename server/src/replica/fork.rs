//! Finds out whether there is a fork: whether the network signed another history than ours.
//!
//! A page that does not continue our chain may simply be a lie of one gateway, so it does not count. What
//! counts is a valid signature that leads to another chaining hash at a batch that we have. The first such
//! batch is found by bisection, since a chaining hash commits to all batches before it.

use zellular::{Page, Verifier};

use crate::sequencer::Sequencer;
use crate::store::Reader;

/// A batch at which the network signed another chaining hash than ours.
pub(super) struct Fork {
    /// The first such batch for which a gateway showed a signature.
    pub index: u64,
    /// The gateway's page that starts with this batch.
    pub page: Page,
}

/// Looks for a fork between the batches `start` and `ours`, which are in the store.
pub(super) async fn find_fork<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    start: u64,
    ours: u64,
) -> Option<Fork> {
    let Hash::Other(page) = asked(sequencer, reader, verifier, ours).await? else { return None };
    let mut fork = Fork { index: ours, page };
    // Batches up to the start are not stored, so a fork before it would be reported as one at the next batch.
    let mut same = start;
    while fork.index - same > 1 {
        let middle = same + (fork.index - same) / 2;
        match asked(sequencer, reader, verifier, middle).await {
            Some(Hash::Other(page)) => fork = Fork { index: middle, page },
            // No signature is checked here. A lie here can only lead to a later batch, at which the page is a
            // proof all the same.
            Some(Hash::Ours) => same = middle,
            // The fork that was found so far is signed. Without more answers only its first batch is less
            // exact.
            None => break,
        }
    }
    Some(fork)
}

/// The chaining hash of a gateway at a batch.
enum Hash {
    Ours,
    /// Another hash, which a signature of the page covers.
    Other(Page),
}

/// Asks the gateway for its chaining hash at a batch. `None` if no signature covers one.
async fn asked<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    index: u64,
) -> Option<Hash> {
    let ours = reader.read_now(|view| view.chaining_hash(index)).ok()??;
    let theirs = sequencer.finalized(index.checked_sub(1)?).await.ok()??;
    if theirs.first_chaining_hash == ours {
        return Some(Hash::Ours);
    }
    theirs.proves_first(verifier, index).then_some(Hash::Other(theirs))
}
