//! The line at the top: market, its figures, the replica, the account.

use leptos::prelude::*;
use zellbook_core::wire::{MarketBody, ReplicaState};

use super::nav::Nav;
use super::theme::ThemeSwitch;
use super::welcome::WalletButton;
use crate::format;
use crate::route::Route;
use crate::state::{State, use_state};

/// The header.
#[component]
pub fn Header() -> impl IntoView {
    let state = use_state();
    let is_trading = Memo::new(move |_| state.route.with(|route| *route == Route::Trade));
    let names = move || {
        let names = state.rules.with(|rules| {
            let markets = rules.as_ref().map(|rules| rules.markets.clone());
            markets.unwrap_or_default().into_iter().map(|market| market.name).collect::<Vec<_>>()
        });
        let option = |name: String| {
            let (shown, priced) = (name.clone(), name.clone());
            let is_shown = move || state.market.get() == shown;
            // Each market with its last price, so that the list tells where something happens.
            let text = move || match last_price(state, &priced) {
                Some(price) => format!("{priced} · {price}"),
                None => priced.clone(),
            };
            view! { <option value=name selected=is_shown>{text}</option> }
        };
        names.into_iter().map(option).collect_view()
    };
    view! {
        <header class:trading=move || is_trading.get()>
            <a class="brand" href="/">"Zellbook"</a>
            <Show when=move || is_trading.get()>
                <label class="market-picker">
                    <span class="visually-hidden">"Market"</span>
                    <select on:change=move |event| state.show_market(event_target_value(&event))>{names}</select>
                </label>
                <Figures />
            </Show>
            <Nav />
            <span class="spacer"></span>
            <Replica />
            <ThemeSwitch />
            <WalletButton />
        </header>
    }
}

/// The last price of a market, if it ever traded.
fn last_price(state: State, name: &str) -> Option<String> {
    let last = state.markets.with(|markets| {
        let markets = &markets.as_ref()?.markets;
        markets.iter().find(|market| market.name == name)?.last.clone()
    })?;
    let rules = state.rules.get()?;
    Some(format::in_steps(&last, rules.market(name)?.tick_size))
}

/// Last price and the last 24 hours of the market on show.
#[component]
fn Figures() -> impl IntoView {
    let state = use_state();
    let body = move || {
        let name = state.market.get();
        state.markets.with(|markets| {
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
                            let tick = state.market_rules().map(|(_, market)| market.tick_size);
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
    // The tape is newer than the figures, which are asked for every few seconds.
    let last = move || {
        let tape = state.trades.with(|trades| trades.first().map(|trade| trade.price.clone()));
        let price = tape.or_else(|| body()?.last)?;
        let (_, market) = state.market_rules()?;
        Some(format::in_steps(&price, market.tick_size))
    };
    view! {
        <dl class="figures">
            <div>
                <dt>"Last price"</dt>
                <dd class="last">{move || last().unwrap_or_else(|| "–".into())}</dd>
            </div>
            {figure("24 h high", "wide", |body| body.high_24h.clone())}
            {figure("24 h low", "wide", |body| body.low_24h.clone())}
            <div class="wide">
                <dt>"24 h volume"</dt>
                <dd>
                    {move || {
                        body()
                            .map_or_else(
                                || "–".into(),
                                |body| format!("{} {}", format::number(&body.volume_24h, 0), body.base),
                            )
                    }}
                </dd>
            </div>
        </dl>
    }
}

/// What the replica is doing: batch and root, in short.
#[component]
fn Replica() -> impl IntoView {
    let state = use_state();
    let class = move || match (state.connected.get(), state.status.get().map(|status| status.state))
    {
        (true, Some(ReplicaState::Following)) => "replica good",
        (true, Some(ReplicaState::Halted)) | (false, _) => "replica bad",
        _ => "replica behind",
    };
    let text = move || match (state.connected.get(), state.status.get()) {
        (true, Some(status)) => {
            let word = match status.state {
                ReplicaState::Following => "Live",
                ReplicaState::Starting => "Starting",
                ReplicaState::Disconnected => "No sequencer",
                ReplicaState::Halted => "Halted",
            };
            format!("{word} · batch {}", format::number(&status.batch, 0))
        }
        _ => "Connecting…".into(),
    };
    let title = move || {
        state.status.get().map(|status| {
            format!(
                "State root {}\nNetwork {}\nas this replica reports them",
                status.root, status.network
            )
        })
    };
    view! { <span class=class title=title role="status">{text}</span> }
}

/// A line across the page while something is wrong.
#[component]
pub fn Banner() -> impl IntoView {
    let state = use_state();
    let text = move || {
        if let Some(problem) = state.problem.get() {
            return Some(problem);
        }
        let status = state.status.get()?;
        if !state.connected.get() {
            let why = state.parting.get().map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Some(format!(
                "Connection to the replica lost{why}; trying again. What you see may be old. Orders that you sign are sent when it is back."
            ));
        }
        match status.state {
            ReplicaState::Following | ReplicaState::Starting => None,
            ReplicaState::Disconnected => Some(format!(
                "This replica cannot reach the sequencer: {}. Orders are kept and sent later.",
                status.reason.unwrap_or_default()
            )),
            ReplicaState::Halted => Some(format!(
                "This replica has halted: {}. Do not trust what it shows; use another.",
                status.reason.unwrap_or_default()
            )),
        }
    };
    view! {
        <Show when=move || text().is_some()>
            <p class="banner" role="alert">{move || text().unwrap_or_default()}</p>
        </Show>
    }
}
