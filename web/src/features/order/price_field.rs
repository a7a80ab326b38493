//! The price of the order form: a limit price, or the slippage of a market order.

use leptos::prelude::*;

use super::choices::Choices;
use super::form_error::Field;
use super::form_errors::FormErrors;
use super::form_state::use_form;
use super::number_field::NumberField;
use crate::features::market::use_markets;
use crate::platform::format;

/// The slippages to choose from, in basis points.
const SLIPPAGES: [u16; 4] = [10, 50, 100, 300];

#[component]
pub fn PriceField(choices: Choices, errors: FormErrors) -> impl IntoView {
    let (markets, form) = (use_markets(), use_form());
    let slippage_option = move |bps: u16| {
        let text = format!("{} %", format::number(&format::percent_of_bps(bps), 0));
        let is_chosen = move || choices.slippage_bps.get() == bps;
        view! { <option value=bps.to_string() selected=is_chosen>{text}</option> }
    };
    view! {
        <Show
            when=move || !choices.is_market.get()
            fallback=move || {
                view! {
                    <label class="field">
                        <span>"Max slippage"</span>
                        <select on:change=move |event| {
                            if let Ok(bps) = event_target_value(&event).parse() {
                                choices.slippage_bps.set(bps);
                            }
                        }>{SLIPPAGES.map(slippage_option).collect_view()}</select>
                    </label>
                }
            }
        >
            <NumberField
                id="field-price"
                label="Price"
                unit=Signal::derive(move || markets.symbol(false))
                value=form.price
                errors
                field=Field::Price
                step=Signal::derive(move || Some(markets.shown_market()?.1.tick_size))
            />
        </Show>
    }
}
