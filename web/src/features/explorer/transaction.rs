//! One transaction: its steps, its outcome, and what was signed.

use std::time::Duration;

use leptos::prelude::*;
use zellbook_core::TransactionHash;
use zellbook_core::wire::{
    BatchTradesResponse, OrderBody, OrderStatus, SignedBody, Stage, TradeBody, TransactionStatus,
};

use super::context::{Context, View};
use super::load::load;
use super::parts::{self, Row};
use crate::features::evidence::Subject;
use crate::platform::dom::{Node, button, element, text, with};
use crate::platform::format;

/// How often a transaction without an outcome is asked for.
const POLL: Duration = Duration::from_millis(400);
/// How often to ask whether the batch is certified. Replicas attest every few seconds at most.
const POLL_CERTIFIED: Duration = Duration::from_secs(3);
/// The most fills that are shown: as many as one answer has.
const FILLS_SHOWN: usize = 200;
const FILLS: &[&str] = &["Trade", "Market", "#Price", "#Quantity", "#With order"];

pub fn transaction(context: Context, hash: String) -> View {
    let path = format!("/v1/transactions/{hash}");
    let of_signed = format!("{path}/signed");
    let status = load(move || path.clone());
    let signed = load(move || of_signed.clone());
    // An order's fills as a taker are trades of its batch.
    let traded = RwSignal::new(None);
    Effect::new(move || {
        // A failure ends the polling. The view then shows it, with a button to try again.
        let Some(Ok(found)) = status.read::<TransactionStatus>() else { return };
        if found.status < Stage::Applied {
            status.again_after(POLL);
        } else if found.batch.is_some() && !found.certified {
            status.again_after(POLL_CERTIFIED);
        }
        if let (Some(batch), Some(order)) = (found.batch, found.order) {
            let path =
                format!("/v1/batches/{batch}/trades?limit={FILLS_SHOWN}&taker_order={}", order.id);
            traded.set(Some(load(move || path.clone())));
        }
    });
    Box::new(move || {
        let subject = Subject::Transaction(hash.clone());
        let check = button("Check", &hash, move || context.evidence.check(subject.clone()));
        let mut view = vec![parts::heading("Transaction", vec![check]), parts::lead_hash(&hash)];
        view.extend(status.show(|found: TransactionStatus| {
            // A closure, because only the outcome knows whether there is an order whose fills to show.
            let fills = || match traded.get() {
                Some(load) => load.show(|body| fills(context, &body)),
                None => Vec::new(),
            };
            vec![
                parts::section("Lifecycle", lifecycle(&found)),
                parts::section("Outcome", outcome(context, &found, fills)),
                parts::section(
                    "Signed message",
                    signed.show(|body: SignedBody| evidence(&hash, &body)),
                ),
            ]
        }));
        view
    })
}

fn lifecycle(status: &TransactionStatus) -> Vec<Node> {
    let stage = status.status;
    let class = |is_reached: bool| if is_reached { "done" } else { "later" };
    let last = match stage {
        Stage::Rejected => ("rejected", "bad"),
        Stage::Expired => ("expired", "bad"),
        Stage::Superseded => ("superseded", "bad"),
        Stage::BeforeStart => ("unknown outcome", "bad"),
        _ => ("applied", class(stage == Stage::Applied)),
    };
    // `Expired` and `Superseded` come after `Sequenced` in the order of stages, but such a transaction was in no batch.
    let is_sequenced =
        stage >= Stage::Sequenced && !matches!(stage, Stage::Expired | Stage::Superseded);
    let step = |name: &str, class: &str, time: &Option<String>| {
        let sign = match class {
            "done" => "✓",
            "bad" => "✕",
            _ => "·",
        };
        let sign = with(element("span", "", vec![text(sign)]), "aria-hidden", "true");
        let mut parts = vec![sign, text(name)];
        if let Some(time) = time {
            parts.push(element("small", "", vec![parts::time(time)]));
        }
        element("li", class, parts)
    };
    let steps = vec![
        step("received", "done", &status.received_ms),
        step(
            "posted",
            class(is_sequenced || stage == Stage::Posted || status.posted_ms.is_some()),
            &status.posted_ms,
        ),
        step("sequenced", class(is_sequenced), &status.sequenced_ms),
        step(last.0, last.1, &status.applied_ms),
        step("certified", class(status.certified), &None),
    ];
    let mut view = vec![with(element("ol", "steps", steps), "aria-live", "polite")];
    if status.received_ms.is_none() {
        view.push(parts::note("This replica does not know when the transaction was received and posted: another replica accepted it, or this one removed it from its outbox long ago."));
    }
    let mut facts = Vec::new();
    if let (Some(batch), Some(position)) = (&status.batch, &status.position) {
        let position = vec![parts::batch_link(batch), text(&format!(" at position {position}"))];
        facts.push(("Batch", parts::all(position)));
    }
    facts.extend(status.kind.as_ref().map(|kind| ("Kind", text(&kind.replace('_', " ")))));
    facts.extend(status.account.as_ref().map(|account| ("Account", parts::account_link(account))));
    facts.extend(status.posts.as_ref().map(|posts| ("Times posted", parts::number(posts))));
    view.push(parts::facts(facts));
    view
}

