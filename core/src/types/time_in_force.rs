//! How long an order stays.

use serde::{Deserialize, Serialize};

use super::names::names;

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until it is filled or cancelled.
    Gtc,
    /// Until it is filled or cancelled, or its time comes.
    Gtd,
    /// What does not fill at once is cancelled.
    Ioc,
    /// Filled in full at once, or rejected.
    Fok,
    /// Rejected if it would fill at once; then like `Gtc`.
    PostOnly,
}

names!(TimeInForce {
    Gtc = "gtc",
    Gtd = "gtd",
    Ioc = "ioc",
    Fok = "fok",
    PostOnly = "post_only",
});
