//! The sheet before a signature: what is signed in words, then the exact text. There is none if a trading key signs.

use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::request::Outcome;
use super::sign::DEFAULT_VALIDITY_MS;
use super::state::use_signing;
use crate::features::wallet::{HiddenAccount, OtherNetwork, OtherNetworkNote, UnlockForm, Wallet};
use crate::platform::format;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::ui::lines::lines_view;
use crate::ui::sheet::{ignore_held_enter, open_while};

const MINUTE_MS: u64 = 60_000;
/// How long a signed transaction can take effect. None is without a limit.
const VALIDITIES: [(Option<u64>, &str); 5] = [
    (Some(MINUTE_MS), "1 minute"),
    (Some(10 * MINUTE_MS), "10 minutes"),
    (Some(60 * MINUTE_MS), "1 hour"),
    (Some(24 * 60 * MINUTE_MS), "1 day"),
    (None, "No expiry"),
];

/// Opens whenever something waits for the user's signature.
#[component]
pub fn SignSheet() -> impl IntoView {
    let signing = use_signing();
    let dialog: NodeRef<Dialog> = NodeRef::new();
    let is_open = Memo::new(move |_| signing.on_sheet.with(Option::is_some));
    open_while(dialog, move || is_open.get());
    view! {
        <dialog
            node_ref=dialog
            class="sheet"
            aria-labelledby="sign-title"
            on:close=move |_| signing.end(Outcome::Dismissed)
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
    let signing = use_signing();
    let (markets, session, connection) = (signing.markets, signing.session, signing.connection);
    let on_sheet = signing.on_sheet;
    let (busy, message) = (RwSignal::new(false), RwSignal::new(None::<String>));
    let is_ready = Memo::new(move |_| session.wallet.with(Wallet::is_ready));
    let is_ethereum = Memo::new(move |_| session.wallet.with(|wallet| wallet.ethereum().is_some()));
    let account = Memo::new(move |_| {
        on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.transaction.account))
    });
    let other_network =
        Memo::new(move |_| OtherNetwork::of(markets, session, connection, account.get()?));
    let hidden = Memo::new(move |_| HiddenAccount::of(session, account.get()?));
    Effect::new(move || {
        // A wallet that lost the account may never answer. If it signs late after all, it signs the same transaction.
        if hidden.with(Option::is_some) {
            busy.set(false);
        }
    });
    // The sheet can open before genesis is known. Until then there is no text, and nothing can be signed.
    let network =
        Memo::new(move |_| markets.rules.with(|rules| rules.as_ref().map(|rules| rules.network)));
    let text = move || {
        let transaction =
            on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.transaction.clone()));
        Some(transaction?.text(&network.get()?))
    };
    let title =
        move || on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.request.title.clone()));
    let lines = move || {
        let lines = on_sheet.with(|sheet| sheet.as_ref().map(|sheet| sheet.request.lines.clone()));
        lines_view(lines.unwrap_or_default())
    };
    let close = move || signing.end(Outcome::Dismissed);
    let sign = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        // The button stays enabled while it is busy, because a disabled one would lose the focus. So it can be
        // pressed again.
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        message.set(None);
        spawn_local(async move {
            if let Err(error) = signing.confirm().await {
                // If the sheet was closed, nobody waits for this.
                let _ = busy.try_set(false);
                drop(message.try_set(Some(error.to_string())));
            }
        });
    };
    let set_validity = move |event| {
        let length: Option<u64> = event_target_value(&event).parse().ok();
        on_sheet.update(|sheet| {
            if let Some(sheet) = sheet {
                // The time counts from the choice, however long the sheet has been open.
                sheet.transaction.valid_until = length.map(|length| signing.time_after(length));
            }
        });
    };
    let validity = |(length, name): (Option<u64>, &'static str)| {
        let value = length.map(|length| length.to_string()).unwrap_or_default();
        view! { <option value=value selected=length == DEFAULT_VALIDITY_MS>{name}</option> }
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
                <span>{move || hidden.with(|hidden| hidden.as_ref().map(HiddenAccount::text))} " This request stays open until then."</span>
            </p>
        </Show>
        <Show when=move || connection.clock_note().is_some()>
            <p class="reminder" role="alert">
                <span>{move || connection.clock_note()}</span>
            </p>
        </Show>
        <dl class="cost">
            {lines}
            <div>
                <dt>"Network"</dt>
                <dd class="hash" title=move || network.get().map(|id| id.to_string())>
                    {move || network.get().map(|id| format::short(&id.to_string()))}
                </dd>
            </div>
        </dl>
        <label class="field validity">
            <span>"Valid for"</span>
            // While an Ethereum wallet shows the text, the text here must not change.
            <select on:change=set_validity disabled=move || busy.get()>{VALIDITIES.map(validity).collect_view()}</select>
        </label>
        <p class="note">"You're signing this message:"</p>
        <pre class="text" tabindex="0">{text}</pre>
        <p class="error" role="alert">{move || message.get()}</p>
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
                // The button is gone, so that neither a click nor Enter can sign for the other network, or a text that is
                // not shown.
                <Show when=move || other_network.with(Option::is_none) && network.get().is_some()>
                    <button type="submit" class="main" autofocus aria-disabled=move || busy.get().to_string()>{button}</button>
                </Show>
            </form>
        </Show>
    }
}
