//! A replica in a chaos test: the real code on real SQLite databases, with links in memory. It can be killed
//! at any await point, and restarts from what is on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zellbook_core::{Rules, SecretKey};
use zellular::Verifier;

use super::ledger::{Hash, Ledger};
use super::transport::{Links, MemoryTransport};
use zellbook_server::assemble::{Assembled, Assembly, Files, assemble};
use zellbook_server::clock::Clock;
use zellbook_server::outbox::{Outbox, OutboxOptions, Progress};
use zellbook_server::published::{Published, Watch};
use zellbook_server::store::{Reader, Store};
use zellular::client::{GatewayAddress, NetworkClient};

/// What all replicas share.
pub struct Common {
    pub rules: Arc<Rules>,
    pub clock: Clock,
    pub verifier: watch::Receiver<Arc<Verifier>>,
    pub links: Arc<Links>,
    pub gateways: Vec<GatewayAddress>,
    pub ledger: Ledger,
    /// The parent of the replicas' folders.
    pub folder: PathBuf,
}

/// A replica, running or killed.
pub struct TestedReplica {
    index: usize,
    folder: PathBuf,
    key: [u8; 32],
    running: Option<Running>,
    /// The number of reposts before it was last killed.
    posted_again: u64,
}

struct Running {
    outbox: Outbox,
    watch: Watch,
    /// Tasks that return only if they fail, with the reason.
    tasks: Vec<JoinHandle<String>>,
}

impl TestedReplica {
    /// A replica that was never started.
    pub fn new(index: usize, folder: &Path, key: [u8; 32]) -> Self {
        let folder = folder.join(format!("replica-{index}"));
        Self { index, folder, key, running: None, posted_again: 0 }
    }

    /// Starts it from what is on disk.
    pub fn start(&mut self, common: &Common, rng: &mut Rng) -> Result<(), String> {
        let failure = |error: &dyn std::fmt::Display| format!("replica {}: {error}", self.index);
        std::fs::create_dir_all(&self.folder).map_err(|error| failure(&error))?;
        let (rules, files) = (&common.rules, Files::in_folder(&self.folder));
        // The first start and the restart after a kill are the same code, as in `zellbook serve`.
        let store = Store::open(&files.store, rules).map_err(|error| failure(&error))?;
        let state = store.load(rules).map_err(|error| failure(&error))?;
        let transport = MemoryTransport { links: Arc::clone(&common.links), replica: self.index };
        let app_name = &rules.genesis.app_name;
        let gateways = common.gateways.clone();
        let sequencer = Arc::new(NetworkClient::new(transport, app_name, gateways, derive(rng)));
        let assembled = assemble(Assembly {
            rules,
            files: &files,
            store,
            state,
            outbox_options: OutboxOptions {
                gather: Duration::from_millis(50),
                // Below the pause of a leader change, so that each change makes the outboxes post again.
                repost_after: Duration::from_secs(3),
                batch_bytes_max: 5120,
            },
            sequencer: Arc::clone(&sequencer),
            verifier: common.verifier.clone(),
            key: &SecretKey::from_bytes(&self.key).map_err(|error| failure(&error))?,
            clock: common.clock,
            random: derive(rng),
        })
        .map_err(|error| failure(&error))?;
        let Assembled { reader, outbox, watch, .. } = &assembled;
        let (reader, outbox, watch) = (reader.clone(), outbox.clone(), watch.clone());
        let (follow, post, compare) = assembled.into_tasks();
        let (ledger, published) = (common.ledger.clone(), watch.published.clone());
        let index = self.index;
        let tasks = vec![
            // None of these tasks may end by itself: the one that does is the failure that the test reports.
            tokio::spawn(async move { format!("it halted: {}", follow.await) }),
            tokio::spawn(async move { format!("its outbox stopped: {:?}", post.await) }),
            tokio::spawn(async move {
                compare.await;
                "its comparison with other gateways stopped".into()
            }),
            tokio::spawn(async move {
                sequencer.survey_nodes().await;
                "its survey of gateways stopped".into()
            }),
            tokio::spawn(async move { ledger.watch(index, published, reader).await }),
        ];
        self.running = Some(Running { outbox, watch, tasks });
        Ok(())
    }

    /// Drops all its tasks at their present await points.
    pub async fn kill(&mut self) {
        // The count is in the memory of the outbox, which is about to go.
        self.posted_again = self.posted_again();
        let Some(running) = self.running.take() else { return };
        // All are aborted before any is awaited: one that was still alive would run on with the others gone.
        for task in &running.tasks {
            task.abort();
        }
        for task in running.tasks {
            // Wait until the task is dropped, so that its database files are closed.
            let _ = task.await;
        }
    }

    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn outbox(&self) -> Option<Outbox> {
        self.running.as_ref().map(|running| running.outbox.clone())
    }

    pub fn progress(&self, hash: &Hash) -> Option<Progress> {
        self.running.as_ref()?.outbox.progress(hash)
    }

    /// The number of transactions in its outbox.
    pub fn waiting(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.outbox.waiting())
    }

    /// The number of reposts since the start of the test.
    pub fn posted_again(&self) -> u64 {
        let now = self.running.as_ref().map_or(0, |running| running.outbox.posted_again());
        self.posted_again + now
    }

    pub fn name(&self) -> String {
        format!("replica {}", self.index)
    }

    pub fn published(&self) -> Option<Arc<Published>> {
        self.running.as_ref().map(|running| Arc::clone(&running.watch.published.borrow()))
    }

    pub fn reader(&self, rules: &Arc<Rules>) -> Reader {
        Reader::new(&Files::in_folder(&self.folder).store, Arc::clone(rules))
    }

    /// Its state, for messages.
    pub fn describe(&self) -> String {
        let Some(running) = &self.running else { return "is killed".into() };
        let health = running.watch.health.borrow();
        let published = running.watch.published.borrow();
        let reason = health.reason.as_deref().unwrap_or("");
        format!(
            "{:?} {reason} at batch {}, {} in the outbox",
            health.state,
            published.batch,
            running.outbox.waiting()
        )
    }

    /// The reason why one of its tasks ended, if one did.
    pub async fn failure(&mut self) -> Option<String> {
        let tasks = &mut self.running.as_mut()?.tasks;
        let ended = tasks.iter().position(JoinHandle::is_finished)?;
        let reason = tasks.swap_remove(ended).await;
        let reason = reason.unwrap_or_else(|error| format!("a task panicked: {error}"));
        Some(format!("replica {}: {reason}", self.index))
    }
}

/// Derives a random generator from another, so that each part has its own and the order in which parts draw
/// does not matter.
pub fn derive(rng: &mut Rng) -> Rng {
    Rng::with_seed(rng.u64(..))
}
