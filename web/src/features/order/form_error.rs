//! Why an order cannot be sent as it is, in a form's words.

use zellbook_core::protocol::Terms;
use zellbook_core::{Decimal, Listing, Market, Order, Reject};

/// Where a fault shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Price,
    Quantity,
    Expires,
    Whole,
}

/// Why an order cannot be sent as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it shows.
    pub field: Field,
    /// A sentence.
    pub text: String,
    /// What would do instead.
    pub fix: Option<Fix>,
}

/// The nearest values that the market takes, where they are others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fix {
    pub price: Option<Decimal>,
    pub quantity: Option<Decimal>,
}

impl Fault {
    pub fn new(field: Field, text: impl Into<String>) -> Self {
        Self { field, text: text.into(), fix: None }
    }

    /// The engine's own reason, as a sentence.
    pub fn of(reject: &Reject) -> Self {
        let field = match reject {
            Reject::PriceOffTick { .. } | Reject::NotPositive { field: "price", .. } => {
                Field::Price
            }
            Reject::TooLarge { field: "price", .. } | Reject::WouldCross { .. } => Field::Price,
            Reject::QuantityOffLot { .. }
            | Reject::NotionalTooSmall { .. }
            | Reject::NotPositive { .. }
            | Reject::TooLarge { .. } => Field::Quantity,
            _ => Field::Whole,
        };
        let text = reject.to_string();
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase().to_string());
        Self::new(field, first.unwrap_or_default() + letters.as_str() + ".")
    }
}

impl Fix {
    /// Where a market would take a price and quantity near the order's, these.
    fn of(reject: &Reject, market: &Market, order: &Order) -> Option<Self> {
        if !matches!(
            reject,
            Reject::PriceOffTick { .. }
                | Reject::QuantityOffLot { .. }
                | Reject::NotionalTooSmall { .. }
        ) {
            return None;
        }
        let nearest = market.suggest(order)?;
        Some(Self {
            price: Some(nearest.price).filter(|price| *price != order.price),
            quantity: Some(nearest.quantity).filter(|quantity| *quantity != order.quantity),
        })
    }
}

/// A number as people type it: with needless zeros, if they like.
pub fn read_number(text: &str, field: Field, name: &str) -> Result<Decimal, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new(field, format!("Enter the {name}.")));
    }
    Decimal::parse_lenient(text).map_err(|_| {
        Fault::new(field, format!("Enter the {name} as a number, for example 1500.25."))
    })
}

/// The terms of an order by genesis, or what is wrong with it and would do.
pub fn check(listing: &Listing, market: &Market, order: &Order) -> Result<Terms, Fault> {
    listing
        .terms(order)
        .map_err(|reject| Fault { fix: Fix::of(&reject, market, order), ..Fault::of(&reject) })
}
