//! The order form: what an order would do now, what it costs, and why it would be rejected, before anything is signed.

use leptos::html::Section;
use leptos::prelude::*;
use zellbook_core::Side;

use super::choices::Choices;
use super::draft::Draft;
use super::form_error::{Field, FormError};
use super::form_errors::{ErrorLine, FormErrors};
use super::form_state::use_form;
use super::more_options::MoreOptions;
use super::number_field::NumberField;
use super::price_field::PriceField;
use super::size_slider::{SizeSlider, largest};
use super::time_in_force_field::TimeInForceField;
use crate::features::market::use_markets;
use crate::features::replica::use_connection;
use crate::features::signing::{Outcome, use_signing};
use crate::features::wallet::use_session;
use crate::platform::format::{self, verb};
use crate::ui::lines::lines_view;
use crate::ui::sheet::ignore_held_enter;

#[component]
pub fn OrderForm() -> impl IntoView {
    let (markets, session, connection) = (use_markets(), use_session(), use_connection());
    let (signing, form) = (use_signing(), use_form());
    let choices = Choices::new();
    let draft_now = move || choices.draft(markets, session, connection, form);
    // A draft has no equality. It is made when a field, the book or the account changes, so each run counts as a change.
    let draft = Memo::new_with_compare(move |_| draft_now(), |_, _| true);
    let error =
        move || draft.with(|draft| draft.as_ref().map_or_else(|e| Some(e.clone()), Draft::error));
    let errors = FormErrors::new(Signal::derive(error), form.price, form.quantity);
    let section: NodeRef<Section> = NodeRef::new();
    Effect::new(move || {
        if let (true, Some(section)) = (form.is_open.get(), section.get_untracked()) {
            // On a narrow page the form covers the rest, so the focus must not stay below it. By the next frame the form is
            // visible: a hidden element takes no focus.
            request_animation_frame(move || {
                let _ = section.focus();
            });
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        // The button is only marked as disabled, so that it keeps the focus and its reason is read out. It can be pressed, and
        // then every field shows its error.
        errors.leave_all();
        if untrack(move || errors.is_blocked()) {
            return;
        }
        // Drafted again, because an expiry counts from now.
        let Ok(draft) = untrack(draft_now) else { return };
        signing.sign(draft.request(), move |outcome| {
            if outcome == Outcome::Signed {
                // The quantity goes, so that a second press cannot repeat the order by mistake.
                form.quantity.set(String::new());
                form.close();
            }
            // The empty field is no mistake of the user.
            errors.forget();
        });
    };
    let largest = Memo::new(move |_| {
        // A market order must be paid for at its limit price, even if it fills at better ones (reject 40).
        let price = choices.price(markets, form).ok();
        largest(markets, session, form.side.get(), price, choices.time_in_force())
    });
    let button_text = move || {
        draft.with(|draft| {
            draft.as_ref().map_or_else(|_| verb(form.side.get()).to_string(), Draft::title)
        })
    };
    view! {
        <section
            class="panel form-panel"
            class:open=move || form.is_open.get()
            aria-label="Order form"
            id="order-form"
            // The skip link and the code above move the focus here. The Tab key does not stop here.
            tabindex="-1"
            node_ref=section
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    form.close();
                }
            }
        >
            // The form shows its own errors. The browser would hold back the submit event for a date that is not complete.
            <form on:submit=submit on:keydown=ignore_held_enter novalidate>
                <div class="form-head">
                    <h2>"Place order"</h2>
                    <button type="button" class="quiet close" on:click=move |_| form.close()>
                        "Close"
                    </button>
                </div>
                <Sides />
                <Kinds is_market=choices.is_market />
                <PriceField choices errors />
                <NumberField
                    id="field-quantity"
                    label="Quantity"
                    unit=Signal::derive(move || markets.symbol(true))
                    value=form.quantity
                    errors
                    field=Field::Quantity
                    step=Signal::derive(move || Some(markets.shown_market()?.1.lot_size))
                />
                <SizeSlider quantity=form.quantity largest />
                <TimeInForceField choices errors />
                <MoreOptions choices draft />
                <Summary draft />
                <div class="send">
                    <ErrorLine errors field=Field::Whole id="order-reason" class="reason" />
                    <button
                        type="submit"
                        class=move || if form.side.get() == Side::Buy { "main buy" } else { "main sell" }
                        aria-disabled=move || errors.is_blocked().to_string()
                        aria-describedby="order-reason"
                    >
                        {button_text}
                    </button>
                </div>
            </form>
        </section>
    }
}

#[component]
fn Sides() -> impl IntoView {
    let form = use_form();
    let button = move |side: Side, class: &'static str| {
        view! {
            <button
                type="button"
                class=class
                class:active=move || form.side.get() == side
                aria-pressed=move || (form.side.get() == side).to_string()
                on:click=move |_| form.choose_side(side)
            >
                {verb(side)}
            </button>
        }
    };
    view! {
        <div class="sides" role="group" aria-label="Side">
            {button(Side::Buy, "buy")} {button(Side::Sell, "sell")}
        </div>
    }
}

/// Limit or market order.
#[component]
fn Kinds(is_market: RwSignal<bool>) -> impl IntoView {
    let button = move |name: &'static str, value: bool| {
        let is_chosen = move || is_market.get() == value;
        view! {
            <button
                type="button"
                class:active=is_chosen
                aria-pressed=move || is_chosen().to_string()
                on:click=move |_| is_market.set(value)
            >
                {name}
            </button>
        }
    };
    view! {
        <div class="kinds" role="group" aria-label="Order type">
            {button("Limit", false)} {button("Market", true)}
        </div>
    }
}

/// The available balance, and what the order would do and cost.
#[component]
fn Summary(draft: Memo<Result<Draft, FormError>>) -> impl IntoView {
    let (markets, session, form) = (use_markets(), use_session(), use_form());
    let available = move || {
        let (listing, market) = markets.shown_market()?;
        let token = listing.token_at(market.cost_token(form.side.get()))?.symbol.clone();
        let amount = session.available(&token)?;
        Some(format!("{} {token}", format::number(&amount.to_string(), 0)))
    };
    let lines = move || draft.with(|draft| draft.as_ref().map(Draft::lines).unwrap_or_default());
    view! {
        <dl class="cost">
            <div>
                <dt>"Available"</dt>
                <dd>{move || available().unwrap_or_else(|| "–".into())}</dd>
            </div>
            {move || lines_view(lines())}
        </dl>
    }
}
