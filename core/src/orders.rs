//! Open orders: how they are found, come and go, and are cancelled or replaced.

use alloc::vec::Vec;

use crate::batch::CheckedTransaction;
use crate::book::{RestingOrder, Slot};
use crate::engine::{Engine, Failure, OrderDetails, market_of};
use crate::event::{CancelReason, Corrupt, Event, Note};
use crate::genesis::Rules;
use crate::leaf::LeafKey;
use crate::ledger::{Account, AccountIndex};
use crate::listing::{Market, MarketIndex};
use crate::matching::{Placing, TOO_MUCH};
use crate::reject::Reject;
use crate::terms::Terms;
use crate::timer::Timer;
use crate::transaction::{Order, OrderRef, TimeInForce};
use crate::units::Lots;

const NOT_IN_BOOK: Corrupt = Corrupt("an open order is not in its book");

impl Engine {
    /// An open order of an account, with its market and slot.
    pub fn open_order(
        &self,
        account: &Account,
        id: u64,
    ) -> Option<(MarketIndex, Slot, RestingOrder)> {
        let order = |(market, slot)| {
            let order = self.book(market)?.order(slot)?;
            (order.id == id).then_some((market, slot, order))
        };
        let likely = account.likely_order(id).and_then(order);
        likely.or_else(|| account.orders_with_low_half_of(id).find_map(order))
    }

    /// The open orders of an account, with their slots, by market, then id; in one market or in all.
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

    /// What an open order has besides, if anything.
    pub fn details(&self, id: u64) -> OrderDetails {
        self.details.get(&id).cloned().unwrap_or_default()
    }

