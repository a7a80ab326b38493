//! Open orders of the account, to be changed or cancelled.

use leptos::prelude::*;
use zellbook_core::protocol::OrderRef;
use zellbook_core::wire::OrderBody;
use zellbook_core::{Action, Side};

use super::dead_man::DeadManView;
use crate::evidence::{Known, Subject};
use crate::format::{self, verb};
use crate::state::{SignRequest, State, use_state};

/// A cell with a side.
fn side_view(side: Side) -> impl IntoView {
    let class = if side == Side::Buy { "bid" } else { "ask" };
    view! { <td role="cell" class=class data-label="Side">{verb(side)}</td> }
}

/// Has the cancel of an order signed.
pub fn request_cancel(state: State, order: &OrderBody) {
    let Ok(id) = order.id.parse() else { return };
    let steps = untrack(|| state.steps(&order.market));
    let (remaining, price) = (steps.quantity(&order.remaining), steps.price(&order.price));
    state.request.set(Some(SignRequest {
        title: format!("Cancel order #{}", order.id),
        lines: vec![
            ("Market", order.market.clone()),
            ("Side", order.side.to_string()),
            ("Open", format!("{remaining} at {price}")),
        ],
        action: Action::Cancel(OrderRef::Id(id)),
    }));
}

/// Has the cancel of all orders signed, of one market or of all.
fn request_cancel_all(state: State, market: Option<String>) {
    let on = market.as_ref().map(|market| format!(" on {market}")).unwrap_or_default();
    state.request.set(Some(SignRequest {
        title: format!("Cancel all orders{on}"),
        lines: vec![("Markets", market.clone().unwrap_or_else(|| "all".into()))],
        action: Action::CancelAll { market },
    }));
}

/// Shows the order's market, whose book says what a change would do.
fn edit(state: State, order: &OrderBody) {
    if state.market.with_untracked(|market| *market != order.market) {
        state.show_market(order.market.clone());
    }
    state.edited.set(Some(order.id.clone()));
}

fn order_cells(state: State, before: &[OrderBody], order: &OrderBody) -> impl IntoView + use<> {
    let is_filled = |before: &OrderBody| before.id == order.id && before.filled != order.filled;
    let filled = if before.iter().any(is_filled) { "flash-up" } else { "" };
    let steps = state.steps(&order.market);
    view! {
        <td role="cell" data-label="Time" title=format::utc(&order.time_ms)>{format::time(&order.time_ms)}</td>
        <td role="cell" data-label="Market">{order.market.clone()}</td>
        {side_view(order.side)}
        <td role="cell" data-label="Price">{steps.price(&order.price)}</td>
        <td role="cell" data-label="Quantity">{steps.quantity(&order.quantity)}</td>
        <td role="cell" data-label="Filled" class=filled>{steps.quantity(&order.filled)}</td>
    }
}

fn order_head(more: Vec<&'static str>) -> impl IntoView {
    let column = |name| view! { <th scope="col" role="columnheader">{name}</th> };
    let columns = ["Time", "Market", "Side", "Price", "Quantity", "Filled"];
    let columns = columns.into_iter().chain(more).map(column).collect_view();
    view! { <thead role="rowgroup"><tr role="row">{columns}</tr></thead> }
}

