//! The order book as a ladder: asks above, bids below, each row with the total up to its price. The number of rows never
//! changes, so that nothing moves under the pointer, and only rows that changed are drawn again.

use leptos::prelude::*;
use zellbook_core::{Atoms, Decimal, Market, Side, Ticks};

use crate::features::market::{Markets, lots, ticks, use_markets};
use crate::features::order::{FormState, use_form};
use crate::features::wallet::{Session, use_session};
use crate::platform::format;
use crate::ui::flash::flash;

/// The rows of each side. The style shows as many whole rows as the panel has room for.
const ROWS: usize = 14;
/// The coarsest grouping: a hundred thousand ticks.
const GROUPS: u32 = 6;

/// A row: one price, or a group of prices.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    price: Ticks,
    /// The size of its group, in ticks.
    step: u64,
    lots: u128,
    /// The quantity up to this price, with all better rows, in lots.
    total: u128,
    /// The quantity of the account's own orders, in lots.
    own: u128,
    /// The total in thousandths of the largest total shown.
    share: u128,
    /// The class of the quantity's cell, which flashes when the quantity changes.
    flash: &'static str,
}

/// The price that stands for a group: bids are rounded down and asks up, so that every order of the group can be
/// traded with at that price.
const fn group(price: Ticks, side: Side, ticks: u64) -> Ticks {
    let down = price.0 / ticks * ticks;
    match side {
        Side::Sell if down < price.0 => Ticks(down.saturating_add(ticks)),
        _ => Ticks(down),
    }
}

fn rows(markets: Markets, session: Session, market: &Market, side: Side, step: u64) -> Vec<Row> {
    let own: Vec<(Ticks, u128)> = session.account.with(|account| {
        let orders = account.iter().flat_map(|account| &account.open_orders);
        let orders = orders.filter(|order| order.market == market.name && order.side == side);
        let read = |order: &zellbook_core::wire::OrderBody| {
            let price = group(ticks(market, &order.price)?, side, step);
            Some((price, lots(market, &order.remaining)?))
        };
        orders.filter_map(read).collect()
    });
    let mut rows: Vec<Row> = Vec::with_capacity(ROWS);
    let mut total = 0_u128;
    markets.book.with(|book| {
        for level in book.levels(side) {
            let price = group(level.price, side, step);
            let is_same = rows.last().is_some_and(|row| row.price == price);
            // A group ends where the next one begins, so the last row is complete only now.
            if !is_same && rows.len() == ROWS {
                break;
            }
            // The quantities are what the replica reports. An overflow stops the page, so even false ones must not cause one.
            total = total.saturating_add(level.lots);
            if let Some(row) = rows.last_mut().filter(|_| is_same) {
                (row.lots, row.total) = (row.lots.saturating_add(level.lots), total);
            } else {
                let own = own.iter().filter(|(at, _)| *at == price);
                let own = own.fold(0_u128, |sum, (_, lots)| sum.saturating_add(*lots));
                rows.push(Row { price, step, lots: level.lots, total, own, share: 0, flash: "" });
            }
        }
    });
    rows
}

/// The rows shown, best price first.
struct Rows {
    asks: [RwSignal<Option<Row>>; ROWS],
    bids: [RwSignal<Option<Row>>; ROWS],
}

impl Rows {
    fn show(&self, markets: Markets, session: Session, market: &Market, step: u64) {
        let asks = rows(markets, session, market, Side::Sell, step);
        let bids = rows(markets, session, market, Side::Buy, step);
        // Totals grow from row to row. The larger of the two last ones is the scale of both sides, so their bars compare.
        let last = |rows: &[Row]| rows.last().map_or(0, |row| row.total);
        let most = last(&asks).max(last(&bids)).max(1);
        for (shown, rows) in [(&self.asks, asks), (&self.bids, bids)] {
            let mut rows = rows.into_iter();
            for shown in shown {
                let before = shown.get_untracked();
                let row = rows.next().map(|row| {
                    let share = row.total.saturating_mul(1000) / most;
                    // A row that shows another price or a larger group now has not changed in quantity.
                    let is_same =
                        |before: &Row| (before.price, before.step) == (row.price, row.step);
                    let flash = match before.filter(is_same) {
                        // The cell keeps its class, because another one would start the animation again.
                        Some(before) if before.lots == row.lots => before.flash,
                        Some(before) => flash(row.lots > before.lots, before.flash),
                        None => "",
                    };
                    Row { share, flash, ..row }
                });
                if before != row {
                    shown.set(row);
                }
            }
        }
    }
}

