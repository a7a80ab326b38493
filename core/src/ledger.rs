//! Accounts: balances and used nonces.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::event::Corrupt;
use crate::genesis::{MarketIndex, TokenIndex};
use crate::key::PublicKey;
use crate::limits::NONCES_KEPT;
use crate::reject::Reject;
use crate::units::Atoms;

/// Where an account stands in this process's memory. Not part of the state: two replicas may number
/// their accounts differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountIndex(pub u32);

/// A balance of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What can be spent.
    pub available: Atoms,
    /// What open orders hold (I2).
    pub locked: Atoms,
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its key.
    pub key: PublicKey,
    /// One for each token of genesis.
    balances: Vec<Balance>,
    /// The highest nonces used, ascending, at most 64 (I9).
    nonces: Vec<u64>,
    /// Ids of its open orders, by market. No set is empty.
    pub open_orders: BTreeMap<MarketIndex, BTreeSet<u64>>,
}

impl Account {
    /// Its balance of a token.
    pub fn balance(&self, token: TokenIndex) -> Balance {
        self.balances.get(usize::from(token.0)).copied().unwrap_or_default()
    }

    /// The nonces that are remembered, ascending.
    pub fn nonces(&self) -> &[u64] {
        &self.nonces
    }

    /// Whether a nonce may be used now.
    pub fn check_nonce(&self, nonce: u64) -> Result<(), Reject> {
        if self.nonces.binary_search(&nonce).is_ok() {
            return Err(Reject::NonceUsed);
        }
        match self.nonces.first() {
            Some(&lowest) if self.nonces.len() >= NONCES_KEPT && nonce < lowest => {
                Err(Reject::NonceTooOld { nonce, lowest })
            }
            _ => Ok(()),
        }
    }

    /// Remembers a nonce that was checked.
    pub fn use_nonce(&mut self, nonce: u64) {
        if let Err(position) = self.nonces.binary_search(&nonce) {
            self.nonces.insert(position, nonce);
            if self.nonces.len() > NONCES_KEPT {
                self.nonces.remove(0);
            }
        }
    }

    /// Notes that an order of its own is in a book.
    pub fn open_order(&mut self, market: MarketIndex, id: u64) {
        self.open_orders.entry(market).or_default().insert(id);
    }

    /// Notes that an order of its own left its book.
    pub fn close_order(&mut self, market: MarketIndex, id: u64) {
        if let Some(orders) = self.open_orders.get_mut(&market) {
            orders.remove(&id);
            if orders.is_empty() {
                self.open_orders.remove(&market);
            }
        }
    }

    fn balance_mut(&mut self, token: TokenIndex) -> Result<&mut Balance, Corrupt> {
        self.balances.get_mut(usize::from(token.0)).ok_or(Corrupt("a token is not in genesis"))
    }
}

/// All accounts, and what exists of each token.
#[derive(Clone, Debug)]
pub struct Ledger {
    index: BTreeMap<PublicKey, AccountIndex>,
    accounts: Vec<Account>,
    /// Deposits of each token, all told (I1).
    supply: Vec<Atoms>,
}

impl Ledger {
    /// No accounts, and nothing of so many tokens.
    pub fn new(tokens: usize) -> Self {
        Self {
            index: BTreeMap::new(),
            accounts: Vec::new(),
            supply: core::iter::repeat_n(Atoms::ZERO, tokens).collect(),
        }
    }

    /// The account with this key, if it was ever touched.
    pub fn find(&self, key: &PublicKey) -> Option<&Account> {
        self.index.get(key).and_then(|index| self.get(*index))
    }

    /// The account with this key, made if need be.
    pub fn intern(&mut self, key: &PublicKey) -> Result<AccountIndex, Corrupt> {
        if let Some(index) = self.index.get(key) {
            return Ok(*index);
        }
        let index = u32::try_from(self.accounts.len())
            .map(AccountIndex)
            .map_err(|_| Corrupt("more accounts than can be numbered"))?;
        self.accounts.push(Account {
            key: *key,
            balances: core::iter::repeat_n(Balance::default(), self.supply.len()).collect(),
            nonces: Vec::new(),
            open_orders: BTreeMap::new(),
        });
        self.index.insert(*key, index);
        Ok(index)
    }

    /// The account at an index.
    pub fn get(&self, index: AccountIndex) -> Option<&Account> {
        self.accounts.get(usize::try_from(index.0).ok()?)
    }

    /// The account at an index, which must exist.
    pub fn account(&self, index: AccountIndex) -> Result<&Account, Corrupt> {
        self.get(index).ok_or(Corrupt("an account is missing"))
    }

    /// The account at an index, which must exist.
    pub fn account_mut(&mut self, index: AccountIndex) -> Result<&mut Account, Corrupt> {
        usize::try_from(index.0)
            .ok()
            .and_then(|index| self.accounts.get_mut(index))
            .ok_or(Corrupt("an account is missing"))
    }

    /// All accounts, by key.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.index.values().filter_map(|index| self.get(*index))
    }

    /// What exists of a token.
    pub fn supply(&self, token: TokenIndex) -> Atoms {
        self.supply.get(usize::from(token.0)).copied().unwrap_or_default()
    }

    /// Sets what exists of a token.
    pub fn set_supply(&mut self, token: TokenIndex, supply: Atoms) -> Result<(), Corrupt> {
        let slot = self.supply.get_mut(usize::from(token.0));
        *slot.ok_or(Corrupt("a token is not in genesis"))? = supply;
        Ok(())
    }

    /// Sets a balance, when state is loaded.
    pub fn set_balance(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        balance: Balance,
    ) -> Result<(), Corrupt> {
        *self.account_mut(index)?.balance_mut(token)? = balance;
        Ok(())
    }

    /// Adds to the available balance.
    pub fn credit(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token)?;
        balance.available = balance
            .available
            .checked_add(amount)
            .ok_or(Corrupt("a balance exceeds what can exist"))?;
        Ok(())
    }

    /// Takes from the available balance, which was checked to cover it.
    pub fn debit(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token)?;
        balance.available =
            balance.available.checked_sub(amount).ok_or(Corrupt("a balance went below zero"))?;
        Ok(())
    }

    /// Moves from available to locked. The available balance was checked to cover it.
    pub fn lock(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        self.debit(index, token, amount)?;
        let balance = self.account_mut(index)?.balance_mut(token)?;
        balance.locked =
            balance.locked.checked_add(amount).ok_or(Corrupt("a lock exceeds what can exist"))?;
        Ok(())
    }

    /// Takes from the locked balance.
    pub fn take_locked(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token)?;
        balance.locked =
            balance.locked.checked_sub(amount).ok_or(Corrupt("a lock went below zero"))?;
        Ok(())
    }

    /// Moves from locked back to available.
    pub fn unlock(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        self.take_locked(index, token, amount)?;
        self.credit(index, token, amount)
    }
}
