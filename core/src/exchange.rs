//! The state machine: what a finalized batch does.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::batch::{Batch, CheckedTransaction, Once};
use crate::book::{Book, RestingOrder, Slot};
use crate::event::{CancelReason, Corrupt, Event, Outcome, TransactionOutcome};
use crate::genesis::{Market, MarketIndex, Rules, TokenIndex};
use crate::key::PublicKey;
use crate::ledger::{Account, AccountIndex, Balance, Ledger};
use crate::limits::SUPPLY_MAX;
use crate::reject::Reject;
use crate::state::LeafKey;
use crate::state_root::{Hash, StateTree};
use crate::transaction::{Action, TransactionHash};
use crate::units::{Atoms, Decimal};

/// Why a transaction did nothing: by the rules, or because this replica is broken.
#[derive(Debug)]
pub(crate) enum Failure {
    Reject(Reject),
    Corrupt(Corrupt),
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Corrupt> for Failure {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

/// Sequence numbers and the chain over all bodies: one leaf, which every batch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Index of the last applied batch; 0 before the first.
    pub batch: u64,
    /// `c[0]` is the network id; `c[n] = SHA-256(c[n-1] || SHA-256(body[n]))`.
    pub body_chain: Hash,
    /// Id of the last accepted order.
    pub order: u64,
    /// Number of the last trade.
    pub trade: u64,
}

/// Everything that replicas agree on.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub(crate) rules: Arc<Rules>,
    pub(crate) counters: Counters,
    pub(crate) ledger: Ledger,
    pub(crate) books: Vec<Book>,
    /// Every open order, by id.
    pub(crate) orders: BTreeMap<u64, (MarketIndex, Slot)>,
    /// Deposit references that were credited.
    pub(crate) references: BTreeSet<(TokenIndex, String)>,
    /// Signatures in the guide's format that were used.
    pub(crate) guide_signatures: BTreeSet<TransactionHash>,
    pub(crate) tree: StateTree,
    /// Leaves that this batch may have changed.
    pub(crate) touched: BTreeSet<LeafKey>,
    /// What the present transaction did so far.
    pub(crate) events: Vec<Event>,
}

impl Exchange {
    /// The state before the first batch.
    pub fn new(rules: Arc<Rules>) -> Self {
        let tokens = rules.genesis.tokens.len();
        let markets = rules.markets.len();
        let mut exchange = Self {
            counters: Counters { batch: 0, body_chain: rules.network.0, order: 0, trade: 0 },
            rules,
            ledger: Ledger::new(tokens),
            books: core::iter::repeat_with(Book::default).take(markets).collect(),
            orders: BTreeMap::new(),
            references: BTreeSet::new(),
            guide_signatures: BTreeSet::new(),
            tree: StateTree::default(),
            touched: BTreeSet::new(),
            events: Vec::new(),
        };
        let counters = exchange.leaf_value(&LeafKey::Counters);
        exchange.tree.set(&LeafKey::Counters.to_bytes(), counters.as_deref());
        exchange
    }

    /// The rules of genesis.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Sequence numbers and the body chain.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The root of the present state.
    pub fn root(&mut self) -> Hash {
        self.tree.root()
    }

    /// Accounts and supplies.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The book of a market.
    pub fn book(&self, market: MarketIndex) -> Option<&Book> {
        self.books.get(usize::from(market.0))
    }

    /// An open order with its market.
    pub fn order(&self, id: u64) -> Option<(MarketIndex, &RestingOrder)> {
        let (market, slot) = *self.orders.get(&id)?;
        Some((market, self.book(market)?.order(slot)?))
    }

    /// An account, if it was ever touched.
    pub fn account(&self, key: &PublicKey) -> Option<&Account> {
        self.ledger.find(key)
    }

    /// Whether a deposit reference was credited.
    pub fn reference_is_used(&self, token: TokenIndex, reference: &str) -> bool {
        self.references.contains(&(token, reference.into()))
    }

