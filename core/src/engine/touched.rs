//! Leaves that may have changed.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::state::LeafKey;
use crate::types::{AccountIndex, TokenIndex};

/// Leaves that may have changed since the tree was last brought up to date. What every transaction
/// touches is kept small; doubles are dropped later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub balances: Vec<(AccountIndex, TokenIndex)>,
    pub nonces: Vec<AccountIndex>,
    pub orders: Vec<(AccountIndex, u64)>,
    pub others: BTreeSet<LeafKey>,
}
