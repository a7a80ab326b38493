//! The list of the browser's Ethereum wallets, to connect one.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::keys;
use super::session::use_session;
use crate::platform::ethereum::{Announced, announced};

#[component]
pub fn EthereumWallets() -> impl IntoView {
    let session = use_session();
    let (busy, message) = (RwSignal::new(false), RwSignal::new(None::<String>));
    let connect = move |id: String| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        message.set(None);
        spawn_local(async move {
            let outcome = keys::connect(session, &id).await;
            // Connecting may have replaced this list by something else.
            let _ = busy.try_set(false);
            drop(message.try_set(outcome.err().map(|error| error.to_string())));
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
            "Your Ethereum wallet asks you to sign one message, which tells this page the account's public key. After that it signs everything you do here. Its private key never reaches this page."
        </p>
        <Show
            when=|| !announced().is_empty()
            fallback=|| view! { <p class="empty">"No Ethereum wallet found in this browser. Install MetaMask, Rabby or another one, then reload the page."</p> }
        >
            <p class="actions">{move || announced().into_iter().map(button).collect_view()}</p>
        </Show>
        <Show when=move || busy.get()>
            <p class="note" role="status">"Confirm in your wallet…"</p>
        </Show>
        <p class="error" role="alert">{move || message.get()}</p>
    }
}
