//! Self-trade prevention.

use serde::{Deserialize, Serialize};

use super::names::names;

/// What happens where an order would meet a resting order of its own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTrade {
    /// The rest of the incoming order is cancelled.
    #[default]
    CancelNewest,
    /// The resting order is cancelled and matching goes on.
    CancelOldest,
    /// Both are cancelled.
    CancelBoth,
}

names!(SelfTrade {
    CancelNewest = "cancel_newest",
    CancelOldest = "cancel_oldest",
    CancelBoth = "cancel_both",
});
