//! The dead-man's switch: the exchange cancels all orders of the account at a given time. The page moves that time
//! forward again and again for as long as it is open and the key is unlocked.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::{Action, PublicKey};

use crate::features::signing::{Outcome, SignRequest, Signing, use_signing};
use crate::features::wallet::{Session, Wallet, use_session};
use crate::platform::clock;

/// How often the countdown moves.
const TICK_MS: u32 = 1000;
/// Names and lengths to choose from. The switch is renewed when half of its length is left, so a connection may be lost
/// for that long without any harm.
const LENGTHS: [(&str, u64); 4] =
    [("2 min", 120_000), ("10 min", 600_000), ("1 hour", 3_600_000), ("8 hours", 28_800_000)];

/// What this page does about the switch.
#[derive(Clone, Copy)]
pub struct DeadMan {
    /// The length to which this page renews the switch, and the account that signed for it. None if nobody switched it
    /// on here.
    renewed: RwSignal<Option<(PublicKey, u64)>>,
    /// Unix milliseconds, updated each second for the countdown.
    now_ms: RwSignal<u64>,
}

/// When the orders of the account are cancelled, as the replica reports it.
fn due(session: Session) -> Option<u64> {
    let active = session.key()?.to_string();
    session.account.with(|account| {
        // Just after the user has chosen another account, the report may still be about the one before.
        let account = account.as_ref().filter(|account| account.account == active)?;
        account.switch_ms.as_ref()?.parse().ok()
    })
}

impl DeadMan {
    pub fn new() -> Self {
        Self { renewed: RwSignal::new(None), now_ms: RwSignal::new(clock::now()) }
    }

    /// The length to which this page renews the switch of the active account.
    fn length(self, session: Session) -> Option<u64> {
        let (account, length) = self.renewed.get()?;
        (session.key() == Some(account)).then_some(length)
    }

    fn renew(self, signing: Signing, length: u64) {
        spawn_local(async move {
            let action = Action::CancelAllAfter { time: signing.time_after(length) };
            // A renewal that fails is tried again when the next one is due.
            // A locked wallet signs nothing, and then the switch fires, as the user was told when turning it on.
            let _ = signing.sign_unattended(RENEWAL.into(), action).await;
        });
    }
}

/// Renews the switch for as long as the page lives.
pub fn keep_alive(session: Session, signing: Signing, switch: DeadMan) {
    spawn_local(async move {
        let mut renewed = 0_u64;
        loop {
            // Polling suffices: the countdown needs each second anyway, and a timer for the due time would have to be set again
            // whenever the switch, its length or the account changes.
            clock::sleep(TICK_MS).await;
            let now = signing.now();
            switch.now_ms.set(now);
            let length = untrack(|| switch.length(session));
            // No switch is reported before the first signature is applied, and none after it has fired. Extending it then would
            // set a switch that nobody asked for.
            let (Some(length), Some(due)) = (length, untrack(|| due(session))) else { continue };
            let is_late = due < now.saturating_add(length / 2);
            // A renewal that is on its way gets a quarter of the length before the next one is sent.
            if is_late && renewed.saturating_add(length / 4) < now {
                renewed = now;
                switch.renew(signing, length);
            }
        }
    });
}

/// The title of a renewal in the list of transactions.
pub const RENEWAL: &str = "Extend dead-man's switch";

/// The title of turning the switch on, before its length.
pub const TURN_ON: &str = "Turn on dead-man's switch";

pub const TURN_OFF: &str = "Turn off dead-man's switch";

/// "1:02:03" or "2:03".
fn countdown(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

fn request(
    signing: Signing,
    title: String,
    line: String,
    time: u64,
    done: impl FnOnce(Outcome) + 'static,
) {
    let request = SignRequest {
        title,
        lines: vec![("Markets", "all".into()), ("Cancels all orders", line)],
        action: Action::CancelAllAfter { time },
    };
    signing.sign(request, done);
}

/// The switch, below the open orders.
#[component]
pub fn DeadManView() -> impl IntoView {
    let (session, signing) = (use_session(), use_signing());
    let switch: DeadMan = expect_context();
    let length = RwSignal::new(LENGTHS[1]);
    let due = Memo::new(move |_| due(session));
    let is_locked = move || !session.wallet.with(Wallet::signs_alone);
    let turn_on = move |_| {
        let Some(account) = session.key_untracked() else { return };
        let (words, length) = length.get_untracked();
        let line = format!("{words} after this page closes or its wallet locks");
        let done = move |outcome| {
            // A length that the user did not sign must not extend a switch that is on.
            if outcome == Outcome::Signed {
                switch.renewed.set(Some((account, length)));
            }
        };
        request(signing, format!("{TURN_ON} ({words})"), line, signing.time_after(length), done);
    };
    let turn_off = move |_| {
        // Extending ends before the sheet opens. An extension that is sequenced after the signature below would set the switch
        // again.
        let before = switch.renewed.get_untracked();
        switch.renewed.set(None);
        let done = move |outcome| {
            // The switch stays on, so it needs its extensions again.
            if outcome == Outcome::Dismissed {
                switch.renewed.set(before);
            }
        };
        // The time 0 removes the switch (protocol.md, section 14).
        request(signing, TURN_OFF.into(), "only when you do".into(), 0, done);
    };
    let text = move || {
        let left = countdown(due.get()?.saturating_sub(switch.now_ms.get()));
        let by = match (switch.length(session), is_locked()) {
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
