//! A number field with its unit inside, stepped by the arrow keys, with its error below.

use leptos::prelude::*;
use zellbook_core::Decimal;

use super::form_error::Field;
use super::form_errors::{ErrorLine, FormErrors};

/// A field for a price or a quantity.
#[component]
pub fn NumberField(
    id: &'static str,
    label: &'static str,
    #[prop(into)] unit: Signal<Option<String>>,
    value: RwSignal<String>,
    errors: FormErrors,
    field: Field,
    #[prop(into)] step: Signal<Option<Decimal>>,
) -> impl IntoView {
    let error_id = format!("{id}-error");
    let move_by = move |is_up: bool| {
        let Some(step) = step.get_untracked() else { return };
        // An empty field counts from zero.
        let now = Decimal::parse_lenient(value.get_untracked().trim()).unwrap_or(Decimal::ZERO);
        let Some((below, above)) = now.neighbours(step) else { return };
        // From a number between two steps, the first press moves to the next valid number.
        let next = if is_up {
            above
        } else if below == now {
            // Zero stays zero: decimals have no sign.
            let steps = now.in_steps_of(step).unwrap_or(0).saturating_sub(1);
            Decimal::of_steps(steps, step).unwrap_or(now)
        } else {
            below
        };
        value.set(next.to_string());
    };
    let on_key = move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
        // The browser would move the cursor to the start of the text, and with the arrow down to its end.
        "ArrowUp" => {
            event.prevent_default();
            move_by(true);
        }
        "ArrowDown" => {
            event.prevent_default();
            move_by(false);
        }
        _ => {}
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <div class="input">
                // Not of type `number`: such a field reports an empty text for one that is no number, and the error shown
                // would be that the number is missing.
                <input
                    id=id
                    inputmode="decimal"
                    autocomplete="off"
                    prop:value=move || value.get()
                    aria-invalid=move || errors.at(field).is_some().to_string()
                    aria-describedby=error_id.clone()
                    on:input=move |event| value.set(event_target_value(&event))
                    on:blur=move |_| errors.leave(field)
                    on:keydown=on_key
                />
                <span class="unit">{move || unit.get()}</span>
                // The arrow keys do the same, so the Tab key passes over the buttons.
                <button type="button" class="step" tabindex="-1" aria-label="One step down" on:click=move |_| move_by(false)>
                    "−"
                </button>
                <button type="button" class="step" tabindex="-1" aria-label="One step up" on:click=move |_| move_by(true)>
                    "+"
                </button>
            </div>
            <ErrorLine errors field id=error_id class="error" />
        </div>
    }
}
