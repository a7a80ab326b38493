//! What clients know: which transactions an outbox accepted, when, and when they were applied.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use zellbook_core::batch::CheckedTransaction;

use zellbook_server::published::Published;
use zellbook_server::store::Reader;

/// The hash of a transaction.
pub type Hash = [u8; 32];

/// A transaction that a client was told is accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The transaction.
    pub checked: CheckedTransaction,
    /// The replica whose outbox it was.
    pub replica: usize,
    /// When it was submitted.
    pub submitted: Instant,
    /// How long until that replica had its outcome.
    pub latency: Option<Duration>,
}

/// What clients know, shared.
#[derive(Clone, Default)]
pub struct Ledger {
    accepted: Arc<Mutex<BTreeMap<Hash, Accepted>>>,
}

impl Ledger {
    /// All that was accepted.
    pub fn accepted(&self) -> MutexGuard<'_, BTreeMap<Hash, Accepted>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client was told so.
    pub fn accept(&self, checked: CheckedTransaction, replica: usize, submitted: Instant) {
        let hash = checked.hash.0;
        let accepted = Accepted { checked, replica, submitted, latency: None };
        self.accepted().entry(hash).or_insert(accepted);
    }

    /// Notes when a replica has the outcomes of what it accepted; until it ends, which is a failure.
    pub async fn watch(
        &self,
        replica: usize,
        mut published: watch::Receiver<Arc<Published>>,
        reader: Reader,
    ) -> String {
        loop {
            let waits =
                |accepted: &Accepted| accepted.replica == replica && accepted.latency.is_none();
            let pending: Vec<Hash> = {
                let accepted = self.accepted();
                accepted.iter().filter(|(_, it)| waits(it)).map(|(hash, _)| *hash).collect()
            };
            let known = match reader.read_now(|view| view.known_transactions(&pending)) {
                Ok(known) => known,
                Err(error) => return format!("its store cannot be read: {error}"),
            };
            {
                let mut accepted = self.accepted();
                for hash in pending.iter().filter(|hash| known.contains(*hash)) {
                    if let Some(it) = accepted.get_mut(hash) {
                        it.latency = Some(it.submitted.elapsed());
                    }
                }
            }
            if published.changed().await.is_err() {
                return "it ended".into();
            }
        }
    }

    /// Half of the latencies are below the first, 99 of 100 below the second, all at most the third.
    pub fn latencies(&self) -> (Duration, Duration, Duration) {
        let mut all: Vec<Duration> =
            self.accepted().values().filter_map(|accepted| accepted.latency).collect();
        all.sort();
        let at = |percent: usize| {
            let position = (all.len() * percent / 100).min(all.len().saturating_sub(1));
            all.get(position).copied().unwrap_or_default()
        };
        (at(50), at(99), at(100))
    }
}
