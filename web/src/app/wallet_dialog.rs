//! The wallet's button and dialog, and what is shown above the page to people with a wallet.

use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::account_part::AccountPart;
use crate::features::wallet::{
    AccountBanner, Accounts, Begin, PhraseView, Refused, ShownPhrase, UnlockForm, Wallet,
    use_session,
};
use crate::platform::format;
use crate::ui::interface::use_interface;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::ui::sheet::open_while;

/// Shows the active account and opens the dialog.
#[component]
pub fn WalletButton() -> impl IntoView {
    let (session, interface) = (use_session(), use_interface());
    let text = move || {
        session.wallet.with(|wallet| match wallet.account() {
            // Until storage has been read, a wallet that exists looks as if there were none.
            None if wallet.is_loaded => "Create wallet".to_string(),
            None => "Wallet".to_string(),
            Some(account) if wallet.is_ready() => format::short(&account.to_string()),
            Some(account) => format!("{} · locked", format::short(&account.to_string())),
        })
    };
    let is_at_risk = move || session.wallet.with(|wallet| !wallet.settings.is_backed_up);
    view! {
        <button type="button" class="wallet" class:at-risk=is_at_risk on:click=move |_| interface.open_wallet()>
            {text}
            <Show when=is_at_risk>
                <span class="visually-hidden">", not backed up"</span>
            </Show>
        </button>
    }
}

#[component]
pub fn WalletDialog() -> impl IntoView {
    let interface = use_interface();
    let dialog: NodeRef<Dialog> = NodeRef::new();
    let is_open = interface.wallet_is_open;
    open_while(dialog, move || is_open.get());
    // The content is removed when the dialog closes, and with it every secret that was typed or shown.
    let body = move || is_open.get().then(|| view! { <Later part=|| Box::pin(content()) /> });
    view! {
        <dialog node_ref=dialog class="sheet" aria-labelledby="wallet-title" on:close=move |_| interface.close_wallet()>
            <div class="form-head">
                <h2 id="wallet-title">"Wallet"</h2>
                <button type="button" class="quiet" on:click=move |_| interface.close_wallet()>"Close"</button>
            </div>
            {body}
        </dialog>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn content() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <Content /> }.into_any())
}

/// Warnings across the page about the active account.
#[component]
pub fn AccountBanners() -> impl IntoView {
    let has_key = use_session().has_account();
    view! {
        <Show when=move || has_key.get()>
            <Later part=|| Box::pin(account_banner()) />
        </Show>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn account_banner() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <AccountBanner /> }.into_any())
}

#[component]
fn Content() -> impl IntoView {
    let session = use_session();
    let part: AccountPart = expect_context();
    let has_begun = RwSignal::new(AccountPart::has_begun());
    spawn_local(async move {
        // This view is in the module that `begin` loads, so loading it again cannot fail.
        part.begin().await;
        // The dialog may be closed by now.
        has_begun.try_set(true);
    });
    let phrase: ShownPhrase = RwSignal::new(None);
    let refused: Refused = RwSignal::new(None);
    provide_context(refused);
    let is_empty = Memo::new(move |_| session.wallet.with(|wallet| wallet.account().is_none()));
    let is_locked = Memo::new(move |_| session.wallet.with(Wallet::is_locked));
    move || {
        if !has_begun.get() {
            ().into_any()
        } else if phrase.with(Option::is_some) {
            view! { <PhraseView phrase /> }.into_any()
        } else if is_empty.get() {
            view! { <Begin phrase /> }.into_any()
        } else if is_locked.get() {
            view! {
                // If another tab was faster, its wallet has replaced the form that was refused.
                <p class="error" role="alert">{move || refused.get()}</p>
                <UnlockForm note="The keys are stored in this browser. Enter your passphrase to unlock them." />
                <Accounts phrase />
            }
            .into_any()
        } else {
            view! { <Accounts phrase /> }.into_any()
        }
    }
}
