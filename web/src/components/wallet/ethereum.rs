//! The Ethereum wallets of the browser, to be connected.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::state::use_state;
use crate::wallet;
use crate::wallet::ethereum::{Announced, announced};

/// Each wallet that announced itself, with a button.
#[component]
pub fn EthereumWallets() -> impl IntoView {
    let state = use_state();
    let (busy, fault) = (RwSignal::new(false), RwSignal::new(None::<String>));
    let connect = move |id: String| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        fault.set(None);
        spawn_local(async move {
            let outcome = wallet::connect(state.wallet, &id).await;
            // It may be gone with what was done.
            let _ = busy.try_set(false);
            drop(fault.try_set(outcome.err().map(|error| error.to_string())));
        });
    };
    let button = move |wallet: Announced| {
        let id = wallet.id;
        view! {
            <button
                type="button"
                class="ethereum"
                disabled=move || busy.get()
                on:click=move |_| connect(id.clone())
            >
                {wallet.icon.map(|icon| view! { <img src=icon alt="" width="20" height="20" /> })}
                {wallet.name}
            </button>
        }
    };
    view! {
        <p class="note">
            "It shows an address and asks you to sign a text once: that tells this page the account's public key. From then on it signs whatever you do here; its key never comes to this page."
        </p>
        <Show
            when=|| !announced().is_empty()
            fallback=|| view! { <p class="empty">"No Ethereum wallet is in this browser. Install one, such as MetaMask or Rabby, and reload the page."</p> }
        >
            <p class="actions">{move || announced().into_iter().map(button).collect_view()}</p>
        </Show>
        <Show when=move || busy.get()>
            <p class="note" role="status">"Confirm in your wallet…"</p>
        </Show>
        <p class="fault" role="alert">{move || fault.get()}</p>
    }
}
