//! All accounts, and the supply of each token.
//!
//! Every method that moves an amount assumes that the amount was checked: a balance that would go
//! below zero or above the supply limit means that this replica is broken, never that a transaction
//! is wrong.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use super::account::{Account, Balance};
use crate::types::{AccountIndex, Atoms, Corrupt, PublicKey, TokenIndex};

const BELOW_ZERO: Corrupt = Corrupt("a balance went below zero");

const ABOVE_SUPPLY: Corrupt = Corrupt("a balance is larger than any amount can be");

/// All accounts, and the supply of each token.
#[derive(Clone, Debug)]
pub struct Ledger {
    // No hash map: accounts must be listed in the same order by every replica, and anyone can choose keys that
    // collide under a fixed seed.
    index: BTreeMap<PublicKey, AccountIndex>,
    // Accounts are never removed, so an index stays valid. Orders and timers name their account by its 4 bytes
    // instead of 33.
    accounts: Vec<Account>,
    /// For each token: deposits less withdrawals (I1).
    supply: Vec<Atoms>,
}

impl Ledger {
    /// A ledger with no supply of any of this many tokens, and one account, which gets the index 0.
    pub(crate) fn new(tokens: usize, first: &PublicKey) -> Self {
        Self {
            index: BTreeMap::from([(*first, AccountIndex(0))]),
            accounts: alloc::vec![Account::new(first)],
            supply: core::iter::repeat_n(Atoms::ZERO, tokens).collect(),
        }
    }

    /// The account with this key, if the ledger has it.
    pub fn find(&self, key: &PublicKey) -> Option<&Account> {
        self.index.get(key).and_then(|index| self.get(*index))
    }

    /// The index of the account with this key, if the ledger has it.
    pub fn index(&self, key: &PublicKey) -> Option<AccountIndex> {
        self.index.get(key).copied()
    }

    /// The index of the account with this key; adds the account if it is new.
    pub(crate) fn intern(&mut self, key: &PublicKey) -> Result<AccountIndex, Corrupt> {
        match self.index.entry(*key) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(entry) => {
                let index = u32::try_from(self.accounts.len())
                    .map(AccountIndex)
                    .map_err(|_| Corrupt("there are more accounts than 32 bits can number"))?;
                self.accounts.push(Account::new(key));
                Ok(*entry.insert(index))
            }
        }
    }

    /// The account with an index.
    pub fn get(&self, index: AccountIndex) -> Option<&Account> {
        self.accounts.get(usize::try_from(index.0).ok()?)
    }

    /// The account at an index, which must exist.
    pub(crate) fn account(&self, index: AccountIndex) -> Result<&Account, Corrupt> {
        self.get(index).ok_or(Corrupt("an account is missing"))
    }

    /// The account at an index, which must exist.
    pub(crate) fn account_mut(&mut self, index: AccountIndex) -> Result<&mut Account, Corrupt> {
        usize::try_from(index.0)
            .ok()
            .and_then(|index| self.accounts.get_mut(index))
            .ok_or(Corrupt("an account is missing"))
    }

    /// All accounts in ascending order of their keys.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.index.values().filter_map(|index| self.get(*index))
    }

    /// The same, with their indexes.
    pub(crate) fn indexed_accounts(&self) -> impl Iterator<Item = (AccountIndex, &Account)> {
        self.index.values().filter_map(|index| Some((*index, self.get(*index)?)))
    }

    /// The number of tokens in genesis.
    pub fn tokens(&self) -> u16 {
        u16::try_from(self.supply.len()).unwrap_or(u16::MAX)
    }

    /// The supply of a token.
    pub fn supply(&self, token: TokenIndex) -> Atoms {
        self.supply.get(usize::from(token.0)).copied().unwrap_or_default()
    }

    /// Sets the supply of a token.
    pub(crate) fn set_supply(&mut self, token: TokenIndex, supply: Atoms) -> Result<(), Corrupt> {
        let slot = self.supply.get_mut(usize::from(token.0));
        *slot.ok_or(Corrupt("a token is not in genesis"))? = supply;
        Ok(())
    }

    /// Sets a balance when a state is restored.
    pub(crate) fn set_balance(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        balance: Balance,
    ) -> Result<(), Corrupt> {
        // Everywhere else the token comes from the listing. Here it comes from a leaf that anyone may have
        // made.
        if usize::from(token.0) >= self.supply.len() {
            return Err(Corrupt("a token is not in genesis"));
        }
        *self.account_mut(index)?.balance_mut(token) = balance;
        Ok(())
    }

    /// Adds an amount to the available balance.
    pub(crate) fn credit(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        // No check against the supply limit: each balance is at most the supply of its token (I1), which a
        // deposit checks.
        balance.available = balance.available.checked_add(amount).ok_or(ABOVE_SUPPLY)?;
        Ok(())
    }

    /// Takes an amount from the available balance, which was checked to cover it.
    pub(crate) fn debit(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        balance.available = balance.available.checked_sub(amount).ok_or(BELOW_ZERO)?;
        Ok(())
    }

    /// Moves an amount from available to locked. The available balance was checked to cover it.
    pub(crate) fn lock(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        balance.available = balance.available.checked_sub(amount).ok_or(BELOW_ZERO)?;
        balance.locked = balance.locked.checked_add(amount).ok_or(ABOVE_SUPPLY)?;
        Ok(())
    }

    /// Takes an amount from the locked balance.
    pub(crate) fn take_locked(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        balance.locked = balance.locked.checked_sub(amount).ok_or(BELOW_ZERO)?;
        Ok(())
    }

    /// Moves an amount from locked to available.
    pub(crate) fn unlock(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        balance.locked = balance.locked.checked_sub(amount).ok_or(BELOW_ZERO)?;
        balance.available = balance.available.checked_add(amount).ok_or(ABOVE_SUPPLY)?;
        Ok(())
    }
}
