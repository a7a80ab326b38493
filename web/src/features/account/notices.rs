//! What the account's owner is notified of: outcomes of transactions that this page sent, and what others did.

use zellbook_core::wire::{
    AccountBody, BalanceBody, FillBody, OrderBody, OrderStatus, Stage, TransactionStatus,
};
use zellbook_core::{Atoms, Decimal, Listing, Side};

use crate::features::order::{RENEWAL, TURN_OFF, TURN_ON};
use crate::features::signing::{REFUSED, Sent, refusal};
use crate::platform::format;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something worked.
    Good,
    /// Something failed.
    Bad,
    /// Something happened that this page did not ask for.
    News,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub tone: Tone,
    /// A few words.
    pub title: String,
    /// A sentence.
    pub text: String,
    /// The open order that "Undo" would cancel.
    pub undo: Option<OrderBody>,
}

impl Notice {
    fn new(tone: Tone, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tone, title: title.into(), text: text.into(), undo: None }
    }
}

/// The outcomes that are new since `before`.
pub fn of_sent(before: &[Sent], now: &[Sent]) -> Vec<Notice> {
    // The ends of a transaction come last in the order of stages, so this holds for all of them.
    let is_done = |sent: &Sent| sent.status.as_ref().is_some_and(|it| it.status >= Stage::Applied);
    let news = now.iter().filter_map(|sent| {
        // A transaction that was done before the page knew it is not news.
        let old = before.iter().find(|old| old.hash == sent.hash)?;
        if is_done(sent) && !is_done(old) {
            return outcome(sent, sent.status.as_ref()?);
        }
        // The replica refused it, or does not take it now. A trading key signs without a sheet, so nothing else on the
        // page says so.
        let problem = sent.problem.as_ref().filter(|_| !is_done(sent))?;
        let is_new = old.problem.is_none() || sent.is_over != old.is_over;
        let (tone, title) =
            if sent.is_over { (Tone::Bad, "Refused") } else { (Tone::News, "Waiting") };
        let problem = problem.strip_prefix(REFUSED).unwrap_or(problem);
        is_new.then(|| Notice::new(tone, title, format!("{}: {problem}", sent.title)))
    });
    news.collect()
}

fn outcome(sent: &Sent, status: &TransactionStatus) -> Option<Notice> {
    let bad = |title: &str, text: String| Some(Notice::new(Tone::Bad, title, text));
    match status.status {
        Stage::Rejected => {
            let why = status.reject.as_ref();
            let why = why.map(|reject| refusal::no_effect(&reject.name, &reject.message));
            bad("Rejected", format!("{}: {}", sent.title, why.unwrap_or("no reason given.".into())))
        }
        Stage::Expired => bad("Expired", format!("{}: it was not in a batch in time.", sent.title)),
        Stage::Superseded => {
            bad("Superseded", format!("{}: another transaction used its nonce.", sent.title))
        }
        Stage::BeforeStart => {
            let text =
                "it was used up before this replica's start. Ask a replica that has every batch.";
            bad("Outcome unknown", format!("{}: {text}", sent.title))
        }
        // Somebody else signed it, for example the faucet. What it brought is noticed as a change of the account, but that
        // it failed is noticed only here.
        _ if sent.text.is_empty() => None,
        _ => Some(match &status.order {
            Some(order) if status.kind.as_deref() != Some("cancel") => {
                placed(sent, order, status.kind.as_deref() == Some("replace"))
            }
            _ => done(status.kind.as_deref().unwrap_or_default(), &sent.title),
        }),
    }
}

/// The outcome of a transaction that placed no order. Its title says what was asked for, so the notice repeats those
/// words in the past tense.
fn done(kind: &str, title: &str) -> Notice {
    let after = |asked: &str| title.strip_prefix(asked).unwrap_or_default();
    let (title, text) = match kind {
        "cancel" => ("Order cancelled", after("Cancel order ").to_string()),
        "cancel_all" => ("Orders cancelled", format!("All{}", after("Cancel all"))),
        "transfer" => ("Transfer complete", after("Transfer ").to_string()),
        "withdraw" => ("Withdrawal accepted", after("Withdraw ").to_string()),
        "authorize_key" => ("Trading key enabled", "It signs orders without a prompt".into()),
        "revoke_key" => ("Trading key revoked", after("Revoke trading key ").to_string()),
        // One kind of transaction turns the switch on, off and extends it. Only the title that the page gave tells
        // which.
        "cancel_all_after" if title.starts_with(TURN_ON) => {
            ("Dead-man's switch on", after(TURN_ON).trim().to_string())
        }
        "cancel_all_after" if title == TURN_OFF => {
            ("Dead-man's switch off", "Your orders stay open".into())
        }
        "cancel_all_after" if title == RENEWAL => {
            ("Dead-man's switch extended", "It counts from the start again".into())
        }
        _ => ("Done", title.to_string()),
    };
    Notice::new(Tone::Good, title, format!("{text}."))
}

/// The outcome of an order that was placed or changed.
fn placed(sent: &Sent, order: &OrderBody, is_changed: bool) -> Notice {
    let filled = format::number(&order.filled, 0);
    let quantity = format::number(&order.quantity, 0);
    let mut notice = match order.status {
        OrderStatus::Filled => Notice::new(Tone::Good, "Filled", format!("{}.", sent.title)),
        OrderStatus::Open if order.filled == "0" => {
            let text = format!("{} is open (#{}).", sent.title, order.id);
            Notice::new(Tone::Good, if is_changed { "Order changed" } else { "Order placed" }, text)
        }
        OrderStatus::Open => {
            let text = format!("{filled} of {quantity} filled; the rest is open (#{}).", order.id);
            Notice::new(Tone::Good, "Partially filled", text)
        }
        OrderStatus::Cancelled => {
            let why = order.reason.as_deref().map_or("", reason);
            let text = format!("{}: {filled} of {quantity} filled{why}.", sent.title);
            // No failure: the exchange accepted the order, and for example an `ioc` order is meant to end so.
            Notice::new(Tone::News, "Cancelled", text)
        }
    };
    // Nothing else can be taken back: a trade has no way back.
    notice.undo = (order.status == OrderStatus::Open).then(|| order.clone());
    notice
}

