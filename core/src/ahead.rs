//! Looking ahead: reading what the next transactions will touch, so that it has come from memory when
//! their turn comes. It changes nothing and its answer is thrown away; with many accounts and orders,
//! matching mostly waits for memory, and these waits overlap where those of matching itself do not.

use core::hint::black_box;

use crate::batch::CheckedTransaction;
use crate::book::Slot;
use crate::engine::Engine;
use crate::genesis::{MarketIndex, Rules};
use crate::ledger::AccountIndex;
use crate::transaction::{Action, OrderRef, Side};
use crate::units::Ticks;

/// How many transactions are worth looking ahead at once.
pub const AHEAD: usize = 32;

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
    /// The order that it cancels.
    Order(u64),
    /// The level that its own order may come to rest at.
    Level(MarketIndex, Side, Ticks),
}

impl Engine {
    /// What a transaction will touch, where that can be told quickly.
    pub(crate) fn ahead(&self, rules: &Rules, transaction: &CheckedTransaction) -> Option<Ahead> {
        let account = self.ledger.index(&transaction.account)?;
        let touches = match &transaction.action {
            Action::Cancel(OrderRef::Id(id)) => Touches::Order(*id),
            Action::Order(order) => {
                let market = rules.market(&order.market)?;
                let ticks = order.price.in_steps_of(market.tick_size).ok()?;
                Touches::Level(market.index, order.side, Ticks(u64::try_from(ticks).ok()?))
            }
            _ => return None,
        };
        Some(Ahead { account, touches })
    }

    /// Reads what so many transactions will touch; only the first 32 are looked at. In steps, so that
    /// each step's reads wait for memory together.
    pub fn look_ahead(&self, ahead: &[Ahead]) {
        let mut seen = 0_u64;
        for next in ahead.iter().take(AHEAD) {
            let account = self.ledger.get(next.account);
            seen ^= account.map_or(0, |account| account.glance());
        }
        for next in ahead.iter().take(AHEAD) {
            let account = self.ledger.get(next.account);
            seen ^= account.map_or(0, |account| account.glance_at_orders());
        }
        let mut slots: [Option<(MarketIndex, Slot)>; AHEAD] = [None; AHEAD];
        for (slot, next) in slots.iter_mut().zip(ahead) {
            *slot = match next.touches {
                Touches::Order(id) => {
                    let account = self.ledger.get(next.account);
                    account.and_then(|account| account.orders_with_low_half_of(id).next())
                }
                Touches::Level(market, side, price) => {
                    let tail = self.book(market).and_then(|book| book.tail(side, price));
                    tail.map(|tail| (market, tail))
                }
            };
        }
        let mut beside = [(MarketIndex(0), [None; 2]); AHEAD];
        for (beside, slot) in beside.iter_mut().zip(slots.iter().flatten()) {
            let (market, slot) = *slot;
            *beside = (market, self.book(market).map_or([None; 2], |book| book.beside(slot)));
        }
        for (market, slots) in beside {
            for slot in slots.into_iter().flatten() {
                let order = self.book(market).map_or([None; 2], |book| book.beside(slot));
                seen ^= u64::from(order.iter().flatten().count() > 1);
            }
        }
        black_box(seen);
    }
}
