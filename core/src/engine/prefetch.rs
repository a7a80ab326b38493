//! Looking ahead: having what the next transactions will touch brought from memory, so that it is there
//! when their turn comes. It changes nothing; with many accounts and orders, matching mostly waits for
//! memory, and these waits overlap where those of matching itself do not.

use super::engine::Engine;
use crate::protocol::{Action, CheckedTransaction, OrderRef};
use crate::rules::Rules;
use crate::state::Slot;
use crate::types::{AccountIndex, MarketIndex, Side, Ticks};

/// Transactions between two steps of bringing what one book: long enough for memory to answer.
const STEP: usize = 4;

/// What a transaction will touch.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Whose orders and balances.
    pub account: AccountIndex,
    /// What of the book.
    pub part: BookPart,
}

/// What of the book a transaction will touch.
#[derive(Clone, Copy, Debug)]
pub enum BookPart {
    /// The level that its own order may come to rest at.
    Level(MarketIndex, Side, Ticks),
    /// The order that it cancels, by its id.
    Order(u64),
    /// The same once it is known where that order lies.
    Found(MarketIndex, Slot),
}

impl Engine {
    /// What a transaction will touch, where that can be told quickly.
    pub(crate) fn footprint(
        &self,
        rules: &Rules,
        transaction: &CheckedTransaction,
    ) -> Option<Footprint> {
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

    /// Brings what the transactions soon after a position will touch. To be called before each of them,
    /// for all positions in order. It goes in steps, since each needs what the one before had brought.
    pub fn prefetch(&self, footprints: &mut [Option<Footprint>], position: usize) {
        let [near, far, farthest] = [1, 2, 3].map(|steps: usize| steps.wrapping_mul(STEP));
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
