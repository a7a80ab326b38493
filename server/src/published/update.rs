//! The changes of a commit, which the feed sends to its followers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use zellbook_core::PublicKey;
use zellbook_core::wire::{BookBody, LevelBody};

use crate::store::{AppliedBatch, TradeRow};

#[derive(Clone, Debug)]
pub struct Update {
    /// The last batch of the commit.
    pub batch: u64,
    /// The changed price levels, by market. A level with quantity `0` was removed, or is no longer among the
    /// published ones.
    pub books: Vec<BookBody>,
    /// The new trades, oldest first.
    pub trades: Vec<TradeRow>,
    /// The accounts that changed.
    pub accounts: BTreeSet<PublicKey>,
}

impl Update {
    /// The changes of some batches, with the published books before and after them.
    pub fn new(
        fee_account: PublicKey,
        batches: &[AppliedBatch],
        before: &[Arc<BookBody>],
        after: &[Arc<BookBody>],
    ) -> Self {
        // A commit replaces exactly the books that it changed, so addresses tell which books to compare.
        let books = before.iter().zip(after).filter(|(before, after)| !Arc::ptr_eq(before, after));
        let books = books.map(|(before, after)| BookBody {
            market: after.market.clone(),
            batch: after.batch.clone(),
            bids: changed_levels(&before.bids, &after.bids),
            asks: changed_levels(&before.asks, &after.asks),
        });
        Self {
            batch: batches.last().map_or(0, |batch| batch.index),
            books: books.filter(|body| !body.bids.is_empty() || !body.asks.is_empty()).collect(),
            trades: batches.iter().flat_map(|batch| batch.rows.trades.iter().copied()).collect(),
            accounts: batches
                .iter()
                .flat_map(|batch| batch.touched_accounts(fee_account))
                .collect(),
        }
    }
}

/// The differences between two versions of one side of a book.
fn changed_levels(before: &[LevelBody], after: &[LevelBody]) -> Vec<LevelBody> {
    let old: HashMap<&str, &LevelBody> =
        before.iter().map(|level| (level.0.as_str(), level)).collect();
    let new: HashSet<&str> = after.iter().map(|level| level.0.as_str()).collect();
    let gone = before.iter().filter(|level| !new.contains(level.0.as_str()));
    let gone = gone.map(|level| (level.0.clone(), "0".into(), "0".into()));
    // Compared by content, because a commit can change a level and change it back.
    let changed = after.iter().filter(|level| old.get(level.0.as_str()) != Some(level));
    gone.chain(changed.cloned()).collect()
}
