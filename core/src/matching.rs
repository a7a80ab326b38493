//! Placing an order: what it meets is planned first, from what is there, then committed, which
//! cannot fail. The plan is the same code for the engine and for [`crate::simulation`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::book::{RestingOrder, Slot, crosses};
use crate::engine::{Engine, Failure, OrderDetails, market_of};
use crate::event::{CancelReason, Corrupt, Event, Note};
use crate::genesis::Rules;
use crate::key::PublicKey;
use crate::ledger::{Account, AccountIndex};
use crate::listing::{Listing, Market};
use crate::reject::Reject;
use crate::terms::{Terms, fee};
use crate::transaction::{SelfTrade, Side, TimeInForce, TransactionHash};
use crate::units::{Atoms, Decimal, Lots, Ticks};

pub(crate) const TOO_MUCH: Corrupt = Corrupt("an order is worth more than can exist");

/// What an incoming order may meet: a resting order, or a whole level of them.
#[derive(Clone, Copy, Debug)]
pub struct Maker<T> {
    /// Its price.
    pub price: Ticks,
    /// Lots that are left of it.
    pub remaining: u128,
    /// How many orders it is: one, or those of the level.
    pub orders: u32,
    /// Whether it is of the incoming order's own account.
    pub is_own: bool,
    /// Where it is.
    pub place: T,
}

/// What happens where an incoming order meets a maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meet<T> {
    /// They trade, at the maker's price (I7).
    Fill {
        /// The maker's price.
        price: Ticks,
        /// How much.
        quantity: Lots,
        /// Where the maker is.
        place: T,
    },
    /// The maker, of the same account, is cancelled.
    Cancel {
        /// Where the maker is.
        place: T,
    },
}

/// Why matching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing is left, or nothing crosses any more.
    Done,
    /// The order met one of its own account and goes no further.
    SelfTrade,
    /// It met as many makers as one order may, and would meet more.
    MakerLimit,
}

/// What becomes of what matching leaves of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It rests in the book.
    Rests,
    /// It is cancelled.
    Cancelled(CancelReason),
}

/// Matches an order against the makers that cross it, best first, without changing anything. Adds
/// what happens to `meets`; returns what is left, and why matching ended.
pub fn plan<T>(
    quantity: Lots,
    self_trade: SelfTrade,
    makers_max: u32,
    makers: impl Iterator<Item = Maker<T>>,
    meets: &mut Vec<Meet<T>>,
) -> (Lots, End) {
    let mut left = quantity;
    let mut met = 0_u32;
    for Maker { price, remaining, orders, is_own, place } in makers {
        if left == Lots(0) {
            break;
        }
        if met >= makers_max {
            return (left, End::MakerLimit);
        }
        met = met.saturating_add(orders);
        if is_own {
            if self_trade != SelfTrade::CancelNewest {
                meets.push(Meet::Cancel { place });
            }
            if self_trade != SelfTrade::CancelOldest {
                return (left, End::SelfTrade);
            }
            continue;
        }
        let quantity = u64::try_from(remaining).map_or(left, |remaining| left.min(Lots(remaining)));
        left = Lots(left.0.wrapping_sub(quantity.0));
        meets.push(Meet::Fill { price, quantity, place });
    }
    (left, End::Done)
}

/// What becomes of what is left of an order with this time in force.
pub const fn rest(end: End, time_in_force: TimeInForce) -> Rest {
    match (end, time_in_force) {
        (End::SelfTrade, _) => Rest::Cancelled(CancelReason::SelfTrade),
        (End::MakerLimit, _) => Rest::Cancelled(CancelReason::MakerLimit),
        (End::Done, TimeInForce::Ioc | TimeInForce::Fok) => {
            Rest::Cancelled(CancelReason::ImmediateOrCancel)
        }
        (End::Done, _) => Rest::Rests,
    }
}

/// Reject 32: a post-only order must not cross the best price of the other side.
pub fn check_crossing(market: &Market, terms: &Terms, best: Option<Ticks>) -> Result<(), Reject> {
    let opposite = terms.side.opposite();
    match best.filter(|best| crosses(opposite, *best, terms.price)) {
        Some(best) if terms.time_in_force == TimeInForce::PostOnly => {
            let side = if opposite == Side::Sell { "ask" } else { "bid" };
            let best = Decimal::of_steps(u128::from(best.0), market.tick_size);
            Err(Reject::WouldCross { side, best: best.unwrap_or(Decimal::ZERO) })
        }
        _ => Ok(()),
    }
}

