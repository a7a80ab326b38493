//! Notices of what happened, where they cover nothing that is pressed. They go by themselves,
//! unless something went wrong or somebody looks at them.

use leptos::prelude::*;
use zellbook_core::wire::AccountBody;

use super::orders::request_cancel;
use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::notices::{self, Notice, Tone};
use crate::sending::Sent;
use crate::state::{State, use_state};

/// How long a notice stays.
const SHOWN_MS: u64 = 6000;
/// Notices at once, at most.
const SHOWN_MAX: usize = 3;
/// Notices that the pointer or the focus is on, all of them.
const LOOKED_AT: &str = ".toasts:is(:hover, :focus-within)";

#[derive(Clone, PartialEq)]
struct Toast {
    number: u32,
    notice: Notice,
}

type List = RwSignal<Vec<Toast>>;

/// Where notices appear. What makes them is loaded once there is an account that something can happen to.
#[component]
pub fn Toasts() -> impl IntoView {
    let state = use_state();
    let has_key = state.has_key();
    view! {
        <div class="toasts" role="log" aria-label="Notices">
            <Show when=move || has_key.get()>
                <Later part=|| Box::pin(notices_part()) />
            </Show>
        </div>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn notices_part() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <ToastList /> }.into_any())
}

/// Watches account and what was sent, and shows what became of them.
#[component]
fn ToastList() -> impl IntoView {
    let state = use_state();
    let toasts: List = RwSignal::default();
    let last = StoredValue::new(0);
    let tell = move |notices: Vec<Notice>| {
        for notice in notices {
            last.update_value(|last| *last += 1);
            let number = last.get_value();
            if notice.tone != Tone::Bad {
                hide_later(toasts, number);
            }
            toasts.update(|toasts| {
                toasts.push(Toast { number, notice });
                let too_many = toasts.len().saturating_sub(SHOWN_MAX);
                toasts.drain(..too_many);
            });
        }
    };
    Effect::new(move |before: Option<Vec<Sent>>| {
        let now = state.sent.get();
        if let Some(before) = before {
            tell(notices::of_sent(&before, &now));
        }
        now
    });
    Effect::new(move |before: Option<Option<AccountBody>>| {
        let now = state.account.get();
        if let (Some(Some(before)), Some(now), Some(listing)) =
            (&before, &now, state.listing.get_untracked())
            && before.account == now.account
        {
            let sent = state.sent.get_untracked();
            tell(notices::of_account(&listing, before, now, &sent));
        }
        now
    });
    view! {
        <For each=move || toasts.get() key=|toast| toast.number let:toast>
            {toast_view(state, toasts, toast)}
        </For>
    }
}

fn hide(toasts: List, number: u32) {
    toasts.update(|toasts| toasts.retain(|toast| toast.number != number));
}

/// Hides a notice after a while, and not while somebody looks at it.
fn hide_later(toasts: List, number: u32) {
    let later = move || {
        if document().query_selector(LOOKED_AT).ok().flatten().is_some() {
            hide_later(toasts, number);
        } else {
            hide(toasts, number);
        }
    };
    set_timeout(later, std::time::Duration::from_millis(SHOWN_MS));
}

fn toast_view(state: State, toasts: List, toast: Toast) -> impl IntoView {
    let Toast { number, notice } = toast;
    let (class, mark) = match notice.tone {
        Tone::Good => ("toast good", "✓"),
        Tone::Bad => ("toast bad", "✕"),
        Tone::News => ("toast", "●"),
    };
    let undo = notice.undo.map(|order| {
        let label = format!("Undo: cancel order #{}", order.id);
        let cancel = move |_| {
            hide(toasts, number);
            request_cancel(state, &order);
        };
        view! { <button type="button" class="small undo" aria-label=label on:click=cancel>"Undo"</button> }
    });
    view! {
        <div class=class>
            <span class="mark" aria-hidden="true">{mark}</span>
            <p><strong>{notice.title}</strong> " " {notice.text}</p>
            {undo}
            <button type="button" class="quiet small" aria-label="Dismiss" on:click=move |_| hide(toasts, number)>
                "✕"
            </button>
        </div>
    }
}
