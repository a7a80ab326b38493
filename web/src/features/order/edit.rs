//! A new price or quantity for an open order: what the engine's `replace` would do.

use zellbook_core::protocol::{OrderRef, Terms};
use zellbook_core::simulation::Trader;
use zellbook_core::types::SelfTrade;
use zellbook_core::wire::OrderBody;
use zellbook_core::{Action, Decimal, Lots, Order};

use super::draft::Draft;
use super::form_error::{Field, FormError, check};
use crate::features::market::{Markets, lots, ticks};
use crate::features::signing::SignRequest;
use crate::features::wallet::Session;
use crate::platform::format;
use crate::ui::lines::Lines;

/// What a `replace` does to the open order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Cancels it: the new quantity is filled already.
    Cancels,
    /// Reduces it at its price. It keeps its queue position.
    Reduces,
    /// Cancels it and places a new order.
    PlacesNew,
}

/// An open order with another price or quantity.
#[derive(Clone)]
pub struct Edit {
    id: u64,
    before: String,
    effect: Effect,
    /// The terms are of the quantity that would be left. The order, as `replace` takes it, includes what is filled.
    draft: Draft,
}

impl Edit {
    /// An open order of the market shown with a new price and quantity. The quantity includes what is filled.
    pub fn new(
        markets: Markets,
        session: Session,
        open: &OrderBody,
        price: Decimal,
        quantity: Decimal,
    ) -> Result<Self, FormError> {
        let not_here = || FormError::new(Field::Whole, "The market is loading.");
        let (listing, market) = markets.shown_market().ok_or_else(not_here)?;
        let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        let order = Order {
            market: open.market.clone(),
            side: open.side,
            quantity,
            price,
            time_in_force: open.time_in_force,
            expires: number(&open.expires_ms),
            // The replica does not report the choice with which the order was placed.
            self_trade: SelfTrade::default(),
            // Without a client id the order keeps its own.
            client_id: None,
        };
        let lots = |text: &str| u64::try_from(lots(&market, text)?).ok().map(Lots);
        let known = || {
            let (price, remaining) = (ticks(&market, &open.price)?, lots(&open.remaining)?);
            Some((open.id.parse().ok()?, price, remaining, lots(&open.filled)?))
        };
        let (id, was_price, remaining, filled) =
            // Only the book of the market shown is loaded, and the simulation needs that of the order's own market.
            known().filter(|_| market.name == open.market).ok_or_else(not_here)?;
        let terms = check(&listing, &market, &order)?;
        // A total below what is filled leaves zero: the engine then cancels the order (protocol.md, section 12).
        let left = terms.quantity.checked_sub(filled).unwrap_or_default();
        // The engine would apply it without any effect, so there is nothing to sign.
        if (terms.price, left) == (was_price, remaining) {
            return Err(FormError::new(Field::Whole, "Change the price or quantity."));
        }
        // A change in place also needs the order's expiry and client id, and a time in force that rests (protocol.md,
        // section 12). This form changes none of them, and the time in force of an open order always rests.
        let effect = match left {
            Lots(0) => Effect::Cancels,
            left if terms.price == was_price && left <= remaining => Effect::Reduces,
            _ => Effect::PlacesNew,
        };
        // Never None: `check` found the cost of the whole order to be countable (code 16), and what is left is no more.
        let cost = market.cost(terms.side, terms.price, left, terms.time_in_force);
        let terms = Terms { quantity: left, cost: cost.unwrap_or_default(), ..terms };
        // The new order may use what the old one locks (protocol.md, section 12). The quantity with which the old order entered
        // the book is not reported, so the fee in its lock can be off by one atom.
        let lock = market.lock(open.side, was_price, remaining, remaining).unwrap_or_default();
        let available = session.available_atoms(&listing, terms.cost_token);
        let available = available.and_then(|available| available.checked_add(lock));
        // The old order makes room for the new one, so reject 33 does not apply.
        let trader = available.map(|available| Trader { available, open_orders: 0 });
        let before = format!(
            "{} at {}, {} filled",
            format::in_steps(&open.quantity, market.lot_size),
            format::in_steps(&open.price, market.tick_size),
            format::in_steps(&open.filled, market.lot_size)
        );
        let draft = Draft::simulated(markets, session, listing, market, order, terms, trader);
        Ok(Self { id, before, effect, draft })
    }

    /// Why the engine would reject it now.
    pub fn error(&self) -> Option<FormError> {
        // A `replace` that cancels or reduces does not depend on the book or the balance, so the draft's error does not apply.
        self.draft.error().filter(|_| self.effect == Effect::PlacesNew)
    }

    /// What the change would do now, and the most that the order can cost then.
    pub fn lines(&self) -> Lines {
        let Draft { market, terms, .. } = &self.draft;
        match self.effect {
            Effect::Cancels => {
                vec![("Effect", "Cancels the rest: this quantity is already filled".into())]
            }
            Effect::Reduces => {
                let mut lines = vec![
                    ("Effect", "Keeps queue position".into()),
                    ("Stays in book", self.draft.quantity(terms.quantity)),
                ];
                let lock = market.lock(terms.side, terms.price, terms.quantity, terms.quantity);
                self.draft.push_bounds(&mut lines, lock.unwrap_or_default());
                lines
            }
            Effect::PlacesNew => {
                let mut lines = vec![("Effect", "Loses queue position; new ID".into())];
                lines.extend(self.draft.lines());
                lines
            }
        }
    }

    fn words(&self) -> String {
        let quantity = format::number(&self.draft.order.quantity.to_string(), 0);
        format!("{quantity} at {}", format::number(&self.draft.order.price.to_string(), 0))
    }

    /// What the button says: "Change to 0.5 at 2,000".
    pub fn button(&self) -> String {
        format!("Change to {}", self.words())
    }

    /// The request to sign the change.
    pub fn request(&self) -> SignRequest {
        let mut lines = vec![
            ("Market", self.draft.order.market.clone()),
            ("Side", self.draft.order.side.to_string()),
            ("Before", self.before.clone()),
        ];
        lines.extend(self.lines());
        SignRequest {
            title: format!("Change order #{} to {}", self.id, self.words()),
            lines,
            action: Action::Replace {
                // Not its client id: that may name another order by the time the change is applied.
                target: OrderRef::Id(self.id),
                order: self.draft.order.clone(),
            },
        }
    }
}
