//! Another price or quantity for an open order: what the engine's `replace` would do.

use zellbook_core::protocol::{OrderRef, Terms};
use zellbook_core::simulation::Trader;
use zellbook_core::types::SelfTrade;
use zellbook_core::wire::OrderBody;
use zellbook_core::{Action, Decimal, Lots, Order};

use crate::draft::{Draft, Lines, available};
use crate::fault::{Fault, Field, check};
use crate::format;
use crate::state::{SignRequest, State, lots, ticks};

/// What becomes of an open order by a `replace`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// As much as is wanted is filled already.
    Cancels,
    /// Less is left of it, at its price.
    KeepsPlace,
    /// It is cancelled and another takes its place.
    PlacesAnew,
}

/// An open order with another price or quantity.
#[derive(Clone)]
pub struct Edit {
    id: u64,
    before: String,
    effect: Effect,
    /// Its terms are of what would be left; its order, as `replace` has it, counts what is filled too.
    draft: Draft,
}

impl Edit {
    /// An open order of the market on show with another price and quantity, as the engine's
    /// `replace` would take it.
    pub fn new(
        state: State,
        open: &OrderBody,
        price: Decimal,
        quantity: Decimal,
    ) -> Result<Self, Fault> {
        let not_here = || Fault::new(Field::Whole, "The market is loading.");
        let (listing, market) = state.listed_market().ok_or_else(not_here)?;
        let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        let order = Order {
            market: open.market.clone(),
            side: open.side,
            quantity,
            price,
            time_in_force: open.time_in_force,
            expires: number(&open.expires_ms),
            self_trade: SelfTrade::default(),
            // Without one the order keeps the one that it has.
            client_id: None,
        };
        let lots = |text: &str| u64::try_from(lots(&market, text)?).ok().map(Lots);
        let known = || {
            let (price, remaining) = (ticks(&market, &open.price)?, lots(&open.remaining)?);
            Some((open.id.parse().ok()?, price, remaining, lots(&open.filled)?))
        };
        let (id, was_price, remaining, filled) =
            known().filter(|_| market.name == open.market).ok_or_else(not_here)?;
        let terms = check(&listing, &market, &order)?;
        let left = terms.quantity.checked_sub(filled).unwrap_or_default();
        if (terms.price, left) == (was_price, remaining) {
            return Err(Fault::new(Field::Whole, "Change the price or quantity."));
        }
        let effect = match left {
            Lots(0) => Effect::Cancels,
            left if terms.price == was_price && left <= remaining => Effect::KeepsPlace,
            _ => Effect::PlacesAnew,
        };
        let cost = market.cost(terms.side, terms.price, left, terms.time_in_force);
        let terms = Terms { quantity: left, cost: cost.unwrap_or_default(), ..terms };
        // What it came to rest with is not known here, which can matter to the fee by one atom.
        let lock = market.lock(open.side, was_price, remaining, remaining).unwrap_or_default();
        let trader = available(state, &listing, terms.cost_token, lock)
            .map(|available| Trader { available, open_orders: 0 });
        let before = format!(
            "{} at {}, {} filled",
            format::in_steps(&open.quantity, market.lot_size),
            format::in_steps(&open.price, market.tick_size),
            format::in_steps(&open.filled, market.lot_size)
        );
        let draft = Draft::simulated(state, listing, market, order, terms, trader);
        Ok(Self { id, before, effect, draft })
    }

    /// Why the engine would reject it now.
    pub fn fault(&self) -> Option<Fault> {
        self.draft.fault().filter(|_| self.effect == Effect::PlacesAnew)
    }

    /// What it would do now, and what it can cost at most.
    pub fn lines(&self) -> Lines {
        let Draft { market, terms, .. } = &self.draft;
        match self.effect {
            Effect::Cancels => {
                vec![("Effect", "Cancels the rest: this quantity is already filled".into())]
            }
            Effect::KeepsPlace => {
                let mut lines = vec![
                    ("Effect", "Keeps queue position".into()),
                    ("Stays in book", self.draft.quantity(terms.quantity)),
                ];
                let lock = market.lock(terms.side, terms.price, terms.quantity, terms.quantity);
                self.draft.push_bounds(&mut lines, lock.unwrap_or_default());
                lines
            }
            Effect::PlacesAnew => {
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

    /// What to sign.
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
                target: OrderRef::Id(self.id),
                order: self.draft.order.clone(),
            },
        }
    }
}
