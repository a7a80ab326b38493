//! Follows an app's finalized batches, and returns only those that are proven.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use thiserror::Error;

use super::backoff::{Backoff, jitter};
use super::error::GatewayError;
use super::gateway::GatewayFailure;
use super::network_client::NetworkClient;
use super::transport::Transport;
use super::verifier::VerifierWatch;
use crate::page::Page;
use crate::page_error::PageError;
use crate::walker::{Position, ProvenGroup, Walker};

/// The wait before the next question when nothing is new: at first, and at most.
const IDLE: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
/// The wait before the next question after a failure: at first, and at most.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Why a step of a [`Follower`] returned no batch.
#[derive(Debug, Error)]
pub enum FollowError {
    /// The gateway gave no page. The next step may ask another one.
    #[error("{0}")]
    Gateway(#[from] GatewayError),
    /// The gateway's page is not what an honest one sends. The next step asks another one.
    #[error("the gateway's page is refused: {0}")]
    Page(PageError),
    /// There is a fork: the network proved another history than the one that the follower started from. Either
    /// the start was not proven, or more of the stake than the threshold allows has signed twice.
    #[error(
        "there is a fork: after batch {after} the network proves the chaining hash {theirs}, but our history gives {ours}"
    )]
    Fork {
        /// The last batch of our history.
        after: u64,
        /// The chaining hash that our history gives for the batch after it, with the body of the network.
        ours: String,
        /// The chaining hash that the network proves for that batch.
        theirs: String,
    },
}

/// Follows an app's finalized batches from a position on.
///
/// It can be dropped at any time and resumed from [`Follower::position`]. To drop the future of
/// [`Follower::next`] or [`Follower::step`] loses no batch.
#[derive(Debug)]
pub struct Follower<T> {
    network: Arc<NetworkClient<T>>,
    verifier: VerifierWatch,
    walker: Walker,
    /// Proven groups that were not returned yet.
    ready: VecDeque<ProvenGroup>,
    // Not the position of the walker, which is ahead of it by the groups in `ready`.
    position: Position,
    rng: Rng,
}

impl<T: Transport> Follower<T> {
    pub(super) fn new(
        network: Arc<NetworkClient<T>>,
        verifier: VerifierWatch,
        from: Position,
    ) -> Self {
        Self {
            network,
            verifier,
            walker: Walker::new(from.clone()),
            ready: VecDeque::new(),
            position: from,
            rng: Rng::new(),
        }
    }

    /// Returns the position after the last batch that was returned: where to resume.
    pub const fn position(&self) -> &Position {
        &self.position
    }

    /// Waits for the next proven batches, with the signature that proves them. Retries, with other gateways,
    /// for as long as it takes; a warning in the log names each failure.
    ///
    /// # Errors
    ///
    /// Fails only if there is a fork ([`FollowError::Fork`]). The app must then stop and tell its operator.
    pub async fn next(&mut self) -> Result<ProvenGroup, FollowError> {
        let (mut idle, mut retry) = (IDLE, RETRY);
        loop {
            let wait = match self.step().await {
                Ok(Some(group)) => return Ok(group),
                Ok(None) => {
                    retry.reset();
                    idle.fail()
                }
                Err(fork @ FollowError::Fork { .. }) => return Err(fork),
                Err(error) => {
                    tracing::warn!("following the sequence failed, will retry: {error}");
                    retry.fail()
                }
            };
            // Random, so that many followers do not ask in step.
            tokio::time::sleep(jitter(wait, &mut self.rng)).await;
        }
    }

    /// Asks one gateway once. Returns the next proven batches, or `None` if nothing new is proven.
    ///
    /// # Errors
    ///
    /// Fails if the gateway failed or there is a fork. After a failed gateway, just call it again.
    pub async fn step(&mut self) -> Result<Option<ProvenGroup>, FollowError> {
        // What is proven already must not wait for a gateway.
        if let Some(group) = self.take_ready() {
            return Ok(Some(group));
        }
        let after = self.walker.after();
        // The only await of a step. Until here the follower is unchanged, so to drop the future loses no
        // batch.
        match self.network.finalized(after).await {
            Ok(Some(page)) => self.take(page)?,
            Ok(None) => {
                if let Err(error) = self.walker.take_nothing() {
                    // The next gateway may be ahead of this one, so this does not prove dishonesty.
                    self.network.report(&GatewayFailure::from(&error));
                    return Err(FollowError::Gateway(error.into()));
                }
            }
            Err(error) => {
                // The next question may go to another gateway, which must not continue unproven batches.
                self.walker.forget_pending();
                return Err(error.into());
            }
        }
        Ok(self.take_ready())
    }

    fn take(&mut self, page: Page) -> Result<(), FollowError> {
        let verifier = self.verifier.borrow().clone();
        let next = self.walker.after().saturating_add(1);
        let first = page.first_chaining_hash.clone();
        // A page that does not continue our chain is usually one gateway's lie. Only if a signature proves its
        // first hash does the network itself contradict our history.
        let (groups, error) = match self.walker.check_first(&page) {
            Err(PageError::FirstChainingHash { expected, after, .. })
                // With unproven batches held, the difference proves no fork: they may be the lie.
                if after == self.walker.proven().index && page.proves_first(&verifier, next) =>
            {
                return Err(FollowError::Fork { after, ours: expected, theirs: first });
            }
            _ => self.walker.take(&verifier, page),
        };
        self.ready.extend(groups);
        match error {
            Some(error) => {
                self.network.report(&GatewayFailure::from(&error));
                // What the page proved before its error is returned first; the error is in the log.
                if self.ready.is_empty() { Err(FollowError::Page(error)) } else { Ok(()) }
            }
            None => Ok(()),
        }
    }

    fn take_ready(&mut self) -> Option<ProvenGroup> {
        let group = self.ready.pop_front()?;
        if let Some(last) = group.batches.last() {
            self.position =
                Position { index: last.index, chaining_hash: last.chaining_hash.clone() };
        }
        Some(group)
    }
}
