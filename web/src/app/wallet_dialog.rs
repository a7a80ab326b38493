//! The wallet as people see it.

mod accounts;
mod backup;
mod banner;
mod begin;
mod ethereum;
mod first_steps;
mod passphrase;
mod phrase;
mod settings;
mod trading_keys;

use leptos::html::Dialog;
use leptos::prelude::*;
use zeroize::Zeroizing;

use self::accounts::Accounts;
use self::banner::AccountBanner;
use self::begin::Begin;
use self::phrase::PhraseView;
use self::trading_keys::TradingKeys;
use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::state::use_state;
use crate::wallet::{self, Wallet};
use crate::{account, format};
pub use backup::Reminder;
pub use banner::{Hidden, OtherNetwork, OtherNetworkNote};
pub use first_steps::{FirstSteps, Welcome};
pub use passphrase::UnlockForm;

/// A phrase on show, while it is.
type Shown = RwSignal<Option<Zeroizing<String>>>;

/// Why no wallet began: the form is gone when another tab was faster.
type Refused = RwSignal<Option<String>>;

/// Shows whose key is here and opens the dialog.
#[component]
pub fn WalletButton() -> impl IntoView {
    let state = use_state();
    let text = move || {
        state.wallet.with(|wallet| match wallet.account() {
            None if wallet.is_loaded => "Create wallet".to_string(),
            None => "Wallet".to_string(),
            Some(account) if wallet.is_ready() => format::short(&account.to_string()),
            Some(account) => format!("{} · locked", format::short(&account.to_string())),
        })
    };
    let is_at_risk = move || state.wallet.with(|wallet| !wallet.settings.is_backed_up);
    view! {
        <button type="button" class="wallet" class:at-risk=is_at_risk on:click=move |_| state.wallet_open.set(true)>
            {text}
            <Show when=is_at_risk>
                <span class="visually-hidden">", not backed up"</span>
            </Show>
        </button>
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
    // What is typed and shown there goes when it closes.
    let body =
        move || state.wallet_open.get().then(|| view! { <Later part=|| Box::pin(content()) /> });
    view! {
        <dialog node_ref=dialog class="sheet" aria-labelledby="wallet-title" on:close=move |_| state.wallet_open.set(false)>
            <div class="form-head">
                <h2 id="wallet-title">"Wallet"</h2>
                <button type="button" class="quiet" on:click=move |_| state.wallet_open.set(false)>"Close"</button>
            </div>
            {body}
        </dialog>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn content() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <Content /> }.into_any())
}

/// Lines across the page for whoever has a key.
#[component]
pub fn AccountBanners() -> impl IntoView {
    let has_key = use_state().has_key();
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

/// The tab of trading keys.
#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
pub fn trading_keys_tab() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <TradingKeys /> }.into_any())
}

#[component]
fn Content() -> impl IntoView {
    let state = use_state();
    let (switch, has_begun) = (expect_context(), RwSignal::new(account::has_begun()));
    leptos::task::spawn_local(async move {
        account::begin(state, switch).await;
        // The dialog may be closed by now.
        has_begun.try_set(true);
    });
    let phrase: Shown = RwSignal::new(None);
    let refused: Refused = RwSignal::new(None);
    provide_context(refused);
    let is_empty = Memo::new(move |_| state.wallet.with(|wallet| wallet.account().is_none()));
    let is_locked = Memo::new(move |_| state.wallet.with(Wallet::is_locked));
    move || {
        if !has_begun.get() {
            ().into_any()
        } else if phrase.with(Option::is_some) {
            view! { <PhraseView phrase /> }.into_any()
        } else if is_empty.get() {
            view! { <Begin phrase /> }.into_any()
        } else if is_locked.get() {
            view! {
                <p class="fault" role="alert">{move || refused.get()}</p>
                <UnlockForm note="Your keys are stored in this browser. Enter your passphrase to unlock them." />
                <Accounts phrase />
            }
            .into_any()
        } else {
            view! { <Accounts phrase /> }.into_any()
        }
    }
}

/// Does what may fail, and says why in the banner if it did.
fn attempt(work: impl Future<Output = Result<(), wallet::VaultError>> + 'static) {
    let state = use_state();
    leptos::task::spawn_local(async move {
        if let Err(error) = work.await {
            state.problem.set(Some(error.to_string()));
        }
    });
}
