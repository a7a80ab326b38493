//! The trade tape.

use leptos::prelude::*;
use zellbook_core::wire::TradeBody;
use zellbook_core::{Market, Side};

use crate::format;
use crate::state::use_state;

/// The last trades of the market on show.
#[component]
pub fn TradesView() -> impl IntoView {
    let state = use_state();
    let row = |market: &Market, trade: TradeBody| {
        let (class, sign) = match trade.taker_side {
            Side::Buy => ("price bid", "▲"),
            Side::Sell => ("price ask", "▼"),
        };
        view! {
            <tr>
                <td class=class>
                    <span aria-label=if sign == "▲" { "bought" } else { "sold" }>{sign}</span>
                    " "
                    {format::in_steps(&trade.price, market.tick_size)}
                </td>
                <td>{format::in_steps(&trade.quantity, market.lot_size)}</td>
                <td title=format::utc(&trade.time_ms)>{format::time(&trade.time_ms)}</td>
            </tr>
        }
    };
    let body = move || {
        let (listing, market) = state.listed_market()?;
        let symbol = |index| listing.token_at(index).map(|token| token.symbol.clone());
        let trades = state.trades.get();
        let is_empty = trades.is_empty();
        let rows = trades.into_iter().map(|trade| row(&market, trade)).collect_view();
        Some(view! {
            <table class="trades">
                <caption class="visually-hidden">"Last trades of " {market.name.clone()}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Price " <small>{symbol(market.quote)}</small></th>
                        <th scope="col">"Quantity " <small>{symbol(market.base)}</small></th>
                        <th scope="col">"Time"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            {is_empty
                .then(|| view! { <p class="empty">"No trades yet. Trades appear here once their batch is final."</p> })}
        })
    };
    view! { <section aria-label="Trades"><h2>"Trades"</h2>{body}</section> }
}