/// Open orders; expiry and client id have a column while an order has one.
fn open_table(state: State, before: &[OrderBody], orders: Vec<OrderBody>) -> impl IntoView + use<> {
    let has_expiry = orders.iter().any(|order| order.expires_ms.is_some());
    let has_client_id = orders.iter().any(|order| order.client_id.is_some());
    let more = [(has_expiry, "Expires"), (has_client_id, "Client ID"), (true, "")];
    let more = more.into_iter().filter_map(|(is_there, name)| is_there.then_some(name)).collect();
    let row = |order: OrderBody| {
        let cells = order_cells(state, before, &order);
        let expiry = has_expiry.then(|| {
            let time = order.expires_ms.as_ref();
            view! { <td role="cell" data-label="Expires" title=time.map(|time| format::utc(time))>{time.map(|time| format::date_time(time))}</td> }
        });
        let client_id = has_client_id.then(|| {
            view! { <td role="cell" data-label="Client ID">{order.client_id.clone()}</td> }
        });
        let (edit_label, cancel_label) =
            (format!("Edit order #{}", order.id), format!("Cancel order #{}", order.id));
        let edited = order.clone();
        view! {
            <tr role="row">
                {cells}
                {expiry}
                {client_id}
                <td role="cell" class="buttons">
                    <button
                        type="button"
                        class="small"
                        aria-label=edit_label
                        on:click=move |_| edit(state, &edited)
                    >
                        "Edit"
                    </button>
                    <button
                        type="button"
                        class="small"
                        aria-label=cancel_label
                        on:click=move |_| request_cancel(state, &order)
                    >
                        "Cancel"
                    </button>
                </td>
            </tr>
        }
    };
    view! {
        <table role="table" class="past">
            {order_head(more)}
            <tbody role="rowgroup">{orders.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}

/// The open orders, of all markets or of one.
#[component]
pub fn OpenOrders() -> impl IntoView {
    let state = use_state();
    let market: RwSignal<Option<String>> = RwSignal::new(None);
    // Only a change of the orders themselves shows them anew, and takes the focus from their buttons.
    let all = Memo::new(move |_| {
        state.account.with(|account| {
            account.as_ref().map(|account| account.open_orders.clone()).unwrap_or_default()
        })
    });
    let orders = Memo::new(move |_| {
        let is_shown = |order: &&OrderBody| {
            market.with(|market| market.as_ref().is_none_or(|market| *market == order.market))
        };
        all.with(|orders| orders.iter().filter(is_shown).cloned().collect::<Vec<_>>())
    });
    let option = move |name: String| {
        let (value, shown) = (name.clone(), name.clone());
        let is_chosen = move || market.with(|market| market.as_deref() == Some(&*shown));
        view! { <option value=value selected=is_chosen>{name}</option> }
    };
    let options = move || {
        let listing = state.listing.get();
        let markets = listing.iter().flat_map(|listing| &listing.markets);
        markets.map(|market| option(market.name.clone())).collect_view()
    };
    let choose = move |event: leptos::ev::Event| {
        market.set(Some(event_target_value(&event)).filter(|name| !name.is_empty()));
    };
    let subject = Signal::derive(move || {
        let account = state.wallet.with(crate::wallet::Wallet::account)?;
        Some(Subject::Orders(account.to_string()))
    });
    let shown = StoredValue::new(Vec::new());
    let table = move || {
        let now = orders.get();
        let before = shown.get_value();
        shown.set_value(now.clone());
        open_table(state, &before, now)
    };
    let cancel_all = move || match market.get() {
        Some(market) => format!("Cancel all on {market}"),
        None => "Cancel all".into(),
    };
    view! {
        <Show
            when=move || all.with(|orders| !orders.is_empty())
            fallback=|| view! { <p class="empty">"No open orders. Orders that do not fill immediately appear here until they fill or you cancel them."</p> }
        >
            <div class="actions filter">
                <label>
                    <span class="visually-hidden">"Filter by market"</span>
                    <select class="short" on:change=choose>
                        <option value="">"All markets"</option>
                        {options}
                    </select>
                </label>
                <Show when=move || orders.with(|orders| !orders.is_empty())>
                    <button type="button" on:click=move |_| request_cancel_all(state, market.get_untracked())>
                        {cancel_all}
                    </button>
                </Show>
            </div>
            <Show
                when=move || orders.with(|orders| !orders.is_empty())
                fallback=|| view! { <p class="empty">"No open orders in this market."</p> }
            >
                <div class="table-scroll">{table}</div>
                <p class="note">"Source: " <Known subject of="Open orders" /></p>
            </Show>
        </Show>
        <Show when=move || state.wallet.with(|wallet| wallet.account().is_some())>
            <DeadManView />
        </Show>
    }
}