/// Reject 33: an order that may rest needs room among the account's open orders.
pub fn check_open_orders(
    listing: &Listing,
    market: &Market,
    terms: &Terms,
    open_orders: usize,
) -> Result<(), Reject> {
    let most = listing.limits.open_orders_per_account;
    let is_full = open_orders >= usize::try_from(most).unwrap_or(usize::MAX);
    if is_full && !matches!(terms.time_in_force, TimeInForce::Ioc | TimeInForce::Fok) {
        return Err(Reject::TooManyOrders { market: market.name.clone(), most });
    }
    Ok(())
}

/// Reject 34: nothing may be left of a fill-or-kill order.
pub fn check_filled(market: &Market, terms: &Terms, left: Lots) -> Result<(), Reject> {
    if terms.time_in_force != TimeInForce::Fok || left == Lots(0) {
        return Ok(());
    }
    let lots = |lots: u64| Decimal::of_steps(u128::from(lots), market.lot_size);
    let filled = lots(terms.quantity.0.saturating_sub(left.0)).unwrap_or(Decimal::ZERO);
    let quantity = lots(terms.quantity.0).unwrap_or(Decimal::ZERO);
    Err(Reject::CannotFill { filled, quantity })
}

/// Reject 40: what is available must cover what the order can cost.
pub fn check_balance(listing: &Listing, terms: &Terms, available: Atoms) -> Result<(), Reject> {
    if available < terms.cost {
        return Err(listing.balance_too_low(terms.cost_token, terms.cost, available));
    }
    Ok(())
}

/// Who places an order, and how it is known.
pub struct Placing<'a> {
    /// Whose it is.
    pub account: AccountIndex,
    /// The session key that signed, if it was not the account's own.
    pub session_key: Option<PublicKey>,
    /// Of the transaction.
    pub hash: TransactionHash,
    /// The trader's own name for it.
    pub client_id: Option<&'a str>,
    /// The open order that goes when this one is placed, and what it locks.
    pub replaces: Option<(RestingOrder, Atoms)>,
}

/// An order on its way through the book.
struct Taker<'a> {
    market: &'a Market,
    terms: &'a Terms,
    id: u64,
    account: AccountIndex,
    /// Lots that it traded.
    filled: Lots,
    /// What its trades are worth, in quote.
    quote: Atoms,
    /// What it pays for them.
    fee: Atoms,
}

impl Engine {
    /// Places an order. All rejects come before the first change.
    pub fn place(
        &mut self,
        rules: &Rules,
        terms: &Terms,
        placing: &Placing<'_>,
    ) -> Result<(), Failure> {
        let market = market_of(rules, terms.market)?;
        self.check_place(rules, market, terms, placing)?;
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

    /// Rejects 31 to 33.
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
        if replaced.is_none() {
            let open = self.ledger.account(placing.account)?.open_orders_in(market.index);
            check_open_orders(&rules.listing, market, terms, open)?;
        }
        Ok(())
    }

    /// What the order would meet in the book.
    fn plan_order(
        &self,
        rules: &Rules,
        terms: &Terms,
        account: AccountIndex,
        meets: &mut Vec<Meet<(Slot, RestingOrder)>>,
    ) -> Result<(Lots, End), Corrupt> {
        let book = self.book(terms.market).ok_or(Corrupt("a market has no book"))?;
        let opposite = terms.side.opposite();
        if !book.best(opposite).is_some_and(|best| crosses(opposite, best, terms.price)) {
            return Ok((terms.quantity, End::Done));
        }
        let makers = book.crossing(opposite, terms.price).map(|(slot, order)| Maker {
            price: order.price,
            remaining: u128::from(order.remaining.0),
            orders: 1,
            is_own: order.account == account,
            place: (slot, order),
        });
        // Their accounts are on their way while the rest is planned and checked.
        let makers = makers.inspect(|maker| {
            let (_, order) = maker.place;
            self.ledger.get(order.account).into_iter().for_each(Account::prefetch);
        });
        let makers_max = rules.genesis.limits.makers_per_order;
        Ok(plan(terms.quantity, terms.self_trade, makers_max, makers, meets))
    }

