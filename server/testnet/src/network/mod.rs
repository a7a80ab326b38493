//! An emulation of a Zellular network: several nodes with a leader, rounds of locks and finality with
//! real BLS signatures, changes of leader, and faults on demand. It is a test bed. Its HTTP interface
//! answers as the reference network's was captured; what happens between the nodes is made after
//! `BEHAVIOUR.md` of the vectors, and not after the reference's code.

mod election;
pub mod faults;
mod forgery;
mod gateway;
mod lie;
mod node;
mod rounds;
mod signing;

#[cfg(test)]
mod conformance;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, MissedTickBehavior, interval};
use zellbook_core::limits::BATCH_BYTES_DEFAULT;
use zellular::bls::{BlsError, BlsSecretKey};
use zellular::{NodeList, NodeListError};

pub use lie::Lie;
pub use node::Condition;
use node::{AppLog, NodeCore};
use rounds::{Nodes, Protocol, Weather};
use zellbook_server::clock::Clock;

/// How a network is made.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// The apps that are registered.
    pub apps: Vec<String>,
    /// The nodes' stakes: as many as there are nodes.
    pub stakes: Vec<u64>,
    /// The share of stake that signs, in percent.
    pub threshold_percent: u64,
    /// How often nodes exchange what is new.
    pub interval: Duration,
    /// How long a leader may say nothing before it is changed.
    pub dispute_after: Duration,
    /// How long the nodes pause for that.
    pub pause: Duration,
    /// Bytes of UTF-8 in a batch, at most.
    pub batch_bytes_max: usize,
    /// Bytes of bodies in a page, at most.
    pub page_bytes_max: usize,
    /// Bytes that the leader takes from clients in a window, at most.
    pub window_bytes_max: usize,
    /// The window.
    pub window: Duration,
    /// How often a node misses a round of signatures, in percent.
    pub late_percent: u32,
    /// What all that is random is drawn from.
    pub seed: u64,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            apps: vec!["zellbook".into()],
            stakes: vec![10; 4],
            threshold_percent: 67,
            interval: Duration::from_millis(100),
            dispute_after: Duration::from_secs(2),
            pause: Duration::from_secs(10),
            batch_bytes_max: BATCH_BYTES_DEFAULT,
            page_bytes_max: 2_500_000,
            window_bytes_max: 10_000_000,
            window: Duration::from_secs(1),
            late_percent: 10,
            seed: 0,
        }
    }
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A key that is none.
    #[error("node {0}: {1}")]
    Key(usize, BlsError),
    /// Stakes that make no network.
    #[error("{0}")]
    Nodes(#[from] NodeListError),
}

struct Shared {
    nodes: Mutex<Nodes>,
    options: NetworkOptions,
}

impl Shared {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An emulated network.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

/// A node's key, which everybody can make: it protects nothing.
fn test_key(node: usize) -> Result<BlsSecretKey, BlsError> {
    let digest = Sha256::digest(format!("zellbook devnet {node}"));
    let mut bytes = [0; 48];
    bytes[16..].copy_from_slice(&digest);
    BlsSecretKey::from_random(&bytes)
}

/// An address for a key: the first 20 bytes of SHA-256 over its coordinates.
fn id_of(key: &BlsSecretKey) -> String {
    let ([x1, x0], [y1, y0]) = key.public_key().to_decimal();
    let digest = Sha256::digest(format!("{x1} {x0} {y1} {y0}"));
    format!("0x{}", hex::encode(&digest[..20]))
}

impl Network {
    /// A network of nodes with keys that everybody can make.
    pub fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        let mut keys = Vec::new();
        for node in 0..options.stakes.len() {
            let key = test_key(node).map_err(|error| NetworkError::Key(node, error))?;
            keys.push((id_of(&key), key));
        }
        let network = Self::of_keys(options, keys);
        network.node_list(&vec![String::new(); network.len()])?;
        Ok(network)
    }

