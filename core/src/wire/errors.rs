//! Errors and rejects, as the API answers with them.

use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::protocol::Reject;

/// Every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A stable name in snake case.
    pub code: String,
    /// A sentence that says what was wrong and what would be right.
    pub message: String,
    /// More, by code; an empty object if there is none.
    pub details: serde_json::Value,
}

/// Why a transaction had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectBody {
    /// The number in the protocol.
    pub code: String,
    /// Its name in snake case.
    pub name: String,
    /// A sentence that says what was wrong and what would be right.
    pub message: String,
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
