//! Describes a history in words, for people who look for the cause of a disagreement.

use crate::model::{Action, Element, Order, SelfTrade, Target, TimeInForce, Transaction, hex};
use crate::random::Cast;

/// Returns one line for each element, and one for each batch without elements.
pub fn describe(cast: &Cast, history: &[Vec<Element>]) -> String {
    let mut text = String::new();
    for (index, batch) in history.iter().enumerate() {
        let batch_index = index + 1;
        if batch.is_empty() {
            text.push_str(&format!("{batch_index}: nothing\n"));
        }
        for element in batch {
            let line = match element {
                Ok(transaction) => describe_transaction(cast, transaction),
                Err(code) => format!("an element of code {code}"),
            };
            text.push_str(&format!("{batch_index}: {line}\n"));
        }
    }
    text
}

fn describe_transaction(cast: &Cast, transaction: &Transaction) -> String {
    let Transaction { hash, account, signer, nonce, valid_until, action } = transaction;
    let mut text = cast.name(*account);
    if signer != account {
        text += &format!(" (by {})", cast.name(*signer));
    }
    text += &format!(" {}", describe_action(cast, action));
    match nonce {
        Some(nonce) => text += &format!(" nonce {nonce}"),
        None => text += " in the guide's format",
    }
    if let Some(until) = valid_until {
        text += &format!(" valid until {until}");
    }
    text + &format!(" hash {}", hex(&hash[..10]))
}

fn describe_action(cast: &Cast, action: &Action) -> String {
    match action {
        Action::Order(order) => format!("order {}", describe_order(order)),
        Action::Replace { target, order } => {
            format!("replace {} by {}", describe_target(target), describe_order(order))
        }
        Action::Cancel(target) => format!("cancel {}", describe_target(target)),
        Action::CancelAll { market } => format!("cancel_all {}", market.as_deref().unwrap_or("")),
        Action::CancelAllAfter { time } => format!("cancel_all_after {time}"),
        Action::Transfer { token, to, amount } => {
            format!("transfer {amount} {token} to {}", cast.name(*to))
        }
        Action::Withdraw { token, amount, destination } => {
            format!("withdraw {amount} {token} to {destination}")
        }
        Action::Deposit { token, to, amount, reference } => {
            format!("deposit {amount} {token} to {} as {reference}", cast.name(*to))
        }
        Action::AuthorizeKey { key, expires, market, spend } => {
            let market = market.as_ref().map(|market| format!(" for {market}"));
            let spend = spend.as_ref().map(|(token, limit)| format!(" to spend {limit} {token}"));
            let (market, spend) = (market.unwrap_or_default(), spend.unwrap_or_default());
            format!("authorize_key {} until {expires}{market}{spend}", cast.name(*key))
        }
        Action::RevokeKey { key } => format!("revoke_key {}", cast.name(*key)),
        Action::Attest { batch, root, clock } => {
            format!("attest batch {batch} root {} clock {clock}", hex(&root[..1]))
        }
    }
}

fn describe_target(target: &Target) -> String {
    match target {
        Target::Id(id) => format!("order {id}"),
        Target::Transaction(hash) => format!("transaction {}", hex(&hash[..10])),
        Target::ClientId(client_id) => format!("client_id {client_id}"),
    }
}

fn describe_order(order: &Order) -> String {
    let side = if order.buy { "buy" } else { "sell" };
    let time_in_force = match order.time_in_force {
        TimeInForce::Gtc => "gtc",
        TimeInForce::Gtd => "gtd",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
        TimeInForce::PostOnly => "post_only",
    };
    let self_trade = match order.self_trade {
        SelfTrade::CancelNewest => "cancel_newest",
        SelfTrade::CancelOldest => "cancel_oldest",
        SelfTrade::CancelBoth => "cancel_both",
    };
    let expires = order.expires.map(|expires| format!(" expires {expires}")).unwrap_or_default();
    let client_id = order.client_id.as_ref().map(|id| format!(" client_id {id}"));
    format!(
        "{} {side} {} @ {} {time_in_force}{expires} {self_trade}{}",
        order.market,
        order.quantity,
        order.price,
        client_id.unwrap_or_default()
    )
}