    /// Applies the next batch. Total over all bytes of its body. `Err` means that this replica is
    /// broken, or that the batch is not the next one: commit nothing and stop.
    pub fn apply(&mut self, batch: &Batch) -> Result<Outcome, Corrupt> {
        let next = self.counters.batch.checked_add(1).ok_or(Corrupt("batch indexes ran out"))?;
        if batch.index != next {
            return Err(Corrupt("a batch was not the next one in sequence"));
        }
        let mut hasher = Sha256::new();
        hasher.update(self.counters.body_chain);
        hasher.update(batch.body_hash);
        self.counters.body_chain = hasher.finalize().into();
        self.counters.batch = batch.index;
        self.touched.insert(LeafKey::Counters);

        let mut transactions = Vec::with_capacity(batch.transactions.len());
        for element in &batch.transactions {
            transactions.push(match element {
                Err(invalid) => TransactionOutcome {
                    hash: None,
                    account: None,
                    kind: invalid.kind,
                    result: Err(invalid.reject.clone()),
                },
                Ok(transaction) => TransactionOutcome {
                    hash: Some(transaction.hash),
                    account: Some(transaction.account),
                    kind: Some(transaction.kind()),
                    result: self.transact(transaction)?,
                },
            });
        }
        let changes = self.commit_leaves();
        Ok(Outcome { index: batch.index, root: self.tree.root(), transactions, changes })
    }

    /// Brings the tree up to date and returns the leaves that were touched.
    fn commit_leaves(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let touched = core::mem::take(&mut self.touched);
        let mut changes = Vec::with_capacity(touched.len());
        for leaf in &touched {
            let (key, value) = (leaf.to_bytes(), self.leaf_value(leaf));
            self.tree.set(&key, value.as_deref());
            changes.push((key, value));
        }
        changes
    }

    fn transact(
        &mut self,
        transaction: &CheckedTransaction,
    ) -> Result<Result<Vec<Event>, Reject>, Corrupt> {
        if let Err(reject) = self.check_unused(transaction) {
            return Ok(Err(reject));
        }
        // From here on the nonce is used up, also if the transaction is rejected: else anyone
        // could post it again on the day that it would succeed.
        let account = self.use_up(transaction)?;
        match self.act(account, &transaction.action) {
            Ok(()) => Ok(Ok(core::mem::take(&mut self.events))),
            Err(Failure::Reject(reject)) if self.events.is_empty() => Ok(Err(reject)),
            Err(Failure::Reject(_)) => Err(Corrupt("a transaction was rejected half done")),
            Err(Failure::Corrupt(corrupt)) => Err(corrupt),
        }
    }

    fn check_unused(&self, transaction: &CheckedTransaction) -> Result<(), Reject> {
        match transaction.once {
            Once::Nonce(nonce) => self
                .ledger
                .find(&transaction.account)
                .map_or(Ok(()), |account| account.check_nonce(nonce)),
            Once::Signature if self.guide_signatures.contains(&transaction.hash) => {
                Err(Reject::NonceUsed)
            }
            Once::Signature => Ok(()),
        }
    }

    fn use_up(&mut self, transaction: &CheckedTransaction) -> Result<AccountIndex, Corrupt> {
        let index = self.ledger.intern(&transaction.account)?;
        match transaction.once {
            Once::Nonce(nonce) => {
                self.ledger.account_mut(index)?.use_nonce(nonce);
                self.touched.insert(LeafKey::Nonces(transaction.account));
            }
            Once::Signature => {
                self.guide_signatures.insert(transaction.hash);
                self.touched.insert(LeafKey::GuideSignature(transaction.hash));
            }
        }
        Ok(index)
    }

    fn act(&mut self, account: AccountIndex, action: &Action) -> Result<(), Failure> {
        match action {
            Action::Order(order) => {
                let rules = Arc::clone(&self.rules);
                let terms = rules.terms(order)?;
                self.place(account, &terms)
            }
            Action::Cancel { order } => self.cancel(account, *order),
            Action::CancelAll { market } => self.cancel_all(account, market.as_deref()),
            Action::Transfer { token, to, amount } => self.transfer(account, token, to, *amount),
            Action::Deposit { token, to, amount, reference } => {
                self.deposit(account, token, to, *amount, reference)
            }
        }
    }

    fn cancel(&mut self, account: AccountIndex, order: u64) -> Result<(), Failure> {
        let owner = self.order(order).map(|(_, resting)| resting.account);
        if owner != Some(account) {
            return Err(Reject::UnknownOrder { order }.into());
        }
        Ok(self.cancel_resting(order, CancelReason::Requested)?)
    }

    fn cancel_all(&mut self, account: AccountIndex, market: Option<&str>) -> Result<(), Failure> {
        let market = match market {
            Some(name) => {
                let market = self.rules.market(name).ok_or_else(|| self.rules.unknown_market(name));
                Some(market?.index)
            }
            None => None,
        };
        let open = &self.ledger.account(account)?.open_orders;
        let orders: Vec<u64> = match market {
            Some(market) => open.get(&market).into_iter().flatten().copied().collect(),
            None => open.values().flatten().copied().collect(),
        };
        for id in orders {
            self.cancel_resting(id, CancelReason::Requested)?;
        }
        Ok(())
    }

