//! How long an order stays open, and its expiry if it has one.

use leptos::prelude::*;
use zellbook_core::TimeInForce;

use super::choices::Choices;
use super::expiry::ExpiryField;
use super::form_errors::FormErrors;
use crate::platform::format::time_in_force_words;

/// The times in force in the order in which the form lists them.
const TIMES_IN_FORCE: [TimeInForce; 5] =
    [TimeInForce::Gtc, TimeInForce::Gtd, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::PostOnly];

#[component]
pub fn TimeInForceField(choices: Choices, errors: FormErrors) -> impl IntoView {
    let option = |value: TimeInForce| {
        view! { <option value=value.name()>{time_in_force_words(value)}</option> }
    };
    view! {
        // Hidden, not removed: a list that is made again would show its first option, whatever is chosen.
        <label class="field" class:hidden=move || choices.is_market.get()>
            <span>"Time in force"</span>
            <select on:change=move |event| {
                if let Ok(value) = event_target_value(&event).parse() {
                    choices.time_in_force.set(value);
                }
            }>{TIMES_IN_FORCE.map(option).collect_view()}</select>
        </label>
        <Show when=move || choices.time_in_force() == TimeInForce::Gtd>
            <ExpiryField expiry=choices.expiry errors />
        </Show>
    }
}
