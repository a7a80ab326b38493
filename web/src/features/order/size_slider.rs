//! Order-size slider: share of the available balance, in 25 % steps.

use leptos::prelude::*;
use zellbook_core::{Decimal, Lots, Market, Side, Ticks, TimeInForce};

use crate::features::market::Markets;
use crate::features::wallet::Session;
use crate::platform::format;

/// The largest order that the available balance pays for, including its fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Largest {
    market: Market,
    symbol: String,
    lots: u64,
}

/// The largest order of a side at a price. A sale costs the same at every price.
pub fn largest(
    markets: Markets,
    session: Session,
    side: Side,
    price: Option<Decimal>,
    time_in_force: TimeInForce,
) -> Option<Largest> {
    let (listing, market) = markets.shown_market()?;
    let available = session.available_atoms(&listing, market.cost_token(side))?;
    let price = match side {
        Side::Buy => {
            // At a price of zero every quantity is free, and the search below would return the largest number there is.
            let ticks = price?.in_steps_of(market.tick_size).ok()?;
            Ticks(u64::try_from(ticks).ok().filter(|ticks| *ticks > 0)?)
        }
        Side::Sell => Ticks(1),
    };
    let is_paid = |lots: u64| {
        let cost = market.cost(side, price, Lots(lots), time_in_force);
        cost.is_some_and(|cost| cost <= available)
    };
    // The cost grows with the lots, so bisection finds the largest order. A formula would have to invert the rounding
    // of the fee. `low` can always be paid for, because zero lots cost nothing. A cost that overflows counts as too high. The
    // middle is rounded up, so each step moves one of the ends.
    let (mut low, mut high) = (0_u64, u64::MAX);
    while low < high {
        let middle = high - (high - low) / 2;
        if is_paid(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let symbol = listing.token_at(market.base)?.symbol.clone();
    Some(Largest { market, symbol, lots: low })
}

impl Largest {
    /// A share of the largest order, rounded down to whole lots.
    fn share(&self, percent: u64) -> String {
        let lots = u128::from(self.lots) * u128::from(percent) / 100;
        self.market.format_quantity(lots)
    }

    /// A quantity in percent of the largest order, at most 100.
    fn percent(&self, quantity: &str) -> Option<u128> {
        // As the order form reads it, for example with needless zeros.
        let lots = Decimal::parse_lenient(quantity).ok()?.in_steps_of(self.market.lot_size).ok()?;
        // None if the balance does not pay for a single lot.
        Some((lots.checked_mul(100)?.checked_div(u128::from(self.lots))?).min(100))
    }
}

/// The slider, with the share and the amount in words.
#[component]
pub fn SizeSlider(quantity: RwSignal<String>, largest: Memo<Option<Largest>>) -> impl IntoView {
    let percent = move || largest.with(|largest| largest.as_ref()?.percent(quantity.get().trim()));
    let words = move || {
        largest.with(|largest| match largest {
            Some(largest) => {
                let most = format::number(&largest.share(100), 0);
                let percent = percent().unwrap_or(0);
                format!("{percent} % of {most} {}", largest.symbol)
            }
            None => "Enter a price to see your maximum size".into(),
        })
    };
    let choose = move |event: leptos::ev::Event| {
        let Ok(percent) = event_target_value(&event).parse::<u64>() else { return };
        if let Some(share) =
            largest.with_untracked(|largest| Some(largest.as_ref()?.share(percent)))
        {
            quantity.set(share);
        }
    };
    view! {
        <div class="size">
            <input
                type="range"
                min="0"
                max="100"
                step="25"
                list="quarters"
                aria-label="Order size as a share of your available balance"
                aria-valuetext=words
                disabled=move || largest.with(Option::is_none)
                // For a typed quantity between two steps the browser puts the thumb on the closest one. The words have the
                // exact share.
                prop:value=move || percent().unwrap_or(0).to_string()
                on:input=choose
            />
            <datalist id="quarters">
                <option value="0"></option>
                <option value="25"></option>
                <option value="50"></option>
                <option value="75"></option>
                <option value="100"></option>
            </datalist>
            <p class="note">{words}</p>
        </div>
    }
}
