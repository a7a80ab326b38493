//! The header: the market with its figures, the replica, the account. Below it, the banner.

use leptos::prelude::*;
use zellbook_core::wire::ReplicaState;

use super::nav::Nav;
use super::wallet_dialog::WalletButton;
use crate::features::evidence::{Known, Subject};
use crate::features::market::figures::Figures;
use crate::features::market::picker::MarketPicker;
use crate::features::replica::use_connection;
use crate::features::settings::SettingsButton;
use crate::platform::feed::Status;
use crate::platform::format;
use crate::platform::route::{Route, use_router};
use crate::ui::interface::use_interface;

#[component]
pub fn Header() -> impl IntoView {
    let router = use_router();
    let is_trading = Memo::new(move |_| router.route.with(|route| *route == Route::Trade));
    view! {
        <header class:trading=move || is_trading.get()>
            <a class="brand" href="/">"Zellbook"</a>
            <Show when=move || is_trading.get()>
                <MarketPicker />
                <Figures />
            </Show>
            <Nav />
            <span class="spacer"></span>
            <Replica />
            <Known subject=Signal::derive(|| Some(Subject::LastBatch)) of="Latest batch" is_in_header=true />
            <SettingsButton />
            <WalletButton />
        </header>
    }
}

/// The replica's state and its last batch, with the rest of its status on hover.
#[component]
fn Replica() -> impl IntoView {
    let connection = use_connection();
    let word = Memo::new(move |_| {
        // The last status before the connection broke says nothing about the present.
        let Some(status) = connection.status.get().filter(|_| connection.is_connected.get()) else {
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
    let status = move || connection.status.get().filter(|_| connection.is_connected.get());
    let batch = move || status().map(|it| format!(" · batch {}", format::number(&it.batch, 0)));
    let title = move || {
        connection.status.get().map(|status| {
            let certified = status.certified_batch.as_ref().map_or_else(
                || "No batch is certified yet".into(),
                |batch| format!("Certified up to batch {}", format::number(batch, 0)),
            );
            format!(
                "State root {}\n{certified}\n{} batches behind, {} ms from sequenced to applied\nNetwork {}\nAs reported by this replica",
                status.root, status.lag_batches, status.lag_ms, status.network
            )
        })
    };
    view! {
        <a class=move || word.get().1 href="/replicas" title=title>
            // Screen readers announce a change of the state, but not each batch.
            <span><span role="status">{move || word.get().0}</span>{batch}</span>
        </a>
    }
}

/// The number of batches behind from which the page says so. A few are normal while batches come fast.
const LAG_SHOWN: u64 = 5;

/// The number of sequenced batches that the replica has not applied.
fn lag(status: &Status) -> u64 {
    status.lag_batches.parse().unwrap_or(0)
}

/// A line across the page while something is wrong.
#[component]
pub fn Banner() -> impl IntoView {
    let connection = use_connection();
    let interface = use_interface();
    let state = move || {
        // Before the first status nothing is shown that could be out of date, and the header says "Connecting…".
        let status = connection.status.get()?;
        if !connection.is_connected.get() {
            let why = connection
                .close_reason
                .get()
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            return Some((
                format!(
                    "Connection to the replica lost{why}. Reconnecting. Data may be out of date. Orders you sign are sent once it reconnects."
                ),
                true,
            ));
        }
        let lag = lag(&status);
        let reason = status.reason.unwrap_or_default();
        match status.state {
            ReplicaState::Following if lag >= LAG_SHOWN => Some((
                format!(
                    "This replica is {lag} batches behind and catching up. Data is older than on other replicas."
                ),
                false,
            )),
            ReplicaState::Following | ReplicaState::Starting => None,
            ReplicaState::Disconnected => Some((
                format!(
                    "This replica cannot follow the sequencer: {reason}. Orders you sign are sent once it can."
                ),
                false,
            )),
            ReplicaState::Halted => Some((
                format!(
                    "This replica has halted: {reason}. Do not rely on its data; use another replica."
                ),
                true,
            )),
        }
    };
    // A memo, because a status comes with every batch. Without it, screen readers would announce the same text each
    // time.
    let text = Memo::new(move |_| match (state(), interface.problem.get()) {
        // A problem that somebody reported must not hide that the data is out of date.
        (Some((state, is_bad)), Some(problem)) => Some((format!("{state} {problem}"), is_bad)),
        (state, problem) => state.or(problem.map(|problem| (problem, false))),
    });
    let dismiss = move || {
        interface.problem.with(Option::is_some).then(|| {
            let dismiss = move |_| interface.dismiss();
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
