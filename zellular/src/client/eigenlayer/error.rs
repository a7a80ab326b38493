//! Why the operators of a network are not known.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::client::transport::TransportError;
use crate::nodes::NodeListError;

/// Why the operators are not known.
#[derive(Debug, Error)]
pub enum OperatorsError {
    /// The subgraph did not answer.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// The subgraph answered with an HTTP status other than 200.
    #[error("status {0}")]
    Status(u16),
    /// The subgraph answered with errors instead of data.
    #[error("it reports: {0}")]
    Refused(String),
    /// The answer is not JSON of the expected shape.
    #[error("the answer is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// A field of one operator is invalid.
    #[error("operator {id}: {field}: {error}")]
    Operator {
        /// The operator's id.
        id: String,
        /// The name of the field.
        field: &'static str,
        /// What is wrong with it.
        error: String,
    },
    /// The operators are not a valid node list.
    #[error("{0}")]
    List(#[from] NodeListError),
    /// The chain's last block is below an earlier one: the subgraph is behind, or dishonest.
    #[error(
        "its last block is {found}, but it was {known} before: the subgraph is behind or dishonest"
    )]
    WentBack {
        /// The last block by this answer.
        found: u64,
        /// The last block by an earlier answer.
        known: u64,
    },
    /// The lists cannot be stored.
    #[error("{}: {error}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
}