    /// Takes an open order out of its book and returns what it locks.
    pub(crate) fn cancel_resting(&mut self, id: u64, reason: CancelReason) -> Result<(), Corrupt> {
        let (index, slot) = self.orders.remove(&id).ok_or(Corrupt("an open order is unknown"))?;
        let order = self.book_mut(index)?.remove(slot)?;
        let rules = Arc::clone(&self.rules);
        let market = market_of(&rules, index)?;
        let lock = market
            .lock_atoms(order.side, order.price, order.remaining)
            .ok_or(Corrupt("a lock exceeds what can exist"))?;
        let token = market.lock_token(order.side);
        self.ledger.unlock(order.account, token, lock)?;
        let account = self.ledger.account_mut(order.account)?;
        account.close_order(index, id);
        let key = account.key;
        self.touched.insert(LeafKey::Order(id));
        self.touched.insert(LeafKey::Balance(key, token));
        self.events.push(Event::Cancelled {
            order: id,
            account: key,
            market: index,
            side: order.side,
            price: order.price,
            remaining: order.remaining,
            reason,
        });
        Ok(())
    }

    fn transfer(
        &mut self,
        from: AccountIndex,
        token: &str,
        to: &PublicKey,
        amount: Decimal,
    ) -> Result<(), Failure> {
        let rules = Arc::clone(&self.rules);
        let (token, _, amount) = rules.amount(token, amount)?;
        let sender = self.ledger.account(from)?;
        let from_key = sender.key;
        if from_key == *to {
            return Err(Reject::TransferToSelf.into());
        }
        let available = sender.balance(token).available;
        if available < amount {
            return Err(rules.balance_too_low(token, amount, available).into());
        }
        let receiver = self.ledger.intern(to)?;
        self.ledger.debit(from, token, amount)?;
        self.ledger.credit(receiver, token, amount)?;
        self.touched.insert(LeafKey::Balance(from_key, token));
        self.touched.insert(LeafKey::Balance(*to, token));
        self.events.push(Event::Transferred { from: from_key, to: *to, token, amount });
        Ok(())
    }

    fn deposit(
        &mut self,
        signer: AccountIndex,
        token: &str,
        to: &PublicKey,
        amount: Decimal,
        reference: &str,
    ) -> Result<(), Failure> {
        let rules = Arc::clone(&self.rules);
        let (index, spec, atoms) = rules.amount(token, amount)?;
        let existing = self.ledger.supply(index);
        let supply = existing
            .checked_add(atoms)
            .filter(|supply| supply.0 <= SUPPLY_MAX)
            .ok_or_else(|| {
                let largest = SUPPLY_MAX.saturating_sub(existing.0);
                rules.amount_too_large(index, alloc::format!("{amount}"), largest)
            })?;
        if self.ledger.account(signer)?.key != spec.issuer {
            let (token, issuer) = (spec.symbol.clone(), spec.issuer);
            return Err(Reject::NotIssuer { token, issuer }.into());
        }
        if !self.references.insert((index, reference.into())) {
            let (token, reference) = (spec.symbol.clone(), reference.into());
            return Err(Reject::ReferenceUsed { token, reference }.into());
        }
        let receiver = self.ledger.intern(to)?;
        self.ledger.credit(receiver, index, atoms)?;
        self.ledger.set_supply(index, supply)?;
        self.touched.insert(LeafKey::Reference(index, reference.into()));
        self.touched.insert(LeafKey::Balance(*to, index));
        self.touched.insert(LeafKey::Supply(index));
        self.events.push(Event::Deposited {
            account: *to,
            token: index,
            amount: atoms,
            reference: reference.into(),
        });
        Ok(())
    }

    pub(crate) fn book_mut(&mut self, market: MarketIndex) -> Result<&mut Book, Corrupt> {
        self.books.get_mut(usize::from(market.0)).ok_or(Corrupt("a market has no book"))
    }

    /// The balance of an account, zero if it was never touched.
    pub fn balance(&self, key: &PublicKey, token: TokenIndex) -> Balance {
        self.ledger.find(key).map(|account| account.balance(token)).unwrap_or_default()
    }

    /// What exists of a token.
    pub fn supply(&self, token: TokenIndex) -> Atoms {
        self.ledger.supply(token)
    }
}

pub(crate) fn market_of(rules: &Rules, index: MarketIndex) -> Result<&Market, Corrupt> {
    rules.market_at(index).ok_or(Corrupt("a market is not in genesis"))
}
