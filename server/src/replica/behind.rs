//! Tells a network that has fewer batches than this replica from a gateway that lags.
//!
//! A network that was restarted from an older state of its own contradicts nothing, for as long as its history is a part
//! of ours. But what is posted then becomes part of another history. One gateway that is behind means nothing. If all of
//! them are for a while, this replica takes no more transactions, and goes on by itself once one has caught up.

use std::time::Duration;

use tokio::time::Instant;

use super::last::Last;
use crate::sequencer::Sequencer;

/// How long all gateways must be behind. A survey asks each of them for its last batch every ten seconds, so by then
/// what they claimed before has been replaced.
const BEHIND_MAX: Duration = Duration::from_secs(12);

#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Since when every gateway that was asked for its last batch had an earlier one than ours.
    since: Option<Instant>,
    is_told: bool,
}

impl Behind {
    /// Records what a gateway's last batch was.
    pub fn take(&mut self, last: &Last) {
        match last {
            Last::Ours => *self = Self::default(),
            Last::Behind(_) => {
                self.since.get_or_insert_with(Instant::now);
            }
            // No answer tells nothing, and a fork ends the replica.
            Last::Failure(_) | Last::Fork(_) => {}
        }
    }

    /// Whether [`Self::explain`] last found that the network is behind.
    pub const fn is_told(&self) -> bool {
        self.is_told
    }

    /// What the operator has to know, if the network has been behind our last batch for a while.
    pub fn explain<Q: Sequencer>(&mut self, sequencer: &Q, ours: u64) -> Option<String> {
        let is_long = self.since.is_some_and(|since| since.elapsed() >= BEHIND_MAX);
        // The gateways that were not asked for a proof lately count by their claims. A false claim can keep this
        // replica as it is, but not stop it.
        self.is_told = is_long
            && sequencer
                .gateways()
                .iter()
                .all(|gateway| gateway.finalized.is_none_or(|claimed| claimed < ours));
        self.is_told.then(|| {
            format!(
                "every gateway that answers is behind batch {ours}, over which we have the network's signature: the network lags, or it lost its history and was restarted from an older state. No transactions are accepted before it has that batch; docs/operating.md says what to do"
            )
        })
    }
}
