//! Placing an order: checks, the lock, price-time matching, and what becomes of the rest.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use crate::book::{RestingOrder, Slot};
use crate::event::{CancelReason, Corrupt, Event, Fill};
use crate::exchange::{Exchange, Failure, market_of};
use crate::genesis::{Market, Rules};
use crate::key::PublicKey;
use crate::ledger::AccountIndex;
use crate::reject::Reject;
use crate::state::LeafKey;
use crate::terms::Terms;
use crate::transaction::{SelfTrade, Side, TimeInForce};
use crate::units::{Atoms, Decimal, Lots, Ticks};

/// An order on its way through the book.
struct Taker {
    id: u64,
    account: AccountIndex,
    key: PublicKey,
    side: Side,
    price: Ticks,
    remaining: Lots,
}

const TOO_MUCH: Corrupt = Corrupt("an order is worth more than can exist");

impl Exchange {
    /// Places an order. All rejects come before the first change.
    pub(crate) fn place(&mut self, account: AccountIndex, terms: &Terms) -> Result<(), Failure> {
        let rules = Arc::clone(&self.rules);
        let market = market_of(&rules, terms.market)?;
        self.check_place(&rules, market, account, terms)?;

        let key = self.ledger.account(account)?.key;
        let id = self.counters.order.checked_add(1).ok_or(Corrupt("order ids ran out"))?;
        self.counters.order = id;
        self.ledger.lock(account, terms.lock_token, terms.lock)?;
        self.touched.insert(LeafKey::Balance(key, terms.lock_token));
        self.events.push(Event::Accepted {
            order: id,
            account: key,
            market: terms.market,
            side: terms.side,
            price: terms.price,
            quantity: terms.quantity,
            time_in_force: terms.time_in_force,
        });
        let mut taker = Taker {
            id,
            account,
            key,
            side: terms.side,
            price: terms.price,
            remaining: terms.quantity,
        };
        let met_itself = self.match_taker(market, &mut taker, terms.self_trade)?;
        if taker.remaining == Lots(0) {
            return Ok(());
        }
        if met_itself {
            self.cancel_rest(market, &taker, CancelReason::SelfTrade)?;
        } else if terms.time_in_force == TimeInForce::Ioc {
            self.cancel_rest(market, &taker, CancelReason::ImmediateOrCancel)?;
        } else {
            self.rest(market, &taker, terms.quantity)?;
        }
        Ok(())
    }

    fn check_place(
        &self,
        rules: &Rules,
        market: &Market,
        account: AccountIndex,
        terms: &Terms,
    ) -> Result<(), Failure> {
        let book = self.book(market.index).ok_or(Corrupt("a market has no book"))?;
        let opposite = terms.side.opposite();
        if terms.time_in_force == TimeInForce::PostOnly
            && let Some((_, best)) = book.first_crossing(opposite, terms.price)
        {
            let side = if opposite == Side::Sell { "ask" } else { "bid" };
            let best = Decimal::of_steps(u128::from(best.price.0), market.tick_size);
            return Err(Reject::WouldCross { side, best: best.unwrap_or(Decimal::ZERO) }.into());
        }
        let account = self.ledger.account(account)?;
        let most = rules.genesis.limits.open_orders_per_account;
        let open = account.open_orders.get(&market.index).map_or(0, BTreeSet::len);
        let full = open >= usize::try_from(most).unwrap_or(usize::MAX);
        if full && terms.time_in_force != TimeInForce::Ioc {
            return Err(Reject::TooManyOrders { market: market.name.clone(), most }.into());
        }
        let available = account.balance(terms.lock_token).available;
        if available < terms.lock {
            return Err(rules.balance_too_low(terms.lock_token, terms.lock, available).into());
        }
        Ok(())
    }

