//! The order book as a ladder: asks above, bids below, depth as bars.

use leptos::prelude::*;
use zellbook_core::genesis::Market;
use zellbook_core::transaction::Side;
use zellbook_core::units::{Decimal, Ticks};

use crate::format;
use crate::state::{self, State, ticks, use_state};

/// Levels shown of each side.
const DEPTH: usize = 14;

/// A level with the quantity up to it, in lots.
struct Row {
    level: state::Level,
    total: u128,
    is_mine: bool,
}

fn rows(state: State, market: &Market, side: Side) -> Vec<Row> {
    let mine: Vec<Ticks> = state.account.with(|account| {
        let orders = account.iter().flat_map(|account| &account.open_orders);
        let orders = orders.filter(|order| order.market == market.name && order.side == side);
        orders.filter_map(|order| ticks(market, &order.price)).collect()
    });
    let mut total = 0;
    let levels = state.book.with(|book| book.levels(side).take(DEPTH).collect::<Vec<_>>());
    let rows = levels.into_iter().map(|level| {
        total += level.lots;
        let is_mine = mine.contains(&level.price);
        Row { level, total, is_mine }
    });
    rows.collect()
}

/// The book of the market on show.
#[component]
pub fn BookView() -> impl IntoView {
    let state = use_state();
    let body = move || {
        let (rules, market) = state.market_rules()?;
        let asks = rows(state, &market, Side::Sell);
        let bids = rows(state, &market, Side::Buy);
        let most =
            asks.last().map_or(0, |row| row.total).max(bids.last().map_or(0, |row| row.total));
        let base = rules.token_at(market.base).map(|token| token.symbol.clone());
        let quote = rules.token_at(market.quote).map(|token| token.symbol.clone());
        let is_empty = asks.is_empty() && bids.is_empty();
        let spread = spread(state, &market);
        let table = |mut rows: Vec<Row>, side: Side| {
            if side == Side::Sell {
                rows.reverse();
            }
            let row = |row| view! { <Level row market=market.clone() side most /> };
            rows.into_iter().map(row).collect_view()
        };
        Some(view! {
            <table class="book">
                <caption class="visually-hidden">"Order book of " {market.name.clone()}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Price " <small>{quote}</small></th>
                        <th scope="col">"Quantity " <small>{base.clone()}</small></th>
                        <th scope="col">"Total " <small>{base}</small></th>
                    </tr>
                </thead>
                <tbody class="asks" aria-label="Asks">{table(asks, Side::Sell)}</tbody>
                <tbody class="spread"><tr><td colspan="3">{spread}</td></tr></tbody>
                <tbody class="bids" aria-label="Bids">{table(bids, Side::Buy)}</tbody>
            </table>
            {is_empty
                .then(|| {
                    view! {
                        <p class="empty">
                            "No orders yet. The first limit order that does not fill stands here for others to take."
                        </p>
                    }
                })}
        })
    };
    view! { <section aria-label="Order book"><h2>"Book"</h2>{body}</section> }
}

/// The gap between best bid and best ask, in words.
fn spread(state: State, market: &Market) -> String {
    let best = |side| state.book.with(|book| book.best(side));
    match (best(Side::Buy), best(Side::Sell)) {
        (Some(bid), Some(ask)) => {
            let spread =
                Decimal::of_steps(u128::from(ask.0.saturating_sub(bid.0)), market.tick_size);
            let text = spread.map_or_else(String::new, |spread| spread.to_string());
            format!("Spread {}", format::in_steps(&text, market.tick_size))
        }
        _ => "Spread –".into(),
    }
}

/// A price level; a click fills the price into the form.
#[component]
fn Level(row: Row, market: Market, side: Side, most: u128) -> impl IntoView {
    let state = use_state();
    let Row { level, total, is_mine } = row;
    let (price, quantity) = (market.format_price(level.price), market.format_quantity(level.lots));
    let share = (total * 1000).checked_div(most.max(1)).unwrap_or(0);
    let total = market.format_quantity(total);
    let word = if side == Side::Buy { "bid" } else { "ask" };
    let fill = {
        let price = price.clone();
        move || {
            state.price.set(price.clone());
            state.side.set(side.opposite());
        }
    };
    let shown = format::in_steps(&price, market.tick_size);
    let label = format!("{shown}, use this {word} price");
    view! {
        <tr class:mine=is_mine title=is_mine.then_some("Your order stands here")>
            <td class="price">
                <button type="button" aria-label=label on:click=move |_| fill()>
                    {shown}
                </button>
            </td>
            <td>{format::in_steps(&quantity, market.lot_size)}</td>
            <td class="depth">
                <span class="bar" style:transform=format!("scaleX({}.{:03})", share / 1000, share % 1000)></span>
                <span class="over">{format::in_steps(&total, market.lot_size)}</span>
            </td>
        </tr>
    }
}
