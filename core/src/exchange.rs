//! The state machine: the rules of genesis, the engine, and the state tree over all of its leaves.
//!
//! [`Exchange::apply`] applies a batch in two halves. The first runs the transactions and notes which
//! leaves they touched; the second updates the tree with these leaves, once each, and computes the
//! root.

use alloc::sync::Arc;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::engine::{BrokenInvariant, Engine, Footprint, OTHER_FORM, StoredOrder};
use crate::protocol::{Batch, Changes, Event, Outcome, TransactionOutcome};
use crate::rules::Rules;
use crate::state::{Account, Balance, Counters, LeafKey, Proof, StateTree};
use crate::types::{Atoms, Corrupt, Hash, PublicKey, TokenIndex};

/// The state of one exchange: everything that its replicas agree on.
#[derive(Clone, Debug)]
pub struct Exchange {
    rules: Arc<Rules>,
    engine: Engine,
    tree: StateTree,
}

/// What a batch did, before the tree is updated.
#[derive(Debug)]
pub(crate) struct Executed {
    /// Events before the first transaction: expired orders, ended session keys, switches that
    /// fired.
    pub due: Vec<Event>,
    /// The outcome of each element of the body, in order.
    pub transactions: Vec<TransactionOutcome>,
}

impl Exchange {
    /// The state before the first batch.
    pub fn new(rules: Arc<Rules>) -> Self {
        let engine = Engine::new(&rules);
        let tree = StateTree::of(engine.leaves_one_by_one());
        Self { rules, engine, tree }
    }

    /// The rules of genesis.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The books, balances and everything else.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Sequence numbers, the exchange's time and the chain over all bodies.
    pub const fn counters(&self) -> &Counters {
        &self.engine.counters
    }

    /// The root of the current state.
    pub fn root(&mut self) -> Hash {
        self.tree.root()
    }

    /// The account with this key, if it ever appeared in a transaction.
    pub fn account(&self, key: &PublicKey) -> Option<&Account> {
        self.engine.ledger.find(key)
    }

    /// The balance of an account; zero if the account never appeared.
    pub fn balance(&self, key: &PublicKey, token: TokenIndex) -> Balance {
        self.account(key).map(|account| account.balance(token)).unwrap_or_default()
    }

    /// The supply of a token: deposits less withdrawals.
    pub fn supply(&self, token: TokenIndex) -> Atoms {
        self.engine.ledger.supply(token)
    }

    /// The current value of a leaf, and the proof that the root commits to it, or to its absence.
    pub fn prove(&mut self, key: &LeafKey) -> (Option<Vec<u8>>, Proof) {
        (self.engine.leaf_value(key), self.tree.prove(&key.to_bytes()))
    }

    /// Applies the next batch. Any bytes of a body have an outcome.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if the batch is not the next one in sequence, or if this replica is broken. The
    /// state must then be discarded: store nothing and stop.
    pub fn apply(&mut self, batch: &Batch) -> Result<Outcome, Corrupt> {
        let Executed { due, transactions } = self.execute(batch)?;
        let changes = self.commit()?;
        Ok(Outcome { index: batch.index, root: self.tree.root(), due, transactions, changes })
    }

