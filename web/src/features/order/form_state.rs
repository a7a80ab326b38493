//! What the order form has, and which open order is being edited.

use leptos::prelude::*;
use zellbook_core::Side;

use crate::features::market::Markets;
use crate::ui::reader::{Reader, reader};

/// The order form's fields. Other features fill or open the form by the functions below.
#[derive(Clone, Copy)]
pub struct FormState {
    pub side: Reader<Side>,
    /// Whether the form is open on a page that is too narrow to show it always.
    pub is_open: Reader<bool>,
    /// Id of the open order that is being edited.
    pub edited: Reader<Option<String>>,
    pub(super) price: RwSignal<String>,
    pub(super) quantity: RwSignal<String>,
    set_side: RwSignal<Side>,
    set_is_open: RwSignal<bool>,
    set_edited: RwSignal<Option<String>>,
}

impl FormState {
    pub fn new(markets: Markets) -> Self {
        let (side, set_side) = reader(Side::Buy);
        let (is_open, set_is_open) = reader(false);
        let (edited, set_edited) = reader(None);
        let (price, quantity) = (RwSignal::default(), RwSignal::default());
        Effect::new(move |before: Option<String>| {
            let shown = markets.shown.get();
            // A price of one market would be a mistake in another. The name is empty until the markets are loaded, and what was
            // typed by then is meant for the first one.
            if before.is_some_and(|before| !before.is_empty() && before != shown) {
                price.set(String::new());
                quantity.set(String::new());
            }
            shown
        });
        Self { side, is_open, edited, price, quantity, set_side, set_is_open, set_edited }
    }

    pub fn choose_side(self, side: Side) {
        self.set_side.set(side);
    }

    /// Opens the form for a side.
    pub fn open(self, side: Side) {
        self.set_side.set(side);
        self.set_is_open.set(true);
    }

    pub fn close(self) {
        self.set_is_open.set(false);
    }

    /// Fills in a price at which an order of this side would trade.
    pub fn use_price(self, side: Side, price: String) {
        self.price.set(price);
        self.set_side.set(side);
    }

    /// Fills in a whole order.
    pub fn fill(self, side: Side, price: String, quantity: String) {
        self.use_price(side, price);
        self.quantity.set(quantity);
    }

    /// Opens the sheet that edits an open order.
    pub fn edit(self, id: String) {
        self.set_edited.set(Some(id));
    }

    pub fn end_edit(self) {
        self.set_edited.set(None);
    }
}

pub fn use_form() -> FormState {
    expect_context()
}
