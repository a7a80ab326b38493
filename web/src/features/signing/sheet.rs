//! The sheet before every signature: what it does in words, then the exact text. Where a trading key may sign, there
//! is none.

use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::{Action, Transaction};

use super::wallet::{Hidden, OtherNetwork, OtherNetworkNote, UnlockForm};
use crate::draft::Lines;
use crate::format;
use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::sending;
use crate::state::{SignRequest, State, use_state};
use crate::trading_key;
use crate::wallet::Wallet;

const MINUTE_MS: u64 = 60_000;
/// How long what is signed can take effect; without, whenever it arrives.
const VALIDITIES: [(Option<u64>, &str); 5] = [
    (Some(MINUTE_MS), "1 minute"),
    (Some(10 * MINUTE_MS), "10 minutes"),
    (Some(60 * MINUTE_MS), "1 hour"),
    (Some(24 * 60 * MINUTE_MS), "1 day"),
    (None, "No expiry"),
];
/// What is chosen at first.
const VALIDITY: Option<u64> = Some(60 * MINUTE_MS);

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

/// What stands on the sheet.
#[derive(Clone)]
struct OnSheet {
    request: SignRequest,
    transaction: Transaction,
}

/// Has a trading key sign, if one may. Whether it did.
async fn sign_at_once(state: State, request: &SignRequest) -> bool {
    let Some(key) = trading_key::usable(state, &request.action) else { return false };
    let action = request.action.clone();
    let Ok(transaction) = sending::transaction(state, action, Some(key), VALIDITY).await else {
        return false;
    };
    let is_signed = sending::sign_and_send(state, request.title.clone(), transaction).await.is_ok();
    if is_signed {
        signed(state, request);
    }
    is_signed
}

/// Leaves the form as it is before an order.
fn signed(state: State, request: &SignRequest) {
    if matches!(request.action, Action::Order(_)) {
        // The next order is a decision of its own.
        state.quantity.set(String::new());
    }
    state.form_open.set(false);
}

/// Opens whenever something waits for a signature.
#[component]
pub fn SignSheet() -> impl IntoView {
    let state = use_state();
    let dialog: NodeRef<Dialog> = NodeRef::new();
    let on_sheet: RwSignal<Option<OnSheet>> = RwSignal::new(None);
    provide_context(on_sheet);
    // A second click on what is signed at once is no second order.
    let is_signing = StoredValue::new(false);
    Effect::new(move || {
        let Some(request) = state.request.get() else { return on_sheet.set(None) };
        if is_signing.get_value() {
            return;
        }
        is_signing.set_value(true);
        spawn_local(async move {
            let is_signed = sign_at_once(state, &request).await;
            is_signing.set_value(false);
            if is_signed {
                return state.request.set(None);
            }
            match sending::transaction(state, request.action.clone(), None, VALIDITY).await {
                Ok(transaction) => on_sheet.set(Some(OnSheet { request, transaction })),
                Err(error) => {
                    state.problem.set(Some(error.to_string()));
                    state.request.set(None);
                }
            }
        });
    });
    let is_open = Memo::new(move |_| on_sheet.with(Option::is_some));
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        if is_open.get() {
            // It fails only where it is open already.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    view! {
        <dialog
            node_ref=dialog
            class="sheet"
            aria-labelledby="sign-title"
            on:close=move |_| state.request.set(None)
            on:keydown=ignore_held_enter
        >
            {move || is_open.get().then(|| view! { <Later part=|| Box::pin(sheet()) /> })}
        </dialog>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn sheet() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <Sheet /> }.into_any())
}

