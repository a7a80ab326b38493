//! The embedded sequencer: a network of one node, with the HTTP interface of Zellular's nodes.
//!
//! Batches are on disk before they are answered, which the network does not promise.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use zellbook_core::types::limits::BATCH_BYTES_DEFAULT;
use zellular::NodeList;
use zellular::bls::{BlsPublicKey, BlsSecretKey};

use super::embedded_store::{Put, Sequence, SequenceReader, cost};
use super::interface::{self, VERSION};
use super::node::{Indexes, LastBatch, LastState, Node, NodePage, NodeStatus, Refusal};
use crate::store::StoreError;

/// How a sequencer of one node behaves.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// Bytes of UTF-8 in a batch, at most.
    pub batch_bytes_max: usize,
    /// Bytes of bodies in one answer, at most (the network: bandwidth per window / nodes).
    pub page_bytes_max: usize,
    /// Bytes of bodies that are taken in a window, at most.
    pub window_bytes_max: usize,
    /// The window.
    pub window: Duration,
    /// How often what is new is finalized.
    pub interval: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            batch_bytes_max: BATCH_BYTES_DEFAULT,
            page_bytes_max: 2_500_000,
            window_bytes_max: 10_000_000,
            window: Duration::from_secs(1),
            interval: Duration::from_millis(20),
        }
    }
}

/// A running sequencer. It stops when it and all of its routers are dropped.
pub struct Embedded {
    node: Arc<NodeState>,
}

struct NodeState {
    app_name: String,
    id: String,
    public_key: BlsPublicKey,
    options: EmbeddedOptions,
    puts: Sender<Put>,
    reader: SequenceReader,
    window: Mutex<(Instant, usize)>,
}

impl Embedded {
    /// Opens or makes the sequence at a path and starts numbering. The receiver is told if the disk
    /// fails; then the sequencer is dead and its process must end.
    pub fn start(
        path: &Path,
        app_name: &str,
        key: BlsSecretKey,
        options: EmbeddedOptions,
    ) -> Result<(Self, oneshot::Receiver<String>), StoreError> {
        let public_key = key.public_key();
        let sequence = Sequence::open(path, app_name, key)?;
        let (puts, receiver) = channel();
        let (failed, failure) = oneshot::channel();
        std::thread::spawn(move || {
            if let Err(error) = sequence.run(&receiver, options.interval) {
                // Nothing was answered that is not on disk; without its disk it cannot go on.
                let _ = failed.send(error.to_string());
            }
        });
        let node = Arc::new(NodeState {
            app_name: app_name.into(),
            id: node_id(&public_key),
            public_key,
            options,
            puts,
            reader: SequenceReader { path: path.to_path_buf() },
            window: Mutex::new((Instant::now(), 0)),
        });
        Ok((Self { node }, failure))
    }

    /// The node list of this network of one, at an address.
    pub fn nodes(&self, socket: &str) -> NodeList {
        let node = zellular::Node {
            id: self.node.id.clone(),
            socket: socket.into(),
            stake: 10,
            public_key: self.node.public_key,
        };
        NodeList::new(vec![node])
            .unwrap_or_else(|error| unreachable!("one node with stake is a list: {error}"))
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        interface::router(Arc::clone(&self.node))
    }
}

/// The first 20 bytes of SHA-256 over the key's coordinates, as an Ethereum-like address.
fn node_id(key: &BlsPublicKey) -> String {
    let (x, y) = key.to_decimal();
    let digest = Sha256::digest(format!("{} {} {} {}", x[0], x[1], y[0], y[1]));
    format!("0x{}", hex::encode(&digest[..20]))
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    Refusal::Broken(error.to_string())
}

impl NodeState {
    /// Whether so many bytes still fit this window.
    fn take_bandwidth(&self, bytes: usize) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= self.options.window {
            *window = (Instant::now(), 0);
        }
        window.1 = window.1.saturating_add(bytes);
        window.1 <= self.options.window_bytes_max
    }

    /// Runs a query of the sequence on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&SequenceReader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let reader = self.reader.clone();
        let result = tokio::task::spawn_blocking(move || query(&reader)).await;
        result.map_err(broken)?.map_err(broken)
    }
}

impl Node for NodeState {
    fn ready(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn batch_bytes_max(&self) -> usize {
        self.options.batch_bytes_max
    }

    fn has_app(&self, app: &str) -> bool {
        app == self.app_name
    }

    /// Numbers bodies; returns when they are on disk.
    async fn put(&self, batches: Vec<(String, String)>) -> Result<(), Refusal> {
        let bodies: Vec<String> = batches.into_iter().map(|(_, body)| body).collect();
        if !self.take_bandwidth(bodies.iter().map(|body| cost(body)).sum()) {
            return Err(Refusal::LimitExceeded);
        }
        if bodies.is_empty() {
            return Ok(());
        }
        let (done, wait) = oneshot::channel();
        let stopped = || broken("the sequence is stopped");
        self.puts.send(Put { bodies, done }).map_err(|_| stopped())?;
        wait.await.map_err(|_| stopped())
    }

    async fn page(&self, _: &str, after: u64) -> Result<Option<NodePage>, Refusal> {
        let bytes_max = self.options.page_bytes_max;
        self.read(move |reader| reader.page(after, bytes_max)).await
    }

    async fn last(&self, _: &str, _: LastState) -> Result<Option<LastBatch>, Refusal> {
        self.read(SequenceReader::last).await
    }

    async fn status(&self) -> Result<NodeStatus, Refusal> {
        let (sequenced, finalized) = self.read(SequenceReader::indexes).await?;
        let indexes = Indexes { sequenced, locked: finalized, finalized };
        Ok(NodeStatus {
            version: VERSION.into(),
            leader_id: self.id.clone(),
            id: self.id.clone(),
            public_key: self.public_key,
            apps: vec![(self.app_name.clone(), indexes)],
        })
    }
}
