//! A market of the listing, and what its orders cost, lock and pay.

use alloc::string::{String, ToString};

use crate::types::limits::{BPS, SUPPLY_MAX};
use crate::types::{Atoms, Decimal, Lots, MarketIndex, Side, Ticks, TimeInForce, TokenIndex};

/// A market with what is derived from its specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// Its place in genesis.
    pub index: MarketIndex,
    /// `ETH/USDT`.
    pub name: String,
    /// The token that is bought and sold.
    pub base: TokenIndex,
    /// The token that prices are in.
    pub quote: TokenIndex,
    /// The price step.
    pub tick_size: Decimal,
    /// The quantity step.
    pub lot_size: Decimal,
    /// The least notional of an order, in quote.
    pub notional_min: Decimal,
    /// Base atoms in one lot.
    pub atoms_per_lot: u128,
    /// Quote atoms that one lot costs at a price of one tick.
    pub atoms_per_tick_lot: u128,
    /// `notional_min` in quote atoms.
    pub notional_min_atoms: Atoms,
    /// What a maker pays, in basis points of the quote amount.
    pub maker_fee_bps: u16,
    /// What a taker pays, in basis points of the quote amount.
    pub taker_fee_bps: u16,
}

impl Market {
    /// Quote atoms of so many lots at a price, or `None` if a `u128` cannot hold them.
    #[inline]
    pub fn quote_atoms(&self, price: Ticks, quantity: Lots) -> Option<Atoms> {
        u128::from(price.0)
            .checked_mul(u128::from(quantity.0))?
            .checked_mul(self.atoms_per_tick_lot)
            .map(Atoms)
    }

    /// Base atoms of so many lots, or `None` if a `u128` cannot hold them.
    #[inline]
    pub fn base_atoms(&self, quantity: Lots) -> Option<Atoms> {
        u128::from(quantity.0).checked_mul(self.atoms_per_lot).map(Atoms)
    }

    /// What an order can cost at most before it is placed: quote atoms with the fee for a buy, base
    /// atoms for a sell. A seller's fee comes out of what it gets.
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
            // A part that takes and a part that rests are each rounded up, which can make one atom
            // more than rounding the whole.
            TimeInForce::Gtc | TimeInForce::Gtd => {
                let both = taking > Atoms::ZERO && resting > Atoms::ZERO;
                taking.max(resting).checked_add(Atoms(u128::from(both)))?
            }
        };
        quote.checked_add(fee)
    }

    /// What an order locks while it rests (I2): quote atoms with the maker's fee for a buy, base atoms
    /// for a sell. `rested` is with what it came to rest, `remaining` what is left of that.
    pub fn lock(&self, side: Side, price: Ticks, rested: Lots, remaining: Lots) -> Option<Atoms> {
        if side == Side::Sell {
            return self.base_atoms(remaining);
        }
        let fees = self.maker_fee(price, rested, remaining)?;
        self.quote_atoms(price, remaining)?.checked_add(fees)
    }

    /// What a maker of `rested` lots will have paid when all is filled, less what it has paid while
    /// `remaining` is left.
    pub fn maker_fee(&self, price: Ticks, rested: Lots, remaining: Lots) -> Option<Atoms> {
        if self.maker_fee_bps == 0 {
            return Some(Atoms::ZERO);
        }
        let filled = rested.checked_sub(remaining)?;
        let total = fee(self.quote_atoms(price, rested)?, self.maker_fee_bps)?;
        total.checked_sub(fee(self.quote_atoms(price, filled)?, self.maker_fee_bps)?)
    }

    /// What an order gives away, its fee apart: quote atoms at its limit for a buy, base atoms for a
    /// sell.
    pub fn spends(&self, side: Side, price: Ticks, quantity: Lots) -> Option<Atoms> {
        match side {
            Side::Buy => self.quote_atoms(price, quantity),
            Side::Sell => self.base_atoms(quantity),
        }
    }

    /// The token that an order of this side costs and locks.
    pub const fn cost_token(&self, side: Side) -> TokenIndex {
        match side {
            Side::Buy => self.quote,
            Side::Sell => self.base,
        }
    }

    /// Whether so many lots at a price are within what can exist, in quote and in base.
    pub(crate) fn is_countable(&self, price: Ticks, quantity: Lots) -> bool {
        let is_there = |atoms: Option<Atoms>| atoms.is_some_and(|atoms| atoms.0 <= SUPPLY_MAX);
        is_there(self.quote_atoms(price, quantity)) && is_there(self.base_atoms(quantity))
    }

    /// A price as text.
    pub fn format_price(&self, price: Ticks) -> String {
        Decimal::of_steps(u128::from(price.0), self.tick_size)
            .map_or_else(String::new, |price| price.to_string())
    }

    /// A quantity as text.
    pub fn format_quantity(&self, quantity: u128) -> String {
        Decimal::of_steps(quantity, self.lot_size)
            .map_or_else(String::new, |quantity| quantity.to_string())
    }

    /// The mean price of so many lots that cost so many quote atoms, rounded down to a millionth of a
    /// tick.
    pub fn average_price(&self, quote: Atoms, quantity: Lots) -> Option<Decimal> {
        const FINER: u8 = 6;
        let lots = u128::from(quantity.0);
        let ticks_lots = quote.0.checked_div(self.atoms_per_tick_lot)?;
        let (whole, rest) = (ticks_lots.checked_div(lots)?, ticks_lots.checked_rem(lots)?);
        let million = 10_u128.pow(u32::from(FINER));
        let fraction = rest.checked_mul(million)?.checked_div(lots)?;
        let count = whole.checked_mul(million)?.checked_add(fraction)?;
        Decimal::of_steps(count, self.tick_size.shifted(FINER)?)
    }
}

/// The fee on an amount: rounded up, for the payer. `None` if a `u128` cannot hold it.
#[inline]
pub fn fee(amount: Atoms, bps: u16) -> Option<Atoms> {
    if bps == 0 {
        return Some(Atoms::ZERO);
    }
    // Whole ten thousands apart, so that the product stays small.
    let bps = u128::from(bps);
    let whole = amount.0.checked_div(BPS)?.checked_mul(bps)?;
    let rest = amount.0.checked_rem(BPS)?.checked_mul(bps)?.div_ceil(BPS);
    whole.checked_add(rest).map(Atoms)
}
