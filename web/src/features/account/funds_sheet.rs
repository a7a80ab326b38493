//! The sheets that bring tokens in, pay them out, or send them to another account.

use leptos::html::Dialog;
use leptos::prelude::*;

use super::faucet::ask_faucet;
use super::payment::{Funds, Kind, Payment};
use crate::features::market::use_markets;
use crate::features::replica::use_connection;
use crate::features::signing::use_signing;
use crate::features::wallet::use_session;
use crate::ui::interface::use_interface;
use crate::ui::sheet::{ignore_held_enter, open_while};

/// Opens whenever `asked` says what to do.
#[component]
pub fn FundsSheet(asked: RwSignal<Option<Funds>>) -> impl IntoView {
    let dialog: NodeRef<Dialog> = NodeRef::new();
    open_while(dialog, move || asked.with(Option::is_some));
    // Made anew whenever the sheet opens, so that no amount or address from an earlier payment is left in it.
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
            // The Esc key closes a dialog without asking the page, so the state follows the dialog.
            on:close=move |_| asked.set(None)
            on:keydown=ignore_held_enter
        >
            {move || asked.get().map(body)}
        </dialog>
    }
}

/// Explains how a token comes in: by its issuer, or by the faucet.
#[component]
fn Deposit(token: String, asked: RwSignal<Option<Funds>>) -> impl IntoView {
    let (markets, session, connection) = (use_markets(), use_session(), use_connection());
    let (signing, interface) = (use_signing(), use_interface());
    let of = token.clone();
    let issuer = move || {
        let rules = markets.rules.get()?;
        let (index, _) = rules.listing.token(&of)?;
        rules.issuer(index).map(|issuer| issuer.to_string())
    };
    let account = session.key_untracked();
    let account = account.map(|account| account.to_string());
    let use_faucet = move |_| {
        ask_faucet(session, signing, interface);
        asked.set(None);
    };
    view! {
        <p>
            {format!("To deposit {token}, pay its issuer outside this exchange and give the issuer your account. The amount appears here once the issuer's signed deposit is sequenced; the ledger shows the issuer's reference.")}
        </p>
        <dl class="cost">
            <div><dt>"Your account"</dt><dd class="hash key">{account}</dd></div>
            <div><dt>"Issuer"</dt><dd class="hash key">{issuer}</dd></div>
        </dl>
        <Show when=move || connection.has_faucet()>
            <p class="note">"This exchange gives free test tokens once per hour."</p>
        </Show>
        <div class="actions">
            <button type="button" class="quiet" on:click=move |_| asked.set(None)>"Close"</button>
            <Show when=move || connection.has_faucet()>
                <button type="button" class="main" on:click=use_faucet>"Get test tokens"</button>
            </Show>
        </div>
    }
}
