//! What the order form has beside side, price and quantity, and the draft that all of it makes.

use leptos::prelude::*;
use zellbook_core::types::SelfTrade;
use zellbook_core::{Decimal, Order, Side, Ticks, TimeInForce};

use super::draft::Draft;
use super::expiry::Expiry;
use super::form_error::{Field, FormError, read_number};
use super::form_state::FormState;
use crate::features::market::Markets;
use crate::features::replica::Connection;
use crate::features::wallet::Session;

/// The choices of the form.
#[derive(Clone, Copy)]
pub struct Choices {
    pub time_in_force: RwSignal<TimeInForce>,
    pub expiry: Expiry,
    pub self_trade: RwSignal<SelfTrade>,
    /// Whether the order fills immediately at the best prices, up to `slippage_bps` worse, and does not rest.
    pub is_market: RwSignal<bool>,
    /// The most that a market order may trade worse than the best price, in basis points.
    pub slippage_bps: RwSignal<u16>,
}

impl Choices {
    pub fn new() -> Self {
        Self {
            time_in_force: RwSignal::new(TimeInForce::Gtc),
            expiry: Expiry::new(),
            self_trade: RwSignal::new(SelfTrade::CancelNewest),
            is_market: RwSignal::new(false),
            slippage_bps: RwSignal::new(50),
        }
    }

    /// The order's time in force. The protocol has no market orders: one is an `ioc` order with a bound.
    pub fn time_in_force(self) -> TimeInForce {
        if self.is_market.get() { TimeInForce::Ioc } else { self.time_in_force.get() }
    }

    /// The order's limit price: the user's, or the bound of a market order.
    pub fn price(self, markets: Markets, form: FormState) -> Result<Decimal, FormError> {
        if !self.is_market.get() {
            return read_number(&form.price.get(), Field::Price, "price");
        }
        let loading = || FormError::new(Field::Whole, "The market is loading.");
        let (_, market) = markets.shown_market().ok_or_else(loading)?;
        let side = form.side.get();
        // The slippage counts from the best price of the other side. Without one there is no limit price, and the protocol
        // has no order without one (protocol.md, section 11).
        let best = markets.book.with(|book| book.best(side.opposite())).ok_or_else(|| {
            let missing = if side == Side::Buy { "asks" } else { "bids" };
            let text = format!("There are no {missing} in the book. Place a limit order instead.");
            FormError::new(Field::Whole, text)
        })?;
        let bound = bound(best, side, self.slippage_bps.get());
        market.format_price(bound).parse().map_err(|_| loading())
    }

    /// The order of the form, or the first thing that is wrong with it.
    pub fn draft(
        self,
        markets: Markets,
        session: Session,
        connection: Connection,
        form: FormState,
    ) -> Result<Draft, FormError> {
        // Of several errors the one of the price is reported first, then that of the quantity, as on the form.
        let quantity = read_number(&form.quantity.get(), Field::Quantity, "quantity");
        let price = self.price(markets, form)?;
        let time_in_force = self.time_in_force();
        let expires = match time_in_force {
            TimeInForce::Gtd => self.expiry.time(connection).map(Some),
            _ => Ok(None),
        };
        let order = Order {
            market: markets.shown.get(),
            side: form.side.get(),
            quantity: quantity?,
            price,
            time_in_force,
            expires: expires.as_ref().ok().copied().flatten(),
            self_trade: self.self_trade.get(),
            client_id: None,
        };
        let mut draft = Draft::new(markets, session, order)?;
        draft.is_market = self.is_market.get();
        // An error of the expiry comes last, as on the form. The checks above do not depend on the expiry.
        expires.map(|_| draft)
    }
}

/// The worst price of a market order: `slippage_bps` basis points from the best price, rounded towards it.
fn bound(best: Ticks, side: Side, slippage_bps: u16) -> Ticks {
    let most = u128::from(best.0) * u128::from(slippage_bps) / 10_000;
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    Ticks(match side {
        Side::Buy => best.0.saturating_add(most),
        // A price of zero is rejected (code 12).
        Side::Sell => best.0.saturating_sub(most).max(1),
    })
}
