//! Checks a gateway's last batch.
//!
//! A network that was restarted from an older state answers "nothing new" to whoever is ahead of it, for as long as
//! its new history is shorter than ours. Its signature over the last batch tells at once: at a batch that we have, a
//! signed chaining hash other than ours is a fork. Having fewer batches is none: an honest node can be behind.

use std::sync::atomic::Ordering;

use zellular::client::GatewayFailure;
use zellular::{FinalitySignature, Page, PageError, ProofError, SignedState, Verifier};

use super::fork::{Fork, find_fork};
use crate::metrics::Counts;
use crate::sequencer::Sequencer;
use crate::store::Reader;

/// What a gateway's last batch says.
pub(super) enum Last {
    /// It does not contradict our history, and is not behind it.
    Ours,
    /// It does not contradict our history, and is behind it.
    Behind(GatewayFailure),
    Failure(GatewayFailure),
    Fork(Fork),
}

/// What is wrong with a page, with what the operator can do about it.
pub fn explained(error: &PageError) -> String {
    format!("{error}{}", advice(error))
}

fn advice(error: &PageError) -> &'static str {
    match error {
        PageError::Proof { error: ProofError::Quorum { .. }, .. } => {
            "; if the network's own threshold is lower, start with that as --threshold"
        }
        _ => "",
    }
}

/// What a page tells of the gateway that sent it.
pub(super) fn failure_of(error: &PageError) -> GatewayFailure {
    failure(explained(error), error)
}

fn failure(text: String, error: &PageError) -> GatewayFailure {
    if error.is_dishonest() {
        GatewayFailure::Dishonest(text)
    } else {
        GatewayFailure::Unavailable(text)
    }
}

/// Asks the gateway that is read from for its last batch, and compares it with our history, which is stored from
/// `start` to `ours`.
pub(super) async fn check_last<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    counts: &Counts,
    start: u64,
    ours: u64,
) -> Last {
    let last = match sequencer.last_finalized().await {
        Ok(last) => last,
        Err(error) => return Last::Failure(GatewayFailure::Unavailable(error.to_string())),
    };
    let theirs = last.as_ref().map_or(0, |last| last.index);
    if let Some(last) = last {
        let hash = last.chaining_hash.clone().unwrap_or_default();
        match verifier.verify(SignedState::Locked, &last, &hash) {
            Ok(()) => {
                // Only an index under a valid signature counts. A gateway could otherwise make this replica look far behind.
                counts.gateway_head.fetch_max(theirs, Ordering::Relaxed);
                if let Some(fork) = contradiction(sequencer, reader, verifier, start, last).await {
                    return Last::Fork(fork);
                }
            }
            // The operator list of that block arrives with the next page.
            Err(ProofError::UnknownTag(_)) => {}
            Err(error) => {
                let text =
                    format!("the signature over its last batch, {theirs}, is invalid: {error}");
                let error = PageError::Proof { index: theirs, error };
                return Last::Failure(failure(format!("{text}{}", advice(&error)), &error));
            }
        }
    }
    if theirs >= ours {
        return Last::Ours;
    }
    // Not dishonest: an honest node can be behind, or can have lost its history.
    Last::Behind(GatewayFailure::Unavailable(format!(
        "its last sequenced batch is {theirs}, but we have the network's signature over batch {ours}: it lags, or lost its history"
    )))
}

/// The fork, if a valid signature is over a batch that we have, and over another chaining hash than ours.
async fn contradiction<Q: Sequencer>(
    sequencer: &Q,
    reader: &Reader,
    verifier: &Verifier,
    start: u64,
    last: FinalitySignature,
) -> Option<Fork> {
    let index = last.index;
    // `None` for a batch that is later than ours, or before the snapshot that the state started from.
    let ours = reader.read_now(|view| view.chaining_hash(index)).ok()??;
    let theirs = last.chaining_hash.clone().filter(|theirs| *theirs != ours)?;
    // The gateway's pages may show an earlier batch that differs. Without them, this signature is proof enough.
    let earlier = find_fork(sequencer, reader, verifier, start, index).await;
    Some(earlier.unwrap_or_else(|| Fork {
        index,
        page: Page {
            // The hash at the first batch of a page is taken as it stands, so its body plays no part.
            batches: vec![String::new()],
            first_chaining_hash: theirs,
            finalized_signatures: vec![Ok(last)],
            is_cut: false,
        },
    }))
}
