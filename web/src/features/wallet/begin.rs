//! The wallet's dialog while there is no wallet: create one, import one, or connect an Ethereum wallet.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_vault::{PASSPHRASE_LENGTH_MIN, Source, VaultError, WalletFile};

use super::ethereum_wallets::EthereumWallets;
use super::keys::{self, Added};
use super::passphrase::PassphraseForm;
use super::phrase::ShownPhrase;
use super::session::{Session, use_session};
use crate::platform::files;
use crate::platform::focus::focus_open_sheet;

/// Why no wallet was created. The form that asked is gone when another tab was faster, so the dialog shows it.
pub type Refused = RwSignal<Option<String>>;

/// Reads what somebody imports: an exported file, a secret key, or a phrase.
fn source(text: &str) -> Result<Source, VaultError> {
    let text = text.trim();
    // Neither a phrase nor a key begins with a brace, and a key contains no space.
    if text.starts_with('{') {
        WalletFile::from_json(text).map(Source::File)
    } else if text.contains(char::is_whitespace) {
        Ok(Source::Phrase(text.into()))
    } else {
        Ok(Source::Key(text.into()))
    }
}

/// Adds a key. If another tab has created a wallet meanwhile, the dialog says so in place of this form.
async fn add(
    session: Session,
    refused: Refused,
    source: Source,
    passphrase: String,
) -> Result<Added, VaultError> {
    let outcome = keys::add(session, source, passphrase).await;
    if let Err(VaultError::Occupied) = outcome {
        // The dialog may be closed by now.
        drop(refused.try_set(Some(VaultError::Occupied.to_string())));
    }
    outcome
}

#[component]
pub fn Begin(phrase: ShownPhrase) -> impl IntoView {
    let session = use_session();
    let refused: Refused = expect_context();
    request_animation_frame(focus_open_sheet);
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
                let added = add(session, refused, Source::NewPhrase, passphrase).await?;
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

/// The form that imports keys.
#[component]
pub fn Import(is_first: bool) -> impl IntoView {
    let session = use_session();
    let refused: Refused = expect_context();
    let imported = RwSignal::new(String::new());
    let on_file = move |event: leptos::ev::Event| {
        if let Some(text) = files::chosen(&event) {
            spawn_local(async move { drop(imported.try_set(text.await)) });
        }
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
                add(session, refused, source, passphrase).await?;
                // The secret must not stay in the field.
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
