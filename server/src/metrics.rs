//! What a replica counts since it started, and all that is known of it as Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use zellbook_core::wire::{GatewayBody, ReplicaState, StatusBody};

use crate::store::AppliedBatch;

/// Counts, since the replica started.
#[derive(Debug, Default)]
pub struct Counts {
    /// Commits.
    pub commits: AtomicU64,
    /// Batches applied.
    pub batches: AtomicU64,
    /// Transactions that had an effect.
    pub applied: AtomicU64,
    /// Transactions that stood in the sequence though they had their outcome.
    pub duplicates: AtomicU64,
    /// Microseconds that applying and committing took.
    pub busy_us: AtomicU64,
    /// The last batch that a gateway said is finalized.
    pub gateway_head: AtomicU64,
    /// Milliseconds from the time of the last proof to its commit.
    pub lag_ms: AtomicU64,
    /// Transactions that had no effect, by the reason's name.
    rejects: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counts {
    /// Notes a commit, of whose transactions so many had their outcome before.
    pub fn commit(&self, batches: &[AppliedBatch], duplicates: u64) {
        let add = |count: &AtomicU64, more: usize| {
            count.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        add(&self.commits, 1);
        add(&self.batches, batches.len());
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        let outcomes = batches.iter().flat_map(|batch| &batch.outcome.transactions);
        add(&self.applied, outcomes.clone().filter(|outcome| outcome.result.is_ok()).count());
        let mut rejects = self.rejects.lock().unwrap_or_else(PoisonError::into_inner);
        for reject in outcomes.filter_map(|outcome| outcome.result.as_ref().err()) {
            *rejects.entry(reject.name()).or_default() += 1;
        }
        drop(rejects);
        if let Some(last) = batches.last() {
            self.gateway_head.fetch_max(last.index, Ordering::Relaxed);
            let lag = last.applied_ms.saturating_sub(last.time_ms);
            self.lag_ms.store(lag, Ordering::Relaxed);
        }
    }

    /// A count.
    pub fn get(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}

/// Metrics in the text format of Prometheus.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP zellbook_{name} {help}\n# TYPE zellbook_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "zellbook_{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.value(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A metric of each gateway: its name, kind and help, and what it is.
type GatewayMetric = (&'static str, &'static str, &'static str, fn(&GatewayBody) -> String);

const GATEWAY_METRICS: [GatewayMetric; 5] = [
    ("gateway_in_use", "gauge", "Whether a gateway is read now.", |gateway| flag(gateway.in_use)),
    ("gateway_faulty", "gauge", "Whether something is wrong with a gateway.", |gateway| {
        flag(gateway.fault.is_some())
    }),
    ("gateway_lags", "gauge", "Whether a gateway is behind the others.", |gateway| {
        flag(gateway.lags)
    }),
    ("gateway_faults_total", "counter", "Faults of a gateway.", |gateway| gateway.faults.clone()),
    ("gateway_lies_total", "counter", "Proven lies of a gateway.", |gateway| gateway.lies.clone()),
];

fn flag(is_set: bool) -> String {
    u8::from(is_set).to_string()
}

/// What a graph can hold of a root: a number that a double keeps to the last digit. As a label, each root
/// would be a series of its own.
fn root_prefix(root: &str) -> u64 {
    root.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// All metrics.
pub fn render(status: &StatusBody, counts: &Counts) -> String {
    let mut text = Text(String::new());
    let get = Counts::get;
    text.family("info", "gauge", "Version and network.");
    text.value("info", &[("version", &status.version), ("network", &status.network)], 1);
    text.family("state", "gauge", "What the replica is doing: 1 for the state that it is in.");
    for (state, name) in [
        (ReplicaState::Starting, "starting"),
        (ReplicaState::Following, "following"),
        (ReplicaState::Disconnected, "disconnected"),
        (ReplicaState::Halted, "halted"),
    ] {
        text.value("state", &[("state", name)], u8::from(status.state == state));
    }
    text.one("batch", "gauge", "The last batch that it applied.", &status.batch);
    let prefix = "The first 48 bits of the state root after that batch, as a number.";
    text.one("root_prefix", "gauge", prefix, root_prefix(&status.root));
    let certified = status.certified_batch.as_deref().unwrap_or("0");
    text.one("certified_batch", "gauge", "The last batch with a certified root.", certified);
    let prefix =
        "The first 48 bits of the root that replicas certified, as a number; 0 before the first.";
    let root = status.certified_root.as_deref().unwrap_or_default();
    text.one("certified_root_prefix", "gauge", prefix, root_prefix(root));
    text.one("time_ms", "gauge", "The exchange's time in Unix milliseconds.", &status.time_ms);
    let lag = "Batches that a gateway calls finalized and that are not applied.";
    text.one("lag_batches", "gauge", lag, &status.lag_batches);
    let lag = "Milliseconds from the time of the last proof, in whole seconds, to its commit.";
    text.one("lag_ms", "gauge", lag, &status.lag_ms);
    text.one("outbox", "gauge", "Transactions in the outbox.", &status.outbox);
    text.one("commits_total", "counter", "Commits to the store.", get(&counts.commits));
    text.one("batches_total", "counter", "Batches applied.", get(&counts.batches));
    let busy = "Microseconds spent on applying and committing.";
    text.one("busy_us_total", "counter", busy, get(&counts.busy_us));
    let applied = "Transactions that had an effect.";
    text.one("applied_total", "counter", applied, get(&counts.applied));
    text.family("rejected_total", "counter", "Transactions that had none, by the reason.");
    for (name, count) in &*counts.rejects.lock().unwrap_or_else(PoisonError::into_inner) {
        text.value("rejected_total", &[("reject", name)], count);
    }
    let duplicates = "Transactions that stood in the sequence once more.";
    text.one("duplicates_total", "counter", duplicates, get(&counts.duplicates));
    let posting = &status.posting;
    for (name, help, count) in [
        ("outbox_taken_total", "Transactions that the outbox took.", &posting.taken),
        ("outbox_posted_total", "Transactions posted for the first time.", &posting.posted),
        ("outbox_posted_again_total", "Transactions posted once more.", &posting.posted_again),
        ("outbox_expired_total", "Transactions given up as expired.", &posting.expired),
        ("outbox_superseded_total", "Transactions given up for their nonce.", &posting.superseded),
    ] {
        text.one(name, "counter", help, count);
    }
    if let Some(latency) = &posting.latency_ms {
        let help = "Milliseconds from posting to finality, smoothed.";
        text.one("finality_latency_ms", "gauge", help, latency);
    }
    for (name, kind, help, value) in GATEWAY_METRICS {
        text.family(name, kind, help);
        for gateway in &status.gateways {
            text.value(name, &[("url", &gateway.url)], value(gateway));
        }
    }
    text.0
}
