//! The error of a replica that is broken.

use thiserror::Error;

/// An error that our own reasoning excludes: commit nothing and stop.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the state of this replica is corrupt: {0}")]
pub struct Corrupt(pub &'static str);
