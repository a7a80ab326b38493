//! The engine: books, balances and everything else that transactions change, without the
//! authenticated tree over it. Each kind of transaction has its own module, which adds to [`Engine`].

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::note::Note;
use super::plan::MatchStep;
use super::touched::Touched;
use crate::protocol::{Event, Reject};
use crate::rules::{Market, Rules};
use crate::state::{
    Account, Attestations, Book, Counters, LeafKey, Ledger, OrderDetails, RestingOrder, SessionKey,
    Slot, Timers, Withdrawal,
};
use crate::types::{AccountIndex, Corrupt, MarketIndex, PublicKey, TokenIndex, TransactionHash};

/// Everything that replicas agree on, but the rules of genesis and the tree.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) counters: Counters,
    pub(crate) ledger: Ledger,
    pub(crate) fee_account: AccountIndex,
    pub(crate) books: Vec<Book>,
    /// Of the open orders that have any.
    pub(crate) details: BTreeMap<u64, OrderDetails>,
    /// Open orders by their client ids.
    pub(crate) client_ids: BTreeMap<(AccountIndex, String), u64>,
    /// By account and session key.
    pub(crate) session_keys: BTreeMap<(PublicKey, PublicKey), SessionKey>,
    /// When all orders of an account are cancelled.
    pub(crate) switches: BTreeMap<PublicKey, u64>,
    pub(crate) timers: Timers,
    pub(crate) attestations: Attestations,
    /// Number n is at n - 1.
    pub(crate) withdrawals: Vec<Withdrawal>,
    /// Deposit references that were credited.
    pub(crate) references: BTreeSet<(TokenIndex, String)>,
    /// Signatures in the guide's format that were used.
    pub(crate) guide_signatures: BTreeSet<TransactionHash>,
    pub(crate) touched: Touched,
    /// What the present transaction did so far.
    pub(crate) notes: Vec<Note>,
    /// Those of its events that are kept apart.
    others: Vec<Event>,
    /// Room for what an incoming order meets, kept from one order to the next.
    pub(crate) meets: Vec<MatchStep<(Slot, RestingOrder)>>,
}

impl Engine {
    /// The state before the first batch.
    pub fn new(rules: &Rules) -> Self {
        Self {
            counters: Counters {
                batch: 0,
                body_chain: rules.network.0,
                order: 0,
                trade: 0,
                withdrawal: 0,
                time: 0,
            },
            ledger: Ledger::new(rules.genesis.tokens.len(), &rules.genesis.fee_account),
            fee_account: AccountIndex(0),
            books: core::iter::repeat_with(Book::default)
                .take(rules.listing.markets.len())
                .collect(),
            details: BTreeMap::new(),
            client_ids: BTreeMap::new(),
            session_keys: BTreeMap::new(),
            switches: BTreeMap::new(),
            timers: Timers::default(),
            attestations: Attestations::default(),
            withdrawals: Vec::new(),
            references: BTreeSet::new(),
            guide_signatures: BTreeSet::new(),
            touched: Touched::default(),
            notes: Vec::new(),
            others: Vec::new(),
            meets: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.notes.push(Note::Other);
        self.others.push(event);
    }

    /// What happened since this was last asked.
    pub(crate) fn take_events(&mut self) -> Result<Vec<Event>, Corrupt> {
        let ledger = &self.ledger;
        let key = |account| Ok(ledger.account(account)?.key);
        let mut others = self.others.drain(..);
        self.notes.drain(..).map(|note| note.resolve(key, &mut others)).collect()
    }

    /// The same as it was noted, for benchmarks of the engine alone, which place and cancel orders one
    /// by one.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Forgets what was noted, for them too.
    pub fn forget_notes(&mut self) {
        self.notes.clear();
        self.others.clear();
    }

    /// Forgets which leaves were touched, for them too.
    pub fn forget_touched(&mut self) {
        self.touched.balances.clear();
        self.touched.nonces.clear();
        self.touched.orders.clear();
        self.touched.others.clear();
    }

    /// Accounts and supplies.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The book of a market.
    pub fn book(&self, market: MarketIndex) -> Option<&Book> {
        self.books.get(usize::from(market.0))
    }

    pub(crate) fn book_mut(&mut self, market: MarketIndex) -> Result<&mut Book, Corrupt> {
        self.books.get_mut(usize::from(market.0)).ok_or(Corrupt("a market has no book"))
    }

    /// Bytes of memory that open orders take: in the books, and in the lists of their accounts.
    pub fn open_orders_memory(&self) -> usize {
        let books = self.books.iter().map(Book::memory);
        let lists = self.ledger.accounts().map(Account::open_orders_memory);
        books.chain(lists).fold(0, usize::wrapping_add)
    }

    /// Where the account with this key stands, made if need be.
    pub fn intern(&mut self, key: &PublicKey) -> Result<AccountIndex, Corrupt> {
        self.ledger.intern(key)
    }

    pub(crate) fn key(&self, account: AccountIndex) -> Result<PublicKey, Corrupt> {
        Ok(self.ledger.account(account)?.key)
    }

    pub(crate) fn touch(&mut self, leaf: LeafKey) {
        self.touched.others.insert(leaf);
    }

    pub(crate) fn touch_balance(&mut self, account: AccountIndex, token: TokenIndex) {
        self.touched.balances.push((account, token));
    }

    /// A time that something waits for must not have come yet.
    pub(crate) fn check_in_future(
        &self,
        field: &'static str,
        value: Option<u64>,
    ) -> Result<(), Reject> {
        let time = self.counters.time;
        match value {
            Some(value) if value <= time => Err(Reject::TimePassed { field, value, time }),
            _ => Ok(()),
        }
    }

    /// A withdrawal by its number, from 1.
    pub fn withdrawal(&self, number: u64) -> Option<&Withdrawal> {
        self.withdrawals.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// What the state keeps of attestations.
    pub const fn attestations(&self) -> &Attestations {
        &self.attestations
    }
}

pub(crate) fn market_of(rules: &Rules, index: MarketIndex) -> Result<&Market, Corrupt> {
    rules.listing.market_at(index).ok_or(Corrupt("a market is not in genesis"))
}
