//! The dead-man's switch: all orders are cancelled at a time, which the page puts off for as long as it is
//! open and the key is unlocked.

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::Action;

use crate::state::{SignRequest, State, use_state};
use crate::wallet::Wallet;
use crate::{clock, sending, trading_key};

/// How often the countdown moves.
const TICK_MS: u32 = 1000;
/// Names and lengths to choose from. Half of it is the time that a lost connection may last unnoticed.
const LENGTHS: [(&str, u64); 4] =
    [("2 min", 120_000), ("10 min", 600_000), ("1 hour", 3_600_000), ("8 hours", 28_800_000)];

/// What the page does about the switch.
#[derive(Clone, Copy)]
pub struct DeadMan {
    /// What the user switched on in this page: it is renewed to this length.
    length_ms: RwSignal<Option<u64>>,
    /// Unix milliseconds, each second.
    now_ms: RwSignal<u64>,
}

/// When the replica says that the orders of the account are cancelled.
fn due(state: State) -> Option<u64> {
    state.account.with(|account| account.as_ref()?.switch_ms.as_ref()?.parse().ok())
}

impl DeadMan {
    /// One that is off.
    pub fn new() -> Self {
        Self { length_ms: RwSignal::new(None), now_ms: RwSignal::new(clock::now()) }
    }

    fn renew(self, state: State, length: u64) {
        let action = Action::CancelAllAfter { time: from_now(length) };
        let signer = trading_key::usable(state, &action);
        if signer.is_none() && !state.wallet.with_untracked(Wallet::signs_alone) {
            return;
        }
        spawn_local(async move {
            let transaction = sending::transaction(state, action, signer, None).await;
            if let Ok(transaction) = transaction {
                // What fails is tried again when the next one is due.
                let _ = sending::sign_and_send(state, RENEWAL.into(), transaction).await;
            }
        });
    }
}

/// Renews the switch while the page lives.
pub fn keep_up(state: State, switch: DeadMan) {
    spawn_local(async move {
        let mut renewed = 0_u64;
        loop {
            TimeoutFuture::new(TICK_MS).await;
            let now = clock::now();
            switch.now_ms.set(now);
            let length = switch.length_ms.get_untracked();
            let (Some(length), Some(due)) = (length, untrack(|| due(state))) else { continue };
            let is_late = due < now.saturating_add(length / 2);
            // One on its way is waited for.
            if is_late && renewed.saturating_add(length / 4) < now {
                renewed = now;
                switch.renew(state, length);
            }
        }
    });
}

/// What a renewal is called among what was sent.
pub const RENEWAL: &str = "Extend dead-man's switch";

/// What turning it on is called, before its length.
pub const TURN_ON: &str = "Turn on dead-man's switch";

const TURN_OFF: &str = "Turn off dead-man's switch";

/// So long from now, in whole seconds.
fn from_now(length: u64) -> u64 {
    clock::now().next_multiple_of(1000).saturating_add(length)
}

/// "1:02:03" or "2:03".
fn countdown(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

fn request(state: State, title: String, line: String, time: u64) {
    state.request.set(Some(SignRequest {
        title,
        lines: vec![("Markets", "all".into()), ("Cancels all orders", line)],
        action: Action::CancelAllAfter { time },
    }));
}

/// The switch, below the open orders.
#[component]
pub fn DeadManView() -> impl IntoView {
    let state = use_state();
    let switch: DeadMan = expect_context();
    let length = RwSignal::new(LENGTHS[1]);
    let due = Memo::new(move |_| due(state));
    let is_locked = move || !state.wallet.with(Wallet::signs_alone);
    let turn_on = move |_| {
        let (words, length) = length.get_untracked();
        switch.length_ms.set(Some(length));
        let line = format!("{words} after this page closes or its wallet locks");
        request(state, format!("{TURN_ON} ({words})"), line, from_now(length));
    };
    let turn_off = move |_| {
        switch.length_ms.set(None);
        request(state, TURN_OFF.into(), "only when you do".into(), 0);
    };
    let text = move || {
        let left = countdown(due.get()?.saturating_sub(switch.now_ms.get()));
        let by = match (switch.length_ms.get(), is_locked()) {
            (Some(_), false) => "This page keeps extending it while it is open.",
            (Some(_), true) => "Your wallet is locked, so this page cannot extend it.",
            (None, _) => "This page does not extend it. Turn it on again to extend it from here.",
        };
        Some((left, by))
    };
    let option = move |(index, (words, _)): (usize, (&'static str, u64))| {
        view! { <option value=index.to_string() selected=move || length.get().0 == words>{words}</option> }
    };
    let choose = move |event: leptos::ev::Event| {
        let chosen = event_target_value(&event).parse::<usize>().ok();
        if let Some(chosen) = chosen.and_then(|index| LENGTHS.get(index)) {
            length.set(*chosen);
        }
    };
    view! {
        <div class="dead-man">
            <h3>"Dead-man's switch"</h3>
            <Show
                when=move || due.get().is_some()
                fallback=|| view! { <p class="note">"Cancels all your orders if this page closes or loses its connection."</p> }
            >
                <p role="timer">
                    "All orders will be cancelled in "
                    <b>{move || text().map(|(left, _)| left)}</b>
                    ". "
                    <span class="note">{move || text().map(|(_, by)| by)}</span>
                </p>
            </Show>
            <div class="actions">
                <label>
                    <span class="note">"After "</span>
                    <select class="short" on:change=choose>
                        {LENGTHS.into_iter().enumerate().map(option).collect_view()}
                    </select>
                </label>
                <button type="button" on:click=turn_on>"Turn on"</button>
                <Show when=move || due.get().is_some()>
                    <button type="button" on:click=turn_off>"Turn off"</button>
                </Show>
            </div>
        </div>
    }
}
