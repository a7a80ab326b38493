//! Indices of what genesis lists and of accounts. They never travel: the wire has names and keys.

use super::limits::NO_INDEX;

/// Index of a token in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenIndex(pub u16);

impl TokenIndex {
    /// What stands for no token in memory.
    pub(crate) const NONE: Self = Self(NO_INDEX);
}

/// Index of a market in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarketIndex(pub u16);

impl MarketIndex {
    /// What stands for no market in memory.
    pub(crate) const NONE: Self = Self(NO_INDEX);
}

/// Index of a replica in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaIndex(pub u16);

/// Where an account stands in this process's memory. Not part of the state: two replicas may number
/// their accounts differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountIndex(pub u32);
