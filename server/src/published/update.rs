//! The changes of a commit, which the feed sends to its followers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::OnceCell;
use tokio::time::Instant;
use zellbook_core::PublicKey;
use zellbook_core::wire::{BookBody, Channel, LevelBody};

use crate::store::{AccountChanges, AppliedBatch, TradeRow, account_changes};

/// The messages of a commit in one channel, each as JSON that all subscribers share.
pub type Messages = Arc<[String]>;

/// Everything beyond the commit itself is made by the first follower who needs it, and never by the replica's
/// task: without followers it costs nothing, and with many of one channel it is made once.
#[derive(Debug)]
pub struct Update {
    /// The last batch of the commit.
    pub batch: u64,
    /// The last certified batch after the commit.
    pub certified: Option<u64>,
    /// When the commit was published.
    pub published: Instant,
    /// The changed price levels, by market. A level with quantity `0` was removed, or is no longer among the
    /// published ones.
    pub books: Vec<BookBody>,
    batches: Vec<AppliedBatch>,
    accounts: OnceLock<HashMap<PublicKey, AccountChanges>>,
    messages: Mutex<HashMap<Channel, Arc<OnceCell<Messages>>>>,
}

impl Update {
    /// The changes of some batches, with the published books before and after them.
    pub fn new(
        mut batches: Vec<AppliedBatch>,
        certified: Option<u64>,
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
        for batch in &mut batches {
            // The largest part of a batch, which no message needs. A slow follower keeps updates in memory.
            batch.body = String::new();
        }
        Self {
            batch: batches.last().map_or(0, |batch| batch.index),
            certified,
            published: Instant::now(),
            books: books.filter(|body| !body.bids.is_empty() || !body.asks.is_empty()).collect(),
            batches,
            accounts: OnceLock::new(),
            messages: Mutex::default(),
        }
    }

    /// The new trades, oldest first.
    pub fn trades(&self) -> impl DoubleEndedIterator<Item = &TradeRow> {
        self.batches.iter().flat_map(|batch| &batch.rows.trades)
    }

    /// What changed in an account, if anything did.
    pub fn account(&self, account: &PublicKey) -> Option<&AccountChanges> {
        // Sorted by account once: otherwise each follower would search the whole commit for its account.
        self.accounts.get_or_init(|| account_changes(&self.batches)).get(account)
    }

    /// The messages in a channel. They are made by the first caller; the others wait for them.
    pub async fn messages<E>(
        &self,
        channel: &Channel,
        make: impl Future<Output = Result<Messages, E>>,
    ) -> Result<Messages, E> {
        let cell = {
            let mut all = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(channel.clone()).or_default())
        };
        cell.get_or_try_init(|| make).await.cloned()
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn the_messages_of_a_channel_are_made_once_for_all_its_followers() {
        let update = Update::new(Vec::new(), None, &[], &[]);
        let made = AtomicUsize::new(0);
        let account = |name: &str| Channel::Account { account: name.into() };
        let follow = |channel: Channel| {
            let (update, made) = (&update, &made);
            async move {
                let make = async {
                    made.fetch_add(1, Ordering::Relaxed);
                    // As a read of the store does, meanwhile the other followers ask.
                    yield_now().await;
                    Ok::<_, Infallible>(Messages::from([format!("{channel:?}")]))
                };
                update.messages(&channel, make).await.unwrap()
            }
        };
        let at_once = join_all((0..512).map(|_| follow(account("alice")))).await;
        let later = follow(account("alice")).await;
        assert_eq!(made.load(Ordering::Relaxed), 1);
        // Not only equal: they share the text.
        assert!(at_once.iter().all(|messages| Arc::ptr_eq(messages, &later)));
        let other = follow(account("bob")).await;
        assert_eq!(made.load(Ordering::Relaxed), 2);
        assert_ne!(other, later);
    }

    #[tokio::test]
    async fn messages_that_could_not_be_made_are_made_for_the_next_follower() {
        let update = Update::new(Vec::new(), None, &[], &[]);
        let failed = update.messages(&Channel::Status, async { Err("the store failed") }).await;
        assert_eq!(failed, Err("the store failed"));
        let made = async { Ok::<_, Infallible>(Messages::from(["x".into()])) };
        assert_eq!(update.messages(&Channel::Status, made).await, Ok(Messages::from(["x".into()])));
    }
}
