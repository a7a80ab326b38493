//! Trading keys: session keys that sign orders without a prompt, until they expire and within a spending limit.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::protocol::KeyGrant;
use zellbook_core::wire::SessionKeyBody;
use zellbook_core::{Action, Decimal, PublicKey};
use zellbook_vault::{Source, VaultError};

use crate::features::market::{Markets, use_markets};
use crate::features::signing::trading_key::left;
use crate::features::signing::{SignRequest, Signing, use_signing};
use crate::features::wallet::{SecretField, Session, keys as wallet_keys, use_session};
use crate::platform::format;

const HOUR_MS: u64 = 3_600_000;
const LIFETIMES: [(u64, &str); 4] = [
    (HOUR_MS, "1 hour"),
    (8 * HOUR_MS, "8 hours"),
    (24 * HOUR_MS, "1 day"),
    (7 * 24 * HOUR_MS, "7 days"),
];

#[derive(Clone, Copy)]
struct Form {
    lifetime: RwSignal<u64>,
    market: RwSignal<String>,
    token: RwSignal<String>,
    limit: RwSignal<String>,
    /// The passphrase of the wallet that is created together with the key, if there is none yet.
    passphrase: RwSignal<String>,
}

/// The keys that may trade for the account, and the form that makes one.
#[component]
pub fn TradingKeys() -> impl IntoView {
    let (markets, session, signing) = (use_markets(), use_session(), use_signing());
    let keys = Memo::new(move |_| {
        session.account.with(|account| {
            account.as_ref().map(|account| account.session_keys.clone()).unwrap_or_default()
        })
    });
    let has_key = Memo::new(move |_| session.wallet.with(|wallet| wallet.account().is_some()));
    view! {
        <p class="note">
            "A trading key signs orders, edits and cancels without a prompt. It cannot move funds, it expires, and you can revoke it here."
        </p>
        <Show
            when=move || !keys.with(Vec::is_empty)
            fallback=|| view! { <p class="empty">"No trading keys. Your account's own key signs each order."</p> }
        >
            <div class="table-scroll" tabindex="0" role="region" aria-label="Trading keys">
                {move || table(markets, session, signing, keys.get())}
            </div>
        </Show>
        <Show when=move || has_key.get()>
            <KeyForm />
        </Show>
    }
}

