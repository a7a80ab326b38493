//! The side of an order.

use serde::{Deserialize, Serialize};

use super::names::names;

/// The side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Buys base for quote; in the book, a bid.
    Buy,
    /// Sells base for quote; in the book, an ask.
    Sell,
}

impl Side {
    /// The other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

names!(Side { Buy = "buy", Sell = "sell" });
