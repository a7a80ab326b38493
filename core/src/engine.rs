//! The engine: books, balances and everything else that transactions change, without the
//! authenticated tree over it. Each kind of transaction has its own module, which adds to [`Engine`].

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::attestation::Attestations;
use crate::batch::{CheckedTransaction, Once};
use crate::book::{Book, RestingOrder, Slot};
use crate::event::{Corrupt, Event, Note};
use crate::funds::Withdrawal;
use crate::genesis::Rules;
use crate::key::PublicKey;
use crate::leaf::LeafKey;
use crate::ledger::{Account, AccountIndex, Ledger};
use crate::listing::{Market, MarketIndex, TokenIndex};
use crate::matching::{Meet, Placing};
use crate::reject::Reject;
use crate::session::SessionKey;
use crate::state_root::Hash;
use crate::timer::Timers;
use crate::transaction::{Action, TransactionHash};

/// Why a transaction did nothing: by the rules, or because this replica is broken.
#[derive(Debug)]
pub enum Failure {
    /// By the rules. In a box, so that what nearly always succeeds has little to hand back.
    Reject(Box<Reject>),
    /// Because this replica is broken.
    Corrupt(Corrupt),
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::Reject(Box::new(reject))
    }
}

impl From<Corrupt> for Failure {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

/// Sequence numbers, the time, and the chain over all bodies: one leaf, which every batch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Index of the last applied batch; 0 before the first.
    pub batch: u64,
    /// `c[0]` is the network id; `c[n] = SHA-256(c[n-1] || SHA-256(body[n]))` (I12).
    pub body_chain: Hash,
    /// Id of the last accepted order.
    pub order: u64,
    /// Number of the last trade.
    pub trade: u64,
    /// Number of the last withdrawal.
    pub withdrawal: u64,
    /// The state's time in Unix milliseconds. It changes between batches only, and never goes back.
    pub time: u64,
}

/// What few orders have, and is therefore not in the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderDetails {
    /// When it is cancelled, in Unix milliseconds.
    pub expires: Option<u64>,
    /// The trader's own name for it.
    pub client_id: Option<String>,
}

/// Leaves that may have changed since the tree was last brought up to date. What every transaction
/// touches is kept small; doubles are dropped later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub balances: Vec<(AccountIndex, TokenIndex)>,
    pub nonces: Vec<AccountIndex>,
    pub orders: Vec<(AccountIndex, u64)>,
    pub others: BTreeSet<LeafKey>,
}

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
    pub(crate) meets: Vec<Meet<(Slot, RestingOrder)>>,
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

    /// Applies one transaction, whose signature is good.
    pub fn transact(
        &mut self,
        rules: &Rules,
        transaction: &CheckedTransaction,
    ) -> Result<Result<Vec<Event>, Reject>, Corrupt> {
        if let Err(reject) = self.check_unused(transaction) {
            return Ok(Err(reject));
        }
        // From here on the nonce is used up, also if the transaction is rejected: else anyone
        // could post it again on the day that it would succeed (I9, I11).
        self.use_up(transaction)?;
        match self.act(rules, transaction) {
            Ok(()) => Ok(Ok(self.take_events()?)),
            Err(Failure::Reject(reject)) if self.notes.is_empty() => Ok(Err(*reject)),
            Err(Failure::Reject(_)) => Err(Corrupt("a transaction was rejected half done")),
            Err(Failure::Corrupt(corrupt)) => Err(corrupt),
        }
    }

    fn check_unused(&self, transaction: &CheckedTransaction) -> Result<(), Reject> {
        match transaction.once {
            Once::Nonce(nonce) => self
                .ledger
                .find(&transaction.signer)
                .map_or(Ok(()), |signer| signer.check_nonce(nonce)),
            Once::Signature if self.guide_signatures.contains(&transaction.hash) => {
                Err(Reject::NonceUsed)
            }
            Once::Signature => Ok(()),
        }
    }

    fn use_up(&mut self, transaction: &CheckedTransaction) -> Result<(), Corrupt> {
        match transaction.once {
            Once::Nonce(nonce) => {
                let signer = self.ledger.intern(&transaction.signer)?;
                self.ledger.account_mut(signer)?.use_nonce(nonce);
                self.touched.nonces.push(signer);
            }
            Once::Signature => {
                self.guide_signatures.insert(transaction.hash);
                self.touch(LeafKey::GuideSignature(transaction.hash));
            }
        }
        Ok(())
    }

    fn act(&mut self, rules: &Rules, transaction: &CheckedTransaction) -> Result<(), Failure> {
        if let Some(valid_until) = transaction.valid_until
            && self.counters.time >= valid_until
        {
            return Err(Reject::Expired { valid_until, time: self.counters.time }.into());
        }
        let session_market = self.check_signer(rules, transaction)?;
        let account = self.ledger.intern(&transaction.account)?;
        match &transaction.action {
            Action::Order(order) => {
                let terms = rules.listing.terms(order)?;
                self.check_ahead("expires", order.expires)?;
                let placing = Placing {
                    account,
                    session_key: transaction.session_key(),
                    hash: transaction.hash,
                    client_id: order.client_id.as_deref(),
                    replaces: None,
                };
                self.place(rules, &terms, &placing)
            }
            Action::Replace { target, order } => self.replace(rules, transaction, target, order),
            Action::Cancel(target) => self.cancel(rules, account, target, session_market),
            Action::CancelAll { market } => self.cancel_all(rules, account, market.as_deref()),
            Action::CancelAllAfter { time } => self.cancel_all_after(account, *time),
            Action::Transfer { token, to, amount } => {
                self.transfer(rules, account, token, to, *amount)
            }
            Action::Withdraw { token, amount, destination } => {
                self.withdraw(rules, account, token, *amount, destination)
            }
            Action::Deposit { token, to, amount, reference } => {
                self.deposit(rules, account, token, to, *amount, reference)
            }
            Action::AuthorizeKey(grant) => self.authorize_key(rules, transaction.account, grant),
            Action::RevokeKey { key } => self.revoke_key(transaction.account, *key),
            Action::Attest { batch, root, clock } => {
                self.attest(rules, &transaction.account, *batch, *root, *clock)
            }
        }
    }

    /// A time that something waits for must not have come yet.
    pub(crate) fn check_ahead(
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
}

pub(crate) fn market_of(rules: &Rules, index: MarketIndex) -> Result<&Market, Corrupt> {
    rules.listing.market_at(index).ok_or(Corrupt("a market is not in genesis"))
}
