//! The latest batches, kept up to date, and pages of earlier ones.

use leptos::prelude::*;
use zellbook_core::wire::{HeaderBody, HeadersResponse};

use super::context::{Context, View};
use super::load::load;
use super::parts::{self, Row};
use crate::platform::dom::{Node, button, element, text};

const SHOWN: u32 = 25;
const COLUMNS: &[&str] =
    &["Batch", "Time", "#Applied", "#Rejected", "#Bytes", "State root", "Certified"];
const LEAD: &str = "Each batch is a list of transactions that the network sequenced. All replicas apply the same batches and compute the same state root.";
const EMPTY: &str =
    "No batches yet. The first transaction creates one: place an order or get test tokens.";

fn row(header: &HeaderBody) -> Row {
    let certified = match &header.certified_in {
        Some(batch) => parts::all(vec![parts::mark(true, "in "), parts::batch_link(batch)]),
        None if header.certified => parts::mark(true, "by a later root"),
        None => text("not yet"),
    };
    vec![
        parts::batch_link(&header.index),
        parts::time(&header.time_ms),
        parts::number(&header.applied),
        parts::number(&header.rejected),
        parts::number(&header.bytes),
        parts::short(&header.root),
        certified,
    ]
}

pub fn batches(context: Context) -> View {
    // None shows the latest batches.
    let before = RwSignal::new(None::<u64>);
    let path = move || {
        let before = before.get().map(|index| format!("&before={index}")).unwrap_or_default();
        format!("/v1/headers?limit={SHOWN}{before}")
    };
    // Earlier pages are kept up to date too, because their batches can still be certified.
    let load = load(path).live(context);
    let list = move |body: HeadersResponse| -> Vec<Node> {
        let rows = body.headers.iter().map(row).collect();
        let table = parts::table("Batches, newest first", COLUMNS, rows, EMPTY);
        let oldest = body.headers.last().and_then(|header| header.index.parse::<u64>().ok());
        // A replica that started from a snapshot has no batch up to that one.
        let start = body.start.parse::<u64>().unwrap_or(0).saturating_add(1);
        let mut ways = Vec::new();
        if before.get().is_some() {
            ways.push(button("Newest", "", move || before.set(None)));
        }
        if let Some(oldest) = oldest.filter(|oldest| *oldest > start) {
            let older = move || before.set(Some(oldest));
            ways.push(button("Older", &oldest.to_string(), older));
        }
        vec![element("div", "panel", vec![table, element("p", "actions", ways)])]
    };
    Box::new(move || {
        let mut view = vec![parts::heading("Batches", Vec::new()), parts::lead(LEAD)];
        view.extend(load.show(list));
        view
    })
}
