//! Commits a planned order. Everything was checked, so a failure here means that this replica is
//! broken.
//!
//! For each fill the maker is paid and charged at once, at its own price. The taker is settled
//! once, after its last fill, with the sums: a taker with many fills touches its own balances only
//! once. The fee of an order is always computed on the sum of its trades and rounded up once; a
//! single fill is charged the difference to the sum before it. So the total fee does not depend on
//! how many trades an order is split into.

use alloc::string::{String, ToString};

use super::engine::Engine;
use super::failure::TOO_MUCH;
use super::note::Note;
use super::placing::Placing;
use super::plan::{MatchStep, Rest};
use crate::protocol::{CancelReason, Event, Terms};
use crate::rules::{Market, fee};
use crate::state::{OrderDetails, RestingOrder, Slot};
use crate::types::{AccountIndex, Atoms, Corrupt, Lots, Side};

/// An order while it goes through the book.
struct Taker<'a> {
    market: &'a Market,
    terms: &'a Terms,
    id: u64,
    account: AccountIndex,
    /// The filled quantity so far.
    filled: Lots,
    /// The value of its trades so far, in quote atoms.
    quote: Atoms,
    /// The taker fee on `quote`.
    fee: Atoms,
}

impl Engine {
    /// Carries out the plan: the replaced order is cancelled, then the order gets its id, trades,
    /// and its rest enters the book or is cancelled.
    pub(super) fn commit_order(
        &mut self,
        market: &Market,
        terms: &Terms,
        placing: &Placing<'_>,
        meets: &[MatchStep<(Slot, RestingOrder)>],
        (left, rest): (Lots, Rest),
    ) -> Result<(), Corrupt> {
        // The replaced order goes first: the new one may need the balance that it locks and the
        // client id that it has. The plan was made while it was open, and still holds: a
        // replacement is on the same side, and makers are on the other.
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
        // The plan copied slots and orders from the book, and they stay true to the end. Each maker
        // is in one step only, and a slot that becomes vacant is used again only when the rest
        // enters the book.
        let mut next = meets;
        while let [meet, rest @ ..] = next {
            next = rest;
            if let [MatchStep::Fill { key: (_, maker), .. }, ..] = next {
                // Planning prefetched the makers' accounts. The order list of the next maker is one
                // pointer further, and arrives while this step runs.
                self.ledger.account(maker.account)?.prefetch_order(maker.id);
            }
            match meet {
                MatchStep::Fill { quantity, key: (slot, maker), .. } => {
                    self.fill(&mut taker, *slot, maker, *quantity)?;
                }
                MatchStep::Cancel { key: (slot, maker) } => {
                    self.cancel_resting(market, *slot, maker, CancelReason::SelfTrade)?;
                }
            }
        }
        // Without a trade nothing is paid, and settling would only give the account an empty
        // balance of the other token.
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
        // The spending limit counts what was traded or rests, at the order's own limit price, and
        // not what was cancelled at once (section 9 of the protocol).
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

    /// One trade at the maker's price (I7). Settles the maker and adds to the taker's sums.
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
        // `maker_fee` is the fee still to come. The difference is H(y) - H(x) of section 10.
        let fees = |remaining| market.maker_fee(maker.price, maker.rested, remaining);
        let maker_fee = fees(maker.remaining)
            .and_then(|before| before.checked_sub(fees(left)?))
            .ok_or(TOO_MUCH)?;
        match maker.side {
            Side::Buy => {
                let paid = quote.checked_add(maker_fee).ok_or(TOO_MUCH)?;
                // Nothing is unlocked: the maker trades at its own price, so it pays exactly what
                // its lock goes down by (I2).
                self.ledger.take_locked(maker.account, market.quote, paid)?;
                self.ledger.credit(maker.account, market.base, base)?;
            }
            Side::Sell => {
                // A fee is at most 10 % (`FEE_BPS_MAX`), and never exceeds its amount even when
                // rounded up. So a seller needs no balance for its fee.
                let got = quote.checked_sub(maker_fee).ok_or(TOO_MUCH)?;
                self.ledger.take_locked(maker.account, market.base, base)?;
                self.ledger.credit(maker.account, market.quote, got)?;
            }
        }
        self.touch_balance(maker.account, market.base);
        self.touch_balance(maker.account, market.quote);
        self.touched.orders.push((maker.account, maker.id));
        if left == Lots(0) {
            // The book has removed the node already. The other records must follow (I6).
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

    /// Settles the taker for all of its trades.
    fn settle(&mut self, taker: &Taker<'_>) -> Result<(), Corrupt> {
        let market = taker.market;
        let base = market.base_atoms(taker.filled).ok_or(TOO_MUCH)?;
        // The available balance covers this. Reject 40 asked for the cost at the limit price, and
        // every trade was at that price or a better one (I7).
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

    /// Puts the rest of the taker into the book and locks what it needs (I2).
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
        // Still covered after the trades are paid: the cost that reject 40 asked for includes the
        // atom by which two fees rounded up can exceed one (section 11).
        let lock = market.lock(terms.side, terms.price, left, left).ok_or(TOO_MUCH)?;
        self.ledger.lock(taker.account, terms.cost_token, lock)?;
        self.touch_balance(taker.account, terms.cost_token);
        let details =
            OrderDetails { expires: terms.expires, client_id: placing.client_id.map(String::from) };
        self.open(market.index, &order, details)
    }
}
