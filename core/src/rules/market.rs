//! A market of the listing, and the arithmetic of its orders: what they cost, lock and pay.
//!
//! Prices are whole ticks, quantities whole lots. One lot at a price of one tick is worth `atoms_per_tick_lot`
//! quote atoms, a whole number, so the value of a trade is exact. Only fees are rounded: up, to the next quote
//! atom.
//!
//! To keep rounding from adding up over many small trades, an order pays on totals. A maker's fee on a trade is
//! the fee on everything filled since the order entered the book, minus the fee on what was filled before this
//! trade. So the fees of one order add up to the fee on its total, rounded once, however many trades it takes.
//! A taker's fees work the same way within its transaction. An order that takes and then rests rounds twice,
//! once in each role.
//!
//! The lock of a resting buy is computed by the same rule, so it always equals exactly what the order can still
//! pay. Arithmetic that would overflow returns `None`.

use alloc::string::{String, ToString};

use crate::types::limits::{BPS, SUPPLY_MAX};
use crate::types::{Atoms, Decimal, Lots, MarketIndex, Side, Ticks, TimeInForce, TokenIndex};

/// A market with the conversion factors derived from its specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// The market's index in genesis.
    pub index: MarketIndex,
    /// Base and quote symbol, like `ETH/USDT`.
    pub name: String,
    /// The token that is bought and sold.
    pub base: TokenIndex,
    /// The token that prices are in.
    pub quote: TokenIndex,
    /// The price step, in quote per base.
    pub tick_size: Decimal,
    /// The quantity step, in base.
    pub lot_size: Decimal,
    /// The minimum order value (price times quantity), in quote.
    pub notional_min: Decimal,
    /// Base atoms in one lot.
    pub atoms_per_lot: u128,
    /// Quote atoms that one lot costs at a price of one tick.
    pub atoms_per_tick_lot: u128,
    /// `notional_min` in quote atoms.
    pub notional_min_atoms: Atoms,
    /// The maker's fee in basis points of the quote amount.
    pub maker_fee_bps: u16,
    /// The taker's fee in basis points of the quote amount.
    pub taker_fee_bps: u16,
}

impl Market {
    /// The value of a quantity at a price, in quote atoms; `None` if a `u128` cannot hold it.
    #[inline]
    pub fn quote_atoms(&self, price: Ticks, quantity: Lots) -> Option<Atoms> {
        // The product of two 64-bit numbers always fits. Only the third factor can overflow.
        u128::from(price.0)
            .checked_mul(u128::from(quantity.0))?
            .checked_mul(self.atoms_per_tick_lot)
            .map(Atoms)
    }

    /// A quantity in base atoms; `None` if a `u128` cannot hold it.
    #[inline]
    pub fn base_atoms(&self, quantity: Lots) -> Option<Atoms> {
        u128::from(quantity.0).checked_mul(self.atoms_per_lot).map(Atoms)
    }

    /// The maximum that an order can cost: quote atoms with the largest possible fee for a buy, base atoms for
    /// a sell. A seller needs no balance for its fee, which is taken from the quote amount that it receives.
    #[inline]
    pub fn cost(
        &self,
        side: Side,
        price: Ticks,
        quantity: Lots,
        time_in_force: TimeInForce,
    ) -> Option<Atoms> {
        if side == Side::Sell {
            return self.base_atoms(quantity);
        }
        let quote = self.quote_atoms(price, quantity)?;
        let (taking, resting) = (fee(quote, self.taker_fee_bps)?, fee(quote, self.maker_fee_bps)?);
        let fee = match time_in_force {
            TimeInForce::PostOnly => resting,
            TimeInForce::Ioc | TimeInForce::Fok => taking,
            // The part that takes and the part that rests each have their fee rounded up, which can make one
            // atom more than rounding once.
            TimeInForce::Gtc | TimeInForce::Gtd => {
                let both = taking > Atoms::ZERO && resting > Atoms::ZERO;
                taking.max(resting).checked_add(Atoms(u128::from(both)))?
            }
        };
        quote.checked_add(fee)
    }

    /// The balance that a resting order locks (I2): quote atoms with the maker's fee for a buy, base atoms for
    /// a sell. `rested` is the quantity when the order entered the book, `remaining` its unfilled part.
    pub fn lock(&self, side: Side, price: Ticks, rested: Lots, remaining: Lots) -> Option<Atoms> {
        if side == Side::Sell {
            return self.base_atoms(remaining);
        }
        let fees = self.maker_fee(price, rested, remaining)?;
        self.quote_atoms(price, remaining)?.checked_add(fees)
    }

