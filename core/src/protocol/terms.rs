//! Checks of orders and amounts against genesis alone, and their conversion to engine units.
//!
//! An order arrives with decimal numbers. Its terms are the same order in ticks, lots and atoms, with the
//! maximum that it can cost. Genesis guarantees that one tick times one lot is a whole number of quote atoms,
//! so nothing here is rounded except the fee, which is rounded up. The checks run in the order of the reject
//! codes 10 to 17.
//!
//! The same code runs in the engine, in the API before it accepts a transaction, and in the page while a user
//! types. So all three give the same answer.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::action::{Action, Order};
use super::reject::{Reject, Suggestion};
use crate::rules::{ListedToken, Listing};
use crate::types::limits::SUPPLY_MAX;
use crate::types::{
    Atoms, Decimal, Lots, MarketIndex, SelfTrade, Side, StepError, Ticks, TimeInForce, TokenIndex,
};

/// An order in the units of its market, with the most that it can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The market's index in genesis.
    pub market: MarketIndex,
    /// Buy or sell.
    pub side: Side,
    /// Limit price; more than zero.
    pub price: Ticks,
    /// Quantity; more than zero.
    pub quantity: Lots,
    /// What happens to the part that does not fill immediately.
    pub time_in_force: TimeInForce,
    /// When the order expires, in Unix milliseconds of the exchange's time; with `gtd` only.
    pub expires: Option<u64>,
    /// What happens when the order meets another order of the same account.
    pub self_trade: SelfTrade,
    /// The token that the order costs: quote for a buy, base for a sell.
    pub cost_token: TokenIndex,
    /// The available balance that the order needs: for a buy the quote amount at the limit price and the largest
    /// possible fee, for a sell the quantity.
    pub cost: Atoms,
}

impl Listing {
    /// Converts an order to the units of its market.
    ///
    /// Fails with the first reject of the codes 10 to 17 that applies.
    pub fn terms(&self, order: &Order) -> Result<Terms, Reject> {
        let market =
            self.market(&order.market).ok_or_else(|| self.unknown_market(&order.market))?;
        // Both numbers are checked for zero before either is compared with its step, since code 12 comes before
        // 13 and 14. Zero would otherwise pass as a multiple of every step.
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
                suggestion: Suggestion(order.price.neighbours(market.tick_size)),
            });
        }
        let lots = order.quantity.in_steps_of(market.lot_size);
        if lots == Err(StepError::OffStep) {
            return Err(Reject::QuantityOffLot {
                quantity: order.quantity,
                lot_size: market.lot_size,
                suggestion: Suggestion(order.quantity.neighbours(market.lot_size)),
            });
        }
        // A value can be too large to tell whether it is on a step. It then counts as too large (code 16),
        // which is checked only after both steps (13 and 14).
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
        // Buys and sells are checked alike, also for amounts that their own side does not lock: a sell that rests
        // fixes what its buyer pays, so its notional must be countable too.
        let notional =
            value("price times quantity", market.quote_atoms(price, quantity), market.quote)?;
        let base = value("quantity", market.base_atoms(quantity), market.base)?;
        let with_fee = market.cost(Side::Buy, price, quantity, order.time_in_force);
        let with_fee = value("price times quantity with its fee", with_fee, market.quote)?;
        // Without the fee, so that the minimum of a market does not depend on its fees.
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

    /// Checks an action against genesis alone.
    ///
    /// Fails with the first reject that applies. No later state can change that, so a replica refuses such a
    /// transaction instead of posting it, and its nonce stays unused.
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

    /// Converts an amount of a token to atoms.
    ///
    /// Fails with the first reject of the codes 11, 12, 15 and 16 that applies.
    pub fn amount(
        &self,
        symbol: &str,
        amount: Decimal,
    ) -> Result<(TokenIndex, &ListedToken, Atoms), Reject> {
        let (index, token) = self.token(symbol).ok_or_else(|| Reject::UnknownToken {
            token: symbol.to_string(),
            known: join(self.tokens.iter().map(|token| token.symbol.as_str())),
        })?;
        // The checks below are in the order of their codes: 11 above, then 12, 15 and 16.
        let one_atom = Decimal::one_atom(token.decimals);
        if amount.is_zero() {
            return Err(Reject::NotPositive { field: "amount", least: one_atom });
        }
        let atoms = match amount.in_steps_of(one_atom) {
            Err(StepError::OffStep) => {
                let (token, decimals) = (token.symbol.clone(), token.decimals);
                return Err(Reject::AmountOffAtom { amount, token, decimals });
            }
            // More than a `u128` holds is also more than the supply bound, so both end in code 16.
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

    /// Builds the reject for a market that genesis does not have.
    pub fn unknown_market(&self, market: &str) -> Reject {
        Reject::UnknownMarket {
            market: market.to_string(),
            known: join(self.markets.iter().map(|market| market.name.as_str())),
        }
    }

    /// Builds the reject for a debit that the available balance does not cover.
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

/// Joins the first names of a list for a message. A genesis can have 256 of them.
fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    // Anyone can provoke this message, and it is stored and sent with the outcome. So its length has a bound.
    const NAMED: usize = 8;
    let mut names: Vec<&str> = names.take(NAMED.wrapping_add(1)).collect();
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push("\u{2026}");
    }
    names.join(", ")
}