#[component]
pub fn Ladder() -> impl IntoView {
    let (markets, session, form) = (use_markets(), use_session(), use_form());
    let exponent = RwSignal::new(0_u32);
    let market = Memo::new(move |_| markets.shown_market().map(|(_, market)| market));
    let ladder = StoredValue::new(Rows {
        asks: [(); ROWS].map(|()| RwSignal::new(None)),
        bids: [(); ROWS].map(|()| RwSignal::new(None)),
    });
    Effect::new(move || {
        // A grouping is a multiple of the market's tick size, so another market starts without one.
        market.get();
        exponent.set(0);
    });
    Effect::new(move || {
        market.with(|market| {
            if let Some(market) = market {
                let step = 10_u64.pow(exponent.get());
                ladder.with_value(|ladder| ladder.show(markets, session, market, step));
            }
        });
    });
    let row = move |side: Side, shown: RwSignal<Option<Row>>| {
        view! { <LadderRow form market side shown /> }
    };
    let asks = ladder.with_value(|ladder| ladder.asks);
    let asks = asks.into_iter().rev().map(|shown| row(Side::Sell, shown)).collect_view();
    let bids = ladder.with_value(|ladder| ladder.bids);
    let bids = bids.into_iter().map(|shown| row(Side::Buy, shown)).collect_view();
    // Before its snapshot arrives the book may be full, and the text for an empty one would be wrong.
    let is_empty = move || {
        markets.book.with(|book| {
            book.is_there && [Side::Buy, Side::Sell].iter().all(|side| book.best(*side).is_none())
        })
    };
    let column = move |name: &'static str, is_base: bool| {
        let unit = move || markets.symbol(is_base);
        view! { <th scope="col" role="columnheader">{name} " " <small>{unit}</small></th> }
    };
    let group_option = move |power: u32| {
        let text = move || market.with(|market| group_text(market.as_ref()?, power));
        view! { <option value=power.to_string() selected=move || exponent.get() == power>{text}</option> }
    };
    view! {
        <section class="ladder" aria-label="Order book">
            <div class="ladder-head">
                <h2>"Order book"</h2>
                <label>
                    <span class="visually-hidden">"Group prices by"</span>
                    <select on:change=move |event| {
                        if let Ok(power) = event_target_value(&event).parse::<u32>() {
                            exponent.set(power.min(GROUPS - 1));
                        }
                    }>{(0..GROUPS).map(group_option).collect_view()}</select>
                </label>
            </div>
            // The style lays the table out as a grid, which takes the meaning of rows and cells from it. The roles give
            // it back.
            <table class="book" role="table">
                <caption class="visually-hidden">"Order book of " {move || markets.shown.get()}</caption>
                <thead role="rowgroup">
                    <tr role="row">{column("Price", false)} {column("Quantity", true)} {column("Total", true)}</tr>
                </thead>
                <tbody class="asks" role="rowgroup" aria-label="Asks">{asks}</tbody>
                <tbody class="spread" role="rowgroup">
                    <tr role="row"><td colspan="3" role="cell">{move || market.with(|market| spread(markets, market.as_ref()?))}</td></tr>
                </tbody>
                <tbody class="bids" role="rowgroup" aria-label="Bids">{bids}</tbody>
            </table>
            <Show when=is_empty>
                <p class="empty over-chart">
                    "No orders yet. The first limit order that does not fill immediately appears here."
                </p>
            </Show>
        </section>
    }
}

