//! Whether the network proves another history than ours. A page that does not follow from ours may
//! just be a lie: what counts is a proof of another hash at a batch that we hold.

use zellbook_core::finality::Verifier;

use super::Halt;
use crate::sequencer::Sequencer;
use crate::store::Reader;

/// Looks for a valid proof that the network's history is not ours, of which batches up to `ours` are
/// in the store.
pub(super) async fn contradiction<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    ours: u64,
) -> Option<Halt> {
    if !differs(sequencer, reader, verifier, ours).await? {
        return None;
    }
    // By bisection, the first batch that differs; or the first that is proven to.
    let (mut same, mut other) = (0, ours);
    while other - same > 1 {
        let middle = same + (other - same) / 2;
        match differs(sequencer, reader, verifier, middle).await {
            Some(true) => other = middle,
            Some(false) => same = middle,
            None => break,
        }
    }
    Some(Halt::OtherHistory { index: other, ours })
}

/// Whether the gateway proves another hash at a batch than ours. `None` if it proves nothing.
async fn differs<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    index: u64,
) -> Option<bool> {
    let ours = reader.read_now(|view| view.chaining_hash(index)).ok()??;
    let theirs = sequencer.finalized(index.checked_sub(1)?).await.ok()??;
    if theirs.first_chaining_hash == ours {
        return Some(false);
    }
    theirs.proves_first(verifier, index).then_some(true)
}
