//! Trading keys: session keys of the account whose secrets this browser has. They sign orders without a prompt.

use zellbook_core::wire::{OrderBody, SessionKeyBody};
use zellbook_core::{Action, Atoms, Decimal, Order, PublicKey, Side};

use super::state::Signing;
use crate::features::market::Markets;

/// The least time that a key must still be valid. What it signs later could arrive after its end.
const LEFT_MS_MIN: u64 = 30_000;

/// A key of this browser that the account has authorized for this action.
pub fn usable(signing: Signing, action: &Action) -> Option<PublicKey> {
    let (markets, session) = (signing.markets, signing.session);
    let wallet = session.wallet.get_untracked();
    let account = wallet.account().filter(|_| wallet.is_unlocked)?;
    // Just after the user has chosen another account, the report may still be about the one before.
    let body =
        session.account.get_untracked().filter(|body| body.account == account.to_string())?;
    let is_usable = |key: &&SessionKeyBody| {
        let public_key = key.key.parse().ok();
        public_key.is_some_and(|key| wallet.has_session_key(account, &key))
            && expires_ms(key) > signing.now().saturating_add(LEFT_MS_MIN)
            && allows(markets, key, action, &body.open_orders)
    };
    body.session_keys.iter().find(is_usable)?.key.parse().ok()
}

fn expires_ms(key: &SessionKeyBody) -> u64 {
    key.expires_ms.parse().unwrap_or(0)
}

/// Whether a key may sign an action: docs/protocol.md, section 9, as far as this page knows the state. If a key is
/// left out by mistake, the user is asked. If one is taken by mistake, the exchange rejects the transaction.
fn allows(markets: Markets, key: &SessionKeyBody, action: &Action, open: &[OrderBody]) -> bool {
    let in_market = |name: Option<&String>| key.market.is_none() || key.market.as_ref() == name;
    match action {
        // A replacement counts with its whole quantity. The exchange counts only what it places anew, so close to the
        // limit the user is asked without need.
        Action::Order(order) | Action::Replace { order, .. } => {
            in_market(Some(&order.market)) && has_left(markets, key, order)
        }
        Action::Cancel(order) => {
            let market = open.iter().find(|open| open.id == order.to_string());
            // The market of an order that is not in the report is unknown, so a key of one market does not cancel it.
            in_market(market.map(|order| &order.market))
        }
        Action::CancelAll { market } => in_market(market.as_ref()),
        Action::CancelAllAfter { .. } => key.market.is_none(),
        // No session key may sign any other kind.
        _ => false,
    }
}

/// Whether an order spends the token of the key's limit, and no more than is left of the limit.
fn has_left(markets: Markets, key: &SessionKeyBody, order: &Order) -> bool {
    let Some(token) = &key.spend_token else { return true };
    let is_within = || {
        let listing = markets.listing.get_untracked()?;
        let (index, token) = listing.token(token)?;
        let market = listing.market(&order.market)?;
        // A key with a limit may spend only the token of the limit. A bound in the other token would not bound a
        // loss.
        if market.cost_token(order.side) != index {
            return None;
        }
        let spends = match order.side {
            Side::Buy => order.price.product_in_atoms(order.quantity, token.decimals)?,
            Side::Sell => order.quantity.in_steps_of(Decimal::one_atom(token.decimals)).ok()?,
        };
        Some(Atoms(spends) <= left(key, token.decimals)?)
    };
    is_within().unwrap_or(false)
}

/// What a key may still spend, in atoms of its token.
pub fn left(key: &SessionKeyBody, decimals: u8) -> Option<Atoms> {
    let atoms = |text: &Option<String>| {
        let amount = Decimal::parse(text.as_ref()?).ok()?;
        amount.in_steps_of(Decimal::one_atom(decimals)).ok().map(Atoms)
    };
    atoms(&key.spend_limit)?.checked_sub(atoms(&key.spent).unwrap_or_default())
}