#[component]
fn Sheet() -> impl IntoView {
    let state = use_state();
    let on_sheet: RwSignal<Option<OnSheet>> = expect_context();
    let (busy, fault) = (RwSignal::new(false), RwSignal::new(None::<String>));
    let is_ready = Memo::new(move |_| state.wallet.with(Wallet::is_ready));
    let is_ethereum = Memo::new(move |_| state.wallet.with(|wallet| wallet.ethereum().is_some()));
    let account = Memo::new(move |_| {
        on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.transaction.account))
    });
    let other_network = Memo::new(move |_| OtherNetwork::of(state, account.get()?));
    let hidden = Memo::new(move |_| Hidden::of(state, account.get()?));
    Effect::new(move || {
        // A wallet that lost the account may never answer. What it signs late is the same transaction.
        if hidden.with(Option::is_some) {
            busy.set(false);
        }
    });
    let network = state.rules.with_untracked(|rules| rules.as_ref().map(|rules| rules.network));
    let text = move || {
        let transaction =
            on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.transaction.clone()));
        Some(transaction?.text(&network?))
    };
    let title =
        move || on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.request.title.clone()));
    let lines = move || {
        let lines = on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.request.lines.clone()));
        lines_view(lines.unwrap_or_default())
    };
    let close = move || state.request.set(None);
    let sign = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(OnSheet { request, transaction }) = on_sheet.get_untracked() else { return };
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        fault.set(None);
        spawn_local(async move {
            let (title, nonce) = (request.title.clone(), transaction.nonce);
            match sending::sign_and_send(state, title, transaction).await {
                Ok(()) => {
                    let is_this = |sheet: &OnSheet| sheet.transaction.nonce == nonce;
                    // Where the wallet was slow, another one may be on the sheet by now.
                    if on_sheet.with_untracked(|sheet| sheet.as_ref().is_some_and(is_this)) {
                        signed(state, &request);
                        close();
                    }
                }
                // The sheet may be closed: then nobody waits for this.
                Err(error) => {
                    let _ = busy.try_set(false);
                    drop(fault.try_set(Some(error.to_string())));
                }
            }
        });
    };
    let set_validity = move |event| {
        let length: Option<u64> = event_target_value(&event).parse().ok();
        on_sheet.update(|sheet| {
            if let Some(sheet) = sheet {
                sheet.transaction.valid_until =
                    length.map(|length| sending::valid_until(state, length));
            }
        });
    };
    let validity = |(length, name): (Option<u64>, &'static str)| {
        let value = length.map(|length| length.to_string()).unwrap_or_default();
        view! { <option value=value selected=length == VALIDITY>{name}</option> }
    };
    let button = move || match (busy.get(), is_ethereum.get()) {
        (true, true) => "Confirm in your wallet…",
        (true, false) => "Signing…",
        (false, _) => "Sign and send",
    };
    view! {
        <h2 id="sign-title">{title}</h2>
        <Show when=move || other_network.with(Option::is_some)>
            <div class="reminder" role="alert">
                <OtherNetworkNote other=other_network />
            </div>
        </Show>
        <Show when=move || hidden.with(Option::is_some)>
            <p class="reminder" role="alert">
                <span>{move || hidden.with(|hidden| hidden.as_ref().map(Hidden::text))} " This request stays open until then."</span>
            </p>
        </Show>
        <dl class="cost">
            {lines}
            <div>
                <dt>"Network"</dt>
                <dd class="hash" title=network.map(|id| id.to_string())>
                    {network.map(|id| format::short(&id.to_string()))}
                </dd>
            </div>
        </dl>
        <label class="field validity">
            <span>"Valid for"</span>
            <select on:change=set_validity disabled=move || busy.get()>{VALIDITIES.map(validity).collect_view()}</select>
        </label>
        <p class="note">"You're signing this message:"</p>
        <pre class="text" tabindex="0">{text}</pre>
        <p class="fault" role="alert">{move || fault.get()}</p>
        <Show
            when=move || is_ready.get()
            fallback=move || {
                view! {
                    <UnlockForm note="Your wallet is locked. Unlock it to sign." />
                    <p class="actions">
                        <button type="button" class="quiet" on:click=move |_| close()>"Cancel"</button>
                    </p>
                }
            }
        >
            <form on:submit=sign class="actions send">
                <button type="button" class="quiet" on:click=move |_| close()>"Cancel"</button>
                <Show when=move || other_network.with(Option::is_none)>
                    <button type="submit" class="main" autofocus aria-disabled=move || busy.get().to_string()>{button}</button>
                </Show>
            </form>
        </Show>
    }
}
