//! The result of a chaos test.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The number of finalized batches.
    pub batches: usize,
    /// The number of transactions that an outbox accepted.
    pub accepted: usize,
    pub applied: usize,
    pub rejected: usize,
    /// The number of accepted transactions that expired or were superseded before they were sequenced.
    pub given_up: usize,
    /// The number of transactions that were sequenced more than once.
    pub copies: usize,
    /// The number of reposts by outboxes. At most this many copies come from outboxes; faults of nodes cause
    /// the others.
    pub posted_again: u64,
    pub leader_changes: u64,
    /// The number of faults, by kind.
    pub faults: BTreeMap<&'static str, u32>,
    /// The duration in virtual time.
    pub elapsed: Duration,
    /// The time from submission to outcome: median, 99th percentile and maximum.
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
