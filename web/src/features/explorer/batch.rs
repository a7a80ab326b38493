//! One batch: its place in the chain, its sequence proof, and what it did.

use leptos::prelude::*;
use zellbook_core::wire::{
    BatchTradesResponse, ContentsBody, ElementBody, HeaderBody, ProofBody, TradeBody,
};

use super::context::{Context, View};
use super::load::load;
use super::parts::{self, Row};
use crate::platform::dom::{Node, button, element, text, with};
use crate::platform::format;

/// The elements, and the trades, of one page.
const SHOWN: u64 = 50;
const ELEMENTS: &[&str] = &["Position", "Transaction", "Kind", "Account", "Details", "Outcome"];
const TRADES: &[&str] =
    &["Trade", "Market", "Taker", "#Price", "#Quantity", "#Maker order", "#Taker order"];

pub fn batch(context: Context, index: u64) -> View {
    let from = RwSignal::new(0_u64);
    let path = move || format!("/v1/batches/{index}/contents?limit={SHOWN}&from={}", from.get());
    // Loaded once: of a sequenced batch, nothing can change but that its root is certified.
    let contents = load(path);
    // A request of its own, because the contents have the first 200 trades only.
    let trades_from = RwSignal::new(0_u64);
    let path =
        move || format!("/v1/batches/{index}/trades?limit={SHOWN}&from={}", trades_from.get());
    let trades = load(path);
    let title = format!("Batch {}", format::number(&index.to_string(), 0));
    Box::new(move || {
        let neighbour = |index: u64, label| parts::link(&format!("/batches/{index}"), label);
        let mut neighbours = Vec::new();
        // Batches are numbered from 1. Whether there is a next one, its own view says.
        if index > 1 {
            neighbours.push(neighbour(index.saturating_sub(1), "← Previous"));
        }
        neighbours.push(neighbour(index.saturating_add(1), "Next →"));
        let nav =
            with(element("nav", "steps-nav", neighbours), "aria-label", "Previous and next batch");
        let mut view = vec![parts::heading(&title, vec![nav])];
        view.extend(contents.show(|body: ContentsBody| {
            let trades = trades.show(|body| trades_view(context, &body, trades_from));
            contents_view(&body, from, trades)
        }));
        view
    })
}

/// Buttons for the previous and next rows; none if all rows are shown.
fn ways(what: &str, from: RwSignal<u64>, total: &str) -> Vec<Node> {
    let total: u64 = total.parse().unwrap_or(0);
    if total <= SHOWN {
        return Vec::new();
    }
    // Untracked: the buttons belong to the rows shown, and are made again with the answer that brings others.
    let first = from.get_untracked();
    let next = first.saturating_add(SHOWN).min(total);
    let position = |number: u64| format::number(&number.to_string(), 0);
    let message = format!(
        "{} to {} of {}",
        position(first.saturating_add(1)),
        position(next),
        position(total)
    );
    let way = |label: &str, to: u64| {
        let button = button(label, &to.to_string(), move || from.set(to));
        with(button, "aria-label", &format!("{label}: {what}"))
    };
    let mut ways = vec![text(&message)];
    if first > 0 {
        ways.push(way("Previous", first.saturating_sub(SHOWN)));
    }
    if next < total {
        ways.push(way("Next", next));
    }
    vec![element("p", "actions", ways)]
}

fn trades_view(context: Context, body: &BatchTradesResponse, from: RwSignal<u64>) -> Vec<Node> {
    let rows = body.trades.iter().map(|one| trade(context, one)).collect();
    let empty = "No trades in this batch.";
    let mut view = vec![parts::table("Trades of this batch", TRADES, rows, empty)];
    view.extend(ways("trades", from, &body.total));
    view
}

fn contents_view(body: &ContentsBody, from: RwSignal<u64>, trades: Vec<Node>) -> Vec<Node> {
    let elements = parts::table(
        "Transactions of this batch",
        ELEMENTS,
        body.elements.iter().map(row).collect(),
        "No transactions. The body of this batch is not a list of transactions, so it changes nothing.",
    );
    let mut transactions = vec![elements];
    transactions.extend(ways("transactions", from, &body.elements_total));
    let summary = summary(&body.header, body.previous_chaining_hash.as_deref());
    vec![
        parts::section("Summary", vec![summary]),
        parts::section("Sequence proof", proof(&body.proof)),
        parts::section("Transactions", transactions),
        parts::section("Trades", trades),
    ]
}

