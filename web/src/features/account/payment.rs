//! Paying tokens out, or sending them to another account.

use leptos::prelude::*;
use zellbook_core::types::limits::DESTINATION_LENGTH_MAX;
use zellbook_core::{Action, Decimal, PublicKey};

use crate::features::market::{Markets, use_markets};
use crate::features::order::{Field, FormError, read_number};
use crate::features::signing::{SignRequest, use_signing};
use crate::features::wallet::{Session, use_session};
use crate::platform::format;

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

#[derive(Clone, PartialEq, Eq)]
pub struct Funds {
    pub kind: Kind,
    /// The symbol of the token.
    pub token: String,
}

/// Reads an amount of a token. Fails if it is more than the available balance.
fn amount(
    markets: Markets,
    session: Session,
    token: &str,
    text: &str,
) -> Result<Decimal, FormError> {
    let number = read_number(text, Field::Quantity, "amount")?;
    let error = |reject| FormError { field: Field::Quantity, ..FormError::of(&reject) };
    let listing = markets.listing.get();
    let listing =
        listing.ok_or_else(|| FormError::new(Field::Quantity, "The exchange is loading."))?;
    let (index, _, atoms) = listing.amount(token, number).map_err(error)?;
    // An unknown balance counts as none, so nothing is offered for signing that the balance may not cover.
    let available = session.available_atoms(&listing, index).unwrap_or_default();
    if atoms > available {
        // The engine's own reject, so the form says what the exchange would say.
        return Err(error(listing.balance_too_low(index, atoms, available)));
    }
    Ok(number)
}

/// Reads where an issuer should pay: an address outside of the exchange, in the characters that the protocol allows.
fn destination(text: &str) -> Result<String, String> {
    // Anything else is malformed for the protocol, which would be known only after signing.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+-".contains(&byte);
    let text = text.trim();
    if text.is_empty() || text.len() > DESTINATION_LENGTH_MAX || !text.bytes().all(is_plain) {
        return Err(format!(
            "Enter 1 to {DESTINATION_LENGTH_MAX} characters: letters, digits and . _ : / @ + -, in the form that the issuer accepts."
        ));
    }
    Ok(text.into())
}

/// Reads the key of another account.
fn receiver(session: Session, text: &str) -> Result<PublicKey, String> {
    let key = text
        .trim()
        .parse::<PublicKey>()
        .map_err(|_| "Enter the recipient's public key: 66 lowercase hex digits.".to_string())?;
    // The engine rejects this too (`TransferToSelf`).
    if session.key() == Some(key) {
        return Err("This is your own account. Enter a different one.".into());
    }
    Ok(key)
}

/// The form that pays an amount out, or to another account.
#[component]
pub fn Payment(funds: Funds, asked: RwSignal<Option<Funds>>) -> impl IntoView {
    let (markets, session, signing) = (use_markets(), use_session(), use_signing());
    let (value, to) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    // Whether a field has been left. Until then it shows no error: half a number is not a wrong one.
    let (left_value, left_to) = (RwSignal::new(false), RwSignal::new(false));
    let Funds { kind, token } = funds;
    let symbol = token.clone();
    let checked_amount = Memo::new_with_compare(
        move |_| amount(markets, session, &symbol, &value.get()).map_err(|error| error.text),
        |_, _| true,
    );
    let symbol = token.clone();
    let checked = move || -> Result<SignRequest, String> {
        let amount = checked_amount.get()?;
        let shown = format!("{} {symbol}", format::number(&amount.to_string(), 0));
        let (token, to) = (symbol.clone(), to.get());
        Ok(match kind {
            Kind::Transfer => {
                let to = receiver(session, &to)?;
                SignRequest {
                    title: format!("Transfer {shown}"),
                    lines: vec![("Amount", shown), ("Recipient account", to.to_string())],
                    action: Action::Transfer { token, to, amount },
                }
            }
            // There is no payment for a deposit: `FundsSheet` explains it instead. Here it only completes the match.
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
    // A request cannot be compared with the one before, so each counts as a change.
    let request = Memo::new_with_compare(move |_| checked(), |_, _| true);
    let to_error = move || match kind {
        Kind::Transfer => receiver(session, &to.get()).err(),
        Kind::Withdraw | Kind::Deposit => destination(&to.get()).err(),
    };
    let amount_error = move || checked_amount.get().err().filter(|_| left_value.get());
    let to_error = move || to_error().filter(|_| left_to.get());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        // An incomplete form can be submitted, and then shows all of its errors.
        left_value.set(true);
        left_to.set(true);
        if let Ok(request) = request.get_untracked() {
            asked.set(None);
            signing.sign(request, |_| ());
        }
    };
    let symbol = token.clone();
    // Read whenever it is used: a fill can change the balance while the sheet is open.
    let most = move || {
        let available = session.available(&symbol);
        available.map(|available| available.to_string()).unwrap_or_default()
    };
    let most = Memo::new(move |_| most());
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
                        aria-invalid=move || amount_error().is_some().to_string()
                        aria-describedby="funds-amount-error"
                        on:input=move |event| value.set(event_target_value(&event))
                        on:blur=move |_| left_value.set(true)
                    />
                    <span class="unit">{token.clone()}</span>
                    <button type="button" class="small" on:click=move |_| value.set(most.get_untracked())>"Max"</button>
                </div>
                <p class="note">{move || most.with(|most| format!("{} {token} available", format::number(most, 0)))}</p>
                <p class="error" id="funds-amount-error">{amount_error}</p>
            </div>
            <div class="field">
                <label for="funds-to">{to_label}</label>
                <input
                    id="funds-to"
                    class="plain"
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || to.get()
                    aria-invalid=move || to_error().is_some().to_string()
                    aria-describedby="funds-to-error"
                    on:input=move |event| to.set(event_target_value(&event))
                    on:blur=move |_| left_to.set(true)
                />
                <p class="error" id="funds-to-error">{to_error}</p>
            </div>
            <Show when=move || kind == Kind::Withdraw>
                <p class="note">
                    "Once sequenced, the amount leaves this exchange and gets a withdrawal number, shown below your balances. The issuer pays by that number once it is certified."
                </p>
            </Show>
            <div class="actions send">
                <button type="button" class="quiet" on:click=move |_| asked.set(None)>"Close"</button>
                // Not `disabled`, so that a click on it shows what is missing.
                <button type="submit" class="main" aria-disabled=move || request.with(Result::is_err).to_string()>
                    {button}
                </button>
            </div>
        </form>
    }
}