/// The outcome: the reject with an explanation, or the order with its fills.
fn outcome(
    context: Context,
    status: &TransactionStatus,
    fills: impl FnOnce() -> Vec<Node>,
) -> Vec<Node> {
    let message = |message: &str| vec![element("p", "", vec![text(message)])];
    match (status.status, &status.reject, &status.order) {
        (Stage::Rejected, Some(reject), _) => {
            let what = element("p", "error", vec![text(&format!("{}.", reject.message))]);
            let means = format!(
                "Reject code {} ({}). The transaction had no effect, except that its nonce may be used up. To try again, sign a new, corrected transaction.",
                reject.code, reject.name
            );
            vec![what, parts::note(&means)]
        }
        (Stage::Expired, ..) => message(
            "It expired: no batch included it before its valid_until time. It will never have an effect. Sign a new transaction to try again.",
        ),
        (Stage::Superseded, ..) => message(
            "Another transaction used its nonce, or the nonce is now too old. It will never have an effect. Sign a new transaction to try again.",
        ),
        (Stage::BeforeStart, ..) => message(
            "This batch has a copy of it. The transaction was used up before the snapshot that this replica started from, so this replica does not know its outcome. A replica that has every batch does.",
        ),
        (Stage::Applied, _, Some(order)) => {
            let mut view = vec![
                order_facts(context, order),
                element("h3", "", vec![text("Filled immediately")]),
            ];
            view.extend(fills());
            view
        }
        (Stage::Applied, ..) => message("Applied. The effect is visible in the account."),
        _ => message("No outcome yet. This page updates automatically."),
    }
}

fn fills(context: Context, body: &BatchTradesResponse) -> Vec<Node> {
    let row = |trade: &TradeBody| -> Row {
        let steps = context.markets.steps(&trade.market);
        vec![
            parts::number(&trade.id),
            parts::market_link(&trade.market),
            text(&steps.price(&trade.price)),
            text(&steps.quantity(&trade.quantity)),
            parts::number(&trade.maker_order),
        ]
    };
    let empty = "None. No order on the other side matched its price.";
    let rows = body.trades.iter().map(row).collect();
    let mut view = vec![parts::table("Fills as a taker", FILLS, rows, empty)];
    if body.total.parse().is_ok_and(|total: usize| total > body.trades.len()) {
        let message =
            format!("Showing the first {FILLS_SHOWN} of {}.", format::number(&body.total, 0));
        view.push(parts::note(&message));
    }
    view
}

fn order_facts(context: Context, order: &OrderBody) -> Node {
    let steps = context.markets.steps(&order.market);
    let status = match order.status {
        OrderStatus::Open => "open".into(),
        OrderStatus::Filled => "filled".into(),
        OrderStatus::Cancelled => {
            let reason = order.reason.as_deref().unwrap_or_default();
            format!("cancelled: {}", reason.replace('_', " "))
        }
    };
    parts::facts(vec![
        ("Order", parts::number(&order.id)),
        ("Market", parts::market_link(&order.market)),
        ("Side", parts::side(order.side)),
        ("Limit price", text(&steps.price(&order.price))),
        ("Quantity", text(&steps.quantity(&order.quantity))),
        ("Filled", text(&steps.quantity(&order.filled))),
        ("Open", text(&steps.quantity(&order.remaining))),
        ("Time in force", text(format::time_in_force_words(order.time_in_force))),
        ("Status", text(&status)),
    ])
}

fn evidence(hash: &str, body: &SignedBody) -> Vec<Node> {
    // Compared with the hash in the path, which the reader asked for. The replica could send another message together
    // with the hash of that one.
    let check = if TransactionHash::of_text(&body.text).to_string() == hash {
        parts::mark(true, "checked: this page computed it from the message")
    } else if body.scheme == "guide" {
        text(
            "not computed here: in the guide’s format it covers key and signature (use Check above)",
        )
    } else {
        parts::mark(false, "the message does not have this hash: do not trust this replica")
    };
    let code = |text: &str, name: &str| {
        let pre = with(element("pre", "text", vec![self::text(text)]), "tabindex", "0");
        with(with(pre, "role", "region"), "aria-label", name)
    };
    let summary = element("summary", "", vec![text("As recorded in the batch")]);
    vec![
        code(&body.text, "Signed message"),
        parts::facts(vec![
            ("Signed by", parts::account_link(&body.signer)),
            ("Scheme", text(&body.scheme)),
            ("Signature", parts::whole(&body.signature)),
            ("Hash", check),
        ]),
        element("details", "", vec![summary, code(&body.element, "As recorded in the batch")]),
    ]
}
