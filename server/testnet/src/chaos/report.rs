//! The result of a chaos test.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many batches are final.
    pub batches: usize,
    /// How many transactions were accepted.
    pub accepted: usize,
    /// How many of all transactions were applied.
    pub applied: usize,
    /// How many were rejected.
    pub rejected: usize,
    /// How many were accepted, and expired or were superseded before they were in the sequence.
    pub given_up: usize,
    /// How many were in the sequence again.
    pub copies: usize,
    /// How many of these outboxes can have made, which posted so many again; the nodes made the others.
    pub posted_again: u64,
    /// How often the leader was changed.
    pub leader_changes: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u32>,
    /// How long it took, in virtual time.
    pub elapsed: Duration,
    /// From submit to applied: the median, the 99th percentile, the longest.
    pub latencies: (Duration, Duration, Duration),
    /// SHA-256 over all bodies and roots.
    pub digest: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |duration: Duration| duration.as_millis() as f64 / 1000.0;
        let (median, p99, longest) = self.latencies;
        let Self { batches, accepted, applied, rejected, given_up, copies, posted_again, .. } =
            self;
        let changes = self.leader_changes;
        write!(
            f,
            "{batches} batches, {accepted} accepted, {applied} applied, {rejected} rejected, \
             {given_up} given up, {copies} copies, {posted_again} posted again; {changes} leader changes"
        )?;
        for (kind, count) in &self.faults {
            write!(f, ", {count} {kind}")?;
        }
        write!(
            f,
            "; {:.0} s; submit to applied {:.2} s median, {:.2} s p99, {:.2} s longest; {}",
            seconds(self.elapsed),
            seconds(median),
            seconds(p99),
            seconds(longest),
            self.digest.get(..16).unwrap_or_default(),
        )
    }
}
