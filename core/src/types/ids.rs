//! Indexes of tokens, markets, replicas and accounts.
//!
//! The engine uses them instead of names and keys because they are small and address arrays directly.
//! Transactions and the API never contain them: they use symbols, market names and public keys.

use super::limits::NO_INDEX;

/// Index of a token in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenIndex(pub u16);

impl TokenIndex {
    /// Marks the absence of a token where an `Option` would take more memory.
    pub(crate) const NONE: Self = Self(NO_INDEX);
}

/// Index of a market in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarketIndex(pub u16);

impl MarketIndex {
    /// Marks the absence of a market where an `Option` would take more memory.
    pub(crate) const NONE: Self = Self(NO_INDEX);
}

/// Index of a replica in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaIndex(pub u16);

/// Index of an account in this process's memory. It is not part of the state: two replicas may number their
/// accounts differently, so nothing that consensus depends on may be ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountIndex(pub u32);
