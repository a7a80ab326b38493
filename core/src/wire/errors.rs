//! Errors and rejects as the API reports them.

use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::protocol::Reject;

/// The body of every answer with an HTTP error status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error. It is nested so that a client can tell an error from any other answer by its only key.
    pub error: ErrorDetail,
}

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A name in snake case that programs can rely on.
    pub code: String,
    /// A sentence for people: what was wrong and what would be right. It may change at any time.
    pub message: String,
    /// An object with further values, which depend on the code; empty if there are none.
    pub details: serde_json::Value,
}

/// Why a transaction had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectBody {
    /// The reject code of the protocol.
    pub code: String,
    /// The name of the code in snake case.
    pub name: String,
    /// A sentence for people: what was wrong and what would be right. It may change at any time.
    pub message: String,
}

impl RejectBody {
    /// Whether the same transaction can still be applied: its signer was unknown, and its nonce is unused.
    pub fn can_be_retried(&self) -> bool {
        self.code.parse() == Ok(Reject::UNKNOWN_SIGNER)
    }
}

impl From<&Reject> for RejectBody {
    fn from(reject: &Reject) -> Self {
        Self {
            code: reject.code().to_string(),
            name: reject.name().to_string(),
            message: reject.to_string(),
        }
    }
}
