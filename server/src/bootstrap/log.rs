//! Catches up from another replica's log of batches, for networks that have pruned their history.
//!
//! The replica's responses are turned into pages like those of a gateway, so that the same code checks
//! them: a batch counts only if the network's signature covers it.

use zellbook_core::wire::{BatchBody, BatchesResponse};
use zellular::{FinalitySignature, Page, Walker};

use super::error::BootstrapError;
use super::peer::Peer;
use crate::evidence::finality_signature;
use crate::replica::Replica;
use crate::sequencer::Sequencer;
use crate::store::Storage;

/// The longest response: bodies of about 1 MB with JSON escapes, and a proof for each batch.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Turns batches of a replica's log into a page that continues after the walker's position.
pub fn page_of(batches: Vec<BatchBody>, walker: &Walker) -> Result<Page, String> {
    // The walker compares this claim with a hash of its own, so a page that does not continue our chain is
    // refused at its first batch.
    let first_chaining_hash =
        batches.first().map_or_else(String::new, |batch| batch.chaining_hash.clone());
    let (after, proven) = (walker.after(), walker.proven().index);
    let end = after.saturating_add(u64::try_from(batches.len()).unwrap_or(u64::MAX));
    let mut signatures: Vec<FinalitySignature> = Vec::new();
    let mut bodies = Vec::with_capacity(batches.len());
    for (batch, expected) in batches.into_iter().zip(after.saturating_add(1)..) {
        // The walker counts the batches itself. Without this check, a missing batch would look like a wrong
        // signature.
        if batch.index != expected.to_string() {
            let found: String = batch.index.chars().take(40).collect();
            return Err(format!(
                "batch {found} is out of sequence: batch {expected} should follow"
            ));
        }
        bodies.push(batch.body);
        let signature = finality_signature(&batch.proof).map_err(|error| error.to_string())?;
        // Each batch comes with the signature over its group. So the same signature comes many times, and
        // the last one may be over a batch that this response does not include. The walker would refuse
        // both.
        let is_new = signatures.last().is_none_or(|last| last.index < signature.index);
        if is_new && signature.index <= end && signature.index > proven {
            signatures.push(signature);
        }
    }
    let finalized_signatures = signatures.into_iter().map(Ok).collect();
    Ok(Page { batches: bodies, first_chaining_hash, finalized_signatures, is_cut: false })
}

impl Peer {
    /// The next batches after an index.
    pub(super) async fn batches(&self, after: u64) -> Result<Vec<BatchBody>, BootstrapError> {
        let path = format!("/v1/batches?after={after}");
        let answer: Option<BatchesResponse> = self.get(&path, ANSWER_BYTES_MAX).await?;
        let answer = answer.ok_or_else(|| self.failure(format!("{path}: HTTP status 404")))?;
        // Whether or not it has later batches: those do not continue the chain from `after`, and an honest
        // replica must not look like one that leaves batches out.
        if self.number("start", &answer.start)? > after {
            let start: String = answer.start.chars().take(40).collect();
            return Err(self.nothing(format!(
                "it started from a snapshot and has only the batches after {start}"
            )));
        }
        Ok(answer.batches)
    }
}

/// Applies all sequenced batches of another replica's log, and returns the last one. Every page is committed,
/// so that a later try continues from there.
pub async fn catch_up<S: Storage, Q: Sequencer>(
    replica: &mut Replica<S>,
    peer: &Peer,
    sequencer: &Q,
) -> Result<u64, BootstrapError> {
    // This ends even if the peer sends batches for ever without a signature: the walker refuses a page once
    // it would hold too many bytes without a signature.
    loop {
        let batches = peer.batches(replica.walker().after()).await?;
        if batches.is_empty() {
            // The last group may be incomplete, so the last sequenced batch may not be the last one read. What
            // no signature covers may be false, and an honest gateway could not continue it.
            replica.forget_pending();
            return Ok(replica.walker().proven().index);
        }
        let page = page_of(batches, replica.walker()).map_err(|lie| peer.lie(lie))?;
        let page = sequencer.admit(replica.walker().after(), page).await?;
        // The batches before the lie stay applied, because signatures of the network cover them, whoever
        // sent them.
        if let Some(error) = replica.take_page(page)? {
            return Err(peer.unproven(&error));
        }
        tracing::info!(
            "applied up to batch {} from the log of another replica",
            replica.walker().proven().index
        );
    }
}
