//! Forms that ask for a passphrase.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_vault::VaultError;

use super::keys;
use super::session::use_session;
use crate::platform::focus::focus_open_sheet;

/// A field whose text is hidden.
#[component]
pub fn SecretField(
    id: &'static str,
    label: &'static str,
    autocomplete: &'static str,
    value: RwSignal<String>,
    #[prop(optional)] autofocus: bool,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <div class="input">
                <input
                    id=id
                    type="password"
                    autocomplete=autocomplete
                    autofocus=autofocus
                    aria-describedby=format!("{id}-error")
                    prop:value=move || value.get()
                    on:input=move |event| value.set(event_target_value(&event))
                />
            </div>
        </div>
    }
}

/// A passphrase field with a button that does some work, and `children` above the field.
#[component]
pub fn PassphraseForm(
    id: &'static str,
    button: &'static str,
    autocomplete: &'static str,
    #[prop(default = "Passphrase")] label: &'static str,
    work: impl AsyncFn(String) -> Result<(), VaultError> + Clone + 'static,
    #[prop(optional)] autofocus: bool,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    let passphrase = RwSignal::new(String::new());
    let (busy, message) = (RwSignal::new(false), RwSignal::new(None::<String>));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        event.stop_propagation();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        let (work, text) = (work.clone(), passphrase.get_untracked());
        spawn_local(async move {
            let outcome = work(text).await;
            // The work may have replaced this form by something else.
            let _ = busy.try_set(false);
            match outcome {
                // A wrong passphrase stays, so that a slip can be corrected. A right one is not needed any more.
                Ok(()) => drop(passphrase.try_set(String::new())),
                Err(error) => drop(message.try_set(Some(error.to_string()))),
            }
        });
    };
    view! {
        <form on:submit=submit>
            {children.map(|children| children())}
            <SecretField id label autocomplete value=passphrase autofocus />
            <p class="error" id=format!("{id}-error") role="alert">{move || message.get()}</p>
            <button type="submit" class="main" disabled=move || busy.get()>
                {move || if busy.get() { "Working…" } else { button }}
            </button>
        </form>
    }
}

/// The form that unlocks the wallet.
#[component]
pub fn UnlockForm(note: &'static str) -> impl IntoView {
    let session = use_session();
    request_animation_frame(focus_open_sheet);
    view! {
        <p class="note">{note}</p>
        <PassphraseForm
            id="unlock-passphrase"
            button="Unlock"
            autocomplete="current-password"
            autofocus=true
            work=async move |passphrase| keys::unlock(session, passphrase).await
        />
    }
}