/// The size of a group of 10^`power` ticks, as a price.
fn group_text(market: &Market, power: u32) -> Option<String> {
    let step = Decimal::of_steps(10_u128.checked_pow(power)?, market.tick_size)?;
    Some(format::number(&step.to_string(), 0))
}

/// The spread and the price in the middle of it.
fn spread(markets: Markets, market: &Market) -> Option<String> {
    let best = |side| markets.book.with(|book| book.best(side)).map(|price| u128::from(price.0));
    let (Some(bid), Some(ask)) = (best(Side::Buy), best(Side::Sell)) else {
        return Some("Spread –".into());
    };
    let (gap, both) = (ask.saturating_sub(bid), ask.saturating_add(bid));
    let shown = Decimal::of_steps(gap, market.tick_size)?.to_string();
    // The middle can lie between two ticks: half of the sum is five tenths of it.
    let middle = Decimal::of_steps(both.checked_mul(5)?, market.tick_size.shifted(1)?)?;
    // Tenths of a basis point: gap / (both / 2) × 10,000 × 10.
    let tenths = gap.checked_mul(200_000)?.checked_div(both)?;
    let bps = format::number(&Decimal::of_atoms(Atoms(tenths), 1).to_string(), 1);
    let middle = format::in_steps(&middle.to_string(), market.tick_size);
    Some(format!("{middle} · spread {} · {bps} bps", format::in_steps(&shown, market.tick_size)))
}

/// A row of the ladder. A click fills its price into the order form.
#[component]
fn LadderRow(
    form: FormState,
    market: Memo<Option<Market>>,
    side: Side,
    shown: RwSignal<Option<Row>>,
) -> impl IntoView {
    let word = if side == Side::Buy { "bid" } else { "ask" };
    let with = move |read: fn(&Market, &Row) -> String| {
        move || market.with(|market| Some(read(market.as_ref()?, shown.get().as_ref()?)))
    };
    let price =
        with(|market, row| format::in_steps(&market.format_price(row.price), market.tick_size));
    let quantity =
        with(|market, row| format::in_steps(&market.format_quantity(row.lots), market.lot_size));
    let total =
        with(|market, row| format::in_steps(&market.format_quantity(row.total), market.lot_size));
    let own = with(|market, row| match row.own {
        0 => String::new(),
        own => format!("your orders: {}", format::number(&market.format_quantity(own), 0)),
    });
    let own = Memo::new(move |_| own().filter(|text| !text.is_empty()));
    let label = move || {
        let own = own.get().map(|own| format!(", {own}")).unwrap_or_default();
        Some(format!("{}, use this {word} price{own}", price()?))
    };
    let scale = move || {
        let share = shown.get().map_or(0, |row| row.share);
        format!("scaleX({}.{:03})", share / 1000, share % 1000)
    };
    let fill = move |_| {
        // Not the text that is shown: the fields take neither group separators nor a decimal comma.
        let price = market.with_untracked(|market| {
            Some(market.as_ref()?.format_price(shown.get_untracked()?.price))
        });
        if let Some(price) = price {
            // An order that trades with an ask is a buy, and one that trades with a bid is a sale.
            form.use_price(side.opposite(), price);
        }
    };
    let is_blank = move || shown.with(Option::is_none);
    view! {
        <tr role="row" class:mine=move || own.with(Option::is_some) class:blank=is_blank title=own>
            // The style stretches the button over the whole row.
            <td role="cell" class:price=move || !is_blank()>
                <button type="button" aria-label=label on:click=fill>{price}</button>
            </td>
            <td role="cell" class=move || shown.with(|row| row.map_or("", |row| row.flash))>{quantity}</td>
            <td role="cell">{total}</td>
            // A transform is drawn without laying out the page again, which a width would need at each change of the book.
            <td class="bar" aria-hidden="true" style:transform=scale></td>
        </tr>
    }
}
