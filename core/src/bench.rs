//! Calls into single parts of the exchange, for benchmarks, fuzz targets and tests. Needs the feature `bench`.
//!
//! These calls skip what keeps a state whole: they check no signatures, and most of them no nonces, and they update no
//! state tree. A program that runs an exchange uses [`Exchange::apply`] instead.

use alloc::vec::Vec;

use crate::engine::Engine;
pub use crate::engine::failure::Failure;
pub use crate::engine::note::Note;
pub use crate::engine::placing::Placing;
pub use crate::engine::prefetch::{BookPart, Footprint};
use crate::exchange::{Exchange, Executed};
use crate::protocol::{
    Batch, Changes, CheckedTransaction, Event, OrderRef, Reject, Terms, TransactionOutcome,
};
use crate::rules::Rules;
pub use crate::state::book::crosses;
pub use crate::state::tree::StateTree;
use crate::state::{Account, Book};
use crate::types::{AccountIndex, Corrupt, MarketIndex, PublicKey};

/// The first half of [`Exchange::apply`]: runs the transactions of a batch. Returns the events before the first
/// transaction and the outcomes. Call [`commit`] before asking for a root or a proof.
///
/// # Errors
///
/// As for [`Exchange::apply`].
#[inline]
pub fn execute(
    exchange: &mut Exchange,
    batch: &Batch,
) -> Result<(Vec<Event>, Vec<TransactionOutcome>), Corrupt> {
    let Executed { due, transactions } = exchange.execute(batch)?;
    Ok((due, transactions))
}

/// The second half of [`Exchange::apply`]: updates the tree. Returns the touched leaves in ascending order of their
/// keys.
///
/// # Errors
///
/// [`Corrupt`] if this replica is broken.
#[inline]
pub fn commit(exchange: &mut Exchange) -> Result<Changes, Corrupt> {
    exchange.commit()
}

/// An engine without the state tree. Its methods are those that [`Exchange`] calls for each transaction
/// of a batch.
#[derive(Clone, Debug)]
pub struct BareEngine(Engine);

impl BareEngine {
    /// The state before the first batch.
    pub fn new(rules: &Rules) -> Self {
        Self(Engine::new(rules))
    }

    /// The state, to read.
    pub const fn engine(&self) -> &Engine {
        &self.0
    }

    /// The index of the account with this key; adds the account if it is new.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if there are more accounts than 32 bits can number.
    #[inline]
    pub fn intern(&mut self, key: &PublicKey) -> Result<AccountIndex, Corrupt> {
        self.0.ledger.intern(key)
    }

    /// Applies one transaction, whose signature was checked.
    ///
    /// # Errors
    ///
    /// The outer error is [`Corrupt`] if this replica is broken; the inner one is the reject of the transaction.
    #[inline]
    pub fn transact(
        &mut self,
        rules: &Rules,
        transaction: &CheckedTransaction,
    ) -> Result<Result<Vec<Event>, Reject>, Corrupt> {
        self.0.transact(rules, transaction)
    }

    /// Places an order.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the order is rejected or this replica is broken.
    #[inline]
    pub fn place(
        &mut self,
        rules: &Rules,
        terms: &Terms,
        placing: &Placing<'_>,
    ) -> Result<(), Failure> {
        self.0.place(rules, terms, placing)
    }

    /// Cancels one open order, in one market or in any.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the account has no such order or this replica is broken.
    #[inline]
    pub fn cancel(
        &mut self,
        rules: &Rules,
        account: AccountIndex,
        target: &OrderRef,
        within: Option<MarketIndex>,
    ) -> Result<(), Failure> {
        self.0.cancel(rules, account, target, within)
    }

    /// Prefetches for the transactions soon after a position. Call it before each transaction, for all positions in
    /// order.
    #[inline]
    pub fn prefetch(&self, footprints: &mut [Option<Footprint>], position: usize) {
        self.0.prefetch(footprints, position);
    }

    /// The notes since they were last cleared.
    #[inline]
    pub fn notes(&self) -> &[Note] {
        &self.0.notes
    }

    /// Clears the notes.
    #[inline]
    pub fn forget_notes(&mut self) {
        self.0.forget_notes();
    }

    /// Clears the list of touched leaves, which would otherwise grow: nothing here updates a tree.
    #[inline]
    pub fn forget_touched(&mut self) {
        self.0.forget_touched();
    }
}

impl Engine {
    /// Bytes of memory that open orders take, in the books and in the lists of their accounts.
    pub fn open_orders_memory(&self) -> usize {
        let books = self.books.iter().map(Book::memory);
        let lists = self.ledger.accounts().map(Account::open_orders_memory);
        books.chain(lists).fold(0, usize::wrapping_add)
    }
}

/// A copy of the state of an exchange.
impl From<&Engine> for BareEngine {
    fn from(engine: &Engine) -> Self {
        Self(engine.clone())
    }
}
