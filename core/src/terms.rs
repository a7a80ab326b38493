//! Checks of orders and amounts against genesis alone, shared by the engine, the API and the page.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::limits::{BPS, SUPPLY_MAX};
use crate::listing::{ListedToken, Listing, Market, MarketIndex, TokenIndex};
use crate::reject::{Nearest, Reject};
use crate::transaction::{Action, Order, SelfTrade, Side, TimeInForce};
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
    /// With `gtd` only: when it is cancelled, in Unix milliseconds.
    pub expires: Option<u64>,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
    /// The token that it costs: quote for a buy, base for a sell.
    pub cost_token: TokenIndex,
    /// What it can cost at most, with its fee.
    pub cost: Atoms,
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
}

impl Listing {
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
        let with_fee = market.cost(Side::Buy, price, quantity, order.time_in_force);
        let with_fee = value("price times quantity with its fee", with_fee, market.quote)?;
        if notional < market.notional_min_atoms {
            let quote = self.token_at(market.quote);
            let decimals = quote.map_or(0, |token| token.decimals);
            return Err(Reject::NotionalTooSmall {
                notional: Decimal::of_atoms(notional, decimals),
                notional_min: market.notional_min,
                quote: quote.map_or_else(String::new, |token| token.symbol.clone()),
            });
        }
        Ok(Terms {
            market: market.index,
            side: order.side,
            price,
            quantity,
            time_in_force: order.time_in_force,
            expires: order.expires,
            self_trade: order.self_trade,
            cost_token: market.cost_token(order.side),
            cost: match order.side {
                Side::Buy => with_fee,
                Side::Sell => base,
            },
        })
    }

    /// What genesis alone says of a transaction: the first of its rules that the transaction breaks.
    /// A replica refuses such a transaction before it costs a nonce.
    pub fn check_action(&self, action: &Action) -> Result<(), Reject> {
        let check_market = |market: &Option<String>| match market {
            Some(name) if self.market(name).is_none() => Err(self.unknown_market(name)),
            _ => Ok(()),
        };
        match action {
            Action::Order(order) | Action::Replace { order, .. } => self.terms(order).map(drop),
            Action::CancelAll { market } => check_market(market),
            Action::Transfer { token, amount, .. }
            | Action::Withdraw { token, amount, .. }
            | Action::Deposit { token, amount, .. } => self.amount(token, *amount).map(drop),
            Action::AuthorizeKey(grant) => {
                check_market(&grant.market)?;
                match &grant.spend {
                    Some((token, limit)) => self.amount(token, *limit).map(drop),
                    None => Ok(()),
                }
            }
            Action::Cancel(_)
            | Action::CancelAllAfter { .. }
            | Action::RevokeKey { .. }
            | Action::Attest { .. } => Ok(()),
        }
    }

    /// A token and an amount of it in atoms, or the first rule of genesis that they break.
    pub fn amount(
        &self,
        symbol: &str,
        amount: Decimal,
    ) -> Result<(TokenIndex, &ListedToken, Atoms), Reject> {
        let (index, token) = self.token(symbol).ok_or_else(|| Reject::UnknownToken {
            token: symbol.to_string(),
            known: join(self.tokens.iter().map(|token| token.symbol.as_str())),
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
