//! A market's rules and figures, for narrow pages whose header has no room for them.

use leptos::prelude::*;

use super::state::{Markets, use_markets};
use crate::platform::format;
use crate::ui::lines::{Lines, lines_view};

fn lines(markets: Markets) -> Option<Lines> {
    let (listing, market) = markets.shown_market()?;
    let symbol = |index| listing.token_at(index).map_or("", |token| token.symbol.as_str());
    let (base, quote) = (symbol(market.base), symbol(market.quote));
    let amount = |value: &str, unit: &str| format!("{} {unit}", format::number(value, 0));
    let fee = |bps: u16| format!("{} %", format::number(&format::percent_of_bps(bps), 0));
    let mut lines = vec![
        ("Tick size", amount(&market.tick_size.to_string(), quote)),
        ("Lot size", amount(&market.lot_size.to_string(), base)),
        ("Min. order value", amount(&market.notional_min.to_string(), quote)),
        ("Maker fee", fee(market.maker_fee_bps)),
        ("Taker fee", fee(market.taker_fee_bps)),
    ];
    let figures = markets.figures.with(|figures| {
        let all = &figures.as_ref()?.markets;
        all.iter().find(|body| body.name == market.name).cloned()
    });
    if let Some(figures) = figures {
        let price = |value: Option<String>| {
            value.map_or_else(|| "–".into(), |value| format::in_steps(&value, market.tick_size))
        };
        lines.extend([
            ("24 h high", price(figures.high_24h)),
            ("24 h low", price(figures.low_24h)),
            (
                "24 h volume",
                format!("{} {base}", format::in_steps(&figures.volume_24h, market.lot_size)),
            ),
        ]);
    }
    Some(lines)
}

#[component]
pub fn MarketInfo() -> impl IntoView {
    let markets = use_markets();
    let lines = move || lines_view(lines(markets).unwrap_or_default());
    view! { <section aria-label="Market"><h2>"Market"</h2><dl class="cost">{lines}</dl></section> }
}
