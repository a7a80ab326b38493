//! An account: its balances, used nonces and open orders.
//!
//! With many accounts, matching mostly waits for memory. An account is therefore aligned to cache
//! lines, and what a trade needs is in its first two: two balances and the open orders of one
//! market, without a pointer to follow. Most accounts hold two tokens and trade in one market;
//! further tokens and markets are behind one pointer.

use alloc::boxed::Box;
use alloc::vec::Vec;

use zellbook_prefetch::prefetch;

use super::book::Slot;
use super::open_orders::OpenOrders;
use crate::protocol::Reject;
use crate::types::limits::NONCES_KEPT;
use crate::types::{Atoms, Corrupt, MarketIndex, PublicKey, TokenIndex};

/// A balance of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// The amount that can be spent.
    pub available: Atoms,
    /// The amount reserved for open orders (I2).
    pub locked: Atoms,
}

/// An account.
#[derive(Clone, Debug)]
// In the order of the fields as written (`C`), which the compiler could otherwise change: `balances` fills the
// first cache line, the next three fields are in the second, and the rest is in the third.
#[repr(C, align(64))]
pub struct Account {
    balances: [Balance; 2],
    /// The tokens of `balances`; [`TokenIndex::NONE`] where a place is free.
    tokens: [TokenIndex; 2],
    /// The open orders in the first market that the account traded in.
    open_orders: OpenOrders,
    others: Option<Box<Others>>,
    /// The highest used nonces in ascending order, at most 64 (I9).
    nonces: Vec<u64>,
    /// The public key, which names the account on the wire.
    pub key: PublicKey,
}

/// Balances and open orders beyond those in the account itself.
#[derive(Clone, Debug, Default)]
struct Others {
    balances: Vec<(TokenIndex, Balance)>,
    open_orders: Vec<OpenOrders>,
}

impl Others {
    fn balance_mut(&mut self, token: TokenIndex) -> &mut Balance {
        // A search is enough: genesis has at most 256 tokens, and few accounts have more than two.
        let position = match self.balances.iter().position(|(other, _)| *other == token) {
            Some(position) => position,
            None => {
                self.balances.push((token, Balance::default()));
                self.balances.len().wrapping_sub(1)
            }
        };
        #[expect(clippy::indexing_slicing, reason = "the position was just found or pushed")]
        &mut self.balances[position].1
    }
}

impl Account {
    pub(super) fn new(key: &PublicKey) -> Self {
        Self {
            balances: [Balance::default(); 2],
            tokens: [TokenIndex::NONE; 2],
            open_orders: OpenOrders::new(MarketIndex::NONE),
            others: None,
            nonces: Vec::new(),
            key: *key,
        }
    }

    /// The balance of a token; zero if the account never had any.
    pub fn balance(&self, token: TokenIndex) -> Balance {
        let [first, second] = self.balances;
        match self.tokens {
            [its, _] if its == token => first,
            [_, its] if its == token => second,
            // Usually zero: the account never had the token. Reading must not make an entry for it.
            _ => {
                let balance = self.balances().find(|(other, _)| *other == token);
                balance.map(|(_, balance)| balance).unwrap_or_default()
            }
        }
    }

    /// The balances of all tokens that the account ever had, in the order in which it first had
    /// them.
    pub fn balances(&self) -> impl Iterator<Item = (TokenIndex, Balance)> {
        let first = self.tokens.into_iter().zip(self.balances);
        let first = first.filter(|(token, _)| *token != TokenIndex::NONE);
        first.chain(self.others.iter().flat_map(|others| others.balances.iter().copied()))
    }

    pub(super) fn balance_mut(&mut self, token: TokenIndex) -> &mut Balance {
        // The two entries are filled from the left and never given up, not even by a balance of zero. So no
        // token is in two of them.
        let [first, second] = &mut self.balances;
        match &mut self.tokens {
            [its, _] if *its == token => first,
            [_, its] if *its == token => second,
            [its @ TokenIndex::NONE, _] => {
                *its = token;
                first
            }
            [_, its @ TokenIndex::NONE] => {
                *its = token;
                second
            }
            _ => self.others.get_or_insert_default().balance_mut(token),
        }
    }

    /// Prefetches what matching needs of the account.
    pub(crate) fn prefetch(&self) {
        // One field in each of the two cache lines: one request brings a whole line.
        let Self { balances: [balance, _], open_orders, .. } = self;
        prefetch(&balance.available);
        prefetch(&open_orders.market);
    }

