//! The sheets that bring tokens in, pay them out, or send them to another account.

use leptos::html::Dialog;
use leptos::prelude::*;
use zellbook_core::types::limits::DESTINATION_LENGTH_MAX;
use zellbook_core::{Action, Atoms, Decimal, PublicKey};

use super::faucet::{ask_faucet, has_faucet};
use super::sign_sheet::ignore_held_enter;
use crate::draft::available;
use crate::fault::{Fault, Field, read_number};
use crate::format;
use crate::state::{SignRequest, State, use_state};

/// What is done with a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deposit,
    Withdraw,
    Transfer,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Deposit, Self::Withdraw, Self::Transfer];

    pub const fn verb(self) -> &'static str {
        match self {
            Self::Deposit => "Deposit",
            Self::Withdraw => "Withdraw",
            Self::Transfer => "Transfer",
        }
    }
}

/// What the user wants to do.
#[derive(Clone, PartialEq, Eq)]
pub struct Funds {
    pub kind: Kind,
    /// The token's symbol.
    pub token: String,
}

/// Opens whenever something is asked for.
#[component]
pub fn FundsSheet(asked: RwSignal<Option<Funds>>) -> impl IntoView {
    let dialog: NodeRef<Dialog> = NodeRef::new();
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        if asked.with(Option::is_some) {
            // It fails only where it is open already.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    let body = move |funds: Funds| {
        let title = format!("{} {}", funds.kind.verb(), funds.token);
        let inner = match funds.kind {
            Kind::Deposit => view! { <Deposit token=funds.token asked /> }.into_any(),
            Kind::Withdraw | Kind::Transfer => view! { <Payment funds asked /> }.into_any(),
        };
        view! {
            <h2 id="funds-title">{title}</h2>
            {inner}
        }
    };
    view! {
        <dialog
            node_ref=dialog
            class="sheet"
            aria-labelledby="funds-title"
            on:close=move |_| asked.set(None)
            on:keydown=ignore_held_enter
        >
            {move || asked.get().map(body)}
        </dialog>
    }
}

/// How a token comes in: the faucet, or its issuer.
#[component]
fn Deposit(token: String, asked: RwSignal<Option<Funds>>) -> impl IntoView {
    let (state, of) = (use_state(), token.clone());
    let issuer = move || {
        let rules = state.rules.get()?;
        let (index, _) = rules.listing.token(&of)?;
        rules.issuer(index).map(|issuer| issuer.to_string())
    };
    let account = state.wallet.with_untracked(crate::wallet::Wallet::account);
    let account = account.map(|account| account.to_string());
    let use_faucet = move |_| {
        ask_faucet(state);
        asked.set(None);
    };
    view! {
        <p>
            {format!("To deposit {token}, pay its issuer outside this exchange and give the issuer your account. The amount appears here once the issuer's signed deposit is final; the ledger shows the issuer's reference.")}
        </p>
        <dl class="cost">
            <div><dt>"Your account"</dt><dd class="hash key">{account}</dd></div>
            <div><dt>"Issuer"</dt><dd class="hash key">{issuer}</dd></div>
        </dl>
        <Show when=move || has_faucet(state)>
            <p class="note">"This exchange gives free test tokens once per hour."</p>
        </Show>
        <div class="actions">
            <button type="button" class="quiet" on:click=move |_| asked.set(None)>"Close"</button>
            <Show when=move || has_faucet(state)>
                <button type="button" class="main" on:click=use_faucet>"Get test tokens"</button>
            </Show>
        </div>
    }
}

/// An amount of a token that the account has, in whole tokens.
fn amount(state: State, token: &str, text: &str) -> Result<Decimal, Fault> {
    let number = read_number(text, Field::Quantity, "amount")?;
    let fault = |reject| Fault { field: Field::Quantity, ..Fault::of(&reject) };
    let listing = state.listing.get();
    let listing = listing.ok_or_else(|| Fault::new(Field::Quantity, "The exchange is loading."))?;
    let (index, _, atoms) = listing.amount(token, number).map_err(fault)?;
    let available = available(state, &listing, index, Atoms::ZERO).unwrap_or_default();
    if atoms > available {
        return Err(fault(listing.balance_too_low(index, atoms, available)));
    }
    Ok(number)
}

/// A place outside where an issuer pays, as the protocol takes it.
fn destination(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+-".contains(&byte);
    let text = text.trim();
    if text.is_empty() || text.len() > DESTINATION_LENGTH_MAX || !text.bytes().all(is_plain) {
        return Err(format!(
            "Enter 1 to {DESTINATION_LENGTH_MAX} characters: letters, digits and . _ : / @ + -, in the form that the issuer accepts."
        ));
    }
    Ok(text.into())
}

