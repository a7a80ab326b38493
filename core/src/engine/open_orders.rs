//! Open orders in all the places where they are recorded.
//!
//! An open order is a node in a book, an entry in its account's list and, where it has them,
//! optional properties, a client id and a timer (I6). [`Engine::open`] and [`Engine::close`] keep
//! all of these in step.

use alloc::vec::Vec;

use super::engine::Engine;
use crate::protocol::OrderRef;
use crate::rules::Market;
use crate::state::{Account, OrderDetails, RestingOrder, Slot, Timer};
use crate::types::{AccountIndex, Corrupt, MarketIndex};

const NOT_IN_BOOK: Corrupt = Corrupt("an open order is not in its book");

impl Engine {
    /// The open order of an account with this id, with its market and slot.
    pub fn open_order(
        &self,
        account: &Account,
        id: u64,
    ) -> Option<(MarketIndex, Slot, RestingOrder)> {
        let order = |(market, slot)| {
            let order = self.book(market)?.order(slot)?;
            (order.id == id).then_some((market, slot, order))
        };
        // The list of the first market usually has the order, at the position that it guesses. Else
        // all lists are searched. Lists store half of each id, so the book confirms the whole id.
        let likely = account.likely_order(id).and_then(order);
        likely.or_else(|| account.orders_with_low_half_of(id).find_map(order))
    }

    /// The open orders of an account with their slots, sorted by market and id, in one market or in
    /// all. The order is part of consensus: it is the order in which they are cancelled.
    pub fn open_orders(
        &self,
        account: &Account,
        within: Option<MarketIndex>,
    ) -> Result<Vec<(MarketIndex, Slot, RestingOrder)>, Corrupt> {
        let lists = account.open_orders();
        let lists = lists.filter(|orders| within.is_none_or(|within| within == orders.market));
        let mut open = lists
            .flat_map(|orders| orders.slots().map(|slot| (orders.market, slot)))
            .map(|(market, slot)| {
                let order = self.book(market).and_then(|book| book.order(slot));
                Ok((market, slot, order.ok_or(NOT_IN_BOOK)?))
            })
            .collect::<Result<Vec<_>, _>>()?;
        open.sort_unstable_by_key(|(market, _, order)| (*market, order.id));
        Ok(open)
    }

    /// The optional properties of an open order.
    pub fn details(&self, id: u64) -> OrderDetails {
        self.details.get(&id).cloned().unwrap_or_default()
    }

    /// The open order of an account that a transaction names, in one market or in any. Of several
    /// orders whose transaction hashes begin with the same stored bytes, the oldest is meant.
    pub(super) fn find_order(
        &self,
        index: AccountIndex,
        target: &OrderRef,
        within: Option<MarketIndex>,
    ) -> Result<Option<(MarketIndex, Slot, RestingOrder)>, Corrupt> {
        let account = self.ledger.account(index)?;
        let id = match target {
            OrderRef::Id(id) => Some(*id),
            OrderRef::ClientId(name) => self.client_ids.get(&(index, name.clone())).copied(),
            // In all markets, even for a key of one market: a name means the same order whoever
            // signs (section 13 of the protocol). There is no index by hash: an account has at most
            // 5000 open orders.
            OrderRef::Transaction(hash) => self
                .open_orders(account, None)?
                .into_iter()
                .filter(|(.., order)| hash.0.starts_with(&order.hash))
                .map(|(.., order)| order.id)
                .min(),
        };
        let found = id.and_then(|id| self.open_order(account, id));
        Ok(found.filter(|(market, ..)| within.is_none_or(|within| within == *market)))
    }

    /// Records an order that enters the book.
    pub(crate) fn open(
        &mut self,
        market: MarketIndex,
        order: &RestingOrder,
        details: OrderDetails,
    ) -> Result<(), Corrupt> {
        let (id, account) = (order.id, order.account);
        // The book first: it chooses the slot that the account's list stores.
        let slot = self.book_mut(market)?.insert(order)?;
        self.ledger.account_mut(account)?.add_order(market, id, slot);
        if let Some(time) = details.expires {
            self.timers.add(time, Timer::Order(id, account));
        }
        if let Some(client_id) = &details.client_id {
            // No order that arrives overwrites another's client id (reject 31). Two orders of a
            // restored state could have the same one, which the recount finds.
            self.client_ids.insert((account, client_id.clone()), id);
        }
        if details != OrderDetails::default() {
            self.details.insert(id, details);
        }
        self.touched.orders.push((account, id));
        Ok(())
    }

    /// Removes the records of an order that leaves its book, except the node in the book.
    pub(crate) fn close(
        &mut self,
        market: &Market,
        slot: Slot,
        order: &RestingOrder,
    ) -> Result<(), Corrupt> {
        self.ledger.account_mut(order.account)?.remove_order(market.index, order.id, slot)?;
        self.forget(order);
        Ok(())
    }

    /// Removes the optional properties of an order, with its timer and client id.
    pub(super) fn forget(&mut self, order: &RestingOrder) {
        // Most orders have no details, and so neither a timer nor a client id.
        if let Some(details) = self.details.remove(&order.id) {
            if let Some(time) = details.expires {
                self.timers.remove(time, Timer::Order(order.id, order.account));
            }
            if let Some(client_id) = details.client_id {
                self.client_ids.remove(&(order.account, client_id));
            }
        }
    }
}