    /// Prefetches the end of the order list of the first market, where a new order is added.
    pub(crate) fn prefetch_end_of_orders(&self) {
        self.open_orders.prefetch_end();
    }

    /// Prefetches the entry of an order in the list of the first market.
    pub(crate) fn prefetch_order(&self, id: u64) {
        self.open_orders.prefetch_order(id);
    }

    /// The stored nonces in ascending order.
    pub fn nonces(&self) -> &[u64] {
        &self.nonces
    }

    /// Whether a nonce can be used: rejects 3 and 4. Once 64 nonces are stored, those below the
    /// lowest are refused although nothing shows that they were used: the memory for each key is
    /// bounded, and clients count upwards.
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

    /// Whether the key has a leaf of its nonces or of a balance. An account in memory can be without either, and
    /// a restored state does not have it then, so only the leaves may count.
    pub(crate) fn has_leaf(&self) -> bool {
        !self.nonces.is_empty() || self.balances().any(|(_, balance)| balance != Balance::default())
    }

    /// Stores a nonce that [`Self::check_nonce`] allowed.
    pub(crate) fn use_nonce(&mut self, nonce: u64) {
        // A nonce that is there already was refused by the check. A new one is never the lowest of 65, so the
        // one that is dropped is another.
        if let Err(position) = self.nonces.binary_search(&nonce) {
            self.nonces.insert(position, nonce);
            if self.nonces.len() > NONCES_KEPT {
                self.nonces.remove(0);
            }
        }
    }

    /// The open orders: one list for each market in which the account ever had any.
    pub(crate) fn open_orders(&self) -> impl Iterator<Item = &OpenOrders> {
        let first = Some(&self.open_orders).filter(|orders| orders.market != MarketIndex::NONE);
        let others = self.others.iter().flat_map(|others| &others.open_orders);
        first.into_iter().chain(others)
    }

    fn open_orders_mut(&mut self, market: MarketIndex) -> Option<&mut OpenOrders> {
        if self.open_orders.market == market {
            return Some(&mut self.open_orders);
        }
        let others = &mut self.others.as_mut()?.open_orders;
        others.iter_mut().find(|orders| orders.market == market)
    }

    /// The number of open orders in a market.
    pub fn open_orders_in(&self, market: MarketIndex) -> usize {
        if self.open_orders.market == market {
            return self.open_orders.count();
        }
        let orders = self.open_orders().find(|orders| orders.market == market);
        orders.map_or(0, OpenOrders::count)
    }

    /// The likely market and slot of an open order, if it is in the first market. Only the book can
    /// confirm it, since the lists store half of each id.
    pub(crate) fn likely_order(&self, id: u64) -> Option<(MarketIndex, Slot)> {
        Some((self.open_orders.market, self.open_orders.likely(id)?))
    }

    /// The markets and slots of the open orders whose id has the same low half as this one.
    pub(crate) fn orders_with_low_half_of(
        &self,
        id: u64,
    ) -> impl Iterator<Item = (MarketIndex, Slot)> {
        self.open_orders().flat_map(move |orders| {
            orders.with_low_half_of(id).map(move |slot| (orders.market, slot))
        })
    }

    /// Adds an order that entered a book to the list of its market.
    pub(crate) fn add_order(&mut self, market: MarketIndex, id: u64, slot: Slot) {
        if let Some(orders) = self.open_orders_mut(market) {
            return orders.push(id, slot);
        }
        // The list of a market stays where it is first put, even without orders, so each market has one list.
        let mut orders = OpenOrders::new(market);
        orders.push(id, slot);
        if self.open_orders.market == MarketIndex::NONE {
            self.open_orders = orders;
        } else {
            self.others.get_or_insert_default().open_orders.push(orders);
        }
    }

    /// Removes an order that left its book.
    pub(crate) fn remove_order(
        &mut self,
        market: MarketIndex,
        id: u64,
        slot: Slot,
    ) -> Result<(), Corrupt> {
        const MISSING: Corrupt = Corrupt("an open order is missing from its account");
        let orders = self.open_orders_mut(market).ok_or(MISSING)?;
        if orders.remove(id, slot) { Ok(()) } else { Err(MISSING) }
    }

    /// Removes all orders in one market.
    pub(crate) fn remove_orders(&mut self, market: MarketIndex) {
        if let Some(orders) = self.open_orders_mut(market) {
            orders.clear();
        }
    }

    /// Bytes of memory of the open-order lists.
    #[cfg(feature = "bench")]
    pub fn open_orders_memory(&self) -> usize {
        self.open_orders().fold(0, |sum, orders| sum.wrapping_add(orders.memory()))
    }
}