    /// Trades with the other side until the taker is filled, nothing crosses, or it meets an order
    /// of its own account and its rest must go: `true` then.
    fn match_taker(
        &mut self,
        market: &Market,
        taker: &mut Taker,
        self_trade: SelfTrade,
    ) -> Result<bool, Corrupt> {
        while taker.remaining > Lots(0) {
            let book = self.book_mut(market.index)?;
            let Some((slot, maker)) = book.first_crossing(taker.side.opposite(), taker.price)
            else {
                return Ok(false);
            };
            let maker = *maker;
            if maker.account == taker.account {
                if self_trade != SelfTrade::CancelNewest {
                    self.cancel_resting(maker.id, CancelReason::SelfTrade)?;
                }
                if self_trade != SelfTrade::CancelOldest {
                    return Ok(true);
                }
                continue;
            }
            self.fill(market, taker, slot, &maker)?;
        }
        Ok(false)
    }

    /// One trade at the maker's price. The taker keeps the improvement on its own limit.
    fn fill(
        &mut self,
        market: &Market,
        taker: &mut Taker,
        slot: Slot,
        maker: &RestingOrder,
    ) -> Result<(), Corrupt> {
        let quantity = taker.remaining.min(maker.remaining);
        self.book_mut(market.index)?.fill(slot, quantity)?;
        taker.remaining = taker.remaining.checked_sub(quantity).ok_or(TOO_MUCH)?;

        let base = market.base_atoms(quantity).ok_or(TOO_MUCH)?;
        let quote = market.quote_atoms(maker.price, quantity).ok_or(TOO_MUCH)?;
        let (buyer, seller, bid_price) = match taker.side {
            Side::Buy => (taker.account, maker.account, taker.price),
            Side::Sell => (maker.account, taker.account, maker.price),
        };
        let bid_lock = market.quote_atoms(bid_price, quantity).ok_or(TOO_MUCH)?;
        let improvement: Atoms = bid_lock.checked_sub(quote).ok_or(TOO_MUCH)?;
        self.ledger.take_locked(buyer, market.quote, bid_lock)?;
        self.ledger.credit(buyer, market.quote, improvement)?;
        self.ledger.credit(buyer, market.base, base)?;
        self.ledger.take_locked(seller, market.base, base)?;
        self.ledger.credit(seller, market.quote, quote)?;

        let maker_account = self.ledger.account_mut(maker.account)?;
        let maker_key = maker_account.key;
        if quantity == maker.remaining {
            maker_account.close_order(market.index, maker.id);
            self.orders.remove(&maker.id);
        }
        self.touched.insert(LeafKey::Order(maker.id));
        for key in [taker.key, maker_key] {
            self.touched.insert(LeafKey::Balance(key, market.base));
            self.touched.insert(LeafKey::Balance(key, market.quote));
        }
        let trade = self.counters.trade.checked_add(1).ok_or(Corrupt("trade numbers ran out"))?;
        self.counters.trade = trade;
        self.events.push(Event::Filled(Fill {
            trade,
            market: market.index,
            price: maker.price,
            quantity,
            maker_order: maker.id,
            taker_order: taker.id,
            maker: maker_key,
            taker: taker.key,
            taker_side: taker.side,
        }));
        Ok(())
    }

    /// Returns what the rest of a taker locks.
    fn cancel_rest(
        &mut self,
        market: &Market,
        taker: &Taker,
        reason: CancelReason,
    ) -> Result<(), Corrupt> {
        let lock = market.lock_atoms(taker.side, taker.price, taker.remaining).ok_or(TOO_MUCH)?;
        self.ledger.unlock(taker.account, market.lock_token(taker.side), lock)?;
        self.events.push(Event::Cancelled {
            order: taker.id,
            account: taker.key,
            market: market.index,
            side: taker.side,
            price: taker.price,
            remaining: taker.remaining,
            reason,
        });
        Ok(())
    }

    /// Puts the rest of a taker into the book.
    fn rest(&mut self, market: &Market, taker: &Taker, quantity: Lots) -> Result<(), Corrupt> {
        let slot = self.book_mut(market.index)?.insert(RestingOrder {
            id: taker.id,
            account: taker.account,
            side: taker.side,
            price: taker.price,
            quantity,
            remaining: taker.remaining,
        })?;
        self.orders.insert(taker.id, (market.index, slot));
        self.ledger.account_mut(taker.account)?.open_order(market.index, taker.id);
        self.touched.insert(LeafKey::Order(taker.id));
        Ok(())
    }
}
