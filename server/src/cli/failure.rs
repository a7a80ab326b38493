//! Failures of commands with their exit codes, and the runtime that commands run on.

use std::fmt::Display;

use tokio::runtime::{Builder, Runtime};
use zellbook_core::wire::ErrorDetail;

/// The exit code of a replica that halted.
pub const HALTED: u8 = 5;

/// Why a command failed, and the exit code for it.
pub struct Failure {
    /// The exit code.
    pub code: u8,
    pub message: String,
    /// The replica's own error response, for programs that read `--json` output.
    pub answer: Option<ErrorDetail>,
}

impl Failure {
    /// Arguments that are invalid together; clap has checked each one alone.
    pub fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string(), answer: None }
    }

    /// A check that failed: a difference, an invalid proof or a dishonest peer.
    pub fn difference(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string(), answer: None }
    }

    pub fn rejected(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string(), answer: None }
    }

    pub fn halted(message: impl Display) -> Self {
        Self { code: HALTED, message: format!("the replica halted: {message}"), answer: None }
    }
}

// Covers every error that has a message. `Failure` itself must not implement `Display`, because this would
// then overlap with the conversion of each type from itself.
impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: 1, message: error.to_string(), answer: None }
    }
}

pub fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(future)
}
