//! The advanced part of the order form: self-trade prevention, and the exact text before anything is signed.

use leptos::prelude::*;
use zellbook_core::types::SelfTrade;
use zellbook_core::{Action, TimeInForce};

use super::choices::Choices;
use super::draft::Draft;
use super::form_error::FormError;
use crate::features::signing::{self, Signing, use_signing};

/// Which orders are cancelled when an order would trade with one of the same account.
const SELF_TRADES: [(SelfTrade, &str); 3] = [
    (SelfTrade::CancelNewest, "Cancel new"),
    (SelfTrade::CancelOldest, "Cancel resting"),
    (SelfTrade::CancelBoth, "Cancel both"),
];

/// The text that would be signed. Values that are known only then are described in words.
fn text_to_sign(
    signing: Signing,
    choices: Choices,
    draft: Memo<Result<Draft, FormError>>,
) -> Option<String> {
    let mut order = draft.with(|draft| Some(draft.as_ref().ok()?.order.clone()))?;
    // It is zero at first, and then replaced by words.
    let is_counted = choices.expiry.is_counted();
    order.expires = order.expires.map(|time| if is_counted { 0 } else { time });
    let text = signing::preview(signing, Action::Order(order))?;
    // A value cannot contain a line feed, so nothing but the line of this field can match.
    Some(text.replace("\nexpires: 0", "\nexpires: (counted from the time of signing)"))
}

#[component]
pub fn MoreOptions(choices: Choices, draft: Memo<Result<Draft, FormError>>) -> impl IntoView {
    let signing = use_signing();
    // The list is removed for post-only orders and made again afterwards, so it must say what is chosen.
    let self_trade_option = move |(value, words): (SelfTrade, &'static str)| {
        let is_chosen = move || choices.self_trade.get() == value;
        view! { <option value=value.name() selected=is_chosen>{words}</option> }
    };
    let text = move || text_to_sign(signing, choices, draft);
    view! {
        <details>
            <summary>"Advanced"</summary>
            // A post-only order never trades on arrival.
            <Show when=move || choices.time_in_force() != TimeInForce::PostOnly>
                <label class="field">
                    <span>"Self-trade prevention"</span>
                    <select on:change=move |event| {
                        if let Ok(value) = event_target_value(&event).parse() {
                            choices.self_trade.set(value);
                        }
                    }>{SELF_TRADES.map(self_trade_option).collect_view()}</select>
                </label>
            </Show>
            <p class="note">"Message to sign:"</p>
            <pre class="text">{move || text().unwrap_or_else(|| "Complete the form to see it.".into())}</pre>
        </details>
    }
}
