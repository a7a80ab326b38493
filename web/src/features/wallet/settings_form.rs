//! The wallet's settings: when it locks by itself, and a new passphrase.

use leptos::prelude::*;

use super::attempt::attempt;
use super::keys;
use super::passphrase::{PassphraseForm, SecretField};
use super::session::use_session;
use crate::ui::interface::use_interface;

/// Minutes until the wallet locks by itself, to choose from; 0 is never.
const MINUTES: [(u32, &str); 5] = [
    (1, "After 1 minute"),
    (5, "After 5 minutes"),
    (15, "After 15 minutes"),
    (60, "After 1 hour"),
    (0, "Never"),
];

#[component]
pub fn SettingsForm() -> impl IntoView {
    let session = use_session();
    let interface = use_interface();
    let minutes =
        Memo::new(move |_| session.wallet.with(|wallet| wallet.settings.auto_lock_minutes));
    let new_passphrase = RwSignal::new(String::new());
    let is_changed = RwSignal::new(false);
    let option = move |(value, name): (u32, &'static str)| {
        view! { <option value=value.to_string() selected=move || minutes.get() == value>{name}</option> }
    };
    let set_minutes = move |event| {
        if let Ok(minutes) = event_target_value(&event).parse() {
            attempt(
                interface,
                keys::set(session, move |settings| settings.auto_lock_minutes = minutes),
            );
        }
    };
    let change = async move |passphrase| {
        is_changed.set(false);
        let new = new_passphrase.get_untracked();
        keys::change_passphrase(session, passphrase, new).await?;
        drop(new_passphrase.try_set(String::new()));
        let _ = is_changed.try_set(true);
        Ok(())
    };
    view! {
        <details>
            <summary>"Auto-lock and passphrase"</summary>
            <label class="field">
                <span>"Auto-lock"</span>
                <select on:change=set_minutes>{MINUTES.map(option).collect_view()}</select>
            </label>
            <PassphraseForm
                id="old-passphrase"
                label="Current passphrase"
                button="Change passphrase"
                autocomplete="current-password"
                work=change
            >
                <SecretField id="next-passphrase" label="New passphrase" autocomplete="new-password" value=new_passphrase />
            </PassphraseForm>
            <Show when=move || is_changed.get()>
                <p class="note" role="status">"Passphrase changed. Files that you exported earlier still use the old one."</p>
            </Show>
        </details>
    }
}
