//! What is wrong with a form: below its field once the user has left that, never while it is first
//! typed; else beside the button.

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::fault::{Fault, Field, Fix};
use crate::format;
use crate::state::use_state;

/// The fault of a form with price and quantity, and where it shows.
#[derive(Clone, Copy)]
pub struct Faults {
    fault: Signal<Option<Fault>>,
    price: RwSignal<String>,
    quantity: RwSignal<String>,
    left: RwSignal<Vec<Field>>,
}

impl Faults {
    pub fn new(
        fault: Signal<Option<Fault>>,
        price: RwSignal<String>,
        quantity: RwSignal<String>,
    ) -> Self {
        Self { fault, price, quantity, left: RwSignal::default() }
    }

    /// The user has left a field.
    pub fn leave(self, field: Field) {
        self.left.update(|left| {
            if !left.contains(&field) {
                left.push(field);
            }
        });
    }

    /// The user wants to send it.
    pub fn leave_all(self) {
        self.left.set(vec![Field::Price, Field::Quantity, Field::Expires]);
    }

    /// What the user left does not count any more: the form begins anew.
    pub fn forget(self) {
        self.left.set(Vec::new());
    }

    /// The fault below a field.
    pub fn at(self, field: Field) -> Option<Fault> {
        let is_left = self.left.with(|left| left.contains(&field));
        self.fault.get().filter(|fault| is_left && fault.field == field)
    }

    /// What no field says.
    fn beside_button(self) -> Option<Fault> {
        let has_key = use_state().wallet.with(|wallet| wallet.account().is_some());
        if !has_key {
            return Some(Fault::new(Field::Whole, "Create or import a wallet first."));
        }
        self.fault.get().filter(|fault| self.at(fault.field).is_none())
    }

    /// Whether it cannot be sent.
    pub fn is_blocked(self) -> bool {
        self.fault.with(Option::is_some) || self.beside_button().is_some()
    }

    fn apply(self, fix: Fix) {
        for (field, value) in [(self.price, fix.price), (self.quantity, fix.quantity)] {
            if let Some(value) = value {
                field.set(value.to_string());
            }
        }
    }
}

/// The values that would do, as the button that takes them says.
fn words(fix: Fix) -> String {
    let shown = |value: zellbook_core::Decimal| format::number(&value.to_string(), 0);
    match (fix.quantity.map(shown), fix.price.map(shown)) {
        (Some(quantity), Some(price)) => format!("Use {quantity} at {price}"),
        (Some(value), None) | (None, Some(value)) => format!("Use {value}"),
        (None, None) => "Use".into(),
    }
}

/// The button goes with the fault, so the focus moves on to what sends the form.
fn focus_main(event: &leptos::ev::MouseEvent) {
    let button = event_target::<web_sys::Element>(event)
        .closest("form")
        .ok()
        .flatten()
        .and_then(|form| form.query_selector("button[type=submit]").ok()?);
    if let Some(button) = button.and_then(|button| button.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = button.focus();
    }
}

/// A fault, with the nearest values that would do. [`Field::Whole`] is beside the button.
#[component]
pub fn FaultLine(
    faults: Faults,
    field: Field,
    #[prop(into)] id: String,
    class: &'static str,
) -> impl IntoView {
    let fault = Memo::new(move |_| match field {
        Field::Whole => faults.beside_button(),
        _ => faults.at(field),
    });
    let button = move || {
        let fix = fault.get()?.fix?;
        Some(view! {
            " "
            <button
                type="button"
                class="small"
                // The field keeps the focus: the fault must not move away from under the pointer.
                on:mousedown=|event| event.prevent_default()
                on:click=move |event| {
                    focus_main(&event);
                    faults.apply(fix);
                }
            >
                {words(fix)}
            </button>
        })
    };
    view! { <p class=class id=id>{move || fault.get().map(|fault| fault.text)} {button}</p> }
}
