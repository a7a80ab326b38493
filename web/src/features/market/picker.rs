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

/// The names of the markets that contain a text.
fn found(markets: Markets, text: &str) -> Vec<String> {
    // In paths a market is written `ETH-USDT`, which people may paste here.
    let text = text.trim().to_ascii_uppercase().replace('-', "/");
    markets.listing.with(|listing| {
        let all = listing.iter().flat_map(|listing| &listing.markets);
        let names = all.map(|market| &market.name).filter(|name| name.contains(&text));
        names.cloned().collect()
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
        if let Some(name) = untrack(|| text.with(|text| found(markets, text))).into_iter().next() {
            choose(name);
        }
    };
    // The figures change every few seconds. Only the cells are made anew then: a new button would lose the focus.
    let cells = move |name: &str| {
        let listing = markets.listing.get()?;
        let market = listing.market(name)?;
        let of_name = |body: &&MarketBody| body.name == name;
        let body =
            markets.figures.with(|all| all.as_ref()?.markets.iter().find(of_name).cloned())?;
        let price = |value: &Option<String>| {
            let shown = value.as_ref().map(|value| format::in_steps(value, market.tick_size));
            shown.unwrap_or_else(|| "–".into())
        };
        let (class, change) = change(market, &body).unwrap_or_else(|| ("", "–".into()));
        let volume =
            format!("{} {}", format::in_steps(&body.volume_24h, market.lot_size), body.base);
        let (last, high, low) = (price(&body.last), price(&body.high_24h), price(&body.low_24h));
        Some(view! {
            <td>{last}</td>
            <td class=class>{change}</td>
            <td class="wide">{high}</td>
            <td class="wide">{low}</td>
            <td>{volume}</td>
        })
    };
    let row = move |name: String| {
        let (chosen, shown) = (name.clone(), name.clone());
        let label = name.clone();
        let is_current = move || markets.shown.with(|market| *market == shown).then_some("true");
        view! {
            <tr>
                <th scope="row">
                    <button type="button" class="small" aria-current=is_current on:click=move |_| choose(chosen.clone())>
                        {label}
                    </button>
                </th>
                {move || cells(&name)}
            </tr>
        }
    };
    let names = Memo::new(move |_| text.with(|text| found(markets, text)));
    let is_none = move || names.with(Vec::is_empty);
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
            <tbody>
                <For each=move || names.get() key=String::clone children=row />
            </tbody>
        </table>
        <Show when=is_none>
            <p class="empty">"No market found. Search by base or quote token, for example ETH."</p>
        </Show>
    }
}