    fn of_keys(options: NetworkOptions, keys: Vec<(String, BlsSecretKey)>) -> Self {
        let now = Instant::now();
        let log = |app: &String| (app.clone(), AppLog::default());
        let nodes = keys.into_iter().zip(&options.stakes).map(|((id, key), stake)| NodeCore {
            id,
            public_key: key.public_key(),
            key,
            stake: *stake,
            condition: Condition::Up,
            is_posting: true,
            is_synced: false,
            epoch: 0,
            paused_until: None,
            heard_leader: now,
            is_pruned: false,
            side: 0,
            lie: None,
            apps: options.apps.iter().map(log).collect::<BTreeMap<_, _>>(),
            window: (now, 0),
        });
        let protocol = Protocol {
            threshold_percent: options.threshold_percent,
            dispute_after: options.dispute_after,
            pause: options.pause,
        };
        let nodes = Nodes {
            nodes: nodes.collect(),
            protocol,
            weather: Weather { late: options.late_percent, ..Weather::default() },
            rng: Rng::with_seed(options.seed),
            deceived: None,
            leader_changes: 0,
        };
        Self { shared: Arc::new(Shared { nodes: Mutex::new(nodes), options }) }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.shared.nodes().nodes.len()
    }

    /// The node list, with where each node listens.
    pub fn node_list(&self, sockets: &[String]) -> Result<NodeList, NodeListError> {
        let nodes = self.shared.nodes();
        let node = |(core, socket): (&NodeCore, &String)| zellular::Node {
            id: core.id.clone(),
            socket: socket.clone(),
            stake: core.stake,
            public_key: core.public_key,
        };
        NodeList::new(nodes.nodes.iter().zip(sockets).map(node).collect())
    }

    /// Lets the nodes work together, until the future is dropped.
    pub async fn run(&self, clock: Clock) {
        let mut tick = interval(self.shared.options.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let now = Instant::now();
            self.shared.nodes().round(now, clock.now_ms() / 1000, None);
        }
    }

    /// Whether a node is killed: then it cannot be connected to.
    pub fn is_down(&self, node: usize) -> bool {
        self.shared.nodes().nodes.get(node).is_none_or(|node| node.condition == Condition::Down)
    }

    /// How often the leader was changed.
    pub fn leader_changes(&self) -> u64 {
        self.shared.nodes().leader_changes
    }

    /// Where the nodes are, for people.
    pub fn describe(&self, app: &str) -> String {
        let nodes = self.shared.nodes();
        let now = Instant::now();
        let describe = |node: &NodeCore| {
            let log = node.log(app);
            let indexes = log.map(AppLog::indexes).unwrap_or_default();
            let condition =
                if node.is_paused(now) { "paused".into() } else { format!("{:?}", node.condition) };
            format!(
                "\n  {} {condition}, epoch {}, {} waiting, {} sequenced, {} locked, {} final{}",
                node.id.get(..8).unwrap_or_default(),
                node.epoch,
                log.map_or(0, |log| log.queue.len()),
                indexes.sequenced,
                indexes.locked,
                indexes.finalized,
                node.lie.map_or_else(String::new, |lie| format!(", lies: {lie:?}")),
            )
        };
        nodes.nodes.iter().map(describe).collect()
    }

    /// The bodies that are final on some node, in sequence: the longest such history.
    pub fn finalized(&self, app: &str) -> Vec<Arc<str>> {
        let nodes = self.shared.nodes();
        let logs = nodes.nodes.iter().filter_map(|node| node.log(app));
        let Some(log) = logs.max_by_key(|log| log.finalized_index()) else { return Vec::new() };
        let count = usize::try_from(log.finalized_index()).unwrap_or(usize::MAX);
        log.sequence.iter().take(count).map(|entry| Arc::clone(&entry.body)).collect()
    }

    /// How many batches are final.
    pub fn finalized_index(&self, app: &str) -> u64 {
        let nodes = self.shared.nodes();
        let logs = nodes.nodes.iter().filter_map(|node| node.log(app));
        logs.map(AppLog::finalized_index).max().unwrap_or_default()
    }
}
