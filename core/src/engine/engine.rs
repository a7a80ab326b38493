//! The struct that holds the state, without the tree over it. Each kind of transaction has its own
//! file, which adds methods to [`Engine`].

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::note::Note;
use super::plan::MatchStep;
use super::touched::Touched;
use crate::protocol::{Event, Reject};
use crate::rules::{Market, Rules};
use crate::state::{
    Attestations, Book, Counters, LeafKey, Ledger, OrderDetails, RestingOrder, SessionKey, Slot,
    Timers, Withdrawal,
};
use crate::types::{AccountIndex, Corrupt, MarketIndex, PublicKey, TokenIndex, TransactionHash};

/// Everything that replicas agree on, except the rules of genesis and the tree.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) counters: Counters,
    pub(crate) ledger: Ledger,
    pub(crate) fee_account: AccountIndex,
    pub(crate) books: Vec<Book>,
    // These are ordered maps and not hash maps. The order of a hash map depends on its seed, and
    // with a fixed seed anyone could choose account keys that collide (decision 0008).
    /// Optional properties by order id; only for the open orders that have any.
    pub(crate) details: BTreeMap<u64, OrderDetails>,
    /// Ids of the open orders that have a client id.
    pub(crate) client_ids: BTreeMap<(AccountIndex, String), u64>,
    /// The session keys by account and key.
    pub(crate) session_keys: BTreeMap<(PublicKey, PublicKey), SessionKey>,
    /// The dead-man's switches: when all orders of an account are cancelled.
    pub(crate) switches: BTreeMap<PublicKey, u64>,
    pub(crate) timers: Timers,
    pub(crate) attestations: Attestations,
    /// All withdrawals. Number n is at index n - 1.
    pub(crate) withdrawals: Vec<Withdrawal>,
    /// Deposit references that were credited.
    pub(crate) references: BTreeSet<(TokenIndex, String)>,
    /// Used signatures in the guide's format.
    pub(crate) guide_signatures: BTreeSet<TransactionHash>,
    pub(crate) touched: Touched,
    /// What the current transaction did so far.
    pub(crate) notes: Vec<Note>,
    /// The events of `notes` that need memory of their own.
    others: Vec<Event>,
    /// The plan of the current order. Kept from one order to the next, so that no order allocates
    /// it.
    pub(crate) meets: Vec<MatchStep<(Slot, RestingOrder)>>,
}

impl Engine {
    /// The state before the first batch.
    pub(crate) fn new(rules: &Rules) -> Self {
        Self {
            counters: Counters {
                batch: 0,
                // The chain over all bodies starts from the network id, so two exchanges never
                // share a part of it (I12).
                body_chain: rules.network.0,
                order: 0,
                trade: 0,
                withdrawal: 0,
                time: 0,
            },
            ledger: Ledger::new(rules.genesis.tokens.len(), &rules.genesis.fee_account),
            // The ledger gives its first account, the fee account, index 0.
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

    /// Takes the events since the last call.
    pub(crate) fn take_events(&mut self) -> Result<Vec<Event>, Corrupt> {
        let ledger = &self.ledger;
        let key = |account| Ok(ledger.account(account)?.key);
        // Drained and not taken: both lists keep their memory for the next transaction.
        let mut others = self.others.drain(..);
        self.notes.drain(..).map(|note| note.resolve(key, &mut others)).collect()
    }

    #[cfg(feature = "bench")]
    pub(crate) fn forget_notes(&mut self) {
        self.notes.clear();
        self.others.clear();
    }

    /// Clears the list of touched leaves: after a restore, which built the tree from the leaves
    /// themselves.
    pub(crate) fn forget_touched(&mut self) {
        self.touched.balances.clear();
        self.touched.nonces.clear();
        self.touched.orders.clear();
        self.touched.others.clear();
    }

    /// The accounts and the supply of each token.
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

    pub(crate) fn key(&self, account: AccountIndex) -> Result<PublicKey, Corrupt> {
        Ok(self.ledger.account(account)?.key)
    }

    pub(crate) fn touch(&mut self, leaf: LeafKey) {
        self.touched.others.insert(leaf);
    }

    pub(crate) fn touch_balance(&mut self, account: AccountIndex, token: TokenIndex) {
        self.touched.balances.push((account, token));
    }

    /// Reject 18: a time in a transaction must be in the future. `None` passes.
    pub(crate) fn check_in_future(
        &self,
        field: &'static str,
        value: Option<u64>,
    ) -> Result<(), Reject> {
        let time = self.counters.time;
        match value {
            // The present is too early as well: a timer is later than the exchange's time (I10).
            Some(value) if value <= time => Err(Reject::TimePassed { field, value, time }),
            _ => Ok(()),
        }
    }

    /// A withdrawal by its number, from 1.
    pub fn withdrawal(&self, number: u64) -> Option<&Withdrawal> {
        self.withdrawals.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// The attestations that the state stores.
    pub const fn attestations(&self) -> &Attestations {
        &self.attestations
    }
}

pub(crate) fn market_of(rules: &Rules, index: MarketIndex) -> Result<&Market, Corrupt> {
    rules.listing.market_at(index).ok_or(Corrupt("a market is not in genesis"))
}
