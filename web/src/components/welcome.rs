//! The wallet's button and dialog: make, import, unlock, export, remove.

use gloo_timers::future::TimeoutFuture;
use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};

use crate::format;
use crate::state::use_state;
use crate::wallet::{self, KeystoreError, PASSPHRASE_LENGTH_MIN, Wallet};

/// Shows whose key is here and opens the dialog.
#[component]
pub fn WalletButton() -> impl IntoView {
    let state = use_state();
    let text = move || {
        state.wallet.with(|wallet| match wallet {
            Wallet::Empty => "Make a key".to_string(),
            Wallet::Locked(keystore) => {
                format!("{} · locked", format::short(&keystore.account().to_string()))
            }
            Wallet::Unlocked(keystore) => format::short(&keystore.account().to_string()),
        })
    };
    view! {
        <button type="button" class="wallet" on:click=move |_| state.wallet_open.set(true)>{text}</button>
    }
}

/// Runs something slow after the page has shown that it is busy.
fn run_slowly(
    busy: RwSignal<bool>,
    fault: RwSignal<Option<String>>,
    work: impl Future<Output = Result<(), KeystoreError>> + 'static,
) {
    busy.set(true);
    spawn_local(async move {
        TimeoutFuture::new(30).await;
        fault.set(work.await.err().map(|error| error.to_string()));
        busy.set(false);
    });
}

/// A passphrase field and a button.
#[component]
fn PassphraseForm(
    #[prop(into)] id: String,
    button: &'static str,
    autocomplete: &'static str,
    work: impl AsyncFn(String) -> Result<(), KeystoreError> + Clone + 'static,
) -> impl IntoView {
    let passphrase = RwSignal::new(String::new());
    let (busy, fault) = (RwSignal::new(false), RwSignal::new(None::<String>));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        event.stop_propagation();
        let text = passphrase.get_untracked();
        let work = work.clone();
        run_slowly(busy, fault, async move {
            work(text).await?;
            passphrase.set(String::new());
            Ok(())
        });
    };
    let fault_id = format!("{id}-fault");
    view! {
        <form on:submit=submit>
            <div class="field">
                <label for=id.clone()>"Passphrase"</label>
                <div class="input">
                    <input
                        id=id
                        type="password"
                        autocomplete=autocomplete
                        aria-describedby=fault_id.clone()
                        prop:value=move || passphrase.get()
                        on:input=move |event| passphrase.set(event_target_value(&event))
                    />
                </div>
                <p class="fault" id=fault_id role="alert">{move || fault.get()}</p>
            </div>
            <button type="submit" class="main" disabled=move || busy.get()>
                {move || if busy.get() { "Working…" } else { button }}
            </button>
        </form>
    }
}

/// Unlocks the key of this browser.
#[component]
pub fn UnlockForm(note: &'static str) -> impl IntoView {
    let state = use_state();
    view! {
        <p class="note">{note}</p>
        <PassphraseForm
            id="unlock-passphrase"
            button="Unlock"
            autocomplete="current-password"
            work=async move |passphrase| wallet::unlock(state.wallet, passphrase).await
        />
    }
}

/// The wallet's dialog.
#[component]
pub fn WalletDialog() -> impl IntoView {
    let state = use_state();
    let dialog: NodeRef<Dialog> = NodeRef::new();
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        if state.wallet_open.get() {
            // It fails only where it is open already.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    let body = move || {
        state.wallet.with(|wallet| match wallet {
            Wallet::Empty => view! { <EmptyWallet /> }.into_any(),
            Wallet::Locked(_) => view! {
                <UnlockForm note="This browser holds a key. Unlock it with your passphrase." />
                <KeyActions />
            }
            .into_any(),
            Wallet::Unlocked(..) => view! { <KeyActions /> }.into_any(),
        })
    };
    view! {
        <dialog node_ref=dialog class="sheet" aria-labelledby="wallet-title" on:close=move |_| state.wallet_open.set(false)>
            <div class="form-head">
                <h2 id="wallet-title">"Your key"</h2>
                <button type="button" class="quiet" on:click=move |_| state.wallet_open.set(false)>"Close"</button>
            </div>
            {body}
        </dialog>
    }
}

