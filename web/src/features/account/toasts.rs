//! Notices of what happened, placed where they cover nothing that is pressed. They disappear by themselves, unless
//! something went wrong or somebody looks at them.

use leptos::prelude::*;
use zellbook_core::wire::AccountBody;

use super::notices::{self, Notice, Tone};
use crate::features::market::{Markets, use_markets};
use crate::features::order::request_cancel;
use crate::features::signing::{Sent, Signing, use_signing};
use crate::features::wallet::use_session;
use crate::platform::focus;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};

/// How long a notice is shown.
const SHOWN_MS: u64 = 6000;
/// The most notices that are shown at once.
const SHOWN_MAX: usize = 3;
/// Matches the list while the pointer or the focus is on one of its notices.
const LOOKED_AT: &str = ".toasts:is(:hover, :focus-within)";

#[derive(Clone, PartialEq)]
struct Toast {
    number: u32,
    notice: Notice,
}

type List = RwSignal<Vec<Toast>>;

/// Where notices appear. The code that makes them is loaded once there is an account.
#[component]
pub fn Toasts() -> impl IntoView {
    let session = use_session();
    let has_key = session.has_account();
    view! {
        // The empty list is there from the start: screen readers announce only what changes in a list that they know.
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

/// Watches the account and the transactions that this page sent, and shows what changed.
#[component]
fn ToastList() -> impl IntoView {
    let (markets, session, signing) = (use_markets(), use_session(), use_signing());
    let toasts: List = RwSignal::default();
    // Notices are known by numbers, because two can be equal, and each disappears at a time of its own.
    let last = StoredValue::new(0);
    let show = move |notices: Vec<Notice>| {
        for notice in notices {
            last.update_value(|last| *last += 1);
            let number = last.get_value();
            if notice.tone != Tone::Bad {
                hide_later(toasts, number);
            }
            toasts.update(|toasts| {
                toasts.push(Toast { number, notice });
                while toasts.len() > SHOWN_MAX {
                    // The oldest makes room. A failure stays until it is dismissed, unless all are failures.
                    let oldest = toasts.iter().position(|toast| toast.notice.tone != Tone::Bad);
                    toasts.remove(oldest.unwrap_or(0));
                }
            });
        }
    };
    Effect::new(move |before: Option<Vec<Sent>>| {
        let now = signing.sent.get();
        // The first run only notes where things are. What happened before that is not news.
        if let Some(before) = before {
            show(notices::of_sent(&before, &now));
        }
        now
    });
    Effect::new(move |before: Option<Option<AccountBody>>| {
        let now = session.account.get();
        if let (Some(Some(before)), Some(now), Some(listing)) =
            (&before, &now, markets.listing.get_untracked())
            // Another account has other balances and fills, and nothing happened to it.
            && before.account == now.account
        {
            // Untracked, like the listing: only a new account must be compared with the one before.
            let sent = signing.sent.get_untracked();
            show(notices::of_account(&listing, before, now, &sent));
        }
        now
    });
    view! {
        <For each=move || toasts.get() key=|toast| toast.number let:toast>
            {toast_view(markets, signing, toasts, toast)}
        </For>
    }
}

fn hide(toasts: List, number: u32) {
    toasts.update(|toasts| toasts.retain(|toast| toast.number != number));
}

/// Hides a notice after a while, but not while somebody looks at one.
fn hide_later(toasts: List, number: u32) {
    let later = move || {
        if focus::exists(LOOKED_AT) {
            hide_later(toasts, number);
        } else {
            hide(toasts, number);
        }
    };
    set_timeout(later, std::time::Duration::from_millis(SHOWN_MS));
}

fn toast_view(markets: Markets, signing: Signing, toasts: List, toast: Toast) -> impl IntoView {
    let Toast { number, notice } = toast;
    let (class, mark) = match notice.tone {
        Tone::Good => ("toast good", "✓"),
        Tone::Bad => ("toast bad", "✕"),
        Tone::News => ("toast", "●"),
    };
    let undo = notice.undo.map(|order| {
        let label = format!("Undo: cancel order #{}", order.id);
        // The notice goes first, so that a second click cannot ask for a second cancel.
        let cancel = move |_| {
            hide(toasts, number);
            request_cancel(markets, signing, &order);
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
