//! An order before it is signed: checked and simulated by the engine's own code, over the book shown.

use std::sync::Arc;

use zellbook_core::protocol::{CancelReason, Terms};
use zellbook_core::simulation::Trader;
use zellbook_core::types::TokenIndex;
use zellbook_core::{Action, Atoms, Listing, Lots, Market, Order, Side, Simulation, simulate};

use super::form_error::{Field, FormError, check};
use crate::features::market::{Markets, lots, ticks};
use crate::features::signing::SignRequest;
use crate::features::wallet::Session;
use crate::platform::format::{self, time_in_force_words, verb};
use crate::ui::lines::Lines;

/// An order that genesis allows, and what it would do now.
#[derive(Clone)]
pub struct Draft {
    listing: Arc<Listing>,
    pub market: Market,
    pub order: Order,
    pub terms: Terms,
    simulation: Simulation,
    /// Whether the book was known when the order was simulated.
    book_is_there: bool,
    /// Whether the price is the form's bound for a market order, and not the user's own.
    pub is_market: bool,
}

impl Draft {
    /// A new order.
    pub fn new(markets: Markets, session: Session, order: Order) -> Result<Self, FormError> {
        let (listing, market) =
            markets.shown_market().ok_or(FormError::new(Field::Whole, "The market is loading."))?;
        let terms = check(&listing, &market, &order)?;
        // The balance is unknown until the replica reports the account. Until then rejects 33 and 40 are left to the engine,
        // and the form still shows what the order would do.
        let available = session.available_atoms(&listing, terms.cost_token);
        let open_orders = session.open_orders(&market.name).len();
        let trader = available.map(|available| Trader { available, open_orders });
        Ok(Self::simulated(markets, session, listing, market, order, terms, trader))
    }

    /// An order with these terms, simulated over the book shown.
    pub fn simulated(
        markets: Markets,
        session: Session,
        listing: Arc<Listing>,
        market: Market,
        order: Order,
        terms: Terms,
        trader: Option<Trader>,
    ) -> Self {
        let opposite = order.side.opposite();
        let own = session.open_orders(&market.name);
        // The account lists its orders newest first. At one price the oldest order is matched first.
        let own = own.iter().rev().filter(|order| order.side == opposite);
        let own: Vec<_> = own
            .filter_map(|order| {
                Some((ticks(&market, &order.price)?, lots(&market, &order.remaining)?))
            })
            .collect();
        let simulation = markets.book.with(|book| {
            let makers = book.makers(opposite, &own);
            simulate(&listing, &market, &terms, makers, trader)
        });
        let book_is_there = markets.book.with(|book| book.is_there);
        Self { listing, market, order, terms, simulation, book_is_there, is_market: false }
    }

    /// Why the engine would reject it now.
    pub fn error(&self) -> Option<FormError> {
        // In a book that has not arrived nothing crosses, so every post-only order would seem to rest and no fill-or-kill order
        // to fill.
        if !self.book_is_there {
            return Some(FormError::new(Field::Whole, "The order book is loading."));
        }
        self.simulation.reject.as_ref().map(FormError::of)
    }

    /// "Buy 1.5 ETH at 2,000", or "Buy 1.5 ETH at market (limit 2,010)".
    pub fn title(&self) -> String {
        let price = format::number(&self.order.price.to_string(), 0);
        let (at, end) = if self.is_market { ("at market (limit", ")") } else { ("at", "") };
        format!(
            "{} {} {at} {price}{end}",
            verb(self.order.side),
            self.quantity(self.terms.quantity)
        )
    }

    /// "1.5 USDT".
    pub fn amount(&self, token: TokenIndex, amount: Atoms) -> String {
        let symbol = self.listing.token_at(token).map_or("", |token| &token.symbol);
        format!("{} {symbol}", format::number(&self.listing.format_amount(token, amount), 0))
    }

    /// "1.5 ETH".
    pub fn quantity(&self, lots: Lots) -> String {
        let symbol = self.listing.token_at(self.market.base).map_or("", |token| &token.symbol);
        let quantity = self.market.format_quantity(u128::from(lots.0));
        format!("{} {symbol}", format::number(&quantity, 0))
    }

    /// A fee with its rate: "1 USDT (0.05 %)".
    fn fee(&self, fee: Atoms, bps: u16) -> String {
        let percent = format::percent_of_bps(bps);
        format!("{} ({} %)", self.amount(self.market.quote, fee), format::number(&percent, 0))
    }