/// Another account.
fn receiver(state: State, text: &str) -> Result<PublicKey, String> {
    let key = text
        .trim()
        .parse::<PublicKey>()
        .map_err(|_| "Enter the recipient's public key: 66 lowercase hex digits.".to_string())?;
    if state.wallet.with(crate::wallet::Wallet::account) == Some(key) {
        return Err("This is your own account. Enter a different one.".into());
    }
    Ok(key)
}

/// Pays an amount out, or to another account.
#[component]
fn Payment(funds: Funds, asked: RwSignal<Option<Funds>>) -> impl IntoView {
    let state = use_state();
    let (value, to) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (left_value, left_to) = (RwSignal::new(false), RwSignal::new(false));
    let Funds { kind, token } = funds;
    let symbol = token.clone();
    let checked_amount = Memo::new_with_compare(
        move |_| amount(state, &symbol, &value.get()).map_err(|fault| fault.text),
        |_, _| true,
    );
    let symbol = token.clone();
    let checked = move || -> Result<SignRequest, String> {
        let amount = checked_amount.get()?;
        let shown = format!("{} {symbol}", format::number(&amount.to_string(), 0));
        let (token, to) = (symbol.clone(), to.get());
        Ok(match kind {
            Kind::Transfer => {
                let to = receiver(state, &to)?;
                SignRequest {
                    title: format!("Transfer {shown}"),
                    lines: vec![("Amount", shown), ("Recipient account", to.to_string())],
                    action: Action::Transfer { token, to, amount },
                }
            }
            Kind::Withdraw | Kind::Deposit => {
                let destination = destination(&to)?;
                SignRequest {
                    title: format!("Withdraw {shown}"),
                    lines: vec![("Amount", shown), ("Withdrawal address", destination.clone())],
                    action: Action::Withdraw { token, amount, destination },
                }
            }
        })
    };
    let request = Memo::new_with_compare(move |_| checked(), |_, _| true);
    let to_fault = move || match kind {
        Kind::Transfer => receiver(state, &to.get()).err(),
        Kind::Withdraw | Kind::Deposit => destination(&to.get()).err(),
    };
    let amount_fault = move || checked_amount.get().err().filter(|_| left_value.get());
    let to_fault = move || to_fault().filter(|_| left_to.get());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        left_value.set(true);
        left_to.set(true);
        if let Ok(request) = request.get_untracked() {
            asked.set(None);
            state.request.set(Some(request));
        }
    };
    let available = state.available(&token);
    let most = available.map(|available| available.to_string()).unwrap_or_default();
    let all = most.clone();
    let to_label = match kind {
        Kind::Transfer => "Recipient account",
        Kind::Withdraw | Kind::Deposit => "Withdrawal address",
    };
    let button = move || match request.get() {
        Ok(request) => request.title,
        Err(_) => kind.verb().into(),
    };
    view! {
        <form on:submit=submit novalidate>
            <div class="field">
                <label for="funds-amount">"Amount"</label>
                <div class="input">
                    <input
                        id="funds-amount"
                        inputmode="decimal"
                        autocomplete="off"
                        autofocus
                        prop:value=move || value.get()
                        aria-invalid=move || amount_fault().is_some().to_string()
                        aria-describedby="funds-amount-fault"
                        on:input=move |event| value.set(event_target_value(&event))
                        on:blur=move |_| left_value.set(true)
                    />
                    <span class="unit">{token.clone()}</span>
                    <button type="button" class="small" on:click=move |_| value.set(all.clone())>"Max"</button>
                </div>
                <p class="note">{format!("{} {token} available", format::number(&most, 0))}</p>
                <p class="fault" id="funds-amount-fault">{amount_fault}</p>
            </div>
            <div class="field">
                <label for="funds-to">{to_label}</label>
                <input
                    id="funds-to"
                    class="plain"
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || to.get()
                    aria-invalid=move || to_fault().is_some().to_string()
                    aria-describedby="funds-to-fault"
                    on:input=move |event| to.set(event_target_value(&event))
                    on:blur=move |_| left_to.set(true)
                />
                <p class="fault" id="funds-to-fault">{to_fault}</p>
            </div>
            <Show when=move || kind == Kind::Withdraw>
                <p class="note">
                    "Once final, the amount leaves this exchange and gets a withdrawal number, shown below your balances. The issuer pays by that number."
                </p>
            </Show>
            <div class="actions send">
                <button type="button" class="quiet" on:click=move |_| asked.set(None)>"Close"</button>
                <button type="submit" class="main" aria-disabled=move || request.with(Result::is_err).to_string()>
                    {button}
                </button>
            </div>
        </form>
    }
}
