//! The account's open orders, to edit and cancel.

use leptos::prelude::*;
use zellbook_core::protocol::OrderRef;
use zellbook_core::wire::OrderBody;
use zellbook_core::{Action, Side};

use super::dead_man::DeadManView;
use super::form_state::{FormState, use_form};
use crate::features::evidence::{Known, Subject};
use crate::features::market::{Markets, use_markets};
use crate::features::signing::{SignRequest, Signing, use_signing};
use crate::features::wallet::use_session;
use crate::platform::format::{self, verb};

fn side_view(side: Side) -> impl IntoView {
    let class = if side == Side::Buy { "bid" } else { "ask" };
    view! { <td role="cell" class=class data-label="Side">{verb(side)}</td> }
}

/// Asks for a signature that cancels an order.
pub fn request_cancel(markets: Markets, signing: Signing, order: &OrderBody) {
    let Ok(id) = order.id.parse() else { return };
    let steps = untrack(|| markets.steps(&order.market));
    let (remaining, price) = (steps.quantity(&order.remaining), steps.price(&order.price));
    let request = SignRequest {
        title: format!("Cancel order #{}", order.id),
        lines: vec![
            ("Market", order.market.clone()),
            ("Side", order.side.to_string()),
            ("Open", format!("{remaining} at {price}")),
        ],
        action: Action::Cancel(OrderRef::Id(id)),
    };
    signing.sign(request, |_| ());
}

/// Asks for a signature that cancels all orders, of one market or of all.
fn request_cancel_all(signing: Signing, market: Option<String>) {
    let on = market.as_ref().map(|market| format!(" on {market}")).unwrap_or_default();
    let request = SignRequest {
        title: format!("Cancel all orders{on}"),
        lines: vec![("Markets", market.clone().unwrap_or_else(|| "all".into()))],
        // One transaction, and not a cancel for each row: it also reaches orders that this page has not received yet.
        action: Action::CancelAll { market },
    };
    signing.sign(request, |_| ());
}

/// Opens the sheet that edits an order, with the order's market shown: its book says what a change would do.
fn edit(markets: Markets, form: FormState, order: &OrderBody) {
    markets.show(order.market.clone());
    form.edit(order.id.clone());
}

fn order_cells(markets: Markets, before: &[OrderBody], order: &OrderBody) -> impl IntoView + use<> {
    let is_filled = |before: &OrderBody| before.id == order.id && before.filled != order.filled;
    // The row is a new element whenever an order changes, so the same class flashes again.
    let filled = if before.iter().any(is_filled) { "flash-up" } else { "" };
    let steps = markets.steps(&order.market);
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

/// The table of open orders. Expiry and client id have a column only while an order has one.
fn open_table(
    markets: Markets,
    signing: Signing,
    form: FormState,
    before: &[OrderBody],
    orders: Vec<OrderBody>,
) -> impl IntoView + use<> {
    let has_expiry = orders.iter().any(|order| order.expires_ms.is_some());
    let has_client_id = orders.iter().any(|order| order.client_id.is_some());
    let more = [(has_expiry, "Expires"), (has_client_id, "Client ID"), (true, "")];
    let more = more.into_iter().filter_map(|(is_there, name)| is_there.then_some(name)).collect();
    let row = |order: OrderBody| {
        let cells = order_cells(markets, before, &order);
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
                        on:click=move |_| edit(markets, form, &edited)
                    >
                        "Edit"
                    </button>
                    <button
                        type="button"
                        class="small"
                        aria-label=cancel_label
                        on:click=move |_| request_cancel(markets, signing, &order)
                    >
                        "Cancel"
                    </button>
                </td>
            </tr>
        }
    };
    view! {
        // A narrow page shows each row as a list of names (`data-label`) and values. That style takes the meaning of a table
        // from the elements, and the roles give it back.
        <table role="table" class="past">
            {order_head(more)}
            <tbody role="rowgroup">{orders.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}

/// The open orders of all markets or of one.
#[component]
pub fn OpenOrders() -> impl IntoView {
    let (markets, session) = (use_markets(), use_session());
    let (signing, form) = (use_signing(), use_form());
    let market: RwSignal<Option<String>> = RwSignal::new(None);
    // The account changes with each batch. The rows are made again, which takes the focus from their buttons, only when
    // the orders themselves change.
    let all = Memo::new(move |_| {
        session.account.with(|account| {
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
        let listing = markets.listing.get();
        let markets = listing.iter().flat_map(|listing| &listing.markets);
        markets.map(|market| option(market.name.clone())).collect_view()
    };
    let choose = move |event: leptos::ev::Event| {
        market.set(Some(event_target_value(&event)).filter(|name| !name.is_empty()));
    };
    let subject = Signal::derive(move || {
        let account = session.key()?;
        Some(Subject::Orders(account.to_string()))
    });
    // The rows of the last run. Not a signal: the table writes them itself and would follow its own change.
    let shown = StoredValue::new(Vec::new());
    let table = move || {
        let now = orders.get();
        let before = shown.get_value();
        shown.set_value(now.clone());
        open_table(markets, signing, form, &before, now)
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
                    <button type="button" on:click=move |_| request_cancel_all(signing, market.get_untracked())>
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
        <Show when=move || session.key().is_some()>
            <DeadManView />
        </Show>
    }
}
