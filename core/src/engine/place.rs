//! Places an order: plan, check, then commit.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::engine::{Engine, market_of};
use super::failure::{Failure, TOO_MUCH};
use super::placing::Placing;
use super::plan::{
    Maker, MatchEnd, MatchStep, check_balance, check_crossing, check_filled, check_open_orders,
    plan, rest,
};
use crate::protocol::{Reject, Terms};
use crate::rules::{Market, Rules};
use crate::state::{Account, RestingOrder, Slot, crosses};
use crate::types::{AccountIndex, Atoms, Corrupt, Lots};

impl Engine {
    /// Places an order. All rejects come before the first change (I11).
    pub(crate) fn place(
        &mut self,
        rules: &Rules,
        terms: &Terms,
        placing: &Placing<'_>,
    ) -> Result<(), Failure> {
        let market = market_of(rules, terms.market)?;
        // The checks run in the sequence of their codes. The first ones need no plan, and so spare
        // a rejected order the cost of one.
        self.check_place(rules, market, terms, placing)?;
        // Taken out, since the commit borrows the whole engine, and put back for its memory. Only a
        // `Corrupt` returns in between, and then the replica stops.
        let mut meets = core::mem::take(&mut self.meets);
        meets.clear();
        let (left, end) = self.plan_order(rules, terms, placing.account, &mut meets)?;
        let result = self.check_plan(rules, market, terms, placing, left).and_then(|()| {
            Ok(self.commit_order(
                market,
                terms,
                placing,
                &meets,
                (left, rest(end, terms.time_in_force)),
            )?)
        });
        self.meets = meets;
        result
    }

    /// Rejects 31 to 33, which do not depend on the plan.
    fn check_place(
        &self,
        rules: &Rules,
        market: &Market,
        terms: &Terms,
        placing: &Placing<'_>,
    ) -> Result<(), Failure> {
        let replaced = placing.replaces.map(|(order, _)| order.id);
        if let Some(client_id) = placing.client_id
            && let Some(order) = self.client_ids.get(&(placing.account, client_id.to_string()))
            && replaced != Some(*order)
        {
            return Err(Reject::ClientIdUsed { client_id: client_id.into(), order: *order }.into());
        }
        let book = self.book(market.index).ok_or(Corrupt("a market has no book"))?;
        check_crossing(market, terms, book.best(terms.side.opposite()))?;
        // A replaced order makes room for its successor, so reject 33 cannot apply.
        if replaced.is_none() {
            let open = self.ledger.account(placing.account)?.open_orders_in(market.index);
            check_open_orders(&rules.listing, market, terms, open)?;
        }
        Ok(())
    }

    /// The plan of the order in the book of its market.
    fn plan_order(
        &self,
        rules: &Rules,
        terms: &Terms,
        account: AccountIndex,
        meets: &mut Vec<MatchStep<(Slot, RestingOrder)>>,
    ) -> Result<(Lots, MatchEnd), Corrupt> {
        let book = self.book(terms.market).ok_or(Corrupt("a market has no book"))?;
        let opposite = terms.side.opposite();
        // The stored best price shows that nothing crosses, without a look at the levels.
        if !book.best(opposite).is_some_and(|best| crosses(opposite, best, terms.price)) {
            return Ok((terms.quantity, MatchEnd::Done));
        }
        let makers = book.crossing(opposite, terms.price).map(|(slot, order)| Maker {
            price: order.price,
            remaining: u128::from(order.remaining.0),
            orders: 1,
            is_own: order.account == account,
            key: (slot, order),
        });
        // Prefetch the makers' accounts, so that they arrive while the rest is planned and checked.
        let makers = makers.inspect(|maker| {
            let (_, order) = maker.key;
            self.ledger.get(order.account).into_iter().for_each(Account::prefetch);
        });
        let makers_max = rules.genesis.limits.makers_per_order;
        Ok(plan(terms.quantity, terms.self_trade, makers_max, makers, meets))
    }

    /// Rejects 34 to 40, which depend on the plan.
    fn check_plan(
        &self,
        rules: &Rules,
        market: &Market,
        terms: &Terms,
        placing: &Placing<'_>,
        left: Lots,
    ) -> Result<(), Failure> {
        check_filled(market, terms, left)?;
        let account = self.ledger.account(placing.account)?;
        if let Some(signer) = placing.session_key {
            // The limit must cover the whole order, even if its rest will be cancelled at once.
            // Only the commit leaves that part out.
            let value = market.spends(terms.side, terms.price, terms.quantity).ok_or(TOO_MUCH)?;
            self.check_spending(rules, &account.key, &signer, value)?;
        }
        // The lock of the replaced order is in the token of the new cost, since both are on one
        // side of one market.
        let released = placing.replaces.map_or(Atoms::ZERO, |(_, lock)| lock);
        let available = account.balance(terms.cost_token).available;
        let available = available.checked_add(released).ok_or(TOO_MUCH)?;
        Ok(check_balance(&rules.listing, terms, available)?)
    }
}
