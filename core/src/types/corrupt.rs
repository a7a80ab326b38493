//! The error of a broken replica.

use thiserror::Error;

/// Something happened that the engine's own reasoning rules out: a bug, or damaged memory or storage. The
/// caller must commit nothing and stop, because a root that this replica computes from here on may be wrong.
/// The text names the broken assumption.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the state of this replica is corrupt: {0}")]
pub struct Corrupt(pub &'static str);
