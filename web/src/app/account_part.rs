//! What only somebody with a key has: the wallet, what was signed, the account's channel. It is a part of the
//! page, which is loaded where this browser has kept something, and when the wallet is opened.

use std::cell::Cell;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use web_sys::BroadcastChannel;
use zellbook_core::wire::AccountBody;

use crate::components::dead_man::{self, DeadMan};
use crate::components::edit_sheet::EditSheet;
use crate::components::sign_sheet::SignSheet;
use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::state::State;
use crate::wallet::{CHANNEL, DATABASE};
use crate::{feed, genesis, sending, wallet};

/// Wait before genesis is asked for again.
const RETRY_MS: u32 = 2000;

thread_local! {
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
}

#[wasm_bindgen]
extern "C" {
    /// Names and versions of what this browser keeps for the page (Indexed Database API 3.0).
    #[wasm_bindgen(js_namespace = indexedDB, catch)]
    async fn databases() -> Result<JsValue, JsValue>;
}

/// Whether this browser may have kept something. Where it does not tell, it may.
async fn may_have_kept() -> bool {
    let Ok(found) = databases().await else { return true };
    js_sys::Array::from(&found).iter().any(|database| {
        js_sys::Reflect::get(&database, &"name".into()).is_ok_and(|name| name == DATABASE)
    })
}

/// Begins where this browser has kept something, and when another tab keeps something.
pub fn start(state: State, switch: DeadMan) {
    spawn_local(async move {
        if may_have_kept().await {
            begin(state, switch).await;
        } else {
            state.wallet.update(|wallet| wallet.is_loaded = true);
        }
    });
    if let Ok(channel) = BroadcastChannel::new(CHANNEL) {
        let hear = move || spawn_local(begin(state, switch));
        let hear = Closure::<dyn Fn()>::new(hear).into_js_value();
        channel.set_onmessage(Some(hear.unchecked_ref()));
    }
}

/// Whether it has begun.
pub fn has_begun() -> bool {
    HAS_BEGUN.get()
}

/// Begins, once. Without an answer the page says so, and it can be tried again.
pub async fn begin(state: State, switch: DeadMan) {
    if HAS_BEGUN.get() {
        return;
    }
    if begin_part(state, switch).await.is_err() {
        let text = "The wallet could not be loaded: the replica does not answer, or it now serves a different version of the page. Reload the page.";
        state.problem.set(Some(text.into()));
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn begin_part(state: State, switch: DeadMan) -> Result<(), NotLoaded> {
    // Who asked meanwhile has begun it.
    if HAS_BEGUN.replace(true) {
        return Ok(());
    }
    feed::read_accounts(read_account);
    wallet::start(state.wallet);
    dead_man::keep_up(state, switch);
    spawn_local(async move {
        let mut is_late = false;
        while let Err(problem) = genesis::rules(state).await {
            is_late = true;
            state.problem.set(Some(problem.to_string()));
            TimeoutFuture::new(RETRY_MS).await;
        }
        if is_late {
            state.problem.set(None);
        }
        sending::resume(state).await;
    });
    Ok(())
}

fn read_account(json: &str) -> Option<AccountBody> {
    serde_json::from_str(json).ok()
}

/// The sheets that an account opens, while there is one.
#[component]
pub fn AccountSheets() -> impl IntoView {
    let state = crate::state::use_state();
    let has_key = state.has_key();
    view! {
        <Show when=move || has_key.get()>
            <Later part=|| Box::pin(sheets()) />
        </Show>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn sheets() -> Result<MakeView, NotLoaded> {
    Ok(|| {
        view! {
            <EditSheet />
            <SignSheet />
        }
        .into_any()
    })
}
