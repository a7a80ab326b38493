//! The plan of an order: what it would do, computed from the book without changing anything.
//!
//! [`plan`] walks through the makers that the order crosses, best price first and in order of
//! arrival, and lists the steps: fills, and cancellations of the account's own orders. What remains
//! then rests in the book or is cancelled, by the time in force ([`rest`]). The checks on the plan
//! are the rejects that depend on the book (32 to 34) and on the balance (40).
//!
//! Because a plan changes nothing, all rejects come before the first change, and
//! [`crate::simulation`] can use the same code to show what an order would do. There a maker can be
//! a whole price level, since a client knows levels, not orders.

use alloc::vec::Vec;

use crate::protocol::{CancelReason, Reject, Terms};
use crate::rules::{Listing, Market};
use crate::state::crosses;
use crate::types::{Atoms, Decimal, Lots, SelfTrade, Side, Ticks, TimeInForce};

/// Something that an incoming order can trade with: a resting order, or a whole price level.
#[derive(Clone, Copy, Debug)]
pub struct Maker<T> {
    /// The price of the order or level.
    pub price: Ticks,
    /// The open quantity in lots.
    pub remaining: u128,
    /// The number of orders: one, or those of the level.
    pub orders: u32,
    /// Whether it belongs to the account of the incoming order.
    pub is_own: bool,
    /// The caller's name for this maker, which the steps of the plan return.
    pub key: T,
}

/// One step of a plan: what the incoming order does with one maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchStep<T> {
    /// They trade, at the maker's price (I7).
    Fill {
        /// The maker's price.
        price: Ticks,
        /// The quantity of the trade.
        quantity: Lots,
        /// The key of the maker.
        key: T,
    },
    /// The maker belongs to the same account and is cancelled.
    Cancel {
        /// The key of the maker.
        key: T,
    },
}

/// Why matching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchEnd {
    /// The order is filled, or no further maker crosses it.
    Done,
    /// The order would trade with its own account, and self-trade prevention ends it.
    SelfTrade,
    /// The order met as many makers as one order may meet, part of it remains, and another maker
    /// crosses it.
    MakerLimit,
}

/// What happens to the part of an order that is not filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It rests in the book.
    Rests,
    /// It is cancelled.
    Cancelled(CancelReason),
}

/// Plans an order against the makers that cross it, best first. Adds the steps to `meets`; returns
/// the quantity that is left and why matching ended.
pub fn plan<T>(
    quantity: Lots,
    self_trade: SelfTrade,
    makers_max: u32,
    makers: impl Iterator<Item = Maker<T>>,
    meets: &mut Vec<MatchStep<T>>,
) -> (Lots, MatchEnd) {
    let mut left = quantity;
    let mut met = 0_u32;
    for Maker { price, remaining, orders, is_own, key } in makers {
        // Before the limit below: an order that its last permitted maker fills exactly is not cut
        // off, and a `fok` order like that is accepted (section 11 of the protocol).
        if left == Lots(0) {
            break;
        }
        // Only with a further maker at hand: an order that met as many makers as it may, and that
        // nothing else crosses, may rest.
        if met >= makers_max {
            return (left, MatchEnd::MakerLimit);
        }
        // Own orders count too: each costs as much work as a fill.
        met = met.saturating_add(orders);
        if is_own {
            // Both conditions hold for `cancel_both`. An account never trades with itself (I7).
            if self_trade != SelfTrade::CancelNewest {
                meets.push(MatchStep::Cancel { key });
            }
            if self_trade != SelfTrade::CancelOldest {
                return (left, MatchEnd::SelfTrade);
            }
            continue;
        }
        // A level with more lots than 64 bits can count fills whatever is left.
        let quantity = u64::try_from(remaining).map_or(left, |remaining| left.min(Lots(remaining)));
        left = Lots(left.0.wrapping_sub(quantity.0));
        meets.push(MatchStep::Fill { price, quantity, key });
    }
    (left, MatchEnd::Done)
}

/// What happens to the rest of an order with this time in force.
pub const fn rest(end: MatchEnd, time_in_force: TimeInForce) -> Rest {
    match (end, time_in_force) {
        // An order that was stopped early must not rest: an order that it crosses may still be in
        // the book, which would then be crossed (I3).
        (MatchEnd::SelfTrade, _) => Rest::Cancelled(CancelReason::SelfTrade),
        (MatchEnd::MakerLimit, _) => Rest::Cancelled(CancelReason::MakerLimit),
        (MatchEnd::Done, TimeInForce::Ioc | TimeInForce::Fok) => {
            Rest::Cancelled(CancelReason::ImmediateOrCancel)
        }
        (MatchEnd::Done, _) => Rest::Rests,
    }
}

/// Reject 32: a post-only order must not cross the best price of the other side.
pub fn check_crossing(market: &Market, terms: &Terms, best: Option<Ticks>) -> Result<(), Reject> {
    let opposite = terms.side.opposite();
    match best.filter(|best| crosses(opposite, *best, terms.price)) {
        // An order of the same account counts too, although they would not trade (section 11).
        Some(best) if terms.time_in_force == TimeInForce::PostOnly => {
            let side = if opposite == Side::Sell { "ask" } else { "bid" };
            let best = Decimal::of_steps(u128::from(best.0), market.tick_size);
            Err(Reject::WouldCross { side, best: best.unwrap_or(Decimal::ZERO) })
        }
        _ => Ok(()),
    }
}

/// Reject 33: an order that can rest needs room among the account's open orders in the market.
/// `ioc` and `fok` orders never rest.
pub fn check_open_orders(
    listing: &Listing,
    market: &Market,
    terms: &Terms,
    open_orders: usize,
) -> Result<(), Reject> {
    let most = listing.limits.open_orders_per_account_and_market;
    // Counted before matching, even for an order that would fill at once.
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

/// Reject 40: the available balance must cover the maximum that the order can cost, even if it
/// would fill at a better price. So the check does not depend on the book.
pub fn check_balance(listing: &Listing, terms: &Terms, available: Atoms) -> Result<(), Reject> {
    if available < terms.cost {
        return Err(listing.balance_too_low(terms.cost_token, terms.cost, available));
    }
    Ok(())
}
