//! The sequencer as a replica sees it: bodies go in, finalized pages come out.

mod eigenlayer;
pub mod embedded;
mod embedded_store;
mod gateways;
mod http;
pub mod interface;
pub mod node;
pub mod transport;
mod zellular;

use std::future::Future;
use std::sync::Arc;

use ::zellular::{FinalitySignature, Page, PageError, Verifier};
use thiserror::Error;
use tokio::sync::watch;
use zellbook_core::wire::GatewayBody;

pub use eigenlayer::{EigenLayer, is_address, read_lists};
pub use gateways::{Fault, GatewayAddress};
pub use http::HttpTransport;
pub use zellular::Zellular;

/// Why a gateway did not do what was asked.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// There is no gateway to ask.
    #[error("no gateway is known")]
    NoGateway,
    /// No whole answer.
    #[error("{0}")]
    Transport(transport::TransportError),
    /// A status that is no success.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The start of the answer.
        message: String,
    },
    /// It takes nothing now: it is not in step with the leader, or there is no leader.
    #[error("status 503: {0}")]
    Paused(String),
    /// It has taken as much as it may in this window.
    #[error("it takes no more batches for now")]
    RateLimited,
    /// The body is larger than the network takes.
    #[error("the batch is larger than this gateway takes")]
    BatchTooLarge,
    /// The operators of the network are not known, which is no gateway's fault.
    #[error("the network's operators: {0}")]
    Operators(String),
    /// An answer that is not what an honest gateway sends.
    #[error("{0}")]
    Page(#[from] PageError),
}

/// What checks proofs, as it is now: the nodes of a network can change.
pub type VerifierWatch = watch::Receiver<Arc<Verifier>>;

/// Of a network whose nodes are always the same.
pub fn fixed(verifier: Verifier) -> VerifierWatch {
    watch::channel(Arc::new(verifier)).1
}

/// How many ways lead into the network side by side, at most.
pub const LANES_MAX: usize = 8;

/// The way on which bodies go into the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One of [`LANES_MAX`] lanes: to the gateway that took what went on it before, which keeps their
    /// order, until something speaks against it.
    Lane(usize),
    /// For what was posted before: to another gateway, if there is one.
    Again,
}

/// A sequencer network.
pub trait Sequencer: Send + Sync + 'static {
    /// Asks for the finalized batches after an index; `None` where there is nothing new. After an
    /// error, and after [`Sequencer::report`], the next call may ask another gateway: what was not
    /// proven by then is to be forgotten.
    fn finalized(
        &self,
        after: u64,
    ) -> impl Future<Output = Result<Option<Page>, GatewayError>> + Send;

    /// Makes a page that is not from a gateway ready to be verified, as those of gateways are: learns
    /// the operators that its signatures name, where they can change. It is the answer to `?after=`.
    fn admit(
        &self,
        after: u64,
        page: Page,
    ) -> impl Future<Output = Result<Page, GatewayError>> + Send {
        let _ = after;
        async { Ok(page) }
    }

    /// The signature over the last batch that the gateway has, with the chaining hash that it claims;
    /// `None` if it has none. It is not checked.
    fn last_finalized(
        &self,
    ) -> impl Future<Output = Result<Option<FinalitySignature>, GatewayError>> + Send;

    /// Hands bodies in: one by the single call, which says if it is too large; several by the bulk
    /// call, which drops such ones in silence. Returns the gateway that took them, which promises
    /// nothing: they must be seen finalized.
    fn post(
        &self,
        bodies: &[String],
        way: Way,
    ) -> impl Future<Output = Result<Arc<str>, GatewayError>> + Send;

    /// How many gateways are good to be posted to: so many lanes, from the first on, lead to different
    /// ones.
    fn lanes(&self) -> usize;

    /// Tells that what a gateway took was not seen finalized in time.
    fn unseen(&self, gateway: &str);

    /// Reports what was wrong with the last answer to a read, and changes to another gateway.
    fn report(&self, fault: Fault);

    /// The gateways and their last faults.
    fn gateways(&self) -> Vec<GatewayBody>;
}
