//! A replica of the simulation: the real one, on real SQLite, with links in memory. It can be killed at
//! any await, and is started again from what is on its disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use zellbook_core::genesis::Rules;
use zellbook_core::key::SecretKey;
use zellular::Verifier;

use super::ledger::{Hash, Ledger};
use super::transport::{Links, MemoryTransport};
use zellbook_server::attester::{Attester, replica_index};
use zellbook_server::clock::Clock;
use zellbook_server::outbox::{Outbox, OutboxOptions, OutboxParts, Progress};
use zellbook_server::published::{Published, Watch};
use zellbook_server::replica::{Parts, Replica};
use zellbook_server::sequencer::{GatewayAddress, Zellular};
use zellbook_server::store::{Reader, Store};

/// What all replicas have in common.
pub struct Common {
    /// The rules.
    pub rules: Arc<Rules>,
    /// The one clock.
    pub clock: Clock,
    /// Checks proofs.
    pub verifier: watch::Receiver<Arc<Verifier>>,
    /// The links to the nodes.
    pub links: Arc<Links>,
    /// Where the nodes are.
    pub gateways: Vec<GatewayAddress>,
    /// What was accepted.
    pub ledger: Ledger,
    /// A folder for each replica is made in it.
    pub folder: PathBuf,
}

/// A replica, running or not.
pub struct TestedReplica {
    place: usize,
    folder: PathBuf,
    key: [u8; 32],
    running: Option<Running>,
    /// How many transactions it posted again, in its lives before.
    posted_again: u64,
}

struct Running {
    outbox: Outbox,
    watch: Watch,
    /// Those that end only in failure, which they name.
    tasks: Vec<JoinHandle<String>>,
}

impl TestedReplica {
    /// A replica that was never started.
    pub fn new(place: usize, folder: &Path, key: [u8; 32]) -> Self {
        let folder = folder.join(format!("replica-{place}"));
        Self { place, folder, key, running: None, posted_again: 0 }
    }

    /// Starts it from its disk.
    pub fn start(&mut self, common: &Common, rng: &mut Rng) -> Result<(), String> {
        let fault = |error: &dyn std::fmt::Display| format!("replica {}: {error}", self.place);
        std::fs::create_dir_all(&self.folder).map_err(|error| fault(&error))?;
        let rules = &common.rules;
        let path = self.folder.join("replica.sqlite");
        let store = Store::open(&path, rules).map_err(|error| fault(&error))?;
        let state = store.load(rules).map_err(|error| fault(&error))?;
        let reader = Reader::new(&path, Arc::clone(rules));
        let posted = Arc::new(Notify::new());
        let options = OutboxOptions {
            gather: Duration::from_millis(50),
            repost_after: Duration::from_secs(3),
            batch_bytes_max: 5120,
        };
        let (outbox, outbox_task) = Outbox::open(OutboxParts {
            path: &self.folder.join("outbox.sqlite"),
            rules,
            store: reader.clone(),
            options,
            posted: Arc::clone(&posted),
            clock: common.clock,
            random: fork(rng),
        })
        .map_err(|error| fault(&error))?;
        let transport = MemoryTransport { links: Arc::clone(&common.links), replica: self.place };
        let app_name = &rules.genesis.app_name;
        let gateways = common.gateways.clone();
        let sequencer = Arc::new(Zellular::new(transport, app_name, gateways, fork(rng)));
        let key = SecretKey::from_bytes(&self.key).map_err(|error| fault(&error))?;
        let (replica, watch) = Replica::new(Parts {
            state,
            storage: store,
            reader: reader.clone(),
            verifier: common.verifier.clone(),
            outbox: outbox.clone(),
            replica_index: replica_index(rules, &key),
            evidence: self.folder.clone(),
            clock: common.clock,
            random: fork(rng),
        })
        .map_err(|error| fault(&error))?;
        let attester = Attester::new(Arc::clone(rules), key, &watch, common.clock, fork(rng));
        let follow = replica.follow(Arc::clone(&sequencer), posted);
        let published = watch.published.clone();
        let post = outbox_task.run(
            Arc::clone(&sequencer),
            published,
            watch.health.clone(),
            Some(attester),
        );
        let (ledger, published) = (common.ledger.clone(), watch.published.clone());
        let place = self.place;
        let tasks = vec![
            tokio::spawn(async move { format!("it halted: {}", follow.await) }),
            tokio::spawn(async move { format!("its outbox ended: {:?}", post.await) }),
            tokio::spawn(async move {
                sequencer.keep_surveyed().await;
                "its survey ended".into()
            }),
            tokio::spawn(async move { ledger.watch(place, published, reader).await }),
        ];
        self.running = Some(Running { outbox, watch, tasks });
        Ok(())
    }

    /// Drops all of it where it stands.
    pub async fn kill(&mut self) {
        self.posted_again = self.posted_again();
        let Some(running) = self.running.take() else { return };
        for task in &running.tasks {
            task.abort();
        }
        for task in running.tasks {
            // Its files are closed when it is gone.
            let _ = task.await;
        }
    }

    /// Whether it runs.
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Its outbox, while it runs.
    pub fn outbox(&self) -> Option<Outbox> {
        self.running.as_ref().map(|running| running.outbox.clone())
    }

    /// What its outbox knows of a transaction, while it runs.
    pub fn progress(&self, hash: &Hash) -> Option<Progress> {
        self.running.as_ref()?.outbox.progress(hash)
    }

    /// How many transactions wait in its outbox.
    pub fn waiting(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.outbox.len())
    }

    /// How many transactions it posted again.
    pub fn posted_again(&self) -> u64 {
        let now = self.running.as_ref().map_or(0, |running| running.outbox.posted_again());
        self.posted_again + now
    }

    /// What it is called.
    pub fn name(&self) -> String {
        format!("replica {}", self.place)
    }

    /// Its last commit.
    pub fn published(&self) -> Option<Arc<Published>> {
        self.running.as_ref().map(|running| Arc::clone(&running.watch.published.borrow()))
    }

    /// Its store, to read.
    pub fn reader(&self, rules: &Arc<Rules>) -> Reader {
        Reader::new(&self.folder.join("replica.sqlite"), Arc::clone(rules))
    }

    /// What it is doing, for people.
    pub fn describe(&self) -> String {
        let Some(running) = &self.running else { return "is killed".into() };
        let health = running.watch.health.borrow();
        let published = running.watch.published.borrow();
        let reason = health.reason.as_deref().unwrap_or("");
        format!(
            "{:?} {reason} at batch {}, {} in the outbox",
            health.state,
            published.batch,
            running.outbox.len()
        )
    }

    /// Why a part of it ended by itself, if one did.
    pub async fn failure(&mut self) -> Option<String> {
        let tasks = &mut self.running.as_mut()?.tasks;
        let ended = tasks.iter().position(JoinHandle::is_finished)?;
        let reason = tasks.swap_remove(ended).await;
        let reason = reason.unwrap_or_else(|error| format!("a part of it panicked: {error}"));
        Some(format!("replica {}: {reason}", self.place))
    }
}

/// A generator that is drawn from another.
pub fn fork(rng: &mut Rng) -> Rng {
    Rng::with_seed(rng.u64(..))
}
