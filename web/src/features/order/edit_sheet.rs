//! The sheet that changes price and quantity of an open order.

use leptos::html::Dialog;
use leptos::prelude::*;

use super::edit::Edit;
use super::form_error::{Field, FormError, read_number};
use super::form_errors::{ErrorLine, FormErrors};
use super::form_state::use_form;
use super::number_field::NumberField;
use crate::features::market::use_markets;
use crate::features::signing::use_signing;
use crate::features::wallet::use_session;
use crate::platform::format::verb;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::ui::lines::lines_view;
use crate::ui::sheet::{ignore_held_enter, open_while};

/// Opens whenever an order is edited.
#[component]
pub fn EditSheet() -> impl IntoView {
    let form = use_form();
    let dialog: NodeRef<Dialog> = NodeRef::new();
    open_while(dialog, move || form.edited.with(Option::is_some));
    view! {
        <dialog
            node_ref=dialog
            class="sheet"
            aria-labelledby="edit-title"
            on:close=move |_| form.end_edit()
            on:keydown=ignore_held_enter
        >
            // Each order gets a form of its own, so nothing typed for one order is left for the next.
            {move || form.edited.get().map(|_| view! { <Later part=|| Box::pin(edit_form()) /> })}
        </dialog>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn edit_form() -> Result<MakeView, NotLoaded> {
    Ok(|| {
        // The sheet may be closed by the time that this part is loaded.
        let id = use_form().edited.get_untracked();
        id.map(|id| view! { <EditForm id /> }).into_any()
    })
}

#[component]
fn EditForm(id: String) -> impl IntoView {
    let (markets, session) = (use_markets(), use_session());
    let (signing, form) = (use_signing(), use_form());
    let title = format!("Edit order #{id}");
    let open = Memo::new(move |_| {
        session.account.with(|account| {
            let orders = &account.as_ref()?.open_orders;
            orders.iter().find(|order| order.id == id).cloned()
        })
    });
    let (price, quantity) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    // Untracked: a fill while the sheet is open must not overwrite what the user has typed.
    if let Some(open) = open.get_untracked() {
        price.set(open.price);
        quantity.set(open.quantity);
    }
    // An edit has no equality, so each run counts as a change.
    let edit = Memo::new_with_compare(
        move |_| {
            let closed = FormError::new(Field::Whole, "This order is no longer open.");
            let open = open.get().ok_or(closed)?;
            let quantity = read_number(&quantity.get(), Field::Quantity, "quantity");
            let price = read_number(&price.get(), Field::Price, "price")?;
            Edit::new(markets, session, &open, price, quantity?)
        },
        |_, _| true,
    );
    let error =
        move || edit.with(|edit| edit.as_ref().map_or_else(|f| Some(f.clone()), Edit::error));
    let errors = FormErrors::new(Signal::derive(error), price, quantity);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        errors.leave_all();
        if untrack(move || errors.is_blocked()) {
            return;
        }
        if let Ok(edit) = edit.get_untracked() {
            // Before the signature, so that the signing sheet does not open on top of this one.
            form.end_edit();
            signing.sign(edit.request(), |_| ());
        }
    };
    let now = move || {
        open.get().map(|order| {
            let filled = markets.steps(&order.market).quantity(&order.filled);
            format!("{} {}, {filled} filled", verb(order.side), order.market)
        })
    };
    let symbol = move |is_base| Signal::derive(move || markets.symbol(is_base));
    let step = move |is_base: bool| {
        Signal::derive(move || {
            let (_, market) = markets.shown_market()?;
            Some(if is_base { market.lot_size } else { market.tick_size })
        })
    };
    let lines = move || edit.with(|edit| edit.as_ref().map(Edit::lines).unwrap_or_default());
    let button =
        move || edit.with(|edit| edit.as_ref().map_or_else(|_| "Change".into(), Edit::button));
    view! {
        <h2 id="edit-title">{title}</h2>
        <p class="note">{now}</p>
        <form on:submit=submit novalidate>
            <NumberField
                id="edit-price"
                label="Price"
                unit=symbol(false)
                value=price
                errors
                field=Field::Price
                step=step(false)
            />
            <NumberField
                id="edit-quantity"
                label="Total quantity (incl. filled)"
                unit=symbol(true)
                value=quantity
                errors
                field=Field::Quantity
                step=step(true)
            />
            <dl class="cost">{move || lines_view(lines())}</dl>
            <ErrorLine errors field=Field::Whole id="edit-reason" class="reason" />
            <div class="actions send">
                <button type="button" class="quiet" on:click=move |_| form.end_edit()>"Close"</button>
                <button
                    type="submit"
                    class="main"
                    aria-disabled=move || errors.is_blocked().to_string()
                    aria-describedby="edit-reason"
                >
                    {button}
                </button>
            </div>
        </form>
    }
}
