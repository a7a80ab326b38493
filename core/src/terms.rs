//! Checks of orders and amounts against genesis alone, shared by the engine, the API and the page.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::genesis::{Market, MarketIndex, Rules, Token, TokenIndex};
use crate::limits::SUPPLY_MAX;
use crate::reject::{Nearest, Reject};
use crate::transaction::{Order, SelfTrade, Side, TimeInForce};
use crate::units::{Atoms, Decimal, Lots, StepError, Ticks};

/// An order in its market's units, with what it locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The market.
    pub market: MarketIndex,
    /// Buy or sell.
    pub side: Side,
    /// The limit; more than zero.
    pub price: Ticks,
    /// More than zero.
    pub quantity: Lots,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
    /// The token that it locks: quote for a buy, base for a sell.
    pub lock_token: TokenIndex,
    /// What it can cost at most.
    pub lock: Atoms,
}

impl Market {
    /// Quote atoms of so many lots at a price, or `None` if a `u128` cannot hold them.
    pub fn quote_atoms(&self, price: Ticks, quantity: Lots) -> Option<Atoms> {
        u128::from(price.0)
            .checked_mul(u128::from(quantity.0))?
            .checked_mul(self.atoms_per_tick_lot)
            .map(Atoms)
    }

    /// Base atoms of so many lots, or `None` if a `u128` cannot hold them.
    pub fn base_atoms(&self, quantity: Lots) -> Option<Atoms> {
        u128::from(quantity.0).checked_mul(self.atoms_per_lot).map(Atoms)
    }

    /// What an order of this side locks: quote atoms for a buy, base atoms for a sell.
    pub fn lock_atoms(&self, side: Side, price: Ticks, quantity: Lots) -> Option<Atoms> {
        match side {
            Side::Buy => self.quote_atoms(price, quantity),
            Side::Sell => self.base_atoms(quantity),
        }
    }

    /// The token that an order of this side locks.
    pub const fn lock_token(&self, side: Side) -> TokenIndex {
        match side {
            Side::Buy => self.quote,
            Side::Sell => self.base,
        }
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
}

impl Rules {
    /// An order in its market's units, or the first rule of genesis that it breaks.
    pub fn terms(&self, order: &Order) -> Result<Terms, Reject> {
        let market =
            self.market(&order.market).ok_or_else(|| self.unknown_market(&order.market))?;
        if order.price.is_zero() {
            return Err(Reject::NotPositive { field: "price", least: market.tick_size });
        }
        if order.quantity.is_zero() {
            return Err(Reject::NotPositive { field: "quantity", least: market.lot_size });
        }
        let ticks = order.price.in_steps_of(market.tick_size);
        if ticks == Err(StepError::OffStep) {
            return Err(Reject::PriceOffTick {
                price: order.price,
                tick_size: market.tick_size,
                nearest: Nearest(order.price.neighbours(market.tick_size)),
            });
        }
        let lots = order.quantity.in_steps_of(market.lot_size);
        if lots == Err(StepError::OffStep) {
            return Err(Reject::QuantityOffLot {
                quantity: order.quantity,
                lot_size: market.lot_size,
                nearest: Nearest(order.quantity.neighbours(market.lot_size)),
            });
        }
        let in_u64 =
            |steps: Result<u128, StepError>| steps.ok().and_then(|n| u64::try_from(n).ok());
        let price = in_u64(ticks).map(Ticks).ok_or_else(|| Reject::TooLarge {
            field: "price",
            value: order.price.to_string(),
            largest: market.format_price(Ticks(u64::MAX)),
        })?;
        let quantity = in_u64(lots).map(Lots).ok_or_else(|| Reject::TooLarge {
            field: "quantity",
            value: order.quantity.to_string(),
            largest: market.format_quantity(u128::from(u64::MAX)),
        })?;
        let value = |field, atoms: Option<Atoms>, token| {
            atoms.filter(|atoms| atoms.0 <= SUPPLY_MAX).ok_or_else(|| Reject::TooLarge {
                field,
                value: alloc::format!("{} x {}", order.price, order.quantity),
                largest: self.format_amount(token, Atoms(SUPPLY_MAX)),
            })
        };
        let notional =
            value("price times quantity", market.quote_atoms(price, quantity), market.quote)?;
        let base = value("quantity", market.base_atoms(quantity), market.base)?;
        if notional < market.notional_min_atoms {
            let quote = self.token_at(market.quote);
            let decimals = quote.map_or(0, |token| token.decimals);
            return Err(Reject::NotionalTooSmall {
                notional: Decimal::of_atoms(notional, decimals),
                notional_min: market.notional_min,
                quote: quote.map_or_else(String::new, |token| token.symbol.clone()),
            });
        }
        let lock = match order.side {
            Side::Buy => notional,
            Side::Sell => base,
        };
        Ok(Terms {
            market: market.index,
            side: order.side,
            price,
            quantity,
            time_in_force: order.time_in_force,
            self_trade: order.self_trade,
            lock_token: market.lock_token(order.side),
            lock,
        })
    }

    /// A token and an amount of it in atoms, or the first rule of genesis that they break.
    pub fn amount(
        &self,
        symbol: &str,
        amount: Decimal,
    ) -> Result<(TokenIndex, &Token, Atoms), Reject> {
        let (index, token) = self.token(symbol).ok_or_else(|| Reject::UnknownToken {
            token: symbol.to_string(),
            known: join(self.genesis.tokens.iter().map(|token| token.symbol.as_str())),
        })?;
        let one_atom = Decimal::one_atom(token.decimals);
        if amount.is_zero() {
            return Err(Reject::NotPositive { field: "amount", least: one_atom });
        }
        let atoms = match amount.in_steps_of(one_atom) {
            Err(StepError::OffStep) => {
                let (token, decimals) = (token.symbol.clone(), token.decimals);
                return Err(Reject::AmountOffAtom { amount, token, decimals });
            }
            Err(StepError::TooLarge) => None,
            Ok(atoms) => Some(Atoms(atoms)).filter(|atoms| atoms.0 <= SUPPLY_MAX),
        };
        let atoms =
            atoms.ok_or_else(|| self.amount_too_large(index, amount.to_string(), SUPPLY_MAX))?;
        Ok((index, token, atoms))
    }

    pub(crate) fn amount_too_large(
        &self,
        token: TokenIndex,
        value: String,
        largest: u128,
    ) -> Reject {
        let largest = self.format_amount(token, Atoms(largest));
        Reject::TooLarge { field: "amount", value, largest }
    }

    /// The reject for a market that genesis does not have.
    pub fn unknown_market(&self, market: &str) -> Reject {
        Reject::UnknownMarket {
            market: market.to_string(),
            known: join(self.markets.iter().map(|market| market.name.as_str())),
        }
    }

    /// The reject for a debit that the available balance does not cover.
    pub fn balance_too_low(&self, token: TokenIndex, needed: Atoms, available: Atoms) -> Reject {
        let (symbol, decimals) = self
            .token_at(token)
            .map_or((String::new(), 0), |token| (token.symbol.clone(), token.decimals));
        Reject::BalanceTooLow {
            token: symbol,
            needed: Decimal::of_atoms(needed, decimals),
            available: Decimal::of_atoms(available, decimals),
        }
    }
}

/// The first names of a list, for a message.
fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const NAMED: usize = 8;
    let mut names: Vec<&str> = names.take(NAMED.wrapping_add(1)).collect();
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push("\u{2026}");
    }
    names.join(", ")
}
