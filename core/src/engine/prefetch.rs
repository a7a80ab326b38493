//! Prefetching: loads what the next transactions will touch into the processor's cache.
//!
//! With many accounts and orders, matching mostly waits for memory. What a transaction touches is
//! only found by following pointers: from the account to its order list, from there to an order in
//! the book, from there to its neighbours. Each step needs the memory of the step before. So the
//! steps for different transactions are interleaved: while transaction n is applied, the neighbours
//! for n + 1, the order for n + 4, the list for n + 8 and the account for n + 12 are requested.
//! Prefetching changes nothing in the state; a wrong guess only costs time.

use super::engine::Engine;
use crate::protocol::{Action, CheckedTransaction, OrderRef};
use crate::rules::Rules;
use crate::state::Slot;
use crate::types::{AccountIndex, MarketIndex, Side, Ticks};

/// The number of transactions between two steps for one of them: long enough for memory to answer.
const STEP: usize = 4;

/// The memory that a transaction will touch.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// The account whose orders and balances it touches.
    pub account: AccountIndex,
    /// The part of the book that it touches.
    pub part: BookPart,
}

/// The part of the book that a transaction will touch.
#[derive(Clone, Copy, Debug)]
pub enum BookPart {
    /// The price level that its own order may join.
    Level(MarketIndex, Side, Ticks),
    /// The order that it cancels, by id.
    Order(u64),
    /// The order that it cancels, once its market and slot are known.
    Found(MarketIndex, Slot),
}

impl Engine {
    /// The footprint of a transaction, for the kinds where it can be found quickly.
    pub(crate) fn footprint(
        &self,
        rules: &Rules,
        transaction: &CheckedTransaction,
    ) -> Option<Footprint> {
        // An account that this batch will add is not known yet, and is not prefetched.
        let account = self.ledger.index(&transaction.account)?;
        let part = match &transaction.action {
            Action::Cancel(OrderRef::Id(id)) => BookPart::Order(*id),
            Action::Order(order) => {
                let market = rules.listing.market(&order.market)?;
                let ticks = order.price.in_steps_of(market.tick_size).ok()?;
                BookPart::Level(market.index, order.side, Ticks(u64::try_from(ticks).ok()?))
            }
            _ => return None,
        };
        Some(Footprint { account, part })
    }

    /// Prefetches for the transactions soon after a position. The caller calls it before each
    /// transaction, for all positions in order.
    pub(crate) fn prefetch(&self, footprints: &mut [Option<Footprint>], position: usize) {
        let [near, far, farthest] = [1, 2, 3].map(|steps: usize| steps.wrapping_mul(STEP));
        // The first transactions had no others before them during which to prefetch.
        if position == 0 {
            (0..farthest).for_each(|at| self.prefetch_account(footprints, at));
            (0..far).for_each(|at| self.prefetch_list_and_level(footprints, at));
            (0..near).for_each(|at| self.prefetch_order(footprints, at));
        }
        self.prefetch_account(footprints, position.wrapping_add(farthest));
        self.prefetch_list_and_level(footprints, position.wrapping_add(far));
        self.prefetch_order(footprints, position.wrapping_add(near));
        self.prefetch_neighbours(footprints, position.wrapping_add(1));
    }

    fn prefetch_account(&self, footprints: &[Option<Footprint>], at: usize) {
        if let Some(Some(Footprint { account, .. })) = footprints.get(at)
            && let Some(account) = self.ledger.get(*account)
        {
            account.prefetch();
        }
    }

    fn prefetch_list_and_level(&self, footprints: &[Option<Footprint>], at: usize) {
        let Some(Some(Footprint { account, part })) = footprints.get(at) else { return };
        let Some(account) = self.ledger.get(*account) else { return };
        match *part {
            BookPart::Level(market, side, price) => {
                account.prefetch_end_of_orders();
                if let Some(book) = self.book(market) {
                    book.prefetch_tail(side, price);
                }
            }
            BookPart::Order(id) => account.prefetch_order(id),
            BookPart::Found(..) => {}
        }
    }

    fn prefetch_order(&self, footprints: &mut [Option<Footprint>], at: usize) {
        if let Some(Some(Footprint { account, part })) = footprints.get_mut(at)
            && let BookPart::Order(id) = *part
            && let Some(account) = self.ledger.get(*account)
            && let Some((market, slot)) = account.likely_order(id)
            && let Some(book) = self.book(market)
        {
            book.prefetch(slot);
            // Stored, so that the next step follows the slot instead of searching the list again.
            // By then the slot can hold another order, and the prefetch is useless but harmless.
            *part = BookPart::Found(market, slot);
        }
    }

    fn prefetch_neighbours(&self, footprints: &[Option<Footprint>], at: usize) {
        if let Some(Some(Footprint { part: BookPart::Found(market, slot), .. })) =
            footprints.get(at)
            && let Some(book) = self.book(*market)
        {
            book.prefetch_neighbours(*slot);
        }
    }
}
