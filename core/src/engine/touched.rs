//! Touched leaves: those that may have changed since the tree was last updated.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::state::LeafKey;
use crate::types::{AccountIndex, TokenIndex};

/// Touched leaves. The kinds that most transactions touch are noted with indices, and repetitions
/// are only removed when the batch is done: a busy account is touched thousands of times in one
/// batch, but hashed once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    // A leaf that goes away is touched as well: its value is absent when the batch is done, and the
    // tree and the store remove it.
    pub balances: Vec<(AccountIndex, TokenIndex)>,
    pub nonces: Vec<AccountIndex>,
    pub orders: Vec<(AccountIndex, u64)>,
    pub others: BTreeSet<LeafKey>,
}
