//! Looking ahead: having what the next transactions will touch brought from memory, so that it is there
//! when their turn comes. It changes nothing; with many accounts and orders, matching mostly waits for
//! memory, and these waits overlap where those of matching itself do not.

use crate::batch::CheckedTransaction;
use crate::book::Slot;
use crate::engine::Engine;
use crate::genesis::Rules;
use crate::ledger::AccountIndex;
use crate::listing::MarketIndex;
use crate::transaction::{Action, OrderRef, Side};
use crate::units::Ticks;

/// Transactions between two steps of bringing what one touches: long enough for memory to answer.
const STEP: usize = 4;

/// What a transaction will touch.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// Whose orders and balances.
    pub account: AccountIndex,
    /// What of the book.
    pub touches: Touches,
}

/// What of the book a transaction will touch.
#[derive(Clone, Copy, Debug)]
pub enum Touches {
    /// The level that its own order may come to rest at.
    Level(MarketIndex, Side, Ticks),
    /// The order that it cancels, by its id.
    Order(u64),
    /// The same once it is known where that order lies.
    Found(MarketIndex, Slot),
}

impl Engine {
    /// What a transaction will touch, where that can be told quickly.
    pub(crate) fn ahead(&self, rules: &Rules, transaction: &CheckedTransaction) -> Option<Ahead> {
        let account = self.ledger.index(&transaction.account)?;
        let touches = match &transaction.action {
            Action::Cancel(OrderRef::Id(id)) => Touches::Order(*id),
            Action::Order(order) => {
                let market = rules.listing.market(&order.market)?;
                let ticks = order.price.in_steps_of(market.tick_size).ok()?;
                Touches::Level(market.index, order.side, Ticks(u64::try_from(ticks).ok()?))
            }
            _ => return None,
        };
        Some(Ahead { account, touches })
    }

    /// Brings what the transactions soon after a position will touch. To be called before each of them,
    /// for all positions in order. It goes in steps, since each needs what the one before had brought.
    pub fn look_ahead(&self, ahead: &mut [Option<Ahead>], position: usize) {
        let [near, far, farthest] = [1, 2, 3].map(|steps: usize| steps.wrapping_mul(STEP));
        if position == 0 {
            (0..farthest).for_each(|at| self.bring_account(ahead, at));
            (0..far).for_each(|at| self.bring_list_and_level(ahead, at));
            (0..near).for_each(|at| self.bring_order(ahead, at));
        }
        self.bring_account(ahead, position.wrapping_add(farthest));
        self.bring_list_and_level(ahead, position.wrapping_add(far));
        self.bring_order(ahead, position.wrapping_add(near));
        self.bring_neighbours(ahead, position.wrapping_add(1));
    }

    fn bring_account(&self, ahead: &[Option<Ahead>], at: usize) {
        if let Some(Some(Ahead { account, .. })) = ahead.get(at)
            && let Some(account) = self.ledger.get(*account)
        {
            account.prefetch();
        }
    }

    fn bring_list_and_level(&self, ahead: &[Option<Ahead>], at: usize) {
        let Some(Some(Ahead { account, touches })) = ahead.get(at) else { return };
        let Some(account) = self.ledger.get(*account) else { return };
        match *touches {
            Touches::Level(market, side, price) => {
                account.prefetch_end_of_orders();
                if let Some(book) = self.book(market) {
                    book.prefetch_tail(side, price);
                }
            }
            Touches::Order(id) => account.prefetch_order(id),
            Touches::Found(..) => {}
        }
    }

    fn bring_order(&self, ahead: &mut [Option<Ahead>], at: usize) {
        if let Some(Some(Ahead { account, touches })) = ahead.get_mut(at)
            && let Touches::Order(id) = *touches
            && let Some(account) = self.ledger.get(*account)
            && let Some((market, slot)) = account.likely_order(id)
            && let Some(book) = self.book(market)
        {
            book.prefetch(slot);
            *touches = Touches::Found(market, slot);
        }
    }

    fn bring_neighbours(&self, ahead: &[Option<Ahead>], at: usize) {
        if let Some(Some(Ahead { touches: Touches::Found(market, slot), .. })) = ahead.get(at)
            && let Some(book) = self.book(*market)
        {
            book.prefetch_neighbours(*slot);
        }
    }
}
