//! The log of batches of another replica, read as the pages of a gateway are: for when the network has
//! pruned its history.

use zellbook_core::wire::{BatchBody, BatchesResponse};
use zellular::{FinalitySignature, Page, Walker};

use super::{BootstrapError, Peer};
use crate::evidence::finality_signature;
use crate::replica::Replica;
use crate::sequencer::Sequencer;
use crate::store::Storage;

/// Bytes of an answer: bodies of about 1 MB, with escapes, and a proof with each.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The batches after those that a walker has, as the page of a gateway would have them.
pub fn page_of(batches: Vec<BatchBody>, walker: &Walker) -> Result<Page, String> {
    let first_chaining_hash =
        batches.first().map_or_else(String::new, |batch| batch.chaining_hash.clone());
    let (after, proven) = (walker.after(), walker.proven().index);
    let end = after.saturating_add(u64::try_from(batches.len()).unwrap_or(u64::MAX));
    let mut signatures: Vec<FinalitySignature> = Vec::new();
    let mut bodies = Vec::with_capacity(batches.len());
    for (batch, expected) in batches.into_iter().zip(after.saturating_add(1)..) {
        if batch.index != expected.to_string() {
            let found: String = batch.index.chars().take(40).collect();
            return Err(format!(
                "batch {found} stands out of sequence, where {expected} should be"
            ));
        }
        bodies.push(batch.body);
        let signature = finality_signature(&batch.proof).map_err(|error| error.to_string())?;
        let is_new = signatures.last().is_none_or(|last| last.index < signature.index);
        if is_new && signature.index <= end && signature.index > proven {
            signatures.push(signature);
        }
    }
    let finalized_signatures = signatures.into_iter().map(Ok).collect();
    Ok(Page { batches: bodies, first_chaining_hash, finalized_signatures, is_cut: false })
}

impl Peer {
    /// The batches after an index, some of them.
    pub(super) async fn batches(&self, after: u64) -> Result<Vec<BatchBody>, BootstrapError> {
        let path = format!("/v1/batches?after={after}");
        let answer: Option<BatchesResponse> = self.get(&path, ANSWER_BYTES_MAX).await?;
        let answer = answer.ok_or_else(|| self.fault(format!("{path}: status 404")))?;
        if answer.batches.is_empty() && self.number("start", &answer.start)? > after {
            let start = answer.start;
            return Err(
                self.nothing(format!("it has no batches up to {start}: it began with a snapshot"))
            );
        }
        Ok(answer.batches)
    }
}

/// Applies all that another replica's log proves. Each page is committed, so that a later try goes on
/// from there. Returns the last batch.
pub async fn catch_up<S: Storage, Q: Sequencer>(
    replica: &mut Replica<S>,
    peer: &Peer,
    sequencer: &Q,
) -> Result<u64, BootstrapError> {
    loop {
        let batches = peer.batches(replica.walker().after()).await?;
        if batches.is_empty() {
            // The last group may not be whole yet.
            return Ok(replica.walker().proven().index);
        }
        let page = page_of(batches, replica.walker()).map_err(|lie| peer.lie(lie))?;
        let page = sequencer.admit(replica.walker().after(), page).await?;
        if let Some(error) = replica.take_page(page)? {
            return Err(peer.lie(error));
        }
        tracing::info!("batch {} from the log of another replica", replica.walker().proven().index);
    }
}