    /// Rejects 34 to 40.
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
            let value = market.spends(terms.side, terms.price, terms.quantity).ok_or(TOO_MUCH)?;
            self.check_spending(rules, &account.key, &signer, value)?;
        }
        let released = placing.replaces.map_or(Atoms::ZERO, |(_, lock)| lock);
        let available = account.balance(terms.cost_token).available;
        let available = available.checked_add(released).ok_or(TOO_MUCH)?;
        Ok(check_balance(&rules.listing, terms, available)?)
    }

    /// Does what was planned and checked.
    fn commit_order(
        &mut self,
        market: &Market,
        terms: &Terms,
        placing: &Placing<'_>,
        meets: &[Meet<(Slot, RestingOrder)>],
        (left, rest): (Lots, Rest),
    ) -> Result<(), Corrupt> {
        if let Some((order, _)) = placing.replaces {
            let found = self.open_order(self.ledger.account(order.account)?, order.id);
            let (_, slot, _) = found.ok_or(Corrupt("a replaced order is not open"))?;
            self.cancel_resting(market, slot, &order, CancelReason::Replaced)?;
        }
        let id = self.counters.order.checked_add(1).ok_or(Corrupt("order ids ran out"))?;
        self.counters.order = id;
        self.note_accepted(id, terms, placing)?;
        let mut taker = Taker {
            market,
            terms,
            id,
            account: placing.account,
            filled: Lots(0),
            quote: Atoms::ZERO,
            fee: Atoms::ZERO,
        };
        let mut next = meets;
        while let [meet, rest @ ..] = next {
            next = rest;
            if let [Meet::Fill { place: (_, maker), .. }, ..] = next {
                self.ledger.account(maker.account)?.prefetch_order(maker.id);
            }
            match meet {
                Meet::Fill { quantity, place: (slot, maker), .. } => {
                    self.fill(&mut taker, *slot, maker, *quantity)?;
                }
                Meet::Cancel { place: (slot, maker) } => {
                    self.cancel_resting(market, *slot, maker, CancelReason::SelfTrade)?;
                }
            }
        }
        if taker.filled > Lots(0) {
            self.settle(&taker)?;
        }
        let mut committed = terms.quantity;
        if left > Lots(0) {
            match rest {
                Rest::Rests => self.rest(&taker, placing, left)?,
                Rest::Cancelled(reason) => {
                    committed = taker.filled;
                    self.notes.push(Note::Cancelled {
                        order: id,
                        account: placing.account,
                        market: market.index,
                        side: terms.side,
                        price: terms.price,
                        remaining: left,
                        reason,
                    });
                }
            }
        }
        if let Some(signer) = placing.session_key {
            let key = self.key(placing.account)?;
            let value = market.spends(terms.side, terms.price, committed).ok_or(TOO_MUCH)?;
            self.spend(&key, &signer, value)?;
        }
        Ok(())
    }

    fn note_accepted(
        &mut self,
        id: u64,
        terms: &Terms,
        placing: &Placing<'_>,
    ) -> Result<(), Corrupt> {
        let Terms { market, side, price, quantity, time_in_force, .. } = *terms;
        let Some(client_id) = placing.client_id else {
            let account = placing.account;
            self.notes.push(Note::Accepted {
                order: id,
                account,
                market,
                side,
                price,
                quantity,
                time_in_force,
            });
            return Ok(());
        };
        let account = self.key(placing.account)?;
        let client_id = Some(client_id.to_string());
        self.note(Event::Accepted {
            order: id,
            account,
            market,
            side,
            price,
            quantity,
            time_in_force,
            client_id,
        });
        Ok(())
    }

    /// One trade at the maker's price, the maker's part of it.
    fn fill(
        &mut self,
        taker: &mut Taker<'_>,
        slot: Slot,
        maker: &RestingOrder,
        quantity: Lots,
    ) -> Result<(), Corrupt> {
        let market = taker.market;
        let left = self.book_mut(market.index)?.fill(slot, quantity)?;
        let base = market.base_atoms(quantity).ok_or(TOO_MUCH)?;
        let quote = market.quote_atoms(maker.price, quantity).ok_or(TOO_MUCH)?;
        let fees = |remaining| market.maker_fee(maker.price, maker.rested, remaining);
        let maker_fee = fees(maker.remaining)
            .and_then(|before| before.checked_sub(fees(left)?))
            .ok_or(TOO_MUCH)?;
        match maker.side {
            Side::Buy => {
                let paid = quote.checked_add(maker_fee).ok_or(TOO_MUCH)?;
                self.ledger.take_locked(maker.account, market.quote, paid)?;
                self.ledger.credit(maker.account, market.base, base)?;
            }
            Side::Sell => {
                let got = quote.checked_sub(maker_fee).ok_or(TOO_MUCH)?;
                self.ledger.take_locked(maker.account, market.base, base)?;
                self.ledger.credit(maker.account, market.quote, got)?;
            }
        }
        self.touch_balance(maker.account, market.base);
        self.touch_balance(maker.account, market.quote);
        self.touched.orders.push((maker.account, maker.id));
        if left == Lots(0) {
            self.close(market, slot, maker)?;
        }

        taker.filled = Lots(taker.filled.0.checked_add(quantity.0).ok_or(TOO_MUCH)?);
        taker.quote = taker.quote.checked_add(quote).ok_or(TOO_MUCH)?;
        let fee_before = taker.fee;
        taker.fee = fee(taker.quote, market.taker_fee_bps).ok_or(TOO_MUCH)?;
        let taker_fee = taker.fee.checked_sub(fee_before).ok_or(TOO_MUCH)?;
        let fees = maker_fee.checked_add(taker_fee).ok_or(TOO_MUCH)?;
        if fees > Atoms::ZERO {
            self.ledger.credit(self.fee_account, market.quote, fees)?;
            self.touch_balance(self.fee_account, market.quote);
        }
        let trade = self.counters.trade.checked_add(1).ok_or(Corrupt("trade numbers ran out"))?;
        self.counters.trade = trade;
        self.notes.push(Note::Filled {
            trade,
            market: market.index,
            price: maker.price,
            quantity,
            maker: (maker.id, maker.account),
            taker: (taker.id, taker.account),
            taker_side: taker.terms.side,
            fees: [maker_fee, taker_fee],
        });
        Ok(())
    }

    /// The taker's part of all its trades.
    fn settle(&mut self, taker: &Taker<'_>) -> Result<(), Corrupt> {
        let market = taker.market;
        let base = market.base_atoms(taker.filled).ok_or(TOO_MUCH)?;
        match taker.terms.side {
            Side::Buy => {
                let paid = taker.quote.checked_add(taker.fee).ok_or(TOO_MUCH)?;
                self.ledger.debit(taker.account, market.quote, paid)?;
                self.ledger.credit(taker.account, market.base, base)?;
            }
            Side::Sell => {
                let got = taker.quote.checked_sub(taker.fee).ok_or(TOO_MUCH)?;
                self.ledger.debit(taker.account, market.base, base)?;
                self.ledger.credit(taker.account, market.quote, got)?;
            }
        }
        self.touch_balance(taker.account, market.base);
        self.touch_balance(taker.account, market.quote);
        Ok(())
    }

    /// Puts what is left of a taker into the book.
    fn rest(
        &mut self,
        taker: &Taker<'_>,
        placing: &Placing<'_>,
        left: Lots,
    ) -> Result<(), Corrupt> {
        let (market, terms) = (taker.market, taker.terms);
        let [a, b, c, d, e, f, g, h, ..] = placing.hash.0;
        let order = RestingOrder {
            id: taker.id,
            account: taker.account,
            side: terms.side,
            price: terms.price,
            quantity: terms.quantity,
            rested: left,
            remaining: left,
            hash: [a, b, c, d, e, f, g, h],
        };
        let lock = market.lock(terms.side, terms.price, left, left).ok_or(TOO_MUCH)?;
        self.ledger.lock(taker.account, terms.cost_token, lock)?;
        self.touch_balance(taker.account, terms.cost_token);
        let details =
            OrderDetails { expires: terms.expires, client_id: placing.client_id.map(String::from) };
        self.open(market.index, &order, details)
    }
}
