//! The embedded sequencer: a network of one node, with the HTTP interface of Zellular's nodes.
//!
//! A replica uses it when no network is configured, so that one machine runs the whole exchange by the same
//! protocol: the replica posts over HTTP and checks proofs as it does with a real network. One difference is
//! deliberate: a batch is on disk before it is answered, so here a batch that was taken is never lost.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use zellbook_core::types::limits::BATCH_BYTES_DEFAULT;
use zellular::NodeList;
use zellular::bls::{BlsPublicKey, BlsSecretKey};

use super::embedded_store::{Put, Sequence, SequenceReader, cost};
use super::interface::VERSION;
use super::node::{Indexes, LastBatch, LastState, Node, NodePage, NodeStatus, Refusal};
use crate::store::StoreError;

/// The limits and the pace of an embedded sequencer.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// The largest batch, in bytes of UTF-8.
    pub batch_bytes_max: usize,
    /// The largest sum of bodies in one answer, in bytes. A network has its bandwidth per window divided by the
    /// number of nodes.
    pub page_bytes_max: usize,
    /// The largest sum of bodies that are taken in a window, in bytes.
    pub window_bytes_max: usize,
    pub window: Duration,
    /// The time between two sequence proofs while there is something new.
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

/// A running sequencer. It stops when this and all clones of its node are dropped.
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
    /// Opens or creates the sequence at a path and starts the thread that numbers bodies. If the disk fails, the
    /// receiver gets the error; the sequencer is then dead and the process must end.
    pub fn start(
        path: &Path,
        app_name: &str,
        key: BlsSecretKey,
        options: EmbeddedOptions,
    ) -> Result<(Self, oneshot::Receiver<String>), StoreError> {
        let public_key = key.public_key();
        let sequence = Sequence::open(path, app_name, key)?;
        // Without a bound of its own: the window bounds the bytes that come in, and the thread takes up to
        // 1,000 puts with one sync.
        let (puts, receiver) = channel();
        let (failed, failure) = oneshot::channel();
        std::thread::spawn(move || {
            if let Err(error) = sequence.run(&receiver, options.interval) {
                // Everything that was answered is on disk, so a restart on a good disk loses nothing.
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

    /// Returns the node list of this network of one node, which listens at `socket`.
    pub fn nodes(&self, socket: &str) -> NodeList {
        let node = zellular::Node {
            id: self.node.id.clone(),
            socket: socket.into(),
            // Any stake above 0 would do: one node is always the whole stake.
            stake: 10,
            public_key: self.node.public_key,
        };
        NodeList::new(vec![node])
            .unwrap_or_else(|error| unreachable!("one node with stake is a list: {error}"))
    }

    /// Returns the node, for the HTTP interface.
    pub fn node(&self) -> Arc<impl Node + use<>> {
        Arc::clone(&self.node)
    }
}

/// Makes the node's id from its key: 20 bytes, because the ids of networks are Ethereum addresses.
fn node_id(key: &BlsPublicKey) -> String {
    let (x, y) = key.to_decimal();
    let digest = Sha256::digest(format!("{} {} {} {}", x[0], x[1], y[0], y[1]));
    format!("0x{}", hex::encode(&digest[..20]))
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    Refusal::Broken(error.to_string())
}

impl NodeState {
    /// Counts bytes in the current window. Returns whether they fit.
    fn take_bandwidth(&self, bytes: usize) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= self.options.window {
            *window = (Instant::now(), 0);
        }
        window.1 = window.1.saturating_add(bytes);
        window.1 <= self.options.window_bytes_max
    }

    /// Runs a query on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&SequenceReader) -> Result<T, StoreError> + Send + 'static,
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

    /// Numbers bodies. Returns when they are on disk.
    async fn put(&self, batches: Vec<(String, String)>) -> Result<(), Refusal> {
        let bodies: Vec<String> = batches.into_iter().map(|(_, body)| body).collect();
        if !self.take_bandwidth(bodies.iter().map(|body| cost(body)).sum()) {
            return Err(Refusal::LimitExceeded);
        }
        // A bulk call of which nothing is left is a success too: unknown apps are dropped without an error.
        if bodies.is_empty() {
            return Ok(());
        }
        let (done, wait) = oneshot::channel();
        let stopped = || broken("the sequence is stopped");
        // The thread ends only if its disk failed, and drops what waits. Then nobody is told that a body is
        // safe.
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
        // One node needs no rounds: what it signs is locked and finalized at once.
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
