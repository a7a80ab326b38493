//! What the HTTP interface needs from a node of a Zellular network.
//!
//! The embedded sequencer and the nodes of the emulated network implement it, so both speak one interface that
//! is compared with the captured answers of real nodes.

use std::future::Future;
use std::sync::Arc;

use zellular::bls::BlsPublicKey;

/// A node of a Zellular network.
pub trait Node: Send + Sync + 'static {
    /// Fails if the node does not take part in the network now.
    fn ready(&self) -> Result<(), Refusal>;

    /// Fails if the node takes no batches now.
    fn may_post(&self) -> Result<(), Refusal> {
        self.ready()
    }

    /// The largest batch, in bytes of UTF-8.
    fn batch_bytes_max(&self) -> usize;

    /// Whether an app is registered with the network.
    fn has_app(&self, app: &str) -> bool;

    /// Takes batches with the names of their apps. The caller has checked that the apps are registered and no
    /// batch is too large.
    fn put(
        &self,
        batches: Vec<(String, String)>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Returns the finalized batches after an index, as many as one answer holds. `None` if there are none.
    fn page(
        &self,
        app: &str,
        after: u64,
    ) -> impl Future<Output = Result<Option<NodePage>, Refusal>> + Send;

    /// Returns the last signed batch in a state. `None` if there is none.
    fn last(
        &self,
        app: &str,
        state: LastState,
    ) -> impl Future<Output = Result<Option<LastBatch>, Refusal>> + Send;

    /// Returns what the node reports about itself.
    fn status(&self) -> impl Future<Output = Result<NodeStatus, Refusal>> + Send;
}

/// Why a node refuses a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The node has not exchanged anything with the leader yet.
    NotSynced,
    /// The network is changing its leader.
    Paused,
    /// The node does not have the posting role.
    NotPosting,
    /// The leader takes no more bytes in this window.
    LimitExceeded,
    /// The node failed. The reason goes into the log, not into the answer.
    Broken(String),
}

/// An aggregated signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregated {
    /// A point of the curve as text: `1 x y`, with decimal coordinates.
    pub signature: String,
    /// The ids of the nodes that did not sign.
    pub nonsigners: Vec<String>,
}

/// A batch that the network signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBatch {
    pub index: u64,
    /// The finalized index before it.
    pub parent_index: u64,
    /// When it was signed, in Unix seconds.
    pub timestamp: u64,
    /// The chaining hash at the index.
    pub chaining_hash: String,
    /// The aggregate of the first round of signatures.
    pub locked: Aggregated,
    /// The aggregate of the second round, once it exists.
    pub finalized: Option<Aggregated>,
}

/// The content of a `finalized` answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePage {
    pub bodies: Vec<Arc<str>>,
    /// The chaining hash of the first body.
    pub first_chaining_hash: String,
    /// The signed ones among the batches, in ascending order.
    pub signatures: Vec<Arc<SignedBatch>>,
}

/// The states for which a `last` request can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastState {
    Locked,
    Finalized,
}

impl LastState {
    /// Its name in URLs and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Finalized => "finalized",
        }
    }
}

/// The content of a `last` answer.
#[derive(Clone, Debug)]
pub struct LastBatch {
    pub signed: Arc<SignedBatch>,
    pub body: Arc<str>,
}

/// The last indexes of an app at a node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Indexes {
    pub sequenced: u64,
    pub locked: u64,
    pub finalized: u64,
}

/// The content of a `state` answer.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    pub version: String,
    /// The id of the leader that it follows.
    pub leader_id: String,
    pub id: String,
    pub public_key: BlsPublicKey,
    /// The last indexes of each app, by name.
    pub apps: Vec<(String, Indexes)>,
}
