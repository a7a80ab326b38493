//! The way from nothing to the first trade.

use leptos::prelude::*;
use zellbook_core::transaction::Side;
use zellbook_core::units::Decimal;

use crate::components::account_panel::{ask_faucet, has_faucet};
use crate::state::{State, use_state};

/// The part of the balance that the suggested order spends: one in so many.
const SUGGESTED_PART: u128 = 100;

/// Fills the form with a small order at the best ask, or shows the empty form where nobody sells.
fn suggest(state: State) {
    let filled = || {
        let (rules, market) = state.market_rules()?;
        let best = state.book.with(|book| book.best(Side::Sell))?;
        let price = Decimal::of_steps(u128::from(best.0), market.tick_size)?;
        let quote = rules.token_at(market.quote)?;
        let available = state.available(&quote.symbol)?;
        let atoms = available.in_steps_of(Decimal::one_atom(quote.decimals)).ok()? / SUGGESTED_PART;
        let lot = market.quote_atoms(best, zellbook_core::units::Lots(1))?;
        let lots = atoms.checked_div(lot.0)?.max(1);
        state.side.set(Side::Buy);
        state.price.set(price.to_string());
        state.quantity.set(Decimal::of_steps(lots, market.lot_size)?.to_string());
        Some(())
    };
    let field = if untrack(filled).is_some() { "field-quantity" } else { "field-price" };
    state.form_open.set(true);
    request_animation_frame(move || {
        if let Some(field) = document().get_element_by_id(field) {
            // What cannot have the focus is not focused.
            let _ = js_sys::Reflect::get(&field, &"focus".into())
                .map(|focus| js_sys::Function::from(focus).call0(&field));
        }
    });
}

/// Each step with its button, marked when it is done; the whole goes with the first trade.
#[component]
pub fn FirstSteps() -> impl IntoView {
    let state = use_state();
    let has_key = Memo::new(move |_| state.wallet.with(|wallet| wallet.account().is_some()));
    let is_backed_up = Memo::new(move |_| {
        has_key.get() && state.wallet.with(|wallet| wallet.settings.is_backed_up)
    });
    let has_tokens = Memo::new(move |_| {
        state.account.with(|account| {
            let mut balances = account.iter().flat_map(|account| &account.balances);
            balances.any(|balance| balance.available != "0" || balance.locked != "0")
        })
    });
    let step = move |is_done: Memo<bool>,
                     is_next: Signal<bool>,
                     text: &'static str,
                     button: &'static str,
                     act: fn(State)| {
        view! {
            <li class:done=move || is_done.get()>
                <span class="mark" aria-hidden="true">{move || if is_done.get() { "✓" } else { "○" }}</span>
                <span>{text}</span>
                <Show when=move || is_next.get()>
                    <button type="button" on:click=move |_| act(state)>{button}</button>
                </Show>
            </li>
        }
    };
    let open_wallet: fn(State) = |state| state.wallet_open.set(true);
    let never = Memo::new(|_| false);
    view! {
        <div class="welcome">
            <h3>"Your first trade in four steps"</h3>
            <ol>
                {step(has_key, Signal::derive(move || !has_key.get()), "Make a key, import one, or connect a wallet. It stays in this browser.", "Your key", open_wallet)}
                {step(is_backed_up, Signal::derive(move || has_key.get() && !is_backed_up.get()), "Write down its phrase: nobody else can bring it back.", "Write it down", open_wallet)}
                {step(has_tokens, Signal::derive(move || has_key.get() && !has_tokens.get() && has_faucet(state)), "Get test tokens to trade with.", "Get test tokens", ask_faucet)}
                {step(never, Signal::derive(move || has_tokens.get()), "Place an order: the form says what it costs before you sign.", "Suggest one", suggest)}
            </ol>
        </div>
    }
}
