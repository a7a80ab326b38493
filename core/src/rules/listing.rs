//! The listing: tokens, markets, and the limits that apply to orders.
//!
//! It is the part of the rules that an order's terms depend on. It is separate from them because a page does
//! not need genesis: it derives the same listing from what a replica reports (`wire`), and then checks and
//! converts orders with the engine's own code.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::genesis::{GenesisLimits, MarketSpec};
use super::market::Market;
use crate::types::limits::{FEE_BPS_MAX, STEP_MAX};
use crate::types::{Atoms, Decimal, MarketIndex, TokenIndex};

/// A token, reduced to what is needed to convert and show amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedToken {
    /// The symbol: 1 to 12 of `A-Z0-9`.
    pub symbol: String,
    /// The digits after the point, 0 to 18. One atom is `10^-decimals` tokens.
    pub decimals: u8,
}

/// The tokens and markets of an exchange, each at its index in genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The tokens by [`TokenIndex`].
    pub tokens: Vec<ListedToken>,
    /// The markets by [`MarketIndex`].
    pub markets: Vec<Market>,
    /// The limits that the exchange chose.
    pub limits: GenesisLimits,
}

/// Why a market cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidMarket {
    /// No token has the symbol of the base.
    UnknownBase,
    /// No token has the symbol of the quote.
    UnknownQuote,
    /// Base and quote are the same token.
    OneToken,
    /// The tick size is zero, or more than 2^64 - 1 without its point.
    TickSize,
    /// The lot size is zero, or more than 2^64 - 1 without its point.
    LotSize,
    /// One lot is not a whole number of base atoms.
    LotNotWhole,
    /// One tick times one lot is not a whole number of quote atoms.
    TickTimesLot,
    /// The minimum order value is not a whole number of quote atoms.
    NotionalMinNotWhole,
    /// The minimum order value is zero.
    NoNotionalMin,
    /// The maker fee is more than 1,000 basis points.
    MakerFee,
    /// The taker fee is more than 1,000 basis points.
    TakerFee,
    /// The market's index does not fit its type.
    TooMany,
}

impl Listing {
    /// The token with this symbol, and its index.
    pub fn token(&self, symbol: &str) -> Option<(TokenIndex, &ListedToken)> {
        // A search, and not a map: there are at most 256 entries, and the index is the position in genesis.
        let index = self.tokens.iter().position(|token| token.symbol == symbol)?;
        Some((TokenIndex(u16::try_from(index).ok()?), self.tokens.get(index)?))
    }

    /// The token at an index.
    pub fn token_at(&self, index: TokenIndex) -> Option<&ListedToken> {
        self.tokens.get(usize::from(index.0))
    }

    /// The market with this name (`ETH/USDT`).
    pub fn market(&self, name: &str) -> Option<&Market> {
        self.markets.iter().find(|market| market.name == name)
    }

    /// The market at an index.
    pub fn market_at(&self, index: MarketIndex) -> Option<&Market> {
        self.markets.get(usize::from(index.0))
    }

    /// Formats an amount as decimal text in whole tokens, like `1.5`. Empty for an unknown token.
    pub fn format_amount(&self, token: TokenIndex, amount: Atoms) -> String {
        self.token_at(token)
            .map_or_else(String::new, |token| Decimal::of_atoms(amount, token.decimals).to_string())
    }

    /// Checks the specification of a market and derives its conversion factors.
    pub(crate) fn derive_market(
        &self,
        index: usize,
        spec: &MarketSpec,
    ) -> Result<Market, InvalidMarket> {
        // Genesis checks symbols and limits before this. A listing that a replica reports comes here unchecked,
        // so nothing about the market itself is taken for granted.
        let (base_index, base) = self.token(&spec.base).ok_or(InvalidMarket::UnknownBase)?;
        let (quote_index, quote) = self.token(&spec.quote).ok_or(InvalidMarket::UnknownQuote)?;
        if base_index == quote_index {
            return Err(InvalidMarket::OneToken);
        }
        // The bound on steps comes before the products that follow: within it the product of two steps fits a
        // `u128`, and so does a number of ticks or lots times its step.
        let is_step = |step: Decimal| !step.is_zero() && step.digits() <= STEP_MAX;
        let is_fee = |bps: u16| bps <= FEE_BPS_MAX;
        let require = |holds: bool, invalid| if holds { Ok(()) } else { Err(invalid) };
        require(is_step(spec.tick_size), InvalidMarket::TickSize)?;
        require(is_step(spec.lot_size), InvalidMarket::LotSize)?;
        let atoms_per_lot = spec
            .lot_size
            .in_steps_of(Decimal::one_atom(base.decimals))
            .map_err(|_| InvalidMarket::LotNotWhole)?;
        // The rule that makes every trade exact: price times quantity is always a whole number of quote atoms.
        let atoms_per_tick_lot = spec
            .tick_size
            .product_in_atoms(spec.lot_size, quote.decimals)
            .ok_or(InvalidMarket::TickTimesLot)?;
        let notional_min_atoms = spec
            .notional_min
            .in_steps_of(Decimal::one_atom(quote.decimals))
            .map_err(|_| InvalidMarket::NotionalMinNotWhole)?;
        // Without a minimum, an account could fill the book with orders that are worth nothing.
        require(notional_min_atoms > 0, InvalidMarket::NoNotionalMin)?;
        require(is_fee(spec.maker_fee_bps), InvalidMarket::MakerFee)?;
        require(is_fee(spec.taker_fee_bps), InvalidMarket::TakerFee)?;
        let mut name = spec.base.clone();
        name.push('/');
        name.push_str(&spec.quote);
        Ok(Market {
            index: MarketIndex(u16::try_from(index).map_err(|_| InvalidMarket::TooMany)?),
            name,
            base: base_index,
            quote: quote_index,
            tick_size: spec.tick_size,
            lot_size: spec.lot_size,
            notional_min: spec.notional_min,
            atoms_per_lot,
            atoms_per_tick_lot,
            notional_min_atoms: Atoms(notional_min_atoms),
            maker_fee_bps: spec.maker_fee_bps,
            taker_fee_bps: spec.taker_fee_bps,
        })
    }
}
