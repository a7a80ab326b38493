//! Replaces an open order.

use super::engine::{Engine, market_of};
use super::failure::{Failure, TOO_MUCH};
use super::placing::Placing;
use crate::protocol::{CancelReason, CheckedTransaction, Event, Order, OrderRef, Reject, Terms};
use crate::rules::{Market, Rules};
use crate::state::{RestingOrder, Slot};
use crate::types::{Corrupt, Lots, TimeInForce};

impl Engine {
    /// Replaces an open order. If only the quantity goes down, the order is reduced and keeps its
    /// queue position. Otherwise the old order is cancelled and the new one placed, or neither: a
    /// rejected replacement leaves the old order open. The new quantity includes what the old order
    /// has already filled, so a fill that happens while the transaction is on its way does not
    /// increase the trader's position.
    pub(crate) fn replace(
        &mut self,
        rules: &Rules,
        transaction: &CheckedTransaction,
        target: &OrderRef,
        order: &Order,
    ) -> Result<(), Failure> {
        // Codes 10 to 18 are checked for the order as given, with its total, even if the
        // replacement only cancels (section 12 of the protocol).
        let terms = rules.listing.terms(order)?;
        self.check_in_future("expires", order.expires)?;
        let account = self.ledger.intern(&transaction.account)?;
        // Only in the market that the replacement names, which `check_signer` has compared with
        // that of a session key. So a key of one market cannot reach an order in another.
        let found = self.find_order(account, target, Some(terms.market))?;
        let (_, slot, open) = found
            .filter(|(.., open)| open.side == terms.side)
            .ok_or_else(|| Reject::UnknownOrder { order: target.clone() })?;
        let market = market_of(rules, terms.market)?;
        let filled = open.quantity.checked_sub(open.remaining).ok_or(TOO_MUCH)?;
        let Some(left) = terms.quantity.checked_sub(filled).filter(|left| *left > Lots(0)) else {
            // The requested total is filled already, so nothing is left to place.
            return Ok(self.cancel_resting(market, slot, &open, CancelReason::Replaced)?);
        };
        let details = self.details(open.id);
        let client_id = order.client_id.as_ref().or(details.client_id.as_ref());
        // An order that gives up quantity takes nothing from those behind it. Everything else is a
        // new order: an id stands for one price, one expiry and one name (decision 0007).
        let keeps_place = terms.price == open.price
            && left <= open.remaining
            && !matches!(terms.time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
            && terms.expires == details.expires
            && client_id == details.client_id.as_ref();
        if keeps_place {
            // Nothing more is spent, so the spending limit of a session key plays no part.
            return Ok(self.reduce(market, slot, &open, left)?);
        }
        // Only what is left is placed. The minimum order value was compared with the total.
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

    /// Reduces what is left of an open order, which keeps its queue position, and unlocks the
    /// difference.
    fn reduce(
        &mut self,
        market: &Market,
        slot: Slot,
        open: &RestingOrder,
        left: Lots,
    ) -> Result<(), Corrupt> {
        let by = open.remaining.checked_sub(left).ok_or(TOO_MUCH)?;
        let lower = |lots: Lots| lots.checked_sub(by).ok_or(TOO_MUCH);
        // `rested` goes down with `remaining`. Their difference, the part that has filled, stays
        // the same, and so do the fees that it paid.
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
