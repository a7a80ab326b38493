//! The replicas of genesis, the root that they agree on, and the state of the replica behind this page.

use zellbook_core::wire::{GatewayBody, ReplicaBody, ReplicaState, ReplicasResponse, StatusBody};

use super::context::{Context, View};
use super::load::load;
use super::nodes::Nodes;
use super::parts::{self, Row};
use crate::features::evidence::Subject;
use crate::platform::dom::{Node, button, element, text};
use crate::platform::format;

const REPLICAS: &[&str] =
    &["Replica", "#Weight", "Last attested batch", "Root", "Clock", "Attested in batch"];
const GATEWAYS: &[&str] =
    &["Gateway", "Used for", "#Last batch", "#Failures", "#Invalid answers", "Last failure"];
const LEAD: &str = "Replicas apply the same batches, and each signs the state root it computes. A root signed by replicas with more than two thirds of the weight is certified. A replica whose own root differs halts.";

pub fn replicas(context: Context) -> View {
    let load = load(|| "/v1/replicas".into()).live(context);
    let nodes = Nodes::of(context);
    Box::new(move || {
        let table = load.show(|body: ReplicasResponse| {
            let weights = body.replicas.iter().filter_map(|one| one.weight.parse::<u64>().ok());
            let total = weights.sum();
            let rows = body.replicas.iter().map(|one| replica(one, total)).collect();
            let caption = "Replicas named in genesis";
            vec![parts::table(caption, REPLICAS, rows, "No replicas named in genesis.")]
        });
        let check = button("Check", "", move || context.evidence.check(Subject::LastBatch));
        let mut view = vec![
            parts::heading("Replicas", vec![check]),
            parts::lead(LEAD),
            parts::section("Replicas named in genesis", table),
            parts::section("Sequencer nodes", nodes.show()),
        ];
        let status = context
            .connection
            .status
            .with(|status| serde_json::from_str::<StatusBody>(&status.as_ref()?.json).ok());
        if let Some(status) = &status {
            let gateways = parts::table(
                "Gateways",
                GATEWAYS,
                status.gateways.iter().map(gateway).collect(),
                "None yet. The replica has not reached the sequencer since it started.",
            );
            view.extend([
                parts::section("Certified root", vec![certified(status)]),
                parts::section("This replica", vec![this(status)]),
                parts::section("Gateways this replica uses", vec![gateways]),
            ]);
        }
        view
    })
}

fn replica(replica: &ReplicaBody, total: u64) -> Row {
    let weight: u64 = replica.weight.parse().unwrap_or(0);
    let share = weight.saturating_mul(1000).checked_div(total).unwrap_or(0);
    let share = format!("{} ({}.{} %)", format::number(&replica.weight, 0), share / 10, share % 10);
    let mut key = vec![parts::account_link(&replica.public_key)];
    if replica.is_this {
        key.extend([text(" "), element("span", "tag", vec![text("this replica")])]);
    }
    let batch = match replica.attested_batch.as_deref() {
        None => text("none yet"),
        // The state of genesis, before the first batch.
        Some("0") => text("0 (genesis)"),
        Some(batch) => parts::batch_link(batch),
    };
    vec![
        parts::all(key),
        text(&share),
        batch,
        parts::or_dash(replica.attested_root.as_ref(), parts::short),
        parts::or_dash(replica.clock_ms.as_ref(), parts::time),
        parts::or_dash(replica.said_in.as_ref(), parts::batch_link),
    ]
}

fn certified(status: &StatusBody) -> Node {
    let (Some(batch), Some(root)) = (&status.certified_batch, &status.certified_root) else {
        let message = "No root is certified yet. Certification needs attestations from replicas with more than two thirds of the weight; they come with the first batches.";
        return element("p", "empty", vec![text(message)]);
    };
    let path = format!("/v1/certified?from={batch}");
    parts::facts(vec![
        ("Batch", parts::batch_link(batch)),
        ("State root", parts::whole(root)),
        ("Evidence", parts::raw_link(&path, "signed attestations (JSON)")),
    ])
}

fn this(status: &StatusBody) -> Node {
    let word = match status.state {
        ReplicaState::Following => parts::mark(true, "following the sequencer"),
        ReplicaState::Starting => text("catching up with the sequencer"),
        ReplicaState::Disconnected => parts::mark(false, "cannot reach the sequencer"),
        ReplicaState::Halted => parts::mark(false, "halted"),
    };
    let mut facts = vec![("State", word)];
    facts.extend(status.reason.as_ref().map(|reason| ("Reason", text(reason))));
    let start = match status.start.as_str() {
        "0" => "the first batch".into(),
        start => format!("a snapshot of batch {}", format::number(start, 0)),
    };
    // Batch 0 and time 0 stand for genesis.
    let or = |value: &str, none: &str, shown: fn(&str) -> Node| {
        if value == "0" { text(none) } else { shown(value) }
    };
    let latency = status.posting.latency_ms.as_ref();
    let latency =
        latency.map_or_else(|| text("not measured yet"), |time| parts::amount(time, "ms"));
    facts.extend([
        ("Last batch", or(&status.batch, "none yet", parts::batch_link)),
        ("State root", parts::whole(&status.root)),
        ("Exchange time", or(&status.time_ms, "not set yet", parts::time)),
        ("Behind", parts::amount(&status.lag_batches, "batches")),
        ("Pending transactions", parts::number(&status.outbox)),
        ("Time until sequenced", latency),
        ("Started from", text(&start)),
        ("Exchange", text(&status.name)),
        ("Network id", parts::whole(&status.network)),
        ("Version", text(&status.version)),
    ]);
    parts::facts(facts)
}

fn gateway(gateway: &GatewayBody) -> Row {
    let uses = [
        (gateway.in_use, "read"),
        (gateway.is_posted_to, "post"),
        (gateway.is_leader, "(leader)"),
        (gateway.lags, "(lagging)"),
    ];
    let uses: Vec<_> = uses.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect();
    let uses = if uses.is_empty() { "–".into() } else { uses.join(", ") };
    vec![
        text(&gateway.url),
        text(&uses),
        gateway.head.as_ref().map_or_else(|| text("no answer"), |index| parts::number(index)),
        parts::number(&gateway.failures),
        parts::number(&gateway.dishonest_answers),
        text(gateway.last_failure.as_deref().unwrap_or("none")),
    ]
}
