//! The name of the market shown, and the list of all markets to choose from.

use leptos::prelude::*;
use zellbook_core::wire::MarketBody;

use super::figures::change;
use super::state::{Markets, use_markets};
use crate::platform::format;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::ui::sheet::sheet;

/// Whether the list is open. The list is loaded later and gets it from its context.
#[derive(Clone, Copy)]
struct IsOpen(RwSignal<bool>);

/// A button with the name of the market shown. It opens the list.
#[component]
pub fn MarketPicker() -> impl IntoView {
    let markets = use_markets();
    let is_open = RwSignal::new(false);
    provide_context(IsOpen(is_open));
    view! {
        <div class="market-picker">
            <button
                type="button"
                aria-haspopup="dialog"
                aria-label=move || format!("Market {}, change market", markets.shown.get())
                on:click=move |_| is_open.set(true)
            >
                {move || markets.shown.get()}
                <span aria-hidden="true">" ▾"</span>
            </button>
            {sheet(is_open, "Markets", || view! { <Later part=|| Box::pin(list()) /> }.into_any())}
        </div>
    }
}

/// The markets whose names contain a text.
fn found(markets: Markets, text: &str) -> Vec<MarketBody> {
    // In paths a market is written `ETH-USDT`, which people may paste here.
    let text = text.trim().to_ascii_uppercase().replace('-', "/");
    markets.figures.with(|figures| {
        let all = figures.iter().flat_map(|figures| &figures.markets);
        all.filter(|market| market.name.contains(&text)).cloned().collect()
    })
}

#[wasm_split(more, wasm_split_path = ::leptos::wasm_split, fallible)]
fn list() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <List /> }.into_any())
}

#[component]
fn List() -> impl IntoView {
    let markets = use_markets();
    let IsOpen(is_open) = expect_context();
    let text = RwSignal::new(String::new());
    let choose = move |name: String| {
        is_open.set(false);
        markets.show(name);
    };
    let first = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(market) = untrack(|| text.with(|text| found(markets, text))).into_iter().next()
        {
            choose(market.name);
        }
    };
    let row = move |body: MarketBody| {
        let listing = markets.listing.get()?;
        // The figures come from the replica. A market that the listing does not have could not be shown, so it gets no row.
        let market = listing.market(&body.name)?;
        let price = |value: &Option<String>| {
            let shown = value.as_ref().map(|value| format::in_steps(value, market.tick_size));
            shown.unwrap_or_else(|| "–".into())
        };
        let (class, change) = change(market, &body).unwrap_or_else(|| ("", "–".into()));
        let volume =
            format!("{} {}", format::in_steps(&body.volume_24h, market.lot_size), body.base);
        let (last, high, low) = (price(&body.last), price(&body.high_24h), price(&body.low_24h));
        let (name, shown) = (body.name.clone(), body.name.clone());
        let is_current = move || markets.shown.with(|market| *market == shown).then_some("true");
        Some(view! {
            <tr>
                <th scope="row">
                    <button type="button" class="small" aria-current=is_current on:click=move |_| choose(name.clone())>
                        {body.name}
                    </button>
                </th>
                <td>{last}</td>
                <td class=class>{change}</td>
                <td class="wide">{high}</td>
                <td class="wide">{low}</td>
                <td>{volume}</td>
            </tr>
        })
    };
    let rows = move || text.with(|text| found(markets, text)).into_iter().map(row).collect_view();
    let is_none = move || text.with(|text| found(markets, text).is_empty());
    view! {
        <form on:submit=first>
            <label class="field">
                <span>"Search"</span>
                <input
                    class="plain"
                    type="search"
                    autocomplete="off"
                    autofocus
                    placeholder="ETH, BTC/USDT, …"
                    on:input=move |event| text.set(event_target_value(&event))
                />
            </label>
        </form>
        <table class="markets">
            <thead>
                <tr>
                    <th scope="col">"Market"</th>
                    <th scope="col">"Last"</th>
                    <th scope="col">"24 h"</th>
                    <th scope="col" class="wide">"High"</th>
                    <th scope="col" class="wide">"Low"</th>
                    <th scope="col">"Volume"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
        <Show when=is_none>
            <p class="empty">"No market found. Search by base or quote token, for example ETH."</p>
        </Show>
    }
}
