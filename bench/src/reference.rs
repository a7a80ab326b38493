//! The reference book: a simple implementation whose trades every engine must reproduce.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::operation::{Kind, Operation, Side};
use crate::tape::Tape;

/// An order, whether it still rests or not.
#[derive(Clone, Copy)]
struct Order {
    side: Side,
    price: u32,
    remaining: u32,
}

/// A deliberately simple book: each side is a sorted set of (rank, id). The lowest rank is the best price. Ids
/// count up in the order of arrival, so the first element of the set has price-time priority.
///
/// Ids must count up from 1 without gaps. Prices and ids must be below 2^32.
#[derive(Default)]
pub struct ReferenceBook {
    bids: BTreeSet<(u32, u32)>,
    asks: BTreeSet<(u32, u32)>,
    /// The orders by id minus 1.
    orders: Vec<Order>,
}

impl ReferenceBook {
    /// Matches an order. Calls `filled` with each maker that is filled completely. Returns the quantity of the
    /// order that entered the book.
    pub fn place(
        &mut self,
        order: &Operation,
        tape: &mut Tape,
        mut filled: impl FnMut(u64),
    ) -> u32 {
        let id = narrow(order.id);
        let price = narrow(order.price);
        let mut remaining = order.quantity;
        let opposite = order.side.opposite();
        let worst = match order.kind {
            Kind::Market => u32::MAX,
            _ => rank(opposite, price),
        };
        while remaining > 0 {
            let Some(&entry) = self.side(opposite).first().filter(|entry| entry.0 <= worst) else {
                break;
            };
            let maker = &mut self.orders[entry.1 as usize - 1];
            let quantity = remaining.min(maker.remaining);
            remaining -= quantity;
            maker.remaining -= quantity;
            tape.note(entry.1.into(), order.id, maker.price.into(), quantity.into());
            if maker.remaining == 0 {
                self.side(opposite).pop_first();
                filled(entry.1.into());
            }
        }
        if order.kind != Kind::Limit {
            remaining = 0;
        }
        self.orders.push(Order { side: order.side, price, remaining });
        assert_eq!(self.orders.len() as u64, order.id, "ids count up from 1 without gaps");
        if remaining > 0 {
            self.side(order.side).insert((rank(order.side, price), id));
        }
        remaining
    }

    /// Removes a resting order.
    pub fn cancel(&mut self, id: u64) {
        let order = self.orders[id as usize - 1];
        let rested = self.side(order.side).remove(&(rank(order.side, order.price), narrow(id)));
        assert!(rested, "the stream cancels only orders that rest");
    }

    /// The numbers of orders and of price levels of a side.
    pub fn depth(&self, side: Side) -> (u64, u64) {
        let entries = match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        };
        let mut levels = 0;
        let mut before = None;
        for (rank, _) in entries {
            levels += u64::from(before != Some(rank));
            before = Some(rank);
        }
        (entries.len() as u64, levels)
    }

    fn side(&mut self, side: Side) -> &mut BTreeSet<(u32, u32)> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

/// The rank of a price on a side; the best price has the lowest.
fn rank(side: Side, price: u32) -> u32 {
    match side {
        Side::Bid => u32::MAX - price,
        Side::Ask => price,
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("the stream stays below 2^32")
}

impl Engine for ReferenceBook {
    const NAME: &'static str = "reference";
    type Input = Operation;

    fn new() -> Self {
        Self::default()
    }

    fn prepare(&mut self, operation: &Operation) -> Operation {
        *operation
    }

    #[inline]
    fn apply(&mut self, operation: &Operation, tape: &mut Tape) {
        match operation.kind {
            Kind::Cancel => self.cancel(operation.id),
            _ => {
                self.place(operation, tape, |_| ());
            }
        }
    }
}
