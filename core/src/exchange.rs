//! The state machine: the rules of genesis, the engine, and the authenticated tree over all of its
//! state.

use alloc::sync::Arc;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::engine::{BrokenInvariant, Engine, Footprint, StoredOrder};
use crate::protocol::{Batch, Changes, Event, Outcome, TransactionOutcome};
use crate::rules::Rules;
use crate::state::{Account, Balance, Counters, LeafKey, Proof, StateTree};
use crate::types::{Atoms, Corrupt, Hash, PublicKey, TokenIndex};

/// Everything that replicas agree on.
#[derive(Clone, Debug)]
pub struct Exchange {
    rules: Arc<Rules>,
    engine: Engine,
    tree: StateTree,
}

/// What a batch did, before the tree is brought up to date.
#[derive(Debug)]
pub struct Executed {
    /// What came due before the first transaction.
    pub due: Vec<Event>,
    /// One for each element of the body, in order.
    pub transactions: Vec<TransactionOutcome>,
}

impl Exchange {
    /// The state before the first batch.
    pub fn new(rules: Arc<Rules>) -> Self {
        let engine = Engine::new(&rules);
        let mut tree = StateTree::default();
        for (key, value) in engine.leaves() {
            tree.set(&key, Some(&value));
        }
        Self { rules, engine, tree }
    }

    /// The rules of genesis.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Books, balances and all else.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Sequence numbers, the time, and the body chain.
    pub const fn counters(&self) -> &Counters {
        &self.engine.counters
    }

    /// The root of the present state.
    pub fn root(&mut self) -> Hash {
        self.tree.root()
    }

    /// An account, if it was ever touched.
    pub fn account(&self, key: &PublicKey) -> Option<&Account> {
        self.engine.ledger.find(key)
    }

    /// The balance of an account, zero if it was never touched.
    pub fn balance(&self, key: &PublicKey, token: TokenIndex) -> Balance {
        self.account(key).map(|account| account.balance(token)).unwrap_or_default()
    }

    /// What exists of a token.
    pub fn supply(&self, token: TokenIndex) -> Atoms {
        self.engine.ledger.supply(token)
    }

    /// The present value of a leaf with the proof that the root commits to it, or to its absence.
    pub fn prove(&mut self, key: &LeafKey) -> (Option<Vec<u8>>, Proof) {
        (self.engine.leaf_value(key), self.tree.prove(&key.to_bytes()))
    }

    /// Applies the next batch. Total over all bytes of its body. `Err` means that this replica is
    /// broken, or that the batch is not the next one: commit nothing and stop.
    pub fn apply(&mut self, batch: &Batch) -> Result<Outcome, Corrupt> {
        let Executed { due, transactions } = self.execute(batch)?;
        let changes = self.commit()?;
        Ok(Outcome { index: batch.index, root: self.tree.root(), due, transactions, changes })
    }

    /// The first half of [`Self::apply`]: everything but the tree. [`Self::commit`] must follow before
    /// anything asks for a root or a proof.
    pub fn execute(&mut self, batch: &Batch) -> Result<Executed, Corrupt> {
        let counters = &mut self.engine.counters;
        let next = counters.batch.checked_add(1).ok_or(Corrupt("batch indexes ran out"))?;
        if batch.index != next {
            return Err(Corrupt("a batch was not the next one in sequence"));
        }
        let mut hasher = Sha256::new();
        hasher.update(counters.body_chain);
        hasher.update(batch.body_hash);
        counters.body_chain = hasher.finalize().into();
        counters.batch = batch.index;
        self.engine.touch(LeafKey::Counters);

        self.engine.advance(&self.rules)?;
        let due = self.engine.take_events()?;
        let mut transactions = Vec::with_capacity(batch.transactions.len());
        let footprints = batch.transactions.iter().map(|element| {
            element.as_ref().ok().and_then(|element| self.engine.footprint(&self.rules, element))
        });
        let mut footprints: Vec<Option<Footprint>> = footprints.collect();
        for (position, element) in batch.transactions.iter().enumerate() {
            self.engine.prefetch(&mut footprints, position);
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
                    result: self.engine.transact(&self.rules, transaction)?,
                },
            });
        }
        Ok(Executed { due, transactions })
    }

    /// The second half: brings the tree up to date and returns the leaves that were touched, keys in
    /// ascending order.
    pub fn commit(&mut self) -> Result<Changes, Corrupt> {
        let touched = self.engine.take_touched()?;
        let mut changes: Changes =
            touched.iter().map(|leaf| (leaf.to_bytes(), self.engine.leaf_value(leaf))).collect();
        changes.sort_unstable();
        let leaves = changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        self.tree.set_all(leaves);
        self.tree.root();
        Ok(changes)
    }

    /// Builds the state from all of its leaves: see [`Restore`].
    pub fn from_leaves<'a>(
        rules: Arc<Rules>,
        leaves: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, Corrupt> {
        let mut restore = Restore::new(rules);
        for (key, value) in leaves {
            restore.take(key, value)?;
        }
        restore.finish()
    }

    /// Checks I1 to I6, I9 and I10 by counting everything again.
    pub fn recount(&self) -> Result<(), BrokenInvariant> {
        self.engine().recount(self.rules())
    }
}

/// A state that is built from all of its leaves, one after the other, in ascending order of their keys,
/// each key once and each in the one form that this program writes. The caller compares the root, which
/// commits to every leaf.
pub struct Restore {
    exchange: Exchange,
    orders: Vec<StoredOrder>,
    /// The key before.
    previous: Vec<u8>,
    count: u64,
}

impl Restore {
    /// With no leaf yet.
    pub fn new(rules: Arc<Rules>) -> Self {
        let engine = Engine::new(&rules);
        let exchange = Exchange { rules, engine, tree: StateTree::default() };
        Self { exchange, orders: Vec::new(), previous: Vec::new(), count: 0 }
    }

    /// Takes the next leaf.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if self.count > 0 && self.previous.as_slice() >= key {
            return Err(Corrupt("stored leaves are out of order or repeated"));
        }
        self.previous.clear();
        self.previous.extend_from_slice(key);
        let leaf = LeafKey::from_bytes(key)?;
        if self.count == 0 && leaf != LeafKey::Counters {
            return Err(Corrupt("the stored counters are missing"));
        }
        self.count = self.count.checked_add(1).ok_or(Corrupt("stored leaves ran out"))?;
        self.exchange.tree.set(key, Some(value));
        self.exchange.engine.load_leaf(leaf, value, &mut self.orders)
    }

    /// The state, once all leaves are taken.
    pub fn finish(self) -> Result<Exchange, Corrupt> {
        let Self { mut exchange, orders, count, .. } = self;
        if count == 0 {
            return Err(Corrupt("the stored counters are missing"));
        }
        exchange.engine.open_stored(orders)?;
        // What the state writes is what was read: as many, and each of them.
        let mut written = 0_u64;
        for (key, value) in exchange.engine.leaves_one_by_one() {
            written = written.wrapping_add(1);
            if !exchange.tree.has(&key, &value) {
                return Err(Corrupt("a stored leaf is not in its one form"));
            }
        }
        if written != count {
            return Err(Corrupt("a stored leaf is not in its one form"));
        }
        exchange.engine.forget_touched();
        exchange.tree.root();
        Ok(exchange)
    }
}
