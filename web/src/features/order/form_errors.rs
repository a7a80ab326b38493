//! Where a form shows its error: below the field once the user has left it, never while the user types there for the
//! first time, and otherwise beside the button.

use leptos::prelude::*;

use super::form_error::{Field, FormError, Suggestion};
use crate::features::wallet::use_session;
use crate::platform::focus::focus_submit_of;
use crate::platform::format;

/// The error of a form with price and quantity, and the fields that the user has left.
#[derive(Clone, Copy)]
pub struct FormErrors {
    error: Signal<Option<FormError>>,
    price: RwSignal<String>,
    quantity: RwSignal<String>,
    left: RwSignal<Vec<Field>>,
}

impl FormErrors {
    pub fn new(
        error: Signal<Option<FormError>>,
        price: RwSignal<String>,
        quantity: RwSignal<String>,
    ) -> Self {
        Self { error, price, quantity, left: RwSignal::default() }
    }

    /// Notes that the user has left a field.
    pub fn leave(self, field: Field) {
        self.left.update(|left| {
            if !left.contains(&field) {
                left.push(field);
            }
        });
    }

    /// Notes that the user tried to send the form.
    pub fn leave_all(self) {
        self.left.set(vec![Field::Price, Field::Quantity, Field::Expires]);
    }

    /// Forgets which fields the user has left: the form is used again from the start.
    pub fn forget(self) {
        // The form may have been removed while its request was on the sheet.
        let _ = self.left.try_set(Vec::new());
    }

    /// The error to show below a field.
    pub fn at(self, field: Field) -> Option<FormError> {
        let is_left = self.left.with(|left| left.contains(&field));
        self.error.get().filter(|error| is_left && error.field == field)
    }

    /// The error to show beside the button.
    fn beside_button(self) -> Option<FormError> {
        let has_key = use_session().key().is_some();
        if !has_key {
            return Some(FormError::new(Field::Whole, "Create or import a wallet first."));
        }
        // An error that its field does not show yet appears here, so a disabled button always has its reason beside it.
        self.error.get().filter(|error| self.at(error.field).is_none())
    }

    /// Whether the form cannot be sent.
    pub fn is_blocked(self) -> bool {
        self.error.with(Option::is_some) || self.beside_button().is_some()
    }

    fn apply(self, suggestion: Suggestion) {
        for (field, value) in [(self.price, suggestion.price), (self.quantity, suggestion.quantity)]
        {
            if let Some(value) = value {
                field.set(value.to_string());
            }
        }
    }
}

/// The label of the button that fills in a suggestion.
fn words(suggestion: Suggestion) -> String {
    let shown = |value: zellbook_core::Decimal| format::number(&value.to_string(), 0);
    match (suggestion.quantity.map(shown), suggestion.price.map(shown)) {
        (Some(quantity), Some(price)) => format!("Use {quantity} at {price}"),
        (Some(value), None) | (None, Some(value)) => format!("Use {value}"),
        (None, None) => "Use".into(),
    }
}

/// An error with the button that takes its suggestion. [`Field::Whole`] is the one beside the button that sends the
/// form.
#[component]
pub fn ErrorLine(
    errors: FormErrors,
    field: Field,
    #[prop(into)] id: String,
    class: &'static str,
) -> impl IntoView {
    // The draft is made again with each change of the book. While its error stays the same, the memo keeps the button below
    // from being replaced in the middle of a click.
    let error = Memo::new(move |_| match field {
        Field::Whole => errors.beside_button(),
        _ => errors.at(field),
    });
    let button = move || {
        let suggestion = error.get()?.suggestion?;
        Some(view! {
            " "
            <button
                type="button"
                class="small"
                // The field keeps the focus. Leaving it would show other errors and move this button away from under
                // the pointer.
                on:mousedown=|event| event.prevent_default()
                on:click=move |event| {
                    // This button disappears with the error, so the focus moves on to the one that sends the form.
                    focus_submit_of(&event);
                    errors.apply(suggestion);
                }
            >
                {words(suggestion)}
            </button>
        })
    };
    view! { <p class=class id=id>{move || error.get().map(|error| error.text)} {button}</p> }
}
