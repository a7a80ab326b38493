//! Where no key is: make one, import one, or connect a wallet.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::ethereum::EthereumWallets;
use super::passphrase::PassphraseForm;
use super::{Refused, Shown};
use crate::later::take_focus;
use crate::state::{State, use_state};
use crate::wallet::{self, Added, PASSPHRASE_LENGTH_MIN, Source, VaultError, WalletFile};

/// What somebody brings: an exported file, a key, or a phrase.
fn source(text: &str) -> Result<Source, VaultError> {
    let text = text.trim();
    if text.starts_with('{') {
        WalletFile::from_json(text).map(Source::File)
    } else if text.contains(char::is_whitespace) {
        Ok(Source::Phrase(text.into()))
    } else {
        Ok(Source::Key(text.into()))
    }
}

/// Adds a key. Where another tab began a wallet meanwhile, the dialog says so in place of the form.
async fn add(
    state: State,
    refused: Refused,
    source: Source,
    passphrase: String,
) -> Result<Added, VaultError> {
    let outcome = wallet::add(state.wallet, source, passphrase).await;
    if let Err(VaultError::Occupied) = outcome {
        // The dialog may be closed.
        drop(refused.try_set(Some(VaultError::Occupied.to_string())));
    }
    outcome
}

/// The first visit to the wallet.
#[component]
pub fn Begin(phrase: Shown) -> impl IntoView {
    let state = use_state();
    let refused: Refused = expect_context();
    request_animation_frame(take_focus);
    view! {
        <h3>"Create wallet"</h3>
        <p class="note">
            {format!(
                "Your wallet is created in this browser and encrypted with your passphrase of at least {PASSPHRASE_LENGTH_MIN} characters. Only its 12-word recovery phrase can restore it: write the phrase down now, or after your first trade.",
            )}
        </p>
        <PassphraseForm
            id="new-passphrase"
            button="Create wallet"
            autocomplete="new-password"
            autofocus=true
            work=async move |passphrase| {
                let added = add(state, refused, Source::NewPhrase, passphrase).await?;
                phrase.set(added.phrase);
                Ok(())
            }
        />
        <details>
            <summary>"Import private key, recovery phrase or file"</summary>
            <Import is_first=true />
        </details>
        <details>
            <summary>"Connect Ethereum wallet"</summary>
            <EthereumWallets />
        </details>
    }
}

/// Brings keys from elsewhere.
#[component]
pub fn Import(is_first: bool) -> impl IntoView {
    let state = use_state();
    let refused: Refused = expect_context();
    let imported = RwSignal::new(String::new());
    let on_file = move |event: leptos::ev::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        let Some(file) = input.files().and_then(|files| files.get(0)) else { return };
        spawn_local(async move {
            let text = wasm_bindgen_futures::JsFuture::from(file.text()).await;
            let text = text.ok().and_then(|text| text.as_string()).unwrap_or_default();
            drop(imported.try_set(text));
        });
    };
    let label = if is_first {
        "Passphrase (of the file, or a new one)"
    } else {
        "Passphrase of the file (only for a file)"
    };
    view! {
        <PassphraseForm
            id="import-passphrase"
            button="Import"
            autocomplete="current-password"
            label
            work=async move |passphrase| {
                let source = source(&imported.get_untracked())?;
                add(state, refused, source, passphrase).await?;
                drop(imported.try_set(String::new()));
                Ok(())
            }
        >
            <label class="field">
                <span>"Exported file"</span>
                <input type="file" accept=".json,application/json" on:change=on_file />
            </label>
            <div class="field">
                <label for="import-text">"File content, 12-word recovery phrase, or private key (64 hex digits)"</label>
                <textarea
                    id="import-text"
                    rows="3"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    prop:value=move || imported.get()
                    on:input=move |event| imported.set(event_target_value(&event))
                ></textarea>
            </div>
        </PassphraseForm>
    }
}
