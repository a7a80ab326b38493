//! Order simulation: what an order would do now, computed before it is signed.
//!
//! It uses the plan and the checks of the engine itself, over whatever the caller knows of the
//! book: a replica knows every order, the page only knows price levels. The book can change before
//! the order arrives, so the result is an estimate.

use alloc::vec::Vec;

use crate::engine::{
    Maker, MatchStep, Rest, check_balance, check_crossing, check_filled, check_open_orders, plan,
    rest,
};
use crate::protocol::{CancelReason, Order, Reject, Terms};
use crate::rules::{Listing, Market, fee};
use crate::types::{Atoms, Decimal, Lots, Ticks};

/// What is known of the account that would place the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trader {
    /// The available balance of the token that the order costs.
    pub available: Atoms,
    /// The number of its open orders in the market.
    pub open_orders: usize,
}

/// What an order would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// The reject, if the order would be rejected. Then the other fields show what would happen
    /// without it.
    pub reject: Option<Reject>,
    /// The trades in sequence: price and quantity.
    pub fills: Vec<(Ticks, Lots)>,
    /// The total quantity of the trades.
    pub filled: Lots,
    /// The total value of the trades, in quote atoms.
    pub quote: Atoms,
    /// The taker fee for the trades, in quote atoms.
    pub fee: Atoms,
    /// The average price of the trades, rounded down to a millionth of a tick; `None` without
    /// trades.
    pub average_price: Option<Decimal>,
    /// The quantity that would rest in the book.
    pub rests: Lots,
    /// The amount that would be locked while it rests, in atoms of the token that the order costs.
    pub locked: Atoms,
    /// The quantity that would be cancelled immediately, and why.
    pub cancelled: Option<(Lots, CancelReason)>,
}

/// A valid price and quantity, close to those of an order that is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuggestedOrder {
    /// A multiple of the tick size; not zero.
    pub price: Decimal,
    /// A multiple of the lot size that reaches the minimum order value at that price.
    pub quantity: Decimal,
}

/// Simulates an order with these terms. `makers` are the orders or price levels of the other side,
/// best first, at least all that cross the order. Without a trader, rejects 33 and 40 are not
/// checked.
pub fn simulate<T>(
    listing: &Listing,
    market: &Market,
    terms: &Terms,
    makers: impl Iterator<Item = Maker<T>>,
    trader: Option<Trader>,
) -> Simulation {
    let opposite = terms.side.opposite();
    let mut makers = makers
        // The plan expects makers that cross. The caller may give more: the page gives its whole book.
        .take_while(|maker| crate::state::crosses(opposite, maker.price, terms.price))
        .peekable();
    let best = makers.peek().map(|maker| maker.price);
    let makers_max = listing.limits.makers_per_order;
    let mut meets = Vec::new();
    let (left, end) = plan(terms.quantity, terms.self_trade, makers_max, makers, &mut meets);
    // In the order of the codes 32, 33, 34 and 40. The codes 31 and 35 are missing: the client ids in use and
    // what a session key has spent are not known here.
    let checked = check_crossing(market, terms, best)
        .and_then(|()| match trader {
            Some(trader) => check_open_orders(listing, market, terms, trader.open_orders),
            None => Ok(()),
        })
        .and_then(|()| check_filled(market, terms, left))
        .and_then(|()| match trader {
            Some(trader) => check_balance(listing, terms, trader.available),
            None => Ok(()),
        });
    let mut simulation = Simulation {
        reject: checked.err(),
        fills: Vec::new(),
        filled: Lots(terms.quantity.0.saturating_sub(left.0)),
        quote: Atoms::ZERO,
        fee: Atoms::ZERO,
        average_price: None,
        rests: Lots(0),
        locked: Atoms::ZERO,
        cancelled: None,
    };
    for meet in meets {
        if let MatchStep::Fill { price, quantity, .. } = meet {
            simulation.fills.push((price, quantity));
            // In a replica's book no amount overflows, since resting orders are within the supply bound. A page
            // may have a book that a dishonest replica made up, and then shows zeros.
            let worth = market.quote_atoms(price, quantity).unwrap_or_default();
            simulation.quote = simulation.quote.checked_add(worth).unwrap_or_default();
        }
    }
    simulation.fee = fee(simulation.quote, market.taker_fee_bps).unwrap_or_default();
    simulation.average_price = market.average_price(simulation.quote, simulation.filled);
    if left > Lots(0) {
        match rest(end, terms.time_in_force) {
            Rest::Rests => {
                let lock = market.lock(terms.side, terms.price, left, left);
                simulation.rests = left;
                simulation.locked = lock.unwrap_or_default();
            }
            Rest::Cancelled(reason) => simulation.cancelled = Some((left, reason)),
        }
    }
    simulation
}

impl Market {
    /// The valid price and quantity closest to those of an order; `None` if they would be too
    /// large.
    pub fn suggest(&self, order: &Order) -> Option<SuggestedOrder> {
        let price = order.price.nearest(self.tick_size)?;
        let mut lots = order.quantity.nearest(self.lot_size)?.in_steps_of(self.lot_size).ok()?;
        // The quantity that reaches the minimum order value depends on the price, so the price is made valid
        // first.
        let ticks = price.in_steps_of(self.tick_size).ok()?;
        let lot_worth = ticks.checked_mul(self.atoms_per_tick_lot)?;
        // Rounded up to whole lots: one lot less would be below the minimum.
        let least = self.notional_min_atoms.0.checked_add(lot_worth)?.checked_sub(1)?;
        lots = lots.max(least.checked_div(lot_worth)?);
        let is_valid = u64::try_from(lots).is_ok() && u64::try_from(ticks).is_ok();
        let quantity = Decimal::of_steps(lots, self.lot_size).filter(|_| is_valid)?;
        Some(SuggestedOrder { price, quantity })
    }
}
