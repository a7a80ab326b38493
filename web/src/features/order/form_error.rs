//! Why an order cannot be sent as it is, in a form's words.

use zellbook_core::protocol::Terms;
use zellbook_core::{Decimal, Listing, Market, Order, Reject};

/// Where an error is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Price,
    Quantity,
    Expires,
    /// Beside the button that sends the form.
    Whole,
}

/// Why an order cannot be sent as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct FormError {
    pub field: Field,
    /// A sentence.
    pub text: String,
    pub suggestion: Option<Suggestion>,
}

/// The values nearest to the order's that the market takes. None for a value that is fine as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Suggestion {
    pub price: Option<Decimal>,
    pub quantity: Option<Decimal>,
}

impl FormError {
    pub fn new(field: Field, text: impl Into<String>) -> Self {
        Self { field, text: text.into(), suggestion: None }
    }

    /// The engine's own reason, as a sentence.
    pub fn of(reject: &Reject) -> Self {
        let field = match reject {
            Reject::PriceOffTick { .. } | Reject::NotPositive { field: "price", .. } => {
                Field::Price
            }
            Reject::TooLarge { field: "price", .. } | Reject::WouldCross { .. } => Field::Price,
            // An order value that is too small or too large is shown here too: at a given price, the quantity repairs it.
            Reject::QuantityOffLot { .. }
            | Reject::NotionalTooSmall { .. }
            | Reject::NotPositive { .. }
            | Reject::TooLarge { .. } => Field::Quantity,
            _ => Field::Whole,
        };
        // The engine's text, so that the page gives the same reason as the API and the command line.
        let text = reject.to_string();
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase().to_string());
        Self::new(field, first.unwrap_or_default() + letters.as_str() + ".")
    }
}

impl Suggestion {
    /// None for a reject that has nothing to do with the order's price and quantity.
    fn of(reject: &Reject, market: &Market, order: &Order) -> Option<Self> {
        // Only these are repaired by rounding. The answer to the others, for example a balance that is too low, is up to the user.
        if !matches!(
            reject,
            Reject::PriceOffTick { .. }
                | Reject::QuantityOffLot { .. }
                | Reject::NotionalTooSmall { .. }
        ) {
            return None;
        }
        // Both values at once: a price that is rounded down can bring the order below the minimum value.
        let suggested = market.suggest(order)?;
        Some(Self {
            price: Some(suggested.price).filter(|price| *price != order.price),
            quantity: Some(suggested.quantity).filter(|quantity| *quantity != order.quantity),
        })
    }
}

/// Reads a number as people type it, for example with needless zeros.
pub fn read_number(text: &str, field: Field, name: &str) -> Result<Decimal, FormError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(FormError::new(field, format!("Enter the {name}.")));
    }
    Decimal::parse_lenient(text).map_err(|_| {
        FormError::new(field, format!("Enter the {name} as a number, for example 1500.25."))
    })
}

/// Checks an order against the rules of genesis.
pub fn check(listing: &Listing, market: &Market, order: &Order) -> Result<Terms, FormError> {
    listing.terms(order).map_err(|reject| FormError {
        suggestion: Suggestion::of(&reject, market, order),
        ..FormError::of(&reject)
    })
}
