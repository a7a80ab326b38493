//! The wallet's dialog once there is a wallet: the active account, and what can be done with the accounts.

use leptos::prelude::*;
use zellbook_vault::Source;

use super::attempt::attempt;
use super::backup::{Backup, Removal};
use super::begin::Import;
use super::ethereum_wallets::EthereumWallets;
use super::keys;
use super::phrase::ShownPhrase;
use super::session::use_session;
use super::settings_form::SettingsForm;
use super::stored::{Account, Wallet};
use crate::platform::format;
use crate::ui::interface::use_interface;

#[component]
pub fn Accounts(phrase: ShownPhrase) -> impl IntoView {
    let session = use_session();
    let interface = use_interface();
    let accounts = Memo::new(move |_| session.wallet.with(Wallet::accounts));
    let acting = Memo::new(move |_| session.key());
    let is_unlocked = Memo::new(move |_| session.wallet.with(|wallet| wallet.is_unlocked));
    let has_keys = Memo::new(move |_| session.wallet.with(|wallet| wallet.lock.is_some()));
    let has_next = Memo::new(move |_| session.wallet.with(|wallet| wallet.next().is_some()));
    let choice = move |account: Account| {
        let key = account.key;
        view! {
            <label class="account">
                <input
                    type="radio"
                    name="account"
                    prop:checked=move || acting.get() == Some(key)
                    on:change=move |_| attempt(interface, keys::set(session, move |settings| settings.selected = Some(key)))
                />
                <span>{account.name}</span>
                <span class="hash">{format::short(&key.to_string())}</span>
            </label>
        }
    };
    let choices = move || {
        let accounts = accounts.get();
        (accounts.len() > 1).then(|| {
            view! {
                <fieldset class="accounts">
                    <legend>"Active account"</legend>
                    {accounts.into_iter().map(choice).collect_view()}
                </fieldset>
            }
        })
    };
    let add_next = move |_| {
        if let Some((phrase, index)) = session.wallet.with_untracked(Wallet::next) {
            attempt(interface, async move {
                let next = Source::Next { phrase, index };
                keys::add(session, next, String::new()).await.map(drop)
            });
        }
    };
    view! {
        {choices}
        <p class="note">"Account (public key):"</p>
        <p class="text key">{move || acting.get().map(|account| account.to_string())}</p>
        <p class="actions">
            <Show when=move || is_unlocked.get()>
                <Show when=move || has_next.get()>
                    <button type="button" on:click=add_next>"Add account"</button>
                </Show>
                <button type="button" on:click=move |_| keys::lock(session)>"Lock"</button>
            </Show>
        </p>
        <Show when=move || has_keys.get()>
            <Backup phrase />
        </Show>
        // Importing adds to an unlocked wallet. With accounts of Ethereum wallets only, it creates a wallet.
        <Show when=move || is_unlocked.get() || !has_keys.get()>
            <details>
                <summary>"Import private key, recovery phrase or file"</summary>
                {move || view! { <Import is_first=!has_keys.get() /> }}
            </details>
        </Show>
        <details>
            <summary>"Connect Ethereum wallet"</summary>
            <EthereumWallets />
        </details>
        <Show when=move || has_keys.get()>
            <SettingsForm />
        </Show>
        <Removal />
    }
}
