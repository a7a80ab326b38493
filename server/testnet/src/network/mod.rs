//! An emulation of a Zellular network, for tests: several nodes with a leader, rounds of locks and finality
//! with real BLS signatures, leader changes, and fault injection.
//!
//! The HTTP interface responds like the captured reference network. What happens between the nodes follows
//! the description in `BEHAVIOUR.md` of the vectors, not the code of the reference.

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
use zellbook_core::types::limits::BATCH_BYTES_DEFAULT;
use zellular::bls::{BlsError, BlsSecretKey};
use zellular::{NodeList, NodeListError};

pub use lie::Lie;
pub use node::Condition;
use node::{AppLog, NodeCore};
use rounds::{Nodes, Protocol, Weather};
use zellbook_server::clock::Clock;

#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// The registered apps.
    pub apps: Vec<String>,
    /// The stake of each node.
    pub stakes: Vec<u64>,
    /// The percentage of the stake that must sign.
    pub threshold_percent: u64,
    /// The time between two rounds, in which nodes exchange what is new.
    pub interval: Duration,
    /// How long a leader may be silent before the nodes replace it.
    pub dispute_after: Duration,
    /// How long the nodes pause for a leader change.
    pub pause: Duration,
    /// The maximum length of a batch.
    pub batch_bytes_max: usize,
    /// The maximum length of all bodies of a page.
    pub page_bytes_max: usize,
    /// The most bytes that the leader accepts from clients in one `window`.
    pub window_bytes_max: usize,
    pub window: Duration,
    /// The probability that a node misses a round of signatures, in percent.
    pub late_percent: u32,
    /// The seed of all randomness.
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
            // As observed on the reference network: a change of leader refuses posts for about 10 s.
            pause: Duration::from_secs(10),
            batch_bytes_max: BATCH_BYTES_DEFAULT,
            // What the reference allows with four nodes.
            page_bytes_max: 2_500_000,
            window_bytes_max: 10_000_000,
            window: Duration::from_secs(1),
            late_percent: 10,
            seed: 0,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("the key of node {0}: {1}")]
    Key(usize, BlsError),
    /// The stakes do not make a valid node list.
    #[error("{0}")]
    Nodes(#[from] NodeListError),
}

struct Shared {
    // One lock for all nodes, so that no request sees a round that is half done.
    nodes: Mutex<Nodes>,
    options: NetworkOptions,
}

impl Shared {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        // A round that panics ends the task of the rounds, and the commands report that. Requests need not panic too.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

/// The key of a node. Anyone can derive it, so it protects nothing.
fn test_key(node: usize) -> Result<BlsSecretKey, BlsError> {
    let digest = Sha256::digest(format!("zellbook devnet {node}"));
    let mut bytes = [0; 48];
    // A real key needs 48 random bytes, so that their reduction has no bias. A test key may be biased.
    bytes[16..].copy_from_slice(&digest);
    BlsSecretKey::from_random(&bytes)
}

/// A node id for a key, in the form of an Ethereum address: the start of SHA-256 over its coordinates.
fn id_of(key: &BlsSecretKey) -> String {
    let ([x1, x0], [y1, y0]) = key.public_key().to_decimal();
    let digest = Sha256::digest(format!("{x1} {x0} {y1} {y0}"));
    format!("0x{}", hex::encode(&digest[..20]))
}

impl Network {
    /// A network whose keys anyone can derive.
    pub fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        let mut keys = Vec::new();
        for node in 0..options.stakes.len() {
            let key = test_key(node).map_err(|error| NetworkError::Key(node, error))?;
            keys.push((id_of(&key), key));
        }
        let network = Self::of_keys(options, keys);
        // Stakes that make no valid list are an error here, before anything listens.
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

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.shared.nodes().nodes.len()
    }

    /// The node list, with the given addresses.
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

    /// Runs rounds until the future is dropped.
    pub async fn run(&self, clock: Clock) {
        let mut tick = interval(self.shared.options.interval);
        // By default tokio makes up for missed ticks in a burst. A real network does not hurry after a delay.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let now = Instant::now();
            self.shared.nodes().round(now, clock.now_ms() / 1000, None);
        }
    }

    /// Whether a node is killed, so that nobody can connect to it.
    pub fn is_down(&self, node: usize) -> bool {
        self.shared.nodes().nodes.get(node).is_none_or(|node| node.condition == Condition::Down)
    }

    pub fn leader_changes(&self) -> u64 {
        self.shared.nodes().leader_changes
    }

    /// The state of the nodes, for messages.
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

    /// The finalized bodies of the node that has the most, in sequence.
    pub fn finalized(&self, app: &str) -> Vec<Arc<str>> {
        let nodes = self.shared.nodes();
        let logs = nodes.nodes.iter().filter_map(|node| node.log(app));
        // The nodes agree on what is finalized, so the longest history contains the others.
        let Some(log) = logs.max_by_key(|log| log.finalized_index()) else { return Vec::new() };
        let count = usize::try_from(log.finalized_index()).unwrap_or(usize::MAX);
        log.sequence.iter().take(count).map(|entry| Arc::clone(&entry.body)).collect()
    }

    /// The last finalized index of any node.
    pub fn finalized_index(&self, app: &str) -> u64 {
        let nodes = self.shared.nodes();
        let logs = nodes.nodes.iter().filter_map(|node| node.log(app));
        logs.map(AppLog::finalized_index).max().unwrap_or_default()
    }
}
