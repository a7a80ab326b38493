//! The sequencer as a replica sees it: bodies go in, finalized pages come out.

pub mod embedded;
mod embedded_store;
mod zellular;

use std::future::Future;

use thiserror::Error;
use zellbook_core::finality::{Page, PageError};
use zellbook_core::wire::GatewayBody;

pub use zellular::Zellular;

/// Why a gateway did not do what was asked.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// No connection, a time-out, or a broken answer.
    #[error("{0}")]
    Connection(String),
    /// A status that is no success.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The start of the answer.
        message: String,
    },
    /// The body is larger than the network takes.
    #[error("the batch is larger than this gateway takes")]
    TooLarge,
    /// An answer that is not what an honest gateway sends.
    #[error("{0}")]
    Page(#[from] PageError),
}

/// A sequencer network.
pub trait Sequencer: Send + Sync + 'static {
    /// Asks for the finalized batches after an index; `None` where there is nothing new. After an
    /// error the next call asks another gateway, if there is one.
    fn finalized(
        &self,
        after: u64,
    ) -> impl Future<Output = Result<Option<Page>, GatewayError>> + Send;

    /// The last index that the gateway says is finalized; 0 for none. It is not proven.
    fn last_finalized(&self) -> impl Future<Output = Result<u64, GatewayError>> + Send;

    /// Hands a body in; one that was handed in before goes to another gateway, if there is one.
    /// Success promises nothing: it must be seen finalized.
    fn post(
        &self,
        body: String,
        is_again: bool,
    ) -> impl Future<Output = Result<(), GatewayError>> + Send;

    /// Reports what was wrong with the last answer, and changes to another gateway for the next.
    fn report(&self, fault: &str);

    /// The gateways and their last faults.
    fn gateways(&self) -> Vec<GatewayBody>;
}
