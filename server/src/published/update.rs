//! What a commit changed, for the feed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use zellbook_core::key::PublicKey;
use zellbook_core::wire::{BookBody, LevelBody};

use crate::store::{AppliedBatch, TradeRow};

/// What followers of the feed are told of a commit.
#[derive(Clone, Debug)]
pub struct Update {
    /// The last batch of the commit.
    pub batch: u64,
    /// Changed levels of the published books, by market; a quantity of `0` for one that is gone or
    /// beyond the last that is published.
    pub books: Vec<BookBody>,
    /// New trades, oldest first.
    pub trades: Vec<TradeRow>,
    /// Accounts of which something changed.
    pub accounts: BTreeSet<PublicKey>,
}

impl Update {
    /// Of batches, with the published books before them and after them.
    pub fn new(
        fee_account: PublicKey,
        batches: &[AppliedBatch],
        before: &[Arc<BookBody>],
        after: &[Arc<BookBody>],
    ) -> Self {
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

/// What makes one side of a published book out of the one before it.
fn changed_levels(before: &[LevelBody], after: &[LevelBody]) -> Vec<LevelBody> {
    let old: HashMap<&str, &LevelBody> =
        before.iter().map(|level| (level.0.as_str(), level)).collect();
    let new: HashSet<&str> = after.iter().map(|level| level.0.as_str()).collect();
    let gone = before.iter().filter(|level| !new.contains(level.0.as_str()));
    let gone = gone.map(|level| (level.0.clone(), "0".into(), "0".into()));
    let changed = after.iter().filter(|level| old.get(level.0.as_str()) != Some(level));
    gone.chain(changed.cloned()).collect()
}
