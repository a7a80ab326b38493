//! The sheet before every signature: what it does in words, then the exact text.

use leptos::html::Dialog;
use leptos::prelude::*;
use zellbook_core::transaction::{Action, Transaction};

use super::welcome::UnlockForm;
use crate::draft::Lines;
use crate::sending;
use crate::state::use_state;
use crate::wallet::Wallet;

/// A key that is held down repeats: it must not sign what it has just opened.
pub fn ignore_held_enter(event: leptos::ev::KeyboardEvent) {
    if event.repeat() && event.key() == "Enter" {
        event.prevent_default();
    }
}

/// Names and values.
pub fn lines_view(lines: Lines) -> impl IntoView {
    let line = |(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    lines.into_iter().map(line).collect_view()
}

/// Opens whenever something waits for a signature.
#[component]
pub fn SignSheet() -> impl IntoView {
    let state = use_state();
    let dialog: NodeRef<Dialog> = NodeRef::new();
    let transaction: RwSignal<Option<Transaction>> = RwSignal::new(None);
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        match state.request.get() {
            Some(request) => {
                transaction.set(sending::transaction(state, request.action));
                // It fails only where it is open already.
                let _ = dialog.show_modal();
            }
            None => dialog.close(),
        }
    });
    let text = move || {
        let transaction = transaction.get()?;
        let rules = state.rules.get()?;
        Some(transaction.text(&rules.network))
    };
    let network = move || state.rules.get().map(|rules| rules.network.to_string());
    let is_unlocked = move || state.wallet.with(|wallet| matches!(wallet, Wallet::Unlocked(..)));
    let close = move || state.request.set(None);
    let sign = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let (Some(request), Some(transaction)) =
            (state.request.get_untracked(), transaction.get_untracked())
        else {
            return;
        };
        if matches!(transaction.action, Action::Order(_)) {
            // The next order is a decision of its own.
            state.quantity.set(String::new());
        }
        sending::sign_and_send(state, request.title, transaction);
        state.form_open.set(false);
        close();
    };
    let lines =
        move || lines_view(state.request.get().map(|request| request.lines).unwrap_or_default());
    view! {
        <dialog
            node_ref=dialog
            class="sheet"
            aria-labelledby="sign-title"
            on:close=move |_| close()
            on:keydown=ignore_held_enter
        >
            <h2 id="sign-title">{move || state.request.get().map(|request| request.title)}</h2>
            <dl class="cost">
                {lines}
                <div>
                    <dt>"Network"</dt>
                    <dd class="hash" title=network>{move || network().map(|id| crate::format::short(&id))}</dd>
                </div>
            </dl>
            <p class="note">"You sign exactly this text:"</p>
            <pre class="text" tabindex="0">{text}</pre>
            <Show
                when=is_unlocked
                fallback=move || {
                    view! {
                        <UnlockForm note="Your key is locked. Unlock it to sign." />
                        <p class="actions">
                            <button type="button" class="quiet" on:click=move |_| close()>"Cancel"</button>
                        </p>
                    }
                }
            >
                <form on:submit=sign class="actions send">
                    <button type="button" class="quiet" on:click=move |_| close()>"Cancel"</button>
                    <button type="submit" class="main" autofocus>"Sign and send"</button>
                </form>
            </Show>
        </dialog>
    }
}
