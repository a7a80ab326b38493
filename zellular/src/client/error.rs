//! Why a gateway did not do what it was asked.

use thiserror::Error;

use super::eigenlayer::OperatorsError;
use super::transport::TransportError;
use crate::page_error::PageError;

/// Why a gateway did not do what it was asked.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// There is no gateway to ask.
    #[error("no gateway is known")]
    NoGateway,
    /// There was no complete answer.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// The gateway answered with an HTTP status other than 200.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The start of the answer.
        message: String,
    },
    /// The gateway takes no batches now: it is not in step with the leader, or the network has no leader.
    #[error("status 503: {0}")]
    Paused(String),
    /// The gateway has taken as many bytes as it may in this window.
    #[error("the gateway takes no more batches for now")]
    RateLimited,
    /// The batch is larger than the network takes.
    #[error("the batch is larger than the gateway takes")]
    BatchTooLarge,
    /// The network's operators are not known. No gateway is to blame.
    #[error("the network's operators: {0}")]
    Operators(#[from] OperatorsError),
    /// The answer is not one that an honest gateway sends.
    #[error("{0}")]
    Page(#[from] PageError),
}
