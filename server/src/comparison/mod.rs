//! Compares the bodies that this replica applies with those of another gateway.
//!
//! The network signs a chain of xxh128 over the bodies. xxh128 is no cryptographic hash: whoever chooses a part of
//! a body can make two bodies with one hash. So a gateway can show one replica another body under a valid
//! signature, and no check of signatures can tell. What can tell is the SHA-256 of the body that another gateway
//! serves. A task asks for it in the background, so that no batch waits for it. Each batch is compared once, as
//! soon as both sides have it: before it is applied if the other gateway was first, else after.
//!
//! A difference does not show which of the two bodies was sequenced, so the replica trusts neither and halts, unless
//! replicas have certified its own. With a single gateway nothing is compared; then only certification tells.

mod window;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use zellular::client::{Backoff, GatewayFailure};
use zellular::{Page, Position, ProvenBatch};

use crate::metrics::Counts;
use crate::sequencer::Sequencer;
use crate::store::{QueryError, Reader};

pub use window::Difference;
use window::{Question, Window};

/// The shortest time between two requests. A page has all batches of that time.
const PACE: Duration = Duration::from_millis(250);
/// The time between two requests while this replica catches up faster than another gateway can be read. It
/// leaves the bandwidth to the pages that are applied.
const SAMPLE_PACE: Duration = Duration::from_secs(2);
/// The waits after an answer without use.
const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
/// The most batches of an earlier process that are compared.
const STORED_MAX: u64 = 1024;
/// Bodies are read from the store in chunks of about this size.
const CHUNK_BYTES: usize = 1 << 20;

/// The comparison, as the replica and the task that asks other gateways share it.
#[derive(Clone)]
pub struct Comparison {
    window: Arc<Mutex<Window>>,
    /// Notified when a batch of ours waits.
    waits: Arc<Notify>,
    found: mpsc::Sender<Difference>,
    counts: Arc<Counts>,
}

/// The differences that the task found.
pub struct Differences {
    receiver: mpsc::Receiver<Difference>,
    found: Option<Difference>,
}

impl Differences {
    /// Waits for a future, or for a difference. After `None`, [`Self::take`] has the difference.
    pub async fn interrupt<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            Some(difference) = self.receiver.recv() => {
                self.found = Some(difference);
                None
            }
            result = future => Some(result),
        }
    }

    /// Whether [`Self::take`] has a difference.
    pub fn are_found(&mut self) -> bool {
        self.found = self.take();
        self.found.is_some()
    }

    pub fn take(&mut self) -> Option<Difference> {
        self.found.take().or_else(|| self.receiver.try_recv().ok())
    }
}

impl Comparison {
    /// Starts after the last certified batch, which needs no comparison, or at most 1,024 batches before
    /// `position`, which is the last stored one.
    pub fn resume(
        reader: &Reader,
        position: &Position,
        counts: Arc<Counts>,
    ) -> Result<(Self, Differences), QueryError> {
        let window = reader.read_now(|view| {
            let certified = view.certified_batch()?.unwrap_or(0);
            let first = certified.max(position.index.saturating_sub(STORED_MAX)).max(view.start()?);
            let chaining_hash = view.chaining_hash(first)?.unwrap_or_default();
            let mut window = Window::new(Position { index: first, chaining_hash });
            // Which gateway an earlier process read them from is not stored.
            let unknown = Arc::from("");
            let mut after = first;
            while after < position.index {
                let batches = view.batches(after, CHUNK_BYTES)?;
                if batches.is_empty() {
                    break;
                }
                for (batch, index) in batches.into_iter().zip(after.saturating_add(1)..) {
                    let (body, chaining_hash) = (batch.body, batch.chaining_hash);
                    window.take_ours(&ProvenBatch { index, body, chaining_hash }, &unknown);
                    after = index;
                }
            }
            Ok(window)
        })?;
        // One is enough: the replica halts at the first.
        let (found, receiver) = mpsc::channel(1);
        let window = Arc::new(Mutex::new(window));
        let waits = Arc::new(Notify::new());
        // Batches of an earlier process may wait already.
        waits.notify_one();
        let comparison = Self { window, waits, found, counts };
        Ok((comparison, Differences { receiver, found: None }))
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Never held over an await. After a panic elsewhere at worst a batch is compared twice.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes batches that are about to be applied. Returns the other gateway's body if it is known and differs.
    pub fn take(&self, batches: &[ProvenBatch], gateway: &Arc<str>) -> Option<Difference> {
        let mut window = self.window();
        let found = batches.iter().find_map(|batch| window.take_ours(batch, gateway));
        self.counts.compared_batch.store(window.compared(), Ordering::Relaxed);
        drop(window);
        self.waits.notify_one();
        found
    }

    /// Asks other gateways for what this replica applies, until it is dropped.
    pub async fn run<Q: Sequencer>(self, sequencer: Arc<Q>) {
        let mut retry = RETRY;
        loop {
            let question = self.window().question();
            let Some(question) = question else {
                // `Notify` remembers a batch that came since the window was looked at.
                self.waits.notified().await;
                continue;
            };
            let asked = sequencer.finalized_elsewhere(question.after.index, &question.except);
            // No other gateway, one that has not these batches yet, and one that failed are all of no use. The client
            // has noted a failure, and chooses again next time.
            let is_of_use = match asked.await {
                Ok(Some((gateway, Some(page)))) => {
                    self.take_page(&*sequencer, &question, &gateway, page).await
                }
                _ => false,
            };
            let pause = match (is_of_use, question.is_behind) {
                (false, _) => retry.fail(),
                (true, true) => SAMPLE_PACE,
                (true, false) => PACE,
            };
            if is_of_use {
                retry.reset();
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns whether the page was of use.
    async fn take_page<Q: Sequencer>(
        &self,
        sequencer: &Q,
        question: &Question,
        gateway: &Arc<str>,
        page: Page,
    ) -> bool {
        let before = self.window().compared();
        let (result, compared) = {
            let mut window = self.window();
            (window.take_theirs(question, gateway, page), window.compared())
        };
        self.counts.compared_batch.store(compared, Ordering::Relaxed);
        match result {
            Ok(None) => compared > before,
            Ok(Some(difference)) => {
                // Fails only if the replica has stopped.
                let _ = self.found.send(difference).await;
                true
            }
            Err(error) => {
                // The gateway is not called dishonest. An honest node can have lost its history, and nothing is checked
                // against a signature.
                sequencer.fails(gateway, GatewayFailure::Unavailable(error));
                false
            }
        }
    }
}
