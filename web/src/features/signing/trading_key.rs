//! Session keys of the account that this browser can sign with, so that orders need no prompt.

use leptos::prelude::*;
use zellbook_core::wire::{OrderBody, SessionKeyBody};
use zellbook_core::{Action, Atoms, Decimal, Order, PublicKey, Side};

use crate::clock;
use crate::state::State;

/// A key that ends so soon is not used: what it signs could come too late.
const LEFT_MS_MIN: u64 = 30_000;

/// The authorized key of this browser that may do this now, if there is one.
pub fn usable(state: State, action: &Action) -> Option<PublicKey> {
    let wallet = state.wallet.get_untracked();
    let account = wallet.account().filter(|_| wallet.is_unlocked)?;
    let body = state.account.get_untracked().filter(|body| body.account == account.to_string())?;
    let is_usable = |session: &&SessionKeyBody| {
        let key = session.key.parse().ok();
        key.is_some_and(|key| wallet.has_session_key(account, &key))
            && expires(session) > clock::now().saturating_add(LEFT_MS_MIN)
            && allows(state, session, action, &body.open_orders)
    };
    body.session_keys.iter().find(is_usable)?.key.parse().ok()
}

/// When it ends, Unix milliseconds.
fn expires(session: &SessionKeyBody) -> u64 {
    session.expires_ms.parse().unwrap_or(0)
}

fn allows(state: State, session: &SessionKeyBody, action: &Action, open: &[OrderBody]) -> bool {
    let in_market =
        |name: Option<&String>| session.market.is_none() || session.market.as_ref() == name;
    match action {
        Action::Order(order) | Action::Replace { order, .. } => {
            in_market(Some(&order.market)) && has_left(state, session, order)
        }
        Action::Cancel(order) => {
            let market = open.iter().find(|open| open.id == order.to_string());
            in_market(market.map(|order| &order.market))
        }
        Action::CancelAll { market } => in_market(market.as_ref()),
        Action::CancelAllAfter { .. } => session.market.is_none(),
        _ => false,
    }
}

/// Whether the order spends the token of the limit, and no more than is left of that.
fn has_left(state: State, session: &SessionKeyBody, order: &Order) -> bool {
    let Some(token) = &session.spend_token else { return true };
    let left = || {
        let listing = state.listing.get_untracked()?;
        let (index, token) = listing.token(token)?;
        let market = listing.market(&order.market)?;
        if market.cost_token(order.side) != index {
            return None;
        }
        let spends = match order.side {
            Side::Buy => order.price.product_in_atoms(order.quantity, token.decimals)?,
            Side::Sell => order.quantity.in_steps_of(Decimal::one_atom(token.decimals)).ok()?,
        };
        Some(Atoms(spends) <= left(session, token.decimals)?)
    };
    left().unwrap_or(false)
}

/// What a key may still spend, in atoms of its token.
pub fn left(session: &SessionKeyBody, decimals: u8) -> Option<Atoms> {
    let atoms = |text: &Option<String>| {
        let amount = Decimal::parse(text.as_ref()?).ok()?;
        amount.in_steps_of(Decimal::one_atom(decimals)).ok().map(Atoms)
    };
    atoms(&session.spend_limit)?.checked_sub(atoms(&session.spent).unwrap_or_default())
}
