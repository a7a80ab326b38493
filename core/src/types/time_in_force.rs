//! Time in force: what happens to the part of an order that does not fill immediately.

use serde::{Deserialize, Serialize};

use super::names::names;

/// What happens to the part of an order that does not fill immediately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Good till cancelled: it rests until it is filled or cancelled.
    Gtc,
    /// Good till date: like `Gtc`, but it is cancelled when the exchange's time reaches its `expires`.
    Gtd,
    /// Immediate or cancel: it is cancelled. A market order is such an order with a wide limit.
    Ioc,
    /// Fill or kill: there is none, because the order is rejected unless it fills completely.
    Fok,
    /// Post only: the whole order rests, because it is rejected if any of it would fill immediately.
    PostOnly,
}

names!(TimeInForce {
    Gtc = "gtc",
    Gtd = "gtd",
    Ioc = "ioc",
    Fok = "fok",
    PostOnly = "post_only",
});