/// Why an order was cancelled, as the end of a sentence.
fn reason(code: &str) -> &'static str {
    match code {
        "ioc" => "; no more was available at that price",
        "self_trade" => "; cancelled by self-trade prevention",
        "maker_limit" => "; it reached the limit of orders it can fill against",
        "expired" => "; it expired",
        "replaced" => "; it was replaced",
        "switch" => "; cancelled by the dead-man's switch",
        _ => "",
    }
}

/// What happened to the account since `before` that is not the outcome of a transaction of this page.
pub fn of_account(
    listing: &Listing,
    before: &AccountBody,
    now: &AccountBody,
    sent: &[Sent],
) -> Vec<Notice> {
    let is_ours = |order: &OrderBody| sent.iter().any(|sent| sent.hash == order.hash);
    // Whether the outcome of its transaction says, or will say, that an order of this page was cancelled on arrival.
    let is_outcome = |order: &OrderBody| {
        let status = |sent: &Sent| sent.status.as_ref()?.order.as_ref().map(|order| order.status);
        let ours = sent.iter().find(|sent| sent.hash == order.hash);
        ours.is_some_and(|sent| !sent.is_over || status(sent) == Some(OrderStatus::Cancelled))
    };
    let order_of = |id: &str| {
        let mut orders = now.open_orders.iter().chain(&now.past_orders);
        orders.find(|order| order.id == id)
    };
    let mut notices = Vec::new();
    // Both lists are newest first, so the new fills are those before the first known one.
    let is_new = |fill: &&FillBody| before.fills.iter().all(|old| old.trade.id != fill.trade.id);
    let fills: Vec<&FillBody> = now.fills.iter().take_while(is_new).collect();
    let mut reported: Vec<&str> = Vec::new();
    for fill in fills.iter().copied() {
        // Fills of this page's own orders as takers are reported as their outcomes.
        let is_reported = !fill.is_maker && order_of(&fill.order).is_some_and(is_ours);
        if is_reported || reported.contains(&fill.order.as_str()) {
            continue;
        }
        // One notice for each order: a large resting order can meet many takers in one batch.
        reported.push(&fill.order);
        notices.push(filled(fill, order_of(&fill.order)));
    }
    for order in &now.past_orders {
        let is_new = before.past_orders.iter().all(|old| old.id != order.id);
        let code = order.reason.as_deref().unwrap_or("requested");
        // An end that the owner asked for is no news. Too many makers can end only an incoming order. Self-trade
        // prevention can also end a resting order, whose outcome was shown long ago.
        let is_asked_for = matches!(code, "requested" | "replaced" | "ioc")
            || matches!(code, "maker_limit" | "self_trade") && is_outcome(order);
        if is_new && order.status == OrderStatus::Cancelled && !is_asked_for {
            let text = format!("Order #{} on {}{}.", order.id, order.market, reason(code));
            notices.push(Notice::new(Tone::News, "Cancelled", text));
        }
    }
    // Trades change balances too. If there were any, what else was received cannot be told from the balances.
    if fills.is_empty() {
        let amounts: Vec<String> = now
            .balances
            .iter()
            .filter_map(|balance| received(listing, &before.balances, balance))
            .collect();
        if !amounts.is_empty() {
            notices.push(Notice::new(Tone::News, "Received", format!("{}.", amounts.join(", "))));
        }
    }
    notices
}

fn filled(fill: &FillBody, order: Option<&OrderBody>) -> Notice {
    let verb = if fill.side == Side::Buy { "Bought" } else { "Sold" };
    let price = format::number(&fill.trade.price, 0);
    let text = match order {
        Some(order) => format!(
            "{verb} on {} at {price}: {} of {} filled (#{}).",
            fill.trade.market,
            format::number(&order.filled, 0),
            format::number(&order.quantity, 0),
            order.id,
        ),
        None => format!(
            "{verb} {} on {} at {price}.",
            format::number(&fill.trade.quantity, 0),
            fill.trade.market,
        ),
    };
    let is_whole = order.is_some_and(|order| order.status == OrderStatus::Filled);
    Notice::new(Tone::Good, if is_whole { "Filled" } else { "Partially filled" }, text)
}

/// By how much a balance grew, available and locked together. None if it did not.
fn received(listing: &Listing, before: &[BalanceBody], now: &BalanceBody) -> Option<String> {
    let (_, token) = listing.token(&now.token)?;
    let atom = Decimal::of_atoms(Atoms(1), token.decimals);
    // The total, because the end of an order only moves an amount from locked to available.
    let total = |balance: &BalanceBody| {
        let atoms = |text: &str| Decimal::parse(text).ok()?.in_steps_of(atom).ok();
        atoms(&balance.available)?.checked_add(atoms(&balance.locked)?)
    };
    let old = before.iter().find(|old| old.token == now.token).map_or(Some(0), total)?;
    let more = total(now)?.checked_sub(old).filter(|more| *more > 0)?;
    let amount = Decimal::of_steps(more, atom)?.to_string();
    Some(format!("{} {}", format::number(&amount, 0), now.token))
}
