//! When an order expires: after a while, or at a date and time.

use leptos::prelude::*;

use super::form_error::{Field, FormError};
use super::form_errors::{ErrorLine, FormErrors};
use crate::features::replica::Connection;
use crate::platform::{clock, format};

const HOUR_MS: u64 = 3_600_000;
/// Names and lengths of the lifetimes to choose from.
const LIFETIMES: [(&str, u64); 5] = [
    ("In 1 hour", HOUR_MS),
    ("In 8 hours", 8 * HOUR_MS),
    ("In 1 day", 24 * HOUR_MS),
    ("In 7 days", 7 * 24 * HOUR_MS),
    ("In 30 days", 30 * 24 * HOUR_MS),
];

/// The user's choice.
#[derive(Clone, Copy)]
pub struct Expiry {
    /// Milliseconds from the signature. None is at `moment`.
    lifetime: RwSignal<Option<u64>>,
    /// A date and time of the reader's own time zone.
    moment: RwSignal<String>,
}

impl Expiry {
    pub fn new() -> Self {
        Self { lifetime: RwSignal::new(Some(24 * HOUR_MS)), moment: RwSignal::default() }
    }

    /// Whether the time counts from the signature.
    pub fn is_counted(self) -> bool {
        self.lifetime.with(Option::is_some)
    }

    /// The time in Unix milliseconds: whole seconds, because no more is shown, and later than the exchange's time.
    pub fn time(self, connection: Connection) -> Result<u64, FormError> {
        let error = |text: String| FormError::new(Field::Expires, text);
        let time = match self.lifetime.get() {
            // Rounded up: an order never ends before the time that the user chose.
            Some(lifetime) => connection.now().next_multiple_of(1000) + lifetime,
            None => clock::of_local(&self.moment.get())
                .ok_or_else(|| error("Choose a date and time.".into()))?,
        };
        // The engine compares with the exchange's time (reject 18), which stands still while there are no batches. What is
        // past by now would expire with the next one.
        let now = connection.now().max(connection.exchange_time().unwrap_or_default());
        if time <= now {
            let now = format::date_time(&now.to_string());
            return Err(error(format!("The exchange's time is {now}; choose a later one.")));
        }
        Ok(time)
    }
}

/// The choice of an expiry.
#[component]
pub fn ExpiryField(expiry: Expiry, errors: FormErrors) -> impl IntoView {
    let option = |(name, lifetime): (&'static str, u64)| {
        let is_chosen = move || expiry.lifetime.get() == Some(lifetime);
        view! { <option value=lifetime.to_string() selected=is_chosen>{name}</option> }
    };
    view! {
        <div class="expiry">
            <label class="field">
                <span>"Expires"</span>
                // The last option has an empty value, which is no number and reads as None.
                <select on:change=move |event| expiry.lifetime.set(event_target_value(&event).parse().ok())>
                    {LIFETIMES.map(option).collect_view()}
                    <option value="" selected=move || !expiry.is_counted()>"Custom date and time"</option>
                </select>
            </label>
            <Show when=move || !expiry.is_counted()>
                <div class="field">
                    <label for="field-expires">"Date and time (local)"</label>
                    <div class="input">
                        <input
                            id="field-expires"
                            type="datetime-local"
                            prop:value=move || expiry.moment.get()
                            aria-invalid=move || errors.at(Field::Expires).is_some().to_string()
                            aria-describedby="field-expires-error"
                            on:input=move |event| expiry.moment.set(event_target_value(&event))
                            on:blur=move |_| errors.leave(Field::Expires)
                        />
                    </div>
                </div>
            </Show>
            <ErrorLine errors field=Field::Expires id="field-expires-error" class="error" />
        </div>
    }
}
