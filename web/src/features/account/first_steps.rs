//! The way from nothing to the first trade.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;
use zellbook_core::{Decimal, Side};

use crate::components::faucet::{ask_faucet, has_faucet};
use crate::state::{State, use_state};

/// The part of the balance that the suggested order spends: one in so many.
const SUGGESTED_PART: u128 = 100;

/// Fills the form with a small order at the best ask, or shows the empty form where nobody sells.
fn suggest(state: State) {
    let filled = || {
        let (listing, market) = state.listed_market()?;
        let best = state.book.with(|book| book.best(Side::Sell))?;
        let price = Decimal::of_steps(u128::from(best.0), market.tick_size)?;
        let quote = listing.token_at(market.quote)?;
        let available = state.available(&quote.symbol)?;
        let atoms = available.in_steps_of(Decimal::one_atom(quote.decimals)).ok()? / SUGGESTED_PART;
        let lot = market.quote_atoms(best, zellbook_core::Lots(1))?;
        let lots = atoms.checked_div(lot.0)?.max(1);
        state.side.set(Side::Buy);
        state.price.set(price.to_string());
        state.quantity.set(Decimal::of_steps(lots, market.lot_size)?.to_string());
        Some(())
    };
    let field = if untrack(filled).is_some() { "field-quantity" } else { "field-price" };
    state.form_open.set(true);
    let focus = move || {
        let field = document().get_element_by_id(field);
        if let Some(field) = field.and_then(|it| it.dyn_into::<HtmlElement>().ok()) {
            // What cannot have the focus is not focused.
            let _ = field.focus();
        }
    };
    // Once the form is there, and had the focus as a whole.
    request_animation_frame(move || request_animation_frame(focus));
}

/// What is done of the way, one for each of [`STEPS`].
type Done = [bool; 4];

const STEPS: [&str; 4] = [
    "Create or import a wallet, or connect an Ethereum wallet. Your keys stay in this browser.",
    "Get test tokens to trade with.",
    "Place an order. The form shows what it costs before you sign.",
    "Now or later: write down your recovery phrase. Nobody else can restore your wallet.",
];

/// What does a step.
#[derive(Clone, Copy)]
struct Act {
    step: usize,
    name: &'static str,
    act: fn(State),
}

const OPEN: Act = Act { step: 0, name: "Create wallet", act: open_wallet };
const TOKENS: Act = Act { step: 1, name: "Get test tokens", act: ask_faucet };
const ORDER: Act = Act { step: 2, name: "Suggest an order", act: suggest };
const BACK_UP: Act = Act { step: 3, name: "Back up now", act: open_wallet };

fn open_wallet(state: State) {
    state.wallet_open.set(true);
}

/// The steps, marked where they are done, and with a button where they can be done now.
fn steps(state: State, done: Done, acts: &[Act]) -> impl IntoView + use<> {
    let step = |(index, is_done): (usize, bool)| {
        let button =
            acts.iter().find(|act| act.step == index).copied().map(|Act { name, act, .. }| {
                view! { <button type="button" on:click=move |_| act(state)>{name}</button> }
            });
        view! {
            <li class:done=is_done>
                <span class="mark" aria-hidden="true">{if is_done { "✓" } else { "○" }}</span>
                <span>{STEPS.get(index).copied()}</span>
                {button}
            </li>
        }
    };
    let list = done.into_iter().enumerate().map(step).collect_view();
    view! {
        <div class="welcome">
            <h3>"Your first trade in three steps"</h3>
            <ol>{list}</ol>
        </div>
    }
}

/// The way as it is before there is a key.
#[component]
pub fn Welcome() -> impl IntoView {
    steps(use_state(), [false; 4], &[OPEN])
}

/// The way once there is a key; the whole goes with the first trade.
#[component]
pub fn FirstSteps() -> impl IntoView {
    let state = use_state();
    let is_backed_up = Memo::new(move |_| state.wallet.with(|wallet| wallet.settings.is_backed_up));
    let has_tokens = Memo::new(move |_| {
        state.account.with(|account| {
            let mut balances = account.iter().flat_map(|account| &account.balances);
            balances.any(|balance| balance.available != "0" || balance.locked != "0")
        })
    });
    let gives = Memo::new(move |_| has_faucet(state));
    move || {
        let (is_backed_up, has_tokens) = (is_backed_up.get(), has_tokens.get());
        let mut acts = Vec::new();
        if !is_backed_up {
            acts.push(BACK_UP);
        }
        if has_tokens {
            acts.push(ORDER);
        } else if gives.get() {
            acts.push(TOKENS);
        }
        steps(state, [true, has_tokens, false, is_backed_up], &acts)
    }
}
