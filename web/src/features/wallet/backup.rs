//! Backing up: the reminder, the encrypted file, and the phrase or secret key after the passphrase. Also removing keys.

use leptos::prelude::*;
use zeroize::Zeroizing;

use super::attempt::attempt;
use super::keys;
use super::passphrase::PassphraseForm;
use super::phrase::ShownPhrase;
use super::session::use_session;
use super::stored::Wallet;
use crate::platform::files;
use crate::ui::interface::use_interface;

/// A secret that is shown after the passphrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    Phrase,
    Key,
}

/// A reminder that the wallet is not backed up, until it is. `children` say or do what helps.
#[component]
pub fn Reminder(children: ChildrenFn) -> impl IntoView {
    let session = use_session();
    let is_backed_up =
        Memo::new(move |_| session.wallet.with(|wallet| wallet.settings.is_backed_up));
    let children = StoredValue::new(children);
    view! {
        <Show when=move || !is_backed_up.get()>
            <div class="reminder" role="note">
                <span>"Not backed up: if this browser loses its data, you lose your wallet and everything in it."</span>
                {children.read_value()()}
            </div>
        </Show>
    }
}

/// The reminder and the ways to back up.
#[component]
pub fn Backup(phrase: ShownPhrase) -> impl IntoView {
    let (session, interface) = (use_session(), use_interface());
    let asked = RwSignal::new(None::<Secret>);
    let secret = RwSignal::new(None::<Zeroizing<String>>);
    let has = move |is_phrase| {
        Memo::new(move |_| {
            session.wallet.with(|wallet| {
                wallet.account().and_then(|account| wallet.record(account, is_phrase)).is_some()
            })
        })
    };
    let (has_phrase, has_key) = (has(true), has(false));
    let export = move |_| {
        let file = session.wallet.with_untracked(Wallet::file);
        let account = session.key_untracked();
        if let (Some(file), Some(account)) = (file, account) {
            let name = format!("zellbook-{}.json", &account.to_string()[..10]);
            // The browser does not say whether the file was really kept, so offering it counts as a backup.
            if files::save(&name, &file.to_json()).is_ok() {
                attempt(interface, keys::set(session, |settings| settings.is_backed_up = true));
            } else {
                interface.report("The browser blocked the download. Allow downloads from this page, then try again.");
            }
        }
    };
    // The passphrase is asked for even while the wallet is unlocked: a page that is left open does not give its keys
    // away.
    let reveal = async move |passphrase| {
        let Some(account) = session.key_untracked() else { return Ok(()) };
        let is_phrase = asked.get_untracked() == Some(Secret::Phrase);
        let shown = keys::reveal(session, account, is_phrase, passphrase).await?;
        asked.set(None);
        if is_phrase {
            phrase.set(Some(shown));
        } else {
            secret.set(Some(shown));
        }
        Ok(())
    };
    let ask = move |what: Secret| {
        move |_| {
            secret.set(None);
            asked.set(Some(what));
        }
    };
    view! {
        <Reminder>"Write down the recovery phrase, or export the encrypted file."</Reminder>
        <p class="actions">
            <Show when=move || has_phrase.get()>
                <button type="button" on:click=ask(Secret::Phrase)>"Show recovery phrase"</button>
            </Show>
            <Show when=move || has_key.get()>
                <button type="button" on:click=ask(Secret::Key)>"Show private key"</button>
            </Show>
            <button type="button" on:click=export>"Export encrypted file"</button>
        </p>
        <Show when=move || asked.get().is_some()>
            <PassphraseForm id="reveal-passphrase" button="Reveal" autocomplete="current-password" work=reveal />
        </Show>
        <Show when=move || secret.with(Option::is_some)>
            <p class="note">"Anyone who has this key controls the account and its funds. Never share it."</p>
            <p class="text key secret">{move || secret.get().map(|secret| secret.to_string())}</p>
            <p class="actions">
                <button type="button" on:click=move |_| secret.set(None)>"Hide"</button>
            </p>
        </Show>
    }
}

/// Removes an account, or the whole wallet, from this browser.
#[component]
pub fn Removal() -> impl IntoView {
    let (session, interface) = (use_session(), use_interface());
    let is_asking = RwSignal::new(false);
    let several = Memo::new(move |_| session.wallet.with(|wallet| wallet.accounts().len() > 1));
    let remove_one = move |_| {
        is_asking.set(false);
        if let Some(account) = session.key_untracked() {
            attempt(interface, keys::remove(session, account));
        }
    };
    let remove_all = move |_| {
        is_asking.set(false);
        attempt(interface, keys::clear(session));
    };
    view! {
        <p class="actions">
            <button type="button" class="quiet" on:click=move |_| is_asking.set(true)>"Remove from this browser"</button>
        </p>
        <Show when=move || is_asking.get()>
            <p class="error">"Without the recovery phrase or an exported file, the keys and everything they control are lost forever."</p>
            <p class="actions">
                <button type="button" on:click=move |_| is_asking.set(false)>"Keep wallet"</button>
                <Show when=move || several.get()>
                    <button type="button" class="sell" on:click=remove_one>"Remove this account"</button>
                </Show>
                <button type="button" class="sell" on:click=remove_all>
                    {move || if several.get() { "Remove all accounts" } else { "Remove wallet" }}
                </button>
            </p>
        </Show>
    }
}
