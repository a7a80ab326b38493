//! What the clients know: which transactions an outbox accepted, when, and when they had an outcome.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use zellbook_core::protocol::CheckedTransaction;

use zellbook_server::published::Published;
use zellbook_server::store::Reader;

pub type Hash = [u8; 32];

/// A transaction that an outbox accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub checked: CheckedTransaction,
    /// The replica whose outbox accepted it.
    pub replica: usize,
    pub submitted: Instant,
    /// The time until that replica had its outcome.
    pub latency: Option<Duration>,
}

#[derive(Clone, Default)]
pub struct Ledger {
    // Ordered, because the order of a hash map differs from run to run, and the seed must decide everything.
    accepted: Arc<Mutex<BTreeMap<Hash, Accepted>>>,
}

impl Ledger {
    pub fn accepted(&self) -> MutexGuard<'_, BTreeMap<Hash, Accepted>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a replica accepted a transaction.
    pub fn accept(&self, checked: CheckedTransaction, replica: usize, submitted: Instant) {
        let hash = checked.hash.0;
        let accepted = Accepted { checked, replica, submitted, latency: None };
        self.accepted().entry(hash).or_insert(accepted);
    }

    /// Records when a replica has the outcomes of the transactions that it accepted. Returns only if the
    /// replica fails, with the reason.
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
            // What is accepted after its own batch was published is found at the next change.
            let known = match reader.read_now(|view| view.known_transactions(&pending)) {
                Ok(known) => known,
                Err(error) => return format!("reading its store failed: {error}"),
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
                return "it stopped unexpectedly".into();
            }
        }
    }

    /// The median, the 99th percentile and the maximum of all latencies.
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
