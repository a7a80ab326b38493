//! Candles as text: one above the chart, and all of them as a table for people who do not see the chart.

use leptos::prelude::*;
use zellbook_core::Market;

use super::candles::{Candle, Candles, DAY_MS, Interval};
use crate::platform::format;

/// The rows of the table.
const TABLE_ROWS: usize = 100;

/// When a candle begins. A candle of a day shows its date only.
fn start(candle: &Candle, interval: Interval) -> String {
    let time = candle.start_ms.to_string();
    if interval.length_ms >= DAY_MS {
        // A day begins at midnight UTC, so the date is the UTC one.
        format::utc(&time).split('T').next().unwrap_or_default().to_string()
    } else {
        format::date_time(&time)
    }
}

/// Open, high, low, close and volume as exact texts.
fn values(market: &Market, candle: &Candle) -> [String; 5] {
    let price = |price| format::in_steps(&market.format_price(price), market.tick_size);
    let volume = format::in_steps(&market.format_quantity(candle.volume), market.lot_size);
    [price(candle.open), price(candle.high), price(candle.low), price(candle.close), volume]
}

/// The candle that begins at `pointed`, or the last one.
pub fn readout(shown: RwSignal<Option<Candles>>, pointed: Option<u64>) -> Option<AnyView> {
    shown.with(|candles| {
        let candles = candles.as_ref()?;
        let at = |start| candles.list.iter().find(|candle| candle.start_ms == start);
        let candle = pointed.and_then(at).or(candles.list.last())?;
        // A candle that closes where it opened counts as up, as its volume does in the chart.
        let class = if candle.close < candle.open { "ask" } else { "bid" };
        let sign = if candle.close < candle.open { "▼" } else { "▲" };
        let [open, high, low, close, volume] = values(&candles.market, candle);
        let time = start(candle, candles.interval);
        let value =
            |name: &'static str, value: String| view! { <span>{name} " " <b>{value}</b></span> };
        Some(
            view! {
                <span>{time}</span>
                {value("Open", open)}
                {value("High", high)}
                {value("Low", low)}
                <span class=class>"Close " <b>{close}</b> " " {sign}</span>
                {value("Volume", volume)}
            }
            .into_any(),
        )
    })
}

/// The last candles as a table, newest first.
pub fn table(shown: RwSignal<Option<Candles>>) -> impl IntoView {
    let body = move || {
        shown.with(|candles| {
            let candles = candles.as_ref()?;
            let row = |candle: &Candle| {
                let cells = values(&candles.market, candle);
                let cells = cells.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view();
                let time = start(candle, candles.interval);
                view! { <tr><th scope="row">{time}</th>{cells}</tr> }
            };
            let last = candles.list.iter().rev().take(TABLE_ROWS);
            Some(last.map(row).collect_view())
        })
    };
    let head = ["Start", "Open", "High", "Low", "Close", "Volume"];
    let head = head.map(|name| view! { <th scope="col">{name}</th> }).collect_view();
    view! {
        <div class="chart-table" tabindex="0" role="region" aria-label="Candle table">
            <table>
                <thead><tr>{head}</tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
    }
}