    /// The least proceeds of a sale if all of it is filled: at its limit price, less the highest fee.
    fn proceeds_min(&self) -> Option<Atoms> {
        let Terms { price, quantity, time_in_force, .. } = self.terms;
        let quote = self.market.quote_atoms(price, quantity)?;
        // Only the cost of a buy includes a fee. It is the highest fee at these terms, whatever the side.
        let with_fee = self.market.cost(Side::Buy, price, quantity, time_in_force)?;
        let fee = with_fee.checked_sub(quote)?;
        // This fee can exceed a tiny value: a part that takes and a part that rests are each rounded up by up to an atom.
        Some(quote.checked_sub(fee).unwrap_or_default())
    }

    /// What the order would do now, and the most that it can cost.
    pub fn lines(&self) -> Lines {
        let Self { market, terms, simulation, .. } = self;
        let mut lines = Vec::new();
        // The simulation goes on after a reject, but a rejected order has no outcome to show.
        if simulation.reject.is_none() {
            self.push_outcome(&mut lines);
        }
        self.push_bounds(&mut lines, terms.cost);
        if terms.side == Side::Sell {
            // Never None: `check` rejects an order whose value with its fee is too large to count (code 16).
            let proceeds = self.proceeds_min().unwrap_or_default();
            lines.push(("Min. proceeds", self.amount(market.quote, proceeds)));
        }
        lines
    }

    /// Adds when the order expires and the most that it can cost.
    pub fn push_bounds(&self, lines: &mut Lines, cost: Atoms) {
        if let Some(expires) = self.terms.expires {
            lines.push(("Expires", format::date_time(&expires.to_string())));
        }
        let name = match self.terms.side {
            Side::Buy => "Max cost incl. fee",
            Side::Sell => "Max cost",
        };
        lines.push((name, self.amount(self.terms.cost_token, cost)));
    }

    fn push_outcome(&self, lines: &mut Lines) {
        let Self { market, terms, simulation, .. } = self;
        if simulation.filled == Lots(0) {
            lines.push(("Fills now", "none".into()));
        } else {
            let levels = match simulation.fills.len() {
                1 => "at 1 level".into(),
                levels => format!("across {levels} levels"),
            };
            let filled = self.quantity(simulation.filled);
            lines.push(("Fills now", format!("{filled} {levels}")));
            if let Some(average) = simulation.average_price {
                let average = format::in_steps(&average.to_string(), market.tick_size);
                lines.push(("Average price", average));
            }
            // The fills are best price first, so the last one is the worst. A single fill has its price in the average already.
            if let Some((worst, _)) = simulation.fills.last().filter(|_| simulation.fills.len() > 1)
            {
                let worst = format::in_steps(&market.format_price(*worst), market.tick_size);
                lines.push(("Worst price", worst));
            }
            lines.push(("Taker fee", self.fee(simulation.fee, market.taker_fee_bps)));
        }
        if simulation.rests > Lots(0) {
            let rests = simulation.rests;
            lines.push(("Posts to book", self.quantity(rests)));
            lines.push(("Locked by this order", self.amount(terms.cost_token, simulation.locked)));
            // The maker's fee counts from the quantity with which the order enters the book, so what is filled now is no part of
            // it (protocol.md, section 10).
            let fee = market.maker_fee(terms.price, rests, rests).unwrap_or_default();
            lines.push(("Maker fee if filled", self.fee(fee, market.maker_fee_bps)));
        }
        if let Some((lots, reason)) = simulation.cancelled {
            let why = match reason {
                CancelReason::SelfTrade => "self-trade prevention".into(),
                CancelReason::MakerLimit => {
                    format!(
                        "an order fills against at most {} orders",
                        self.listing.limits.makers_per_order
                    )
                }
                // The rest of an `ioc` order. The other reasons end orders that rest already.
                _ => "cannot fill now".into(),
            };
            lines.push(("Cancelled immediately", format!("{}: {why}", self.quantity(lots))));
        }
    }

    /// The request to sign a new order.
    pub fn request(&self) -> SignRequest {
        let mut lines = vec![
            ("Market", self.market.name.clone()),
            ("Time in force", time_in_force_words(self.order.time_in_force).into()),
        ];
        lines.extend(self.lines());
        SignRequest { title: self.title(), lines, action: Action::Order(self.order.clone()) }
    }
}
