//! The replica's counters, and its metrics in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use zellbook_core::wire::{GatewayBody, ReplicaState, StatusBody};

use crate::store::AppliedBatch;

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counts {
    pub commits: AtomicU64,
    pub batches: AtomicU64,
    /// Transactions that were applied without a reject.
    pub applied: AtomicU64,
    /// Copies of transactions that already had an outcome.
    pub duplicates: AtomicU64,
    /// Elements of batches that needed no check, because they waited in the outbox.
    pub known: AtomicU64,
    /// The time spent on applying and committing, in microseconds.
    pub busy_us: AtomicU64,
    /// The newest batch that is known to be sequenced.
    pub gateway_head: AtomicU64,
    /// The batch of the newest state snapshot that this replica offers; 0 if it has none.
    pub snapshot: AtomicU64,
    /// The time from the last sequence proof to its commit, in milliseconds.
    pub lag_ms: AtomicU64,
    /// The last batch whose body was compared with that of another gateway; 0 before the first.
    pub compared_batch: AtomicU64,
    /// Rejected transactions, by the name of the reject.
    // Bounded by the number of reject codes, and sorted, so that each scrape has the same order.
    rejects: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counts {
    /// Counts a commit.
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
            // What we applied is sequenced, even if the gateway that was asked last is behind.
            self.gateway_head.fetch_max(last.index, Ordering::Relaxed);
            // Two clocks are compared, and a proof has its time in whole seconds, so the difference can be
            // negative.
            let lag = last.applied_ms.saturating_sub(last.time_ms);
            self.lag_ms.store(lag, Ordering::Relaxed);
        }
    }

    pub fn get(count: &AtomicU64) -> u64 {
        // Relaxed everywhere: the counters are independent of each other and only displayed.
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
    // The three characters that the format escapes in the values of labels.
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A metric with one value per gateway: name, kind, help and value.
type GatewayMetric = (&'static str, &'static str, &'static str, fn(&GatewayBody) -> String);

const GATEWAY_METRICS: [GatewayMetric; 5] = [
    ("gateway_in_use", "gauge", "Whether the replica reads from the gateway.", |gateway| {
        flag(gateway.in_use)
    }),
    ("gateway_failed", "gauge", "Whether the gateway failed or was dishonest last.", |gateway| {
        flag(gateway.last_failure.is_some())
    }),
    ("gateway_lags", "gauge", "Whether the gateway is behind the others.", |gateway| {
        flag(gateway.lags)
    }),
    ("gateway_failures_total", "counter", "Failures of the gateway.", |gateway| {
        gateway.failures.clone()
    }),
    (
        "gateway_dishonest_answers_total",
        "counter",
        "Answers of the gateway that a hash or a signature shows to be false.",
        |gateway| gateway.dishonest_answers.clone(),
    ),
];

fn flag(is_set: bool) -> String {
    u8::from(is_set).to_string()
}

/// The start of a root as a number, which a graph can compare between replicas. 48 bits fit into a double
/// exactly. As a label instead, every root would create a new time series.
fn root_prefix(root: &str) -> u64 {
    root.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

pub fn render(status: &StatusBody, counts: &Counts) -> String {
    let mut text = Text(String::new());
    let get = Counts::get;
    text.family("info", "gauge", "Version and network.");
    text.value("info", &[("version", &status.version), ("network", &status.network)], 1);
    text.family("state", "gauge", "State of the replica: 1 for the present one, 0 for the others.");
    for (state, name) in [
        (ReplicaState::Starting, "starting"),
        (ReplicaState::Following, "following"),
        (ReplicaState::Disconnected, "disconnected"),
        (ReplicaState::Halted, "halted"),
    ] {
        text.value("state", &[("state", name)], u8::from(status.state == state));
    }
    text.one("batch", "gauge", "Last applied batch.", &status.batch);
    let prefix = "First 48 bits of the state root after that batch, as a number.";
    text.one("root_prefix", "gauge", prefix, root_prefix(&status.root));
    let certified = status.certified_batch.as_deref().unwrap_or("0");
    text.one("certified_batch", "gauge", "Last batch with a certified root.", certified);
    let compared = status.compared_batch.as_deref().unwrap_or("0");
    let help = "Last batch whose body was compared with that of another gateway.";
    text.one("compared_batch", "gauge", help, compared);
    let prefix = "First 48 bits of the last certified root, as a number; 0 before the first.";
    let root = status.certified_root.as_deref().unwrap_or_default();
    text.one("certified_root_prefix", "gauge", prefix, root_prefix(root));
    text.one("time_ms", "gauge", "Time of the exchange, in Unix milliseconds.", &status.time_ms);
    let now = "What this replica knows of the present time, in Unix milliseconds.";
    text.one("now_ms", "gauge", now, &status.now_ms);
    if let Some(ahead) = &status.clock_ahead_ms {
        let help = "Milliseconds by which this machine's clock is ahead of the time of the network's proofs.";
        text.one("clock_ahead_ms", "gauge", help, ahead);
    }
    text.one("ready", "gauge", "Whether /readyz is 200.", u8::from(status.not_ready.is_none()));
    if let Some(age) = &status.batch_age_ms {
        text.one("batch_age_ms", "gauge", "Age of the last batch's sequence proof.", age);
    }
    let help =
        "Milliseconds that the oldest transaction in the outbox has waited; 0 if none waits.";
    let oldest = status.oldest_waiting_ms.as_deref().unwrap_or("0");
    text.one("oldest_waiting_ms", "gauge", help, oldest);
    let lag = "Batches that are sequenced but not applied yet.";
    text.one("lag_batches", "gauge", lag, &status.lag_batches);
    let lag = "Milliseconds from the last sequence proof, whose time is in seconds, to its commit.";
    text.one("lag_ms", "gauge", lag, &status.lag_ms);
    text.one("outbox", "gauge", "Transactions in the outbox.", &status.outbox);
    text.one("commits_total", "counter", "Commits to the store.", get(&counts.commits));
    text.one("batches_total", "counter", "Batches applied.", get(&counts.batches));
    let busy = "Microseconds spent applying and committing.";
    text.one("busy_us_total", "counter", busy, get(&counts.busy_us));
    let applied = "Transactions applied without a reject.";
    text.one("applied_total", "counter", applied, get(&counts.applied));
    text.family("rejected_total", "counter", "Rejected transactions, by reject.");
    for (name, count) in &*counts.rejects.lock().unwrap_or_else(PoisonError::into_inner) {
        text.value("rejected_total", &[("reject", name)], count);
    }
    let duplicates = "Copies of transactions that already had an outcome.";
    text.one("duplicates_total", "counter", duplicates, get(&counts.duplicates));
    let known = "Elements of batches that needed no check, because they waited in the outbox.";
    text.one("known_total", "counter", known, get(&counts.known));
    let posting = &status.posting;
    for (name, help, count) in [
        ("outbox_taken_total", "Transactions accepted by the outbox.", &posting.taken),
        ("outbox_posted_total", "Transactions posted for the first time.", &posting.posted),
        ("outbox_posted_again_total", "Reposts of transactions.", &posting.posted_again),
        ("outbox_expired_total", "Transactions given up because they expired.", &posting.expired),
        (
            "outbox_superseded_total",
            "Transactions given up because their nonce was used or too old.",
            &posting.superseded,
        ),
    ] {
        text.one(name, "counter", help, count);
    }
    if let Some(latency) = &posting.latency_ms {
        let help = "Smoothed time from posting to being sequenced, in milliseconds.";
        text.one("sequenced_latency_ms", "gauge", help, latency);
    }
    for (name, kind, help, value) in GATEWAY_METRICS {
        text.family(name, kind, help);
        for gateway in &status.gateways {
            text.value(name, &[("url", &gateway.url)], value(gateway));
        }
    }
    text.0
}
