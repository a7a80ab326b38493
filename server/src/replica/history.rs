//! Whether the network proves another history than ours. A page that does not follow from ours may
//! just be a lie: what counts is a proof of another hash at a batch that we hold.

use zellbook_core::finality::{Page, Verifier};

use crate::sequencer::Sequencer;
use crate::store::Reader;

/// A batch at which the network proves another hash than ours.
pub(super) struct Parting {
    /// The first such batch, as far as could be asked.
    pub index: u64,
    /// The answer to `?after=` the index before it.
    pub page: Page,
}

/// Looks for a valid proof that the network's history is not ours, of which batches from `start` up to
/// `ours` are in the store.
pub(super) async fn parting<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    start: u64,
    ours: u64,
) -> Option<Parting> {
    let Hash::Other(page) = asked(sequencer, reader, verifier, ours).await? else { return None };
    let mut parting = Parting { index: ours, page };
    // By bisection, the first batch that differs; or the first that is proven to.
    let mut same = start;
    while parting.index - same > 1 {
        let middle = same + (parting.index - same) / 2;
        match asked(sequencer, reader, verifier, middle).await {
            Some(Hash::Other(page)) => parting = Parting { index: middle, page },
            Some(Hash::Ours) => same = middle,
            None => break,
        }
    }
    Some(parting)
}

/// What a gateway has at a batch.
enum Hash {
    Ours,
    /// Another hash, which the answer proves.
    Other(Page),
}

/// What the gateway has at a batch. `None` if it proves nothing.
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
