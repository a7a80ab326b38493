//! Options of the outbox.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct OutboxOptions {
    /// The maximum length of a batch in bytes.
    pub batch_bytes_max: usize,
    /// How long transactions are collected for one batch.
    pub gather: Duration,
    /// The wait before the first repost until the network's latency has been measured.
    pub repost_after: Duration,
}