    /// The open order of an account that a transaction names, in one market or in any.
    fn find_order(
        &self,
        index: AccountIndex,
        target: &OrderRef,
        within: Option<MarketIndex>,
    ) -> Result<Option<(MarketIndex, Slot, RestingOrder)>, Corrupt> {
        let account = self.ledger.account(index)?;
        let id = match target {
            OrderRef::Id(id) => Some(*id),
            OrderRef::ClientId(name) => self.client_ids.get(&(index, name.clone())).copied(),
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

    /// Notes an order that comes to rest, everywhere.
    pub(crate) fn open(
        &mut self,
        market: MarketIndex,
        order: &RestingOrder,
        details: OrderDetails,
    ) -> Result<(), Corrupt> {
        let (id, account) = (order.id, order.account);
        let slot = self.book_mut(market)?.insert(order)?;
        self.ledger.account_mut(account)?.add_order(market, id, slot);
        if let Some(time) = details.expires {
            self.timers.add(time, Timer::Order(id, account));
        }
        if let Some(client_id) = &details.client_id {
            self.client_ids.insert((account, client_id.clone()), id);
        }
        if details != OrderDetails::default() {
            self.details.insert(id, details);
        }
        self.touched.orders.push((account, id));
        Ok(())
    }

    /// Forgets an order that has left its book, everywhere else.
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

    /// Forgets what an order has besides.
    fn forget(&mut self, order: &RestingOrder) {
        if let Some(details) = self.details.remove(&order.id) {
            if let Some(time) = details.expires {
                self.timers.remove(time, Timer::Order(order.id, order.account));
            }
            if let Some(client_id) = details.client_id {
                self.client_ids.remove(&(order.account, client_id));
            }
        }
    }

    /// Cancels an open order.
    pub(crate) fn cancel_resting(
        &mut self,
        market: &Market,
        slot: Slot,
        order: &RestingOrder,
        reason: CancelReason,
    ) -> Result<(), Corrupt> {
        self.close(market, slot, order)?;
        self.take_off(market, slot, order, reason)
    }

    /// Takes an open order, which its account has no more, out of its book and returns what it locks.
    fn take_off(
        &mut self,
        market: &Market,
        slot: Slot,
        order: &RestingOrder,
        reason: CancelReason,
    ) -> Result<(), Corrupt> {
        self.book_mut(market.index)?.remove(slot)?;
        let lock = market.lock(order.side, order.price, order.rested, order.remaining);
        let token = market.cost_token(order.side);
        self.ledger.unlock(order.account, token, lock.ok_or(TOO_MUCH)?)?;
        self.touch_balance(order.account, token);
        self.touched.orders.push((order.account, order.id));
        self.notes.push(Note::Cancelled {
            order: order.id,
            account: order.account,
            market: market.index,
            side: order.side,
            price: order.price,
            remaining: order.remaining,
            reason,
        });
        Ok(())
    }

    /// Cancels one open order, in one market or in any.
    pub fn cancel(
        &mut self,
        rules: &Rules,
        account: AccountIndex,
        target: &OrderRef,
        within: Option<MarketIndex>,
    ) -> Result<(), Failure> {
        let found = self.find_order(account, target, within)?;
        let (market, slot, order) =
            found.ok_or_else(|| Reject::UnknownOrder { order: target.clone() })?;
        let market = market_of(rules, market)?;
        Ok(self.cancel_resting(market, slot, &order, CancelReason::Requested)?)
    }

    pub(crate) fn cancel_all(
        &mut self,
        rules: &Rules,
        account: AccountIndex,
        market: Option<&str>,
    ) -> Result<(), Failure> {
        let within = match market {
            Some(name) => Some(
                rules.listing.market(name).ok_or_else(|| rules.listing.unknown_market(name))?.index,
            ),
            None => None,
        };
        self.cancel_within(rules, account, within, CancelReason::Requested)?;
        Ok(())
    }

    /// Cancels all open orders of an account, by market, then id, and says how many.
    pub(crate) fn cancel_within(
        &mut self,
        rules: &Rules,
        account: AccountIndex,
        within: Option<MarketIndex>,
        reason: CancelReason,
    ) -> Result<usize, Corrupt> {
        let orders = self.open_orders(self.ledger.account(account)?, within)?;
        for (market, slot, order) in &orders {
            let market = market_of(rules, *market)?;
            self.ledger.account_mut(account)?.remove_orders(market.index);
            self.forget(order);
            self.take_off(market, *slot, order, reason)?;
        }
        Ok(orders.len())
    }

    /// Sets, renews or disarms the switch that cancels all orders of an account at a time.
    pub(crate) fn cancel_all_after(
        &mut self,
        account: AccountIndex,
        time: u64,
    ) -> Result<(), Failure> {
        let time = Some(time).filter(|time| *time > 0);
        self.check_ahead("time", time)?;
        let key = self.key(account)?;
        let before = match time {
            Some(time) => self.switches.insert(key, time),
            None => self.switches.remove(&key),
        };
        if let Some(before) = before {
            self.timers.remove(before, Timer::Switch(key));
        }
        if let Some(time) = time {
            self.timers.add(time, Timer::Switch(key));
        }
        self.touch(LeafKey::Switch(key));
        self.note(Event::SwitchSet { account: key, time });
        Ok(())
    }

    /// Puts another order in the place of an open one: in place where only the quantity goes down, so
    /// that it keeps its priority; else by cancelling and placing at once, or neither.
    pub(crate) fn replace(
        &mut self,
        rules: &Rules,
        transaction: &CheckedTransaction,
        target: &OrderRef,
        order: &Order,
    ) -> Result<(), Failure> {
        let terms = rules.listing.terms(order)?;
        self.check_ahead("expires", order.expires)?;
        let account = self.ledger.intern(&transaction.account)?;
        let found = self.find_order(account, target, Some(terms.market))?;
        let (_, slot, open) = found
            .filter(|(.., open)| open.side == terms.side)
            .ok_or_else(|| Reject::UnknownOrder { order: target.clone() })?;
        let market = market_of(rules, terms.market)?;
        let filled = open.quantity.checked_sub(open.remaining).ok_or(TOO_MUCH)?;
        let Some(left) = terms.quantity.checked_sub(filled).filter(|left| *left > Lots(0)) else {
            return Ok(self.cancel_resting(market, slot, &open, CancelReason::Replaced)?);
        };
        let details = self.details(open.id);
        let client_id = order.client_id.as_ref().or(details.client_id.as_ref());
        let keeps_place = terms.price == open.price
            && left <= open.remaining
            && !matches!(terms.time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
            && terms.expires == details.expires
            && client_id == details.client_id.as_ref();
        if keeps_place {
            return Ok(self.reduce(market, slot, &open, left)?);
        }
        let cost = market.cost(terms.side, terms.price, left, terms.time_in_force);
        let terms = Terms { quantity: left, cost: cost.ok_or(TOO_MUCH)?, ..terms };
        let lock = market.lock(open.side, open.price, open.rested, open.remaining);
        let placing = Placing {
            account,
            session_key: transaction.session_key(),
            hash: transaction.hash,
            client_id: client_id.map(|name| name.as_str()),
            replaces: Some((open, lock.ok_or(TOO_MUCH)?)),
        };
        self.place(rules, &terms, &placing)
    }

    /// Takes down what is left of an open order, which keeps its place.
    fn reduce(
        &mut self,
        market: &Market,
        slot: Slot,
        open: &RestingOrder,
        left: Lots,
    ) -> Result<(), Corrupt> {
        let by = open.remaining.checked_sub(left).ok_or(TOO_MUCH)?;
        let lower = |lots: Lots| lots.checked_sub(by).ok_or(TOO_MUCH);
        let (quantity, rested) = (lower(open.quantity)?, lower(open.rested)?);
        if by > Lots(0) {
            self.book_mut(market.index)?.reduce(slot, by)?;
        }
        let lock = |rested, left| market.lock(open.side, open.price, rested, left);
        let freed = lock(open.rested, open.remaining)
            .and_then(|before| before.checked_sub(lock(rested, left)?))
            .ok_or(TOO_MUCH)?;
        let token = market.cost_token(open.side);
        self.ledger.unlock(open.account, token, freed)?;
        self.touch_balance(open.account, token);
        self.touched.orders.push((open.account, open.id));
        let account = self.key(open.account)?;
        self.note(Event::Reduced {
            order: open.id,
            account,
            market: market.index,
            side: open.side,
            price: open.price,
            quantity,
            remaining: left,
        });
        Ok(())
    }
}
