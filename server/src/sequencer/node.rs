//! A node of the Zellular network, as its HTTP interface needs it: what it does, and what it answers.

use std::future::Future;
use std::sync::Arc;

use zellular::bls::BlsPublicKey;

/// What a node does behind its HTTP interface.
pub trait Node: Send + Sync + 'static {
    /// Whether the node takes part in the network now.
    fn ready(&self) -> Result<(), Refusal>;

    /// Whether it takes batches now.
    fn may_post(&self) -> Result<(), Refusal> {
        self.ready()
    }

    /// Bytes of UTF-8 in a batch, at most.
    fn batch_bytes_max(&self) -> usize;

    /// Whether an app is registered with the network.
    fn has_app(&self, app: &str) -> bool;

    /// Takes batches with their apps, which are registered, and none of which is too large.
    fn put(
        &self,
        batches: Vec<(String, String)>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The finalized batches after an index, as many as one answer holds; `None` if there are none.
    fn page(
        &self,
        app: &str,
        after: u64,
    ) -> impl Future<Output = Result<Option<NodePage>, Refusal>> + Send;

    /// The last signed batch in a state; `None` if there is none.
    fn last(
        &self,
        app: &str,
        state: LastState,
    ) -> impl Future<Output = Result<Option<LastBatch>, Refusal>> + Send;

    /// What the node says of itself.
    fn status(&self) -> impl Future<Output = Result<NodeStatus, Refusal>> + Send;
}

/// Why a node does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has not exchanged anything with the leader yet.
    NotSynced,
    /// The leader is being changed.
    Paused,
    /// It has no posting role.
    NotPosting,
    /// The leader takes no more bytes in this window.
    LimitExceeded,
    /// It failed; the reason stays here.
    Broken(String),
}

/// An aggregated signature, with who is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregated {
    /// `1 x y`.
    pub signature: String,
    /// Ids of nodes.
    pub nonsigners: Vec<String>,
}

/// A batch that the network signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBatch {
    /// Its index.
    pub index: u64,
    /// The finalized index before it.
    pub parent_index: u64,
    /// Unix seconds of its finality.
    pub timestamp: u64,
    /// The chaining hash at the index.
    pub chaining_hash: String,
    /// The lock.
    pub locked: Aggregated,
    /// Finality, if it is there yet.
    pub finalized: Option<Aggregated>,
}

/// What a `finalized` answer is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePage {
    /// Bodies.
    pub bodies: Vec<Arc<str>>,
    /// The chaining hash of the first.
    pub first_chaining_hash: String,
    /// Finality of some of them, in order.
    pub signatures: Vec<Arc<SignedBatch>>,
}

/// The states that `last` can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastState {
    /// Locked.
    Locked,
    /// Finalized.
    Finalized,
}

impl LastState {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Finalized => "finalized",
        }
    }
}

/// A `last` answer.
#[derive(Clone, Debug)]
pub struct LastBatch {
    /// Its signatures.
    pub signed: Arc<SignedBatch>,
    /// The body at its index.
    pub body: Arc<str>,
}

/// How far a node is with an app.
#[derive(Clone, Copy, Debug, Default)]
pub struct Indexes {
    /// The last batch in sequence.
    pub sequenced: u64,
    /// The last one under a lock.
    pub locked: u64,
    /// The last one that is final.
    pub finalized: u64,
}

/// A `state` answer.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The version that it claims.
    pub version: String,
    /// The leader that it follows.
    pub leader_id: String,
    /// Its id.
    pub id: String,
    /// Its key.
    pub public_key: BlsPublicKey,
    /// How far it is, by app.
    pub apps: Vec<(String, Indexes)>,
}
