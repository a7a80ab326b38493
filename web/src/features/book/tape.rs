//! The last trades of the market shown.

use leptos::prelude::*;
use zellbook_core::wire::TradeBody;
use zellbook_core::{Market, Side};

use crate::features::market::use_markets;
use crate::platform::format;

#[component]
pub fn Tape() -> impl IntoView {
    let markets = use_markets();
    let row = |market: &Market, trade: TradeBody| {
        // The sign and its label tell the side to people who do not see the two colours.
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
        let (listing, market) = markets.shown_market()?;
        let symbol = |index| listing.token_at(index).map(|token| token.symbol.clone());
        let trades = markets.trades.get();
        let is_empty = trades.is_empty();
        let rows = trades.into_iter().map(|trade| row(&market, trade)).collect_view();
        Some(view! {
            <table class="trades">
                <caption class="visually-hidden">"Recent trades of " {market.name.clone()}</caption>
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
                .then(|| view! { <p class="empty">"No trades yet. Trades appear here once their batch is sequenced."</p> })}
        })
    };
    view! { <section aria-label="Trades"><h2>"Trades"</h2>{body}</section> }
}