#[component]
fn EmptyWallet() -> impl IntoView {
    let state = use_state();
    let imported = RwSignal::new(String::new());
    let on_file = move |event: leptos::ev::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        let Some(file) = input.files().and_then(|files| files.get(0)) else { return };
        spawn_local(async move {
            let text = wasm_bindgen_futures::JsFuture::from(file.text()).await;
            imported.set(text.ok().and_then(|text| text.as_string()).unwrap_or_default());
        });
    };
    view! {
        <h3>"Make a key"</h3>
        <p class="note">
            {format!(
                "A key is made in this browser and kept here under a passphrase of at least {PASSPHRASE_LENGTH_MIN} characters. It never leaves the browser unless you export it, and nobody can restore it for you.",
            )}
        </p>
        <PassphraseForm
            id="new-passphrase"
            button="Make a key"
            autocomplete="new-password"
            work=async move |passphrase| wallet::create(state.wallet, passphrase).await
        />
        <h3>"Or import one"</h3>
        <label class="field">
            <span>"Exported file"</span>
            <input type="file" accept=".json,application/json" on:change=on_file />
        </label>
        <div class="field">
            <label for="import-text">"Its content, or a secret key of 64 hex digits"</label>
            <textarea
                id="import-text"
                rows="3"
                autocomplete="off"
                spellcheck="false"
                prop:value=move || imported.get()
                on:input=move |event| imported.set(event_target_value(&event))
            ></textarea>
        </div>
        <PassphraseForm
            id="import-passphrase"
            button="Import"
            autocomplete="current-password"
            work=async move |passphrase| {
                wallet::import(state.wallet, imported.get_untracked(), passphrase).await?;
                imported.set(String::new());
                Ok(())
            }
        />
    }
}

/// Offers a text as a file to save.
fn save_file(name: &str, text: &str) -> Result<(), JsValue> {
    let parts = js_sys::Array::of1(&text.into());
    let blob = web_sys::Blob::new_with_str_sequence(&parts)?;
    let url = web_sys::Url::create_object_url_with_blob(&blob)?;
    let link: web_sys::HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    web_sys::Url::revoke_object_url(&url)
}

/// What can be done with the key that is here.
#[component]
fn KeyActions() -> impl IntoView {
    let state = use_state();
    let removing = RwSignal::new(false);
    let account = move || state.wallet.with(Wallet::account).map(|account| account.to_string());
    let is_unlocked = move || state.wallet.with(|wallet| matches!(wallet, Wallet::Unlocked(..)));
    let export = move |_| {
        let keystore = state.wallet.with_untracked(|wallet| wallet.keystore().cloned());
        if let Some(keystore) = keystore {
            let name = format!("zellbook-{}.json", &keystore.account().to_string()[..10]);
            let saved = save_file(&name, &keystore.to_json());
            state.exported.set(saved.is_ok());
            if saved.is_err() {
                state.problem.set(Some("The browser did not let this page save a file.".into()));
            }
        }
    };
    view! {
        <p class="note">"Account (public key):"</p>
        <p class="text key">{account}</p>
        <p class="actions">
            <button type="button" on:click=export>"Export encrypted file"</button>
            <Show when=is_unlocked>
                <button type="button" on:click=move |_| wallet::lock(state.wallet)>"Lock"</button>
            </Show>
            <button type="button" class="quiet" on:click=move |_| removing.set(true)>"Remove from this browser"</button>
        </p>
        <Show when=move || removing.get()>
            <p class="fault">"Without an exported file the key and all that it owns are lost for good."</p>
            <p class="actions">
                <button type="button" on:click=move |_| removing.set(false)>"Keep it"</button>
                <button
                    type="button"
                    class="sell"
                    on:click=move |_| {
                        removing.set(false);
                        state.account.set(None);
                        wallet::remove(state.wallet);
                    }
                >
                    "Remove it"
                </button>
            </p>
        </Show>
    }
}
