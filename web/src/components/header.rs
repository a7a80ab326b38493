//! The line at the top: market, its figures, the replica, the account.

use leptos::prelude::*;
use zellbook_core::wire::{MarketBody, ReplicaState, StatusBody};

use super::nav::Nav;
use super::settings::SettingsButton;
use super::welcome::WalletButton;
use crate::format;
use crate::route::Route;
use crate::state::{State, ticks, use_state};

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
            <SettingsButton />
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
        tape.or_else(|| body()?.last)
    };
    // The last price and whether it went up, so that what is new can flash.
    let last_change = Memo::new(move |before: Option<&(Option<String>, i8)>| {
        let now = last();
        let (old, direction) = before.cloned().unwrap_or_default();
        let rules = state.market_rules();
        let number = |text: &Option<String>| ticks(&rules.as_ref()?.1, text.as_ref()?);
        let direction = match (number(&old), number(&now)) {
            (Some(old), Some(now)) if now > old => 1,
            (Some(old), Some(now)) if now < old => -1,
            (Some(_), Some(_)) => direction,
            _ => 0,
        };
        (now, direction)
    });
    let last_view = move |(price, direction): (Option<String>, i8)| {
        let class = match direction {
            1 => "last bid flash-up",
            -1 => "last ask flash-down",
            _ => "last",
        };
        let shown = state.market_rules().zip(price);
        let shown = shown.map(|((_, market), price)| format::in_steps(&price, market.tick_size));
        // Another element each time: it flashes once.
        view! { <dd class=class>{shown.unwrap_or_else(|| "–".into())}</dd> }
    };
    view! {
        <dl class="figures">
            <div>
                <dt>"Last price"</dt>
                {move || last_view(last_change.get())}
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

/// What the replica is doing, at which batch, and what root it has then.
#[component]
fn Replica() -> impl IntoView {
    let state = use_state();
    let word = Memo::new(move |_| {
        let Some(status) = state.status.get().filter(|_| state.connected.get()) else {
            return ("Connecting…", "replica bad");
        };
        match status.state {
            ReplicaState::Following if lag(&status) >= LAG_SHOWN => ("Behind", "replica behind"),
            ReplicaState::Following => ("Live", "replica good"),
            ReplicaState::Starting => ("Starting", "replica behind"),
            ReplicaState::Disconnected => ("No sequencer", "replica behind"),
            ReplicaState::Halted => ("Halted", "replica bad"),
        }
    });
    let status = move || state.status.get().filter(|_| state.connected.get());
    let batch = move || status().map(|it| format!(" · batch {}", format::number(&it.batch, 0)));
    let root = move || {
        let status = status()?;
        let root = status.root.get(..8)?.to_string();
        let certified = status.certified_batch.as_ref().map_or_else(
            || "not certified".into(),
            |batch| format!("certified to {}", format::number(batch, 0)),
        );
        Some(format!("root {root} · {certified}"))
    };
    let title = move || {
        state.status.get().map(|status| {
            format!(
                "State root {}\n{} batches behind, {} ms from proof to commit\nNetwork {}\nas this replica reports them",
                status.root, status.lag_batches, status.lag_ms, status.network
            )
        })
    };
    view! {
        <a class=move || word.get().1 href="/replicas" title=title>
            // Only another state is announced, not each batch.
            <span><span role="status">{move || word.get().0}</span>{batch}</span>
            <small>{root}</small>
        </a>
    }
}

/// Batches behind from which on it is said.
const LAG_SHOWN: u64 = 5;

/// How many final batches the replica has not applied.
fn lag(status: &StatusBody) -> u64 {
    status.lag_batches.parse().unwrap_or(0)
}

/// A line across the page while something is wrong.
#[component]
pub fn Banner() -> impl IntoView {
    let state = use_state();
    let text = move || {
        if let Some(problem) = state.problem.get() {
            return Some((problem, false));
        }
        let status = state.status.get()?;
        if !state.connected.get() {
            let why = state.parting.get().map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Some((
                format!(
                    "Connection to the replica lost{why}; trying again. What you see may be old. Orders that you sign are sent when it is back."
                ),
                true,
            ));
        }
        let lag = lag(&status);
        let reason = status.reason.unwrap_or_default();
        match status.state {
            ReplicaState::Following if lag >= LAG_SHOWN => Some((
                format!(
                    "This replica is {lag} batches behind and catches up. What you see is older than what others see."
                ),
                false,
            )),
            ReplicaState::Following | ReplicaState::Starting => None,
            ReplicaState::Disconnected => Some((
                format!(
                    "This replica cannot reach the sequencer: {reason}. Orders are kept and sent later."
                ),
                false,
            )),
            ReplicaState::Halted => Some((
                format!(
                    "This replica has halted: {reason}. Do not trust what it shows; use another."
                ),
                true,
            )),
        }
    };
    let text = Memo::new(move |_| text());
    let dismiss = move || {
        state.problem.with(Option::is_some).then(|| {
            let dismiss = move |_| state.problem.set(None);
            view! { <button type="button" class="small" on:click=dismiss>"Dismiss"</button> }
        })
    };
    view! {
        <Show when=move || text.with(Option::is_some)>
            <p
                class="banner"
                class:bad=move || text.get().is_some_and(|(_, is_bad)| is_bad)
                role="alert"
            >
                <span>{move || text.get().map(|(text, _)| text)}</span>
                {dismiss}
            </p>
        </Show>
    }
}
