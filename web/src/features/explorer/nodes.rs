//! The nodes of the sequencer: their keys and stakes, and which of them signed last.

use std::collections::BTreeMap;

use leptos::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use zellbook_core::wire::{ContentsBody, NetworkBody, ProofBody};

use super::context::Context;
use super::load::{Load, load};
use super::parts::{self, Row};
use crate::platform::dom::{Node, element, text, with};
use crate::platform::format;

const NODES: &[&str] =
    &["Node", "Address", "#Stake", "#Share", "Latest proof", "Public key (BLS, G2)"];

/// A node of a network file. Its numbers are too long for a number of JavaScript, so they stay text.
#[derive(Deserialize)]
struct NodeEntry<'a> {
    #[serde(borrow, rename = "pubkeyG2_X")]
    x: [&'a RawValue; 2],
    #[serde(borrow, rename = "pubkeyG2_Y")]
    y: [&'a RawValue; 2],
    socket: Option<String>,
    #[serde(borrow)]
    stake: &'a RawValue,
}

/// The requests of this section.
#[derive(Clone, Copy)]
pub struct Nodes {
    /// The last batch, for its sequence proof. None before the first batch.
    last: RwSignal<Option<Load>>,
    network: Load,
}

impl Nodes {
    pub fn of(context: Context) -> Self {
        let last = RwSignal::new(None::<Load>);
        let has_batches = Memo::new(move |_| {
            context
                .connection
                .status
                .with(|status| status.as_ref().is_some_and(|it| it.batch != "0"))
        });
        Effect::new(move || {
            // Batch 0 is genesis and has no contents.
            if has_batches.get() {
                // Untracked: `live` asks again after commits, once for many of them. Tracking the status would ask for
                // each.
                let path = move || {
                    context.connection.status.with_untracked(|status| {
                        let batch = status.as_ref().map_or("1", |status| &status.batch);
                        format!("/v1/batches/{batch}/contents?limit=1")
                    })
                };
                last.set(Some(load(path).live(context)));
            }
        });
        // If stakes change, each proof names the Ethereum block whose stakes count.
        let tag = Memo::new(move |_| {
            let contents = last.get()?.read::<ContentsBody>()?.ok()?;
            Some(contents.proof.tag)
        });
        let path = move || format!("/v1/network?tag={}", tag.get().unwrap_or_else(|| "0".into()));
        Self { last, network: load(path) }
    }

    pub fn show(self) -> Vec<Node> {
        let proof = self.last.get().and_then(|last| last.read::<ContentsBody>()?.ok());
        let proof = proof.map(|contents| contents.proof);
        self.network.show(|network: NetworkBody| {
            let entries: Option<BTreeMap<String, NodeEntry<'_>>> =
                serde_json::from_str(network.nodes.get()).ok();
            match entries {
                Some(entries) => table(&network, proof.as_ref(), &entries),
                None => vec![parts::note(
                    "The replica sent a list of nodes that this page cannot read.",
                )],
            }
        })
    }
}

/// A part of `all` in percent, with one decimal.
fn share(part: u128, all: u128) -> String {
    // Whole numbers, because a float cannot hold every stake exactly.
    let tenths = part.saturating_mul(1000).checked_div(all).unwrap_or(0);
    format!("{} %", format::number(&format!("{}.{}", tenths / 10, tenths % 10), 1))
}

fn table(
    network: &NetworkBody,
    proof: Option<&ProofBody>,
    entries: &BTreeMap<String, NodeEntry<'_>>,
) -> Vec<Node> {
    // An unreadable stake counts as none. This is only a view: a check of a proof refuses such a list.
    let stake = |entry: &NodeEntry<'_>| entry.stake.get().parse::<u128>().unwrap_or(0);
    let signed = |id: &str| proof.map(|proof| !proof.nonsigners.iter().any(|other| other == id));
    let total: u128 = entries.values().map(stake).sum();
    let row = |(id, entry): (&String, &NodeEntry<'_>)| -> Row {
        let key = [entry.x[0], entry.x[1], entry.y[0], entry.y[1]].map(RawValue::get).join(" ");
        let did = match signed(id) {
            None => text("no proof yet"),
            // Before the two below: proofs name the nodes with stake that did not sign, and a node without stake never
            // signs.
            Some(_) if stake(entry) == 0 => text("has no stake"),
            Some(true) => parts::mark(true, "signed"),
            Some(false) => parts::mark(false, "did not sign"),
        };
        vec![
            parts::short(id),
            text(entry.socket.as_deref().unwrap_or("–")),
            parts::number(&stake(entry).to_string()),
            text(&share(stake(entry), total)),
            did,
            parts::short(&key),
        ]
    };
    let rows = entries.iter().map(row).collect();
    let mut view = vec![parts::table("Sequencer nodes", NODES, rows, "No nodes.")];
    let mut facts = Vec::new();
    if let Some(proof) = proof {
        let is_quorum = |(id, _): &(&String, &NodeEntry<'_>)| signed(id) == Some(true);
        let quorum: u128 = entries.iter().filter(is_quorum).map(|(_, entry)| stake(entry)).sum();
        let message = format!(
            "{} of {} stake ({}) signed the batches up to ",
            format::number(&quorum.to_string(), 0),
            format::number(&total.to_string(), 0),
            share(quorum, total)
        );
        facts.push((
            "Latest proof",
            parts::all(vec![text(&message), parts::batch_link(&proof.index)]),
        ));
    }
    facts.push(("Quorum", text(&format!("at least {} % of the stake", network.threshold))));
    facts.push(("App name", text(&network.app_name)));
    if network.tag != "0" {
        facts.push(("Stakes at block", parts::number(&network.tag)));
    }
    view.push(element("h3", "", vec![text("Stake that signed")]));
    view.push(parts::facts(facts));
    view.push(keys(entries));
    let message = "This replica checks each sequence proof against these keys and stakes. The list comes from this replica: compare it with the network’s own.";
    view.push(parts::note(message));
    view
}

/// The keys in full: two numbers each for x and y, the imaginary part first.
fn keys(entries: &BTreeMap<String, NodeEntry<'_>>) -> Node {
    let line = |(id, entry): (&String, &NodeEntry<'_>)| {
        let [x, y] = [entry.x, entry.y].map(|parts| parts.map(RawValue::get).join(", "));
        format!("{id}\n  x: [{x}]\n  y: [{y}]")
    };
    let all = entries.iter().map(line).collect::<Vec<_>>().join("\n");
    let pre = with(element("pre", "text", vec![text(&all)]), "tabindex", "0");
    let pre = with(with(pre, "role", "region"), "aria-label", "Full public keys");
    let summary = element("summary", "", vec![text("Full IDs and keys")]);
    element("details", "", vec![summary, pre])
}