    /// The maker's fee that is still to be paid: the fee on all of `rested`, minus the fee on the part that is
    /// filled.
    pub fn maker_fee(&self, price: Ticks, rested: Lots, remaining: Lots) -> Option<Atoms> {
        // Matching calls this twice for each fill. Without a maker fee it avoids the multiplications and
        // divisions of 128 bits.
        if self.maker_fee_bps == 0 {
            return Some(Atoms::ZERO);
        }
        // Not the fee on `remaining`: rounded up for each part, the parts would add up to more than the whole.
        let filled = rested.checked_sub(remaining)?;
        let total = fee(self.quote_atoms(price, rested)?, self.maker_fee_bps)?;
        // Cannot fail: the fee never decreases with the amount.
        total.checked_sub(fee(self.quote_atoms(price, filled)?, self.maker_fee_bps)?)
    }

    /// The amount that an order spends, without its fee: quote atoms at the limit price for a buy, base atoms
    /// for a sell. A session key's spending limit counts these.
    pub fn spends(&self, side: Side, price: Ticks, quantity: Lots) -> Option<Atoms> {
        match side {
            Side::Buy => self.quote_atoms(price, quantity),
            Side::Sell => self.base_atoms(quantity),
        }
    }

    /// The token that an order on this side costs and locks: quote for a buy, base for a sell.
    pub const fn cost_token(&self, side: Side) -> TokenIndex {
        match side {
            Side::Buy => self.quote,
            Side::Sell => self.base,
        }
    }

    /// Whether a quantity at a price is within the maximum supply of a token, both in quote and in base.
    pub(crate) fn is_countable(&self, price: Ticks, quantity: Lots) -> bool {
        let is_there = |atoms: Option<Atoms>| atoms.is_some_and(|atoms| atoms.0 <= SUPPLY_MAX);
        is_there(self.quote_atoms(price, quantity)) && is_there(self.base_atoms(quantity))
    }

    /// Formats a price in quote per base, like `2000.5`. Empty if the number is too large to write.
    pub fn format_price(&self, price: Ticks) -> String {
        Decimal::of_steps(u128::from(price.0), self.tick_size)
            .map_or_else(String::new, |price| price.to_string())
    }

    /// Formats a number of lots in base, like `1.5`. It is a `u128` because a sum over orders can exceed
    /// [`Lots`]. Empty if the number is too large to write.
    pub fn format_quantity(&self, quantity: u128) -> String {
        Decimal::of_steps(quantity, self.lot_size)
            .map_or_else(String::new, |quantity| quantity.to_string())
    }

    /// The average price of a quantity that cost `quote` atoms, rounded down to a millionth of a tick. `None`
    /// for a quantity of zero.
    pub fn average_price(&self, quote: Atoms, quantity: Lots) -> Option<Decimal> {
        const FINER: u8 = 6;
        let lots = u128::from(quantity.0);
        // Exact: the value of every trade is a multiple of `atoms_per_tick_lot`.
        let ticks_lots = quote.0.checked_div(self.atoms_per_tick_lot)?;
        // Whole ticks and the fraction separately: `ticks_lots` times a million could exceed a `u128` where the
        // average does not.
        let (whole, rest) = (ticks_lots.checked_div(lots)?, ticks_lots.checked_rem(lots)?);
        let million = 10_u128.pow(u32::from(FINER));
        let fraction = rest.checked_mul(million)?.checked_div(lots)?;
        let count = whole.checked_mul(million)?.checked_add(fraction)?;
        Decimal::of_steps(count, self.tick_size.shifted(FINER)?)
    }
}

/// The fee on an amount of quote atoms, rounded up: `ceil(amount × bps / 10,000)`. `None` if a `u128` cannot
/// hold it.
#[inline]
pub fn fee(amount: Atoms, bps: u16) -> Option<Atoms> {
    if bps == 0 {
        return Some(Atoms::ZERO);
    }
    // Whole multiples of 10,000 and the remainder separately: `amount × bps` could exceed a `u128` where the
    // fee does not.
    let bps = u128::from(bps);
    let whole = amount.0.checked_div(BPS)?.checked_mul(bps)?;
    let rest = amount.0.checked_rem(BPS)?.checked_mul(bps)?.div_ceil(BPS);
    whole.checked_add(rest).map(Atoms)
}
