//! A market's last price and its figures of the last 24 hours.

use leptos::prelude::*;
use zellbook_core::wire::MarketBody;
use zellbook_core::{Atoms, Decimal, Market};

use super::book::ticks;
use super::state::use_markets;
use crate::platform::format;

/// The class of the colour and the change of the last 24 hours in percent, with its sign.
pub fn change(market: &Market, body: &MarketBody) -> Option<(&'static str, String)> {
    let open = ticks(market, body.open_24h.as_ref()?)?.0;
    let last = ticks(market, body.last.as_ref()?)?.0;
    // No market trades at zero, but a replica could report it.
    let hundredths = u128::from(last.abs_diff(open)) * 10_000 / u128::from(open.max(1));
    let percent = format::number(&Decimal::of_atoms(Atoms(hundredths), 2).to_string(), 2);
    // Decimals are never negative, so the sign is added here.
    let (class, sign) = match last.cmp(&open) {
        std::cmp::Ordering::Less => ("ask", "−"),
        std::cmp::Ordering::Equal => ("", ""),
        std::cmp::Ordering::Greater => ("bid", "+"),
    };
    Some((class, format!("{sign}{percent} %")))
}

#[component]
pub fn Figures() -> impl IntoView {
    let markets = use_markets();
    let body = move || {
        let name = markets.shown.get();
        markets.figures.with(|markets| {
            let markets = &markets.as_ref()?.markets;
            markets.iter().find(|market| market.name == name).cloned()
        })
    };
    let figure =
        move |name: &'static str, class: &'static str, value: fn(&MarketBody) -> Option<String>| {
            view! {
                <div class=class>
                    <dt>{name}</dt>
                    <dd>
                        {move || {
                            let tick = markets.shown_market().map(|(_, market)| market.tick_size);
                            let value = body().and_then(|body| value(&body));
                            match (value, tick) {
                                (Some(value), Some(tick)) => format::in_steps(&value, tick),
                                _ => "–".into(),
                            }
                        }}
                    </dd>
                </div>
            }
        };
    // Trades come with the feed, figures are asked for every few seconds. So the newest trade is the later of the two.
    let last = move || {
        let tape = markets.trades.with(|trades| trades.first().map(|trade| trade.price.clone()));
        tape.or_else(|| body()?.last)
    };
    // The last price and whether it went up (1) or down (-1), so that it can flash. The market too: a price of another one
    // is no change.
    let last_change = Memo::new(move |before: Option<&(Option<String>, i8, String)>| {
        let now = last();
        let market = markets.shown.get();
        let (old, direction, _) =
            before.filter(|(.., of)| *of == market).cloned().unwrap_or_default();
        let listing = markets.shown_market();
        let number = |text: &Option<String>| ticks(&listing.as_ref()?.1, text.as_ref()?);
        let direction = match (number(&old), number(&now)) {
            (Some(old), Some(now)) if now > old => 1,
            (Some(old), Some(now)) if now < old => -1,
            // A trade at the same price keeps its colour, and the memo does not change, so nothing flashes.
            (Some(_), Some(_)) => direction,
            _ => 0,
        };
        (now, direction, market)
    });
    let last_view = move |(price, direction, _): (Option<String>, i8, String)| {
        let class = match direction {
            1 => "last bid flash-up",
            -1 => "last ask flash-down",
            _ => "last",
        };
        let shown = markets.shown_market().zip(price);
        let shown = shown.map(|((_, market), price)| format::in_steps(&price, market.tick_size));
        // A new element each time, so that it flashes once.
        view! { <dd class=class>{shown.unwrap_or_else(|| "–".into())}</dd> }
    };
    view! {
        <dl class="figures">
            <div>
                <dt>"Last price"</dt>
                {move || last_view(last_change.get())}
            </div>
            <div class="wide">
                <dt>"24 h change"</dt>
                {move || {
                    let change = body().zip(markets.shown_market()).and_then(|(body, (_, market))| change(&market, &body));
                    let (class, text) = change.unwrap_or_else(|| ("", "–".into()));
                    view! { <dd class=class>{text}</dd> }
                }}
            </div>
            {figure("24 h high", "wide", |body| body.high_24h.clone())}
            {figure("24 h low", "wide", |body| body.low_24h.clone())}
            <div class="wide">
                <dt>"24 h volume"</dt>
                <dd>
                    {move || {
                        body()
                            .zip(markets.shown_market())
                            .map_or_else(
                                || "–".into(),
                                |(body, (_, market))| {
                                    format!("{} {}", format::in_steps(&body.volume_24h, market.lot_size), body.base)
                                },
                            )
                    }}
                </dd>
            </div>
        </dl>
    }
}