fn table(
    markets: Markets,
    session: Session,
    signing: Signing,
    keys: Vec<SessionKeyBody>,
) -> impl IntoView {
    let row = move |body: SessionKeyBody| {
        let key = body.key.parse::<PublicKey>().ok();
        let is_here = move || {
            session.wallet.with(|wallet| {
                let account = wallet.account();
                account.zip(key).is_some_and(|(account, key)| wallet.has_session_key(account, &key))
            })
        };
        let limit = body.spend_token.as_ref().and_then(|token| {
            let listing = markets.listing.get_untracked()?;
            let left = left(&body, listing.token(token)?.1.decimals)?;
            let left = Decimal::of_atoms(left, listing.token(token)?.1.decimals).to_string();
            let limit = body.spend_limit.as_deref().unwrap_or_default();
            Some(format!("{} of {} {token}", format::number(&left, 0), format::number(limit, 0)))
        });
        let label = format!("Revoke trading key {}", format::short(&body.key));
        let title = label.clone();
        let revoke = move |_| {
            // The table is what the replica sent. A key that cannot be read was never authorized.
            if let Some(key) = key {
                let lines = vec![("Key", key.to_string())];
                let action = Action::RevokeKey { key };
                signing.sign(SignRequest { title: title.clone(), lines, action }, |_| ());
            }
        };
        view! {
            <tr role="row">
                <th scope="row" role="rowheader" class="hash" title=body.key.clone()>{format::short(&body.key)}</th>
                <td role="cell" data-label="Location">{move || if is_here() { "this browser" } else { "elsewhere" }}</td>
                <td role="cell" data-label="Expires" title=format::utc(&body.expires_ms)>{format::date_time(&body.expires_ms)}</td>
                <td role="cell" data-label="Market">{body.market.clone().unwrap_or_else(|| "all".into())}</td>
                <td role="cell" data-label="Spending limit left">{limit.unwrap_or_else(|| "no limit".into())}</td>
                <td role="cell" class="buttons">
                    <button type="button" class="small" aria-label=label on:click=revoke>"Revoke"</button>
                </td>
            </tr>
        }
    };
    view! {
        <table role="table">
            <thead role="rowgroup">
                <tr role="row">
                    <th scope="col" role="columnheader">"Key"</th>
                    <th scope="col" role="columnheader">"Location"</th>
                    <th scope="col" role="columnheader">"Expires"</th>
                    <th scope="col" role="columnheader">"Market"</th>
                    <th scope="col" role="columnheader">"Spending limit left"</th>
                    <th scope="col" role="columnheader"><span class="visually-hidden">"Actions"</span></th>
                </tr>
            </thead>
            <tbody role="rowgroup">{keys.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}

/// The spending limit of the form.
fn spend(markets: Markets, form: Form) -> Result<Option<(String, Decimal)>, String> {
    let (token, limit) = (form.token.get_untracked(), form.limit.get_untracked());
    if token.is_empty() {
        return Ok(None);
    }
    let limit = Decimal::parse_lenient(limit.trim())
        .map_err(|_| "Enter the spending limit as a number, for example 1500.25.".to_string())?;
    let listing = markets.listing.get_untracked().ok_or("The exchange is loading.")?;
    // The same check as in the engine, which would reject zero or too many decimals after signing.
    listing.amount(&token, limit).map_err(|reject| format!("{reject}."))?;
    Ok(Some((token, limit)))
}

/// A trading key whose secret this browser has and which is not authorized yet. Makes a new one if there is none.
async fn secret(session: Session, passphrase: String) -> Result<PublicKey, VaultError> {
    let account = session.key_untracked().ok_or(VaultError::Locked)?;
    let authorized: Vec<String> = session.account.with_untracked(|body| {
        body.iter().flat_map(|body| &body.session_keys).map(|session| session.key.clone()).collect()
    });
    // Each dismissed request would leave a key behind if the next one did not use it.
    let spare = session.wallet.with_untracked(|wallet| {
        let spare = |key: &PublicKey| !authorized.contains(&key.to_string());
        wallet.session_keys(account).find(spare)
    });
    match spare {
        Some(key) => Ok(key),
        None => Ok(wallet_keys::add(session, Source::Session { account }, passphrase).await?.key),
    }
}

#[component]
fn KeyForm() -> impl IntoView {
    let (markets, session, signing) = (use_markets(), use_session(), use_signing());
    let form = Form {
        lifetime: RwSignal::new(8 * HOUR_MS),
        market: RwSignal::default(),
        token: RwSignal::default(),
        limit: RwSignal::default(),
        passphrase: RwSignal::default(),
    };
    let (busy, message) = (RwSignal::new(false), RwSignal::new(None::<String>));
    // An account of an Ethereum wallet needs no wallet in this browser, but its trading key does.
    let needs_passphrase = Memo::new(move |_| session.wallet.with(|wallet| wallet.lock.is_none()));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        // Before the key is made: an error in the form should not leave a key that nothing uses.
        let spend = match spend(markets, form) {
            Ok(spend) => spend,
            Err(text) => return message.set(Some(text)),
        };
        // Encrypting under a new passphrase takes some hundred milliseconds (Argon2id), and a second submit in that
        // time would make a second key.
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        message.set(None);
        spawn_local(async move {
            let made = secret(session, form.passphrase.get_untracked()).await;
            busy.set(false);
            match made {
                Ok(key) => signing.sign(request(signing, form, key, spend), |_| ()),
                Err(error) => message.set(Some(error.to_string())),
            }
        });
    };
    let names = move |is_token: bool| {
        markets.listing.with(|listing| {
            let names = |listing: &zellbook_core::Listing| -> Vec<String> {
                if is_token {
                    listing.tokens.iter().map(|token| token.symbol.clone()).collect()
                } else {
                    listing.markets.iter().map(|market| market.name.clone()).collect()
                }
            };
            let option = |name: String| {
                let value = name.clone();
                view! { <option value=value>{name}</option> }
            };
            let names = listing.as_ref().map(|listing| names(listing)).unwrap_or_default();
            names.into_iter().map(option).collect_view()
        })
    };
    let lifetime = |(length, name): (u64, &'static str)| {
        view! { <option value=length.to_string() selected=length == 8 * HOUR_MS>{name}</option> }
    };
    view! {
        <form class="trading-key" on:submit=submit>
            <label class="field">
                <span>"Expires after"</span>
                <select on:change=move |event| {
                    // The values are those of `LIFETIMES`. For any other, the shortest time does the least harm.
                    form.lifetime.set(event_target_value(&event).parse().unwrap_or(HOUR_MS));
                }>{LIFETIMES.map(lifetime).collect_view()}</select>
            </label>
            <label class="field">
                <span>"Market"</span>
                <select on:change=move |event| form.market.set(event_target_value(&event))>
                    <option value="">"All markets"</option>
                    {move || names(false)}
                </select>
            </label>
            <label class="field">
                <span>"Spending limit"</span>
                <select on:change=move |event| form.token.set(event_target_value(&event))>
                    <option value="">"No limit"</option>
                    {move || names(true)}
                </select>
            </label>
            <Show when=move || form.token.with(|token| !token.is_empty())>
                <div class="field">
                    <label for="spend-limit">"Max amount"</label>
                    <div class="input">
                        <input
                            id="spend-limit"
                            inputmode="decimal"
                            autocomplete="off"
                            on:input=move |event| form.limit.set(event_target_value(&event))
                        />
                        <span class="unit">{move || form.token.get()}</span>
                    </div>
                </div>
            </Show>
            <Show when=move || needs_passphrase.get()>
                <SecretField id="key-passphrase" label="Passphrase to encrypt the key" autocomplete="new-password" value=form.passphrase />
            </Show>
            <p class="error" id="key-passphrase-error" role="alert">{move || message.get()}</p>
            <button type="submit" class="main" disabled=move || busy.get()>
                {move || if busy.get() { "Working…" } else { "Create trading key" }}
            </button>
        </form>
    }
}

fn request(
    signing: Signing,
    form: Form,
    key: PublicKey,
    spend: Option<(String, Decimal)>,
) -> SignRequest {
    let expires = signing.time_after(form.lifetime.get_untracked());
    let market = Some(form.market.get_untracked()).filter(|name| !name.is_empty());
    let spends = spend.as_ref().map_or_else(
        || "none".to_string(),
        |(token, limit)| format!("{} {token}", format::number(&limit.to_string(), 0)),
    );
    SignRequest {
        title: "Enable trading key".into(),
        lines: vec![
            ("Key", format::short(&key.to_string())),
            ("Can", "place, edit and cancel orders".into()),
            ("Market", market.clone().unwrap_or_else(|| "all".into())),
            ("Spending limit", spends),
            ("Expires", format::date_time(&expires.to_string())),
        ],
        action: Action::AuthorizeKey(KeyGrant { key, expires, market, spend }),
    }
}
