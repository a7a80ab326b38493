//! The sheet that changes price and quantity of an open order.

use leptos::html::Dialog;
use leptos::prelude::*;

use super::faults::{FaultLine, Faults};
use super::number_field::NumberField;
use super::sign_sheet::{ignore_held_enter, lines_view};
use crate::edit::Edit;
use crate::fault::{Fault, Field, read_number};
use crate::format::verb;
use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::state::use_state;

/// Opens whenever an order is edited.
#[component]
pub fn EditSheet() -> impl IntoView {
    let state = use_state();
    let dialog: NodeRef<Dialog> = NodeRef::new();
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        if state.edited.with(Option::is_some) {
            // It fails only where it is open already.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    view! {
        <dialog
            node_ref=dialog
            class="sheet"
            aria-labelledby="edit-title"
            on:close=move |_| state.edited.set(None)
            on:keydown=ignore_held_enter
        >
            {move || state.edited.get().map(|_| view! { <Later part=|| Box::pin(form()) /> })}
        </dialog>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn form() -> Result<MakeView, NotLoaded> {
    Ok(|| {
        // It may be closed by now.
        let id = use_state().edited.get_untracked();
        id.map(|id| view! { <EditForm id /> }).into_any()
    })
}

#[component]
fn EditForm(id: String) -> impl IntoView {
    let state = use_state();
    let title = format!("Edit order #{id}");
    let open = Memo::new(move |_| {
        state.account.with(|account| {
            let orders = &account.as_ref()?.open_orders;
            orders.iter().find(|order| order.id == id).cloned()
        })
    });
    let (price, quantity) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    if let Some(open) = open.get_untracked() {
        price.set(open.price);
        quantity.set(open.quantity);
    }
    let edit = Memo::new_with_compare(
        move |_| {
            let closed = Fault::new(Field::Whole, "This order is no longer open.");
            let open = open.get().ok_or(closed)?;
            let quantity = read_number(&quantity.get(), Field::Quantity, "quantity");
            let price = read_number(&price.get(), Field::Price, "price")?;
            Edit::new(state, &open, price, quantity?)
        },
        |_, _| true,
    );
    let fault =
        move || edit.with(|edit| edit.as_ref().map_or_else(|f| Some(f.clone()), Edit::fault));
    let faults = Faults::new(Signal::derive(fault), price, quantity);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        faults.leave_all();
        if untrack(move || faults.is_blocked()) {
            return;
        }
        if let Ok(edit) = edit.get_untracked() {
            state.edited.set(None);
            state.request.set(Some(edit.request()));
        }
    };
    let now = move || {
        open.get().map(|order| {
            let filled = state.steps(&order.market).quantity(&order.filled);
            format!("{} {}, {filled} filled", verb(order.side), order.market)
        })
    };
    let symbol = move |is_base| Signal::derive(move || state.symbol(is_base));
    let step = move |is_base: bool| {
        Signal::derive(move || {
            let (_, market) = state.listed_market()?;
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
                faults
                field=Field::Price
                step=step(false)
            />
            <NumberField
                id="edit-quantity"
                label="Total quantity (incl. filled)"
                unit=symbol(true)
                value=quantity
                faults
                field=Field::Quantity
                step=step(true)
            />
            <dl class="cost">{move || lines_view(lines())}</dl>
            <FaultLine faults field=Field::Whole id="edit-reason" class="reason" />
            <div class="actions send">
                <button type="button" class="quiet" on:click=move |_| state.edited.set(None)>"Close"</button>
                <button
                    type="submit"
                    class="main"
                    aria-disabled=move || faults.is_blocked().to_string()
                    aria-describedby="edit-reason"
                >
                    {button}
                </button>
            </div>
        </form>
    }
}
