//! Tells a network that has fewer batches than this replica from a gateway that lags.
//!
//! A network that was restarted from an older state of its own contradicts nothing, for as long as its history is a part
//! of ours. But what is posted then becomes part of another history. One gateway that is behind means nothing. If all of
//! them are for a while, this replica takes no more transactions, and goes on by itself once one has caught up.

use std::time::Duration;

use tokio::time::Instant;
use zellular::client::GatewayStatus;

use super::last::Last;

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
    pub fn explain(&mut self, gateways: &[GatewayStatus], ours: u64) -> Option<String> {
        let is_long = self.since.is_some_and(|since| since.elapsed() >= BEHIND_MAX);
        // The gateways that were not asked for a proof lately count by their claims. A false claim can keep this
        // replica as it is, but not stop it.
        self.is_told = is_long
            && gateways
                .iter()
                .all(|gateway| gateway.finalized.is_none_or(|claimed| claimed < ours));
        self.is_told.then(|| {
            format!(
                "every gateway that answers is behind batch {ours}, which the network has signed: the network is late, or it lost its history and was restarted from an older state. This replica accepts no transactions until the network has that batch; docs/operating.md says what operators do"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use zellular::client::GatewayFailure;

    use super::*;

    /// Gateways by the last batch that each claims to have; `None` for one that does not answer.
    fn gateways<const N: usize>(claims: [Option<u64>; N]) -> Vec<GatewayStatus> {
        let gateway = |finalized| GatewayStatus {
            url: String::new(),
            is_read_from: false,
            is_posted_to: false,
            is_leader: false,
            finalized,
            lags: false,
            failures: 0,
            dishonest_answers: 0,
            last_failure: None,
        };
        claims.map(gateway).into()
    }

    fn is_behind() -> Last {
        Last::Behind(GatewayFailure::Unavailable(String::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_network_is_behind_once_all_gateways_are_for_a_while() {
        let mut behind = Behind::default();
        let all = gateways([Some(6), None, Some(5)]);
        behind.take(&is_behind());
        assert_eq!(behind.explain(&all, 7), None, "a gateway may lag for a moment");
        tokio::time::advance(BEHIND_MAX).await;
        behind.take(&Last::Failure(GatewayFailure::Unavailable(String::new())));
        let reason = behind.explain(&all, 7).unwrap();
        assert!(reason.contains("batch 7") && behind.is_told(), "{reason}");
        behind.take(&Last::Ours);
        assert!(!behind.is_told() && behind.explain(&all, 7).is_none());
        behind.take(&is_behind());
        assert_eq!(behind.explain(&all, 7), None, "the time begins again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_is_behind_changes_nothing_while_another_is_not() {
        let mut behind = Behind::default();
        behind.take(&is_behind());
        tokio::time::advance(BEHIND_MAX * 10).await;
        assert_eq!(behind.explain(&gateways([Some(6), Some(7)]), 7), None);
        assert!(!behind.is_told());
        // Another one that was asked has the batch, so the time begins again with the next that is behind.
        behind.take(&Last::Ours);
        behind.take(&is_behind());
        tokio::time::advance(BEHIND_MAX / 2).await;
        assert_eq!(behind.explain(&gateways([Some(6), None]), 7), None);
    }
}