    /// The first half of [`Self::apply`]: everything except the tree. Call [`Self::commit`] before
    /// asking for a root or a proof.
    ///
    /// # Errors
    ///
    /// As for [`Self::apply`].
    pub(crate) fn execute(&mut self, batch: &Batch) -> Result<Executed, Corrupt> {
        let counters = &mut self.engine.counters;
        let next = counters.batch.checked_add(1).ok_or(Corrupt("batch indexes ran out"))?;
        // Not a reject: the caller numbers the batches, so no bytes of a body can lead here (I12).
        if batch.index != next {
            return Err(Corrupt("a batch was not the next one in sequence"));
        }
        // The counters come before everything else: even a body without transactions extends the chain, and an
        // attestation is compared with the index of the batch that contains it (reject 25).
        let mut hasher = Sha256::new();
        hasher.update(counters.body_chain);
        hasher.update(batch.body_hash);
        counters.body_chain = hasher.finalize().into();
        counters.batch = batch.index;
        self.engine.touch(LeafKey::Counters);

        // Time comes before the first transaction, so all transactions of the batch see one time (section 14).
        self.engine.advance(&self.rules)?;
        // Taken here, or they would be among the events of the first transaction.
        let due = self.engine.take_events()?;
        let mut transactions = Vec::with_capacity(batch.transactions.len());
        // Made once for all transactions, from the state before the first one. An account that is new in this
        // batch has none, which costs time and changes nothing.
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

    /// The second half of [`Self::apply`]: updates the tree. Returns the touched leaves in
    /// ascending order of their keys.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if this replica is broken.
    pub(crate) fn commit(&mut self) -> Result<Changes, Corrupt> {
        let touched = self.engine.take_touched()?;
        let mut changes: Changes =
            touched.iter().map(|leaf| (leaf.to_bytes(), self.engine.leaf_value(leaf))).collect();
        // Touched leaves come in the order of account indexes, which may differ between replicas. In the order
        // of keys, all replicas report the same.
        changes.sort_unstable();
        let leaves = changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        self.tree.set_all(leaves);
        // All hashing is done here, so that the root that `apply` asks for next is only read.
        self.tree.root();
        Ok(changes)
    }

    /// Restores a state from all of its leaves, in ascending order of their keys: see [`Restore`].
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if the leaves are not those of any state.
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
    ///
    /// # Errors
    ///
    /// The first invariant that is broken.
    pub fn recount(&self) -> Result<(), BrokenInvariant> {
        self.engine().recount(self.rules())
    }
}

/// Restores a state from its leaves, one after the other. The keys must be in ascending order
/// without repetition, and each leaf in the form that this program writes. Whether it is the state
/// that was meant is for the caller to check, by comparing the root, which commits to every leaf.
pub struct Restore {
    rules: Arc<Rules>,
    engine: Engine,
    orders: Vec<StoredOrder>,
    /// The key of the last leaf.
    previous: Vec<u8>,
    count: usize,
}

impl Restore {
    /// Starts a restore, with no leaf yet.
    pub fn new(rules: Arc<Rules>) -> Self {
        let engine = Engine::new(&rules);
        Self { rules, engine, orders: Vec::new(), previous: Vec::new(), count: 0 }
    }

    /// Takes the next leaf.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if the leaf is out of order or cannot be read.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        // Strictly ascending: a repeated key would replace what the first one said.
        if self.count > 0 && self.previous.as_slice() >= key {
            return Err(Corrupt("stored leaves are out of order or repeated"));
        }
        self.previous.clear();
        self.previous.extend_from_slice(key);
        let leaf = LeafKey::from_bytes_unchecked(key)?;
        // The counters are in every state, and theirs is the lowest of all keys.
        if self.count == 0 && leaf != LeafKey::Counters {
            return Err(Corrupt("the stored counters are missing"));
        }
        self.count = self.count.checked_add(1).ok_or(Corrupt("stored leaves ran out"))?;
        self.engine.load_leaf(&leaf, value, &mut self.orders)
    }

    /// Returns the state after the last leaf.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if leaves are missing or not in their only form.
    pub fn finish(self) -> Result<Exchange, Corrupt> {
        let Self { rules, mut engine, orders, count, .. } = self;
        if count == 0 {
            return Err(Corrupt("the stored counters are missing"));
        }
        engine.open_stored(orders)?;
        engine.check_keys()?;
        // Opening the orders touched their leaves, which the next batch would otherwise report as changes.
        engine.forget_touched();
        // The tree is that of the leaves which the engine would write, and not of those that were read. So a root that
        // is right says that the engine holds what it should.
        let mut written = 0_usize;
        let leaves = engine.leaves_one_by_one().inspect(|_| written = written.wrapping_add(1));
        let tree = StateTree::of(leaves);
        // Each leaf that was read is one that the engine writes. With equal numbers, it writes no other leaf.
        if written != count {
            return Err(OTHER_FORM);
        }
        Ok(Exchange { rules, engine, tree })
    }
}
