//! Self-trade prevention: an account never trades with itself, so its own orders alone cannot make trading volume.

use serde::{Deserialize, Serialize};

use super::names::names;

/// What happens when an incoming order meets a resting order of the same account. The incoming order's setting
/// applies; the resting order's is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTrade {
    /// Matching ends, and the rest of the incoming order is cancelled.
    #[default]
    CancelNewest,
    /// The resting order is cancelled, and matching continues.
    CancelOldest,
    /// The resting order and the rest of the incoming order are cancelled.
    CancelBoth,
}

names!(SelfTrade {
    CancelNewest = "cancel_newest",
    CancelOldest = "cancel_oldest",
    CancelBoth = "cancel_both",
});
