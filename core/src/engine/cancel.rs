//! Cancels open orders: one, all, or all at a time (the dead-man's switch).

use super::engine::{Engine, market_of};
use super::failure::{Failure, TOO_MUCH};
use super::note::Note;
use crate::protocol::{CancelReason, Event, OrderRef, Reject};
use crate::rules::{Market, Rules};
use crate::state::{LeafKey, RestingOrder, Slot, Timer};
use crate::types::{AccountIndex, Corrupt, MarketIndex};

impl Engine {
    /// Cancels an open order and unlocks what it reserved.
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

    /// Takes an order that was removed from its account's records out of its book, and unlocks what
    /// it reserved.
    fn take_off(
        &mut self,
        market: &Market,
        slot: Slot,
        order: &RestingOrder,
        reason: CancelReason,
    ) -> Result<(), Corrupt> {
        self.book_mut(market.index)?.remove(slot)?;
        // An order does not store its lock. The lock follows from the numbers of the order, so the
        // two cannot disagree (I2).
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

    /// Cancels one open order, in one market or in any: a session key for one market cannot cancel
    /// in others.
    pub(crate) fn cancel(
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

    /// Cancels all open orders of an account in order of market and id. Returns the number of
    /// orders.
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
            // The whole list of the market goes with its first order, and is empty for the others.
            // To remove up to 5000 orders one by one would search the list for each of them.
            self.ledger.account_mut(account)?.remove_orders(market.index);
            self.forget(order);
            self.take_off(market, *slot, order, reason)?;
        }
        Ok(orders.len())
    }

    /// Sets, renews or disarms the dead-man's switch, which cancels all orders of an account at a
    /// time. A trading program renews it regularly, so that no orders are left if the program
    /// stops.
    pub(crate) fn cancel_all_after(
        &mut self,
        account: AccountIndex,
        time: u64,
    ) -> Result<(), Failure> {
        let time = Some(time).filter(|time| *time > 0);
        self.check_in_future("time", time)?;
        let key = self.key(account)?;
        let before = match time {
            Some(time) => self.switches.insert(key, time),
            None => self.switches.remove(&key),
        };
        // The old timer goes before the new one is added. If both are for the same time, they are
        // one entry, and the other order would leave the switch without a timer.
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
}
