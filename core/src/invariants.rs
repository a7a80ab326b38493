//! Recounts the whole state and names the first invariant that does not hold. Slow: for tests,
//! `zellbook replay --check`, and after loading.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::exchange::Exchange;
use crate::genesis::TokenIndex;
use crate::limits::{NONCES_KEPT, SUPPLY_MAX};
use crate::transaction::Side;
use crate::units::{Atoms, Lots, Ticks};

impl Exchange {
    /// Checks I1 to I10 by counting everything again.
    pub fn recount(&self) -> Result<(), String> {
        self.recount_books()?;
        self.recount_balances()?;
        self.recount_accounts()
    }

    /// I3 to I6: the books, their levels and queues.
    fn recount_books(&self) -> Result<(), String> {
        let mut counted = 0_usize;
        for market in &self.rules.markets {
            let book = self.book(market.index).ok_or("a market has no book")?;
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell))
                && bid >= ask
            {
                return Err(format!("I3: {} is crossed: bid {bid:?}, ask {ask:?}", market.name));
            }
            for side in [Side::Buy, Side::Sell] {
                for (price, level) in book.levels(side) {
                    let (mut quantity, mut orders, mut previous) = (0_u128, 0_u32, 0);
                    for order in book.queue(level) {
                        let known = self.orders.get(&order.id).map(|(market, _)| *market);
                        let is_whole = order.side == side
                            && order.price == price
                            && order.price > Ticks(0)
                            && order.remaining > Lots(0)
                            && order.remaining <= order.quantity
                            && known == Some(market.index);
                        if !is_whole {
                            return Err(format!("I6: order {} is not as it should be", order.id));
                        }
                        if order.id <= previous {
                            return Err(format!("I4: order {} is before {previous}", order.id));
                        }
                        previous = order.id;
                        quantity = quantity.wrapping_add(u128::from(order.remaining.0));
                        orders = orders.wrapping_add(1);
                    }
                    if orders == 0 {
                        return Err(format!("I5: the level {price:?} of {} is empty", market.name));
                    }
                    if (quantity, orders) != (level.quantity, level.orders) {
                        return Err(format!(
                            "I5: the level {price:?} of {} miscounts",
                            market.name
                        ));
                    }
                    counted = counted.wrapping_add(usize::try_from(orders).unwrap_or(usize::MAX));
                }
            }
        }
        if counted != self.orders.len() {
            return Err(format!("I6: {counted} orders in books, {} known", self.orders.len()));
        }
        Ok(())
    }

    /// I1 and I2: conservation, and locks.
    fn recount_balances(&self) -> Result<(), String> {
        for (index, token) in (0_u16..).zip(&self.rules.genesis.tokens) {
            let index = TokenIndex(index);
            let mut sum = 0_u128;
            for account in self.ledger.accounts() {
                let balance = account.balance(index);
                let total = balance.available.checked_add(balance.locked);
                let total = total.ok_or("I1: a balance overflows")?;
                sum = sum.checked_add(total.0).ok_or("I1: a sum of balances overflows")?;
            }
            if Atoms(sum) != self.ledger.supply(index) || sum > SUPPLY_MAX {
                let supply = self.ledger.supply(index).0;
                return Err(format!(
                    "I1: {} has a supply of {supply}, balances of {sum}",
                    token.symbol
                ));
            }
        }
        for account in self.ledger.accounts() {
            let mut locks: Vec<u128> = vec![0; self.rules.genesis.tokens.len()];
            for id in account.open_orders.values().flatten() {
                let (market, order) = self.order(*id).ok_or("I6: an open order is unknown")?;
                let owner = self.ledger.get(order.account).map(|account| account.key);
                if owner != Some(account.key) {
                    return Err(format!("I6: order {id} is listed under another account"));
                }
                let market = self.rules.market_at(market).ok_or("a market is not in genesis")?;
                let lock = market.lock_atoms(order.side, order.price, order.remaining);
                let lock = lock.ok_or("I2: a lock overflows")?;
                let token = usize::from(market.lock_token(order.side).0);
                let slot = locks.get_mut(token).ok_or("a token is not in genesis")?;
                *slot = slot.checked_add(lock.0).ok_or("I2: locks overflow")?;
            }
            for (index, lock) in (0_u16..).zip(locks) {
                let locked = account.balance(TokenIndex(index)).locked.0;
                if locked != lock {
                    return Err(format!(
                        "I2: {} has {locked} locked, its orders need {lock}",
                        account.key
                    ));
                }
            }
        }
        Ok(())
    }

    /// I6, I9 and I10: open orders and nonces.
    fn recount_accounts(&self) -> Result<(), String> {
        let mut listed = 0_usize;
        for account in self.ledger.accounts() {
            for (market, orders) in &account.open_orders {
                listed = listed.wrapping_add(orders.len());
                let most = self.rules.genesis.limits.open_orders_per_account;
                if orders.len() > usize::try_from(most).unwrap_or(usize::MAX) {
                    return Err(format!("I10: {} has too many open orders", account.key));
                }
                let are_there = orders
                    .iter()
                    .all(|id| self.orders.get(id).is_some_and(|(index, _)| index == market));
                if !are_there || orders.is_empty() {
                    return Err(format!("I6: {} lists orders wrongly", account.key));
                }
            }
            let nonces = account.nonces();
            if nonces.len() > NONCES_KEPT || !nonces.is_sorted_by(|a, b| a < b) {
                return Err(format!("I9: the nonces of {} are out of order", account.key));
            }
        }
        if listed != self.orders.len() {
            return Err(format!("I6: {listed} orders listed, {} known", self.orders.len()));
        }
        Ok(())
    }
}
