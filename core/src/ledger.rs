//! Accounts: balances, used nonces and open orders.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::book::Slot;
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

/// The open orders of one account in one market where it ever had any, by ascending id, with their
/// slots in the book.
#[derive(Clone, Debug)]
pub struct OpenOrders {
    /// The market.
    pub market: MarketIndex,
    /// How many are open.
    open: u32,
    /// Those that were open not long ago among them, without a slot: so taking one out moves nothing.
    orders: Vec<OpenOrder>,
}

/// An open order in its account's list: 12 bytes, so the id is in two halves.
#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    id: [u32; 2],
    slot: Option<Slot>,
}

impl OpenOrder {
    #[expect(clippy::as_conversions, reason = "the halves of a number")]
    const fn new(id: u64, slot: Slot) -> Self {
        Self { id: [(id >> 32) as u32, id as u32], slot: Some(slot) }
    }

    fn id(&self) -> u64 {
        let [high, low] = self.id;
        (u64::from(high) << 32) | u64::from(low)
    }
}

impl OpenOrders {
    /// Ids and slots, by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Slot)> {
        self.orders.iter().filter_map(|order| Some((order.id(), order.slot?)))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        usize::try_from(self.open).unwrap_or(usize::MAX)
    }

    fn push(&mut self, id: u64, slot: Slot) {
        if self.orders.len() == self.orders.capacity() {
            self.drop_gone(self.orders.len().wrapping_sub(self.orders.len() >> 2));
            if self.orders.len() == self.orders.capacity() {
                // By a quarter, not twofold: there are as many of these as open orders.
                self.orders.reserve_exact((self.orders.len() >> 2).max(2));
            }
        }
        self.orders.push(OpenOrder::new(id, slot));
        self.open = self.open.saturating_add(1);
    }

    /// Takes an order out. Returns whether it was there.
    fn remove(&mut self, id: u64) -> bool {
        let found = self.position(id).and_then(|position| self.orders.get_mut(position));
        let is_there = found.and_then(|order| order.slot.take()).is_some();
        if is_there {
            self.open = self.open.saturating_sub(1);
            self.drop_gone(self.orders.len() >> 1);
        }
        is_there
    }

    /// Drops what is no longer open, if less than so many are.
    fn drop_gone(&mut self, least: usize) {
        if self.count() < least {
            self.orders.retain(|order| order.slot.is_some());
        }
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.orders.binary_search_by_key(&id, OpenOrder::id).ok()
    }
}

/// An account.
///
/// What matching needs lies in the first two lines of memory, without a pointer to follow for two
/// tokens and one market: with many accounts, memory is what matching waits for.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Account {
    balances: [Balance; 2],
    /// The tokens of `balances`.
    tokens: [Option<TokenIndex>; 2],
    /// In the market where it first had any.
    open_orders: Option<OpenOrders>,
    others: Option<Box<Others>>,
    /// The highest nonces used, ascending, at most 64 (I9).
    nonces: Vec<u64>,
    /// Its key.
    pub key: PublicKey,
}

/// What most accounts do not have: more tokens and more markets.
#[derive(Clone, Debug, Default)]
struct Others {
    balances: Vec<(TokenIndex, Balance)>,
    open_orders: Vec<OpenOrders>,
}

impl Account {
    fn new(key: &PublicKey) -> Self {
        Self {
            balances: [Balance::default(); 2],
            tokens: [None; 2],
            open_orders: None,
            others: None,
            nonces: Vec::new(),
            key: *key,
        }
    }

    /// Its balance of a token.
    pub fn balance(&self, token: TokenIndex) -> Balance {
        let balance = self.balances().find(|(other, _)| *other == token);
        balance.map(|(_, balance)| balance).unwrap_or_default()
    }

    /// Its balances of the tokens that it ever had, in the order in which it first had them.
    pub fn balances(&self) -> impl Iterator<Item = (TokenIndex, Balance)> {
        let first = self.tokens.iter().zip(&self.balances);
        let first = first.filter_map(|(token, balance)| Some(((*token)?, *balance)));
        first.chain(self.others.iter().flat_map(|others| others.balances.iter().copied()))
    }

    fn balance_mut(&mut self, token: TokenIndex) -> &mut Balance {
        for (place, balance) in self.tokens.iter_mut().zip(&mut self.balances) {
            if *place.get_or_insert(token) == token {
                return balance;
            }
        }
        let balances = &mut self.others.get_or_insert_default().balances;
        let position = match balances.iter().position(|(other, _)| *other == token) {
            Some(position) => position,
            None => {
                balances.push((token, Balance::default()));
                balances.len().wrapping_sub(1)
            }
        };
        #[expect(clippy::indexing_slicing, reason = "the position was just found or pushed")]
        &mut balances[position].1
    }

    /// Reads a little of what matching needs; for looking ahead.
    pub(crate) fn glance(&self) -> u64 {
        let orders = self.open_orders.as_ref().map_or(0, |orders| orders.orders.len());
        let [balance, _] = self.balances;
        u64::try_from(balance.available.0 & 1).unwrap_or(0) ^ u64::try_from(orders).unwrap_or(0)
    }

