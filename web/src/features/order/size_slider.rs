//! How much of what the balance pays for an order takes, in quarters.

use leptos::prelude::*;
use zellbook_core::{Atoms, Decimal, Lots, Side, TimeInForce};

use crate::draft::available;
use crate::format;
use crate::state::{State, lots};

/// The largest order that the available balance pays for, its fee included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Largest {
    market: zellbook_core::Market,
    symbol: String,
    lots: u64,
}

/// The largest order of the form's side at a price. A sale needs none.
pub fn largest(
    state: State,
    price: Option<Decimal>,
    time_in_force: TimeInForce,
) -> Option<Largest> {
    let (listing, market) = state.listed_market()?;
    let side = state.side.get();
    let available = available(state, &listing, market.cost_token(side), Atoms::ZERO)?;
    let price = match side {
        Side::Buy => {
            let ticks = price?.in_steps_of(market.tick_size).ok()?;
            zellbook_core::Ticks(u64::try_from(ticks).ok().filter(|ticks| *ticks > 0)?)
        }
        Side::Sell => zellbook_core::Ticks(1),
    };
    let is_paid = |lots: u64| {
        let cost = market.cost(side, price, Lots(lots), time_in_force);
        cost.is_some_and(|cost| cost <= available)
    };
    // The cost grows with the lots: halves what is in question until one number is left.
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
    /// A share of it in whole lots.
    fn share(&self, percent: u64) -> String {
        let lots = u128::from(self.lots) * u128::from(percent) / 100;
        self.market.format_quantity(lots)
    }

    /// What percentage a quantity is, 100 at most.
    fn percent(&self, quantity: &str) -> Option<u128> {
        let lots = lots(&self.market, quantity)?;
        Some((lots.checked_mul(100)?.checked_div(u128::from(self.lots))?).min(100))
    }
}

/// The slider, with what it stands for.
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