fn summary(header: &HeaderBody, previous: Option<&str>) -> Node {
    let certified = match &header.certified_in {
        Some(batch) => parts::all(vec![
            parts::mark(true, "by replicas with more than two thirds of the weight, in batch "),
            parts::batch_link(batch),
        ]),
        None if header.certified => {
            parts::mark(true, "by the root of a later batch, which covers this one")
        }
        None => text("not yet: only the network’s signature covers this batch"),
    };
    let body = format!("{} bytes (JSON with proof)", format::number(&header.bytes, 0));
    let before = previous.map_or_else(|| text("none (first batch of the chain)"), parts::whole);
    parts::facts(vec![
        ("Sequenced", parts::time(&header.time_ms)),
        ("Applied by this replica", parts::time(&header.applied_ms)),
        ("Applied", parts::number(&header.applied)),
        ("Rejected", parts::number(&header.rejected)),
        ("State root after this batch", parts::whole(&header.root)),
        ("Certified", certified),
        ("Chaining hash", parts::whole(&header.chaining_hash)),
        ("Previous chaining hash", before),
        ("Body", parts::raw_link(&format!("/v1/batches/{}", header.index), &body)),
    ])
}

fn proof(proof: &ProofBody) -> Vec<Node> {
    // A proof covers all batches after the one that the proof before it covers last.
    let first = proof.parent_index.parse::<u64>().unwrap_or(0).saturating_add(1).to_string();
    let covers = if first == proof.index {
        parts::all(vec![text("batch "), parts::batch_link(&first)])
    } else {
        let (first, last) = (parts::batch_link(&first), parts::batch_link(&proof.index));
        parts::all(vec![text("batches "), first, text(" to "), last])
    };
    let missing = if proof.nonsigners.is_empty() {
        parts::mark(true, "none (all nodes signed)")
    } else {
        parts::whole(&proof.nonsigners.join(" "))
    };
    let mut facts = vec![
        ("Covers", covers),
        ("Signed chaining hash", parts::whole(&proof.chaining_hash)),
        ("Did not sign", missing),
        ("Aggregate BLS signature", parts::whole(&proof.signature)),
    ];
    if proof.tag != "0" {
        facts.push(("Stakes at block", parts::number(&proof.tag)));
    }
    let message = "This replica checked the signature against the nodes’ keys and stakes before it applied the batch. The chaining hash covers all batch bodies up to this one.";
    vec![parts::facts(facts), parts::note(message)]
}

fn trade(context: Context, trade: &TradeBody) -> Row {
    let steps = context.markets.steps(&trade.market);
    vec![
        parts::number(&trade.id),
        parts::market_link(&trade.market),
        parts::side(trade.taker_side),
        text(&steps.price(&trade.price)),
        text(&steps.quantity(&trade.quantity)),
        parts::number(&trade.maker_order),
        parts::number(&trade.taker_order),
    ]
}

fn row(element: &ElementBody) -> Row {
    let outcome = match (&element.copy_of, &element.reject) {
        // First, because a copy has no effect here, whatever the outcome in the other batch was.
        (Some(batch), _) => {
            parts::all(vec![text("duplicate; see the outcome in batch "), parts::batch_link(batch)])
        }
        (None, Some(reject)) => {
            let mark = parts::mark(false, &reject.name.replace('_', " "));
            with(mark, "title", &format!("{}: {}", reject.code, reject.message))
        }
        (None, None) => parts::mark(true, "applied"),
    };
    vec![
        parts::number(&element.position),
        // Without a valid signature there is no hash and no account, and kind and fields are what the element claims.
        parts::or_dash(element.hash.as_ref(), parts::transaction_link),
        parts::or_dash(element.kind.as_ref(), |kind| text(&kind.replace('_', " "))),
        parts::or_dash(element.account.as_ref(), parts::account_link),
        text(&says(&element.fields)),
        outcome,
    ]
}

/// A transaction's fields in a few words.
fn says(fields: &[(String, String)]) -> String {
    let value = |name: &str| {
        let field = fields.iter().find(|(field, _)| field == name)?;
        Some(field.1.as_str())
    };
    let number = |text: &str| format::number(text, 0);
    // By fields and not by kind, because several kinds place an order, and several move an amount.
    if let (Some(side), Some(quantity), Some(market), Some(price)) =
        (value("side"), value("quantity"), value("market"), value("price"))
    {
        return format!("{side} {} {market} at {}", number(quantity), number(price));
    }
    if let (Some(amount), Some(token)) = (value("amount"), value("token")) {
        let to = value("to").or(value("destination")).unwrap_or_default();
        return format!("{} {token} to {}", number(amount), format::short(to));
    }
    let is_shown = |name: &str| !matches!(name, "nonce" | "clock" | "signer");
    let shown = fields.iter().filter(|(name, _)| is_shown(name));
    let shown =
        shown.map(|(name, value)| format!("{} {}", name.replace('_', " "), format::short(value)));
    shown.collect::<Vec<_>>().join(", ")
}