    /// The middle one and the last of its open orders in its first market; for looking ahead.
    pub(crate) fn glance_at_orders(&self) -> u64 {
        let orders = self.open_orders.as_ref().map_or(&[][..], |orders| &orders.orders);
        let middle = orders.get(orders.len() >> 1).map_or(0, OpenOrder::id);
        middle ^ orders.last().map_or(0, OpenOrder::id)
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

    /// Its open orders, a list for each market where it ever had any, in the order of its first ones.
    pub fn open_orders(&self) -> impl Iterator<Item = &OpenOrders> {
        let others = self.others.iter().flat_map(|others| &others.open_orders);
        self.open_orders.iter().chain(others)
    }

    fn open_orders_mut(&mut self, market: MarketIndex) -> Option<&mut OpenOrders> {
        let others = self.others.iter_mut().flat_map(|others| &mut others.open_orders);
        self.open_orders.iter_mut().chain(others).find(|orders| orders.market == market)
    }

    /// How many open orders it has in a market.
    pub fn open_orders_in(&self, market: MarketIndex) -> usize {
        let orders = self.open_orders().find(|orders| orders.market == market);
        orders.map_or(0, OpenOrders::count)
    }

    /// Where an open order of its own lies.
    pub fn open_order(&self, id: u64) -> Option<(MarketIndex, Slot)> {
        self.open_orders().find_map(|orders| {
            let order = orders.orders.get(orders.position(id)?)?;
            Some((orders.market, order.slot?))
        })
    }

    /// Notes that an order of its own is in a book. Its id is above those that are open.
    pub fn add_order(&mut self, market: MarketIndex, id: u64, slot: Slot) {
        if let Some(orders) = self.open_orders_mut(market) {
            return orders.push(id, slot);
        }
        let mut orders = OpenOrders { market, open: 0, orders: Vec::new() };
        orders.push(id, slot);
        match &mut self.open_orders {
            first @ None => *first = Some(orders),
            Some(_) => self.others.get_or_insert_default().open_orders.push(orders),
        }
    }

    /// Notes that an order of its own left its book.
    pub fn remove_order(&mut self, market: MarketIndex, id: u64) -> Result<(), Corrupt> {
        const MISSING: Corrupt = Corrupt("an open order is missing from its account");
        let orders = self.open_orders_mut(market).ok_or(MISSING)?;
        if !orders.remove(id) {
            return Err(MISSING);
        }
        Ok(())
    }

    /// Bytes of memory that the lists of its open orders hold.
    pub fn open_orders_memory(&self) -> usize {
        self.open_orders().fold(0, |sum, orders| {
            sum.wrapping_add(orders.orders.capacity().wrapping_mul(size_of::<OpenOrder>()))
        })
    }
}

const BELOW_ZERO: Corrupt = Corrupt("a balance went below zero");
const ABOVE_SUPPLY: Corrupt = Corrupt("a balance exceeds what can exist");

/// All accounts, and what exists of each token.
#[derive(Clone, Debug)]
pub struct Ledger {
    index: BTreeMap<PublicKey, AccountIndex>,
    accounts: Vec<Account>,
    /// Deposits of each token less withdrawals (I1).
    supply: Vec<Atoms>,
}

impl Ledger {
    /// Nothing of so many tokens, and one account, which gets the index 0.
    pub fn new(tokens: usize, first: &PublicKey) -> Self {
        Self {
            index: BTreeMap::from([(*first, AccountIndex(0))]),
            accounts: alloc::vec![Account::new(first)],
            supply: core::iter::repeat_n(Atoms::ZERO, tokens).collect(),
        }
    }

    /// The account with this key, if it was ever touched.
    pub fn find(&self, key: &PublicKey) -> Option<&Account> {
        self.index.get(key).and_then(|index| self.get(*index))
    }

    /// Where the account with this key stands, if it was ever touched.
    pub fn index(&self, key: &PublicKey) -> Option<AccountIndex> {
        self.index.get(key).copied()
    }

    /// The account with this key, made if need be.
    pub fn intern(&mut self, key: &PublicKey) -> Result<AccountIndex, Corrupt> {
        if let Some(index) = self.index.get(key) {
            return Ok(*index);
        }
        let index = u32::try_from(self.accounts.len())
            .map(AccountIndex)
            .map_err(|_| Corrupt("more accounts than can be numbered"))?;
        self.accounts.push(Account::new(key));
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

    /// How many tokens genesis has.
    pub fn tokens(&self) -> u16 {
        u16::try_from(self.supply.len()).unwrap_or(u16::MAX)
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
        if usize::from(token.0) >= self.supply.len() {
            return Err(Corrupt("a token is not in genesis"));
        }
        *self.account_mut(index)?.balance_mut(token) = balance;
        Ok(())
    }

    /// Adds to the available balance.
    pub fn credit(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        balance.available = balance.available.checked_add(amount).ok_or(ABOVE_SUPPLY)?;
        Ok(())
    }

    /// Takes from the available balance, which was checked to cover it.
    pub fn debit(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        balance.available = balance.available.checked_sub(amount).ok_or(BELOW_ZERO)?;
        Ok(())
    }

    /// Moves from available to locked. The available balance was checked to cover it.
    pub fn lock(
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

    /// Takes from the locked balance.
    pub fn take_locked(
        &mut self,
        index: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Corrupt> {
        let balance = self.account_mut(index)?.balance_mut(token);
        balance.locked = balance.locked.checked_sub(amount).ok_or(BELOW_ZERO)?;
        Ok(())
    }

    /// Moves from locked back to available.
    pub fn unlock(
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
