//! The slowest pace at which a peer may send: one that trickles would hold up its reader for as long as the
//! largest answer may take.

use std::time::Duration;

use tokio::time::Instant;

/// A minimum pace, measured from the moment it is made.
///
/// A peer may fall behind by `slack`. It cannot save up more than that by sending fast, so a peer that
/// begins to trickle is found out after `slack`, however much it has sent before.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: u64,
    slack: Duration,
    deadline: Instant,
}

impl Pace {
    /// Starts measuring.
    pub fn new(bytes_per_second: u64, slack: Duration) -> Self {
        Self { bytes_per_second, slack, deadline: Instant::now() + slack }
    }

    /// Returns the time until which the next bytes must have arrived.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Counts bytes that arrived. Returns whether they arrived in time.
    pub fn take(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        let is_in_time = now <= self.deadline;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        // In microseconds, so that small pieces earn something too.
        let earned = bytes.saturating_mul(1_000_000) / self.bytes_per_second.max(1);
        // More than the slack cannot be saved up.
        let earned = Duration::from_micros(earned).min(self.slack);
        self.deadline = (self.deadline + earned).min(now + self.slack);
        is_in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_trickles_is_too_slow_however_much_it_sent_before() {
        let slack = Duration::from_secs(10);
        let mut pace = Pace::new(1000, slack);
        assert!(pace.take(1_000_000), "a good start");
        let mut seconds = 0;
        while pace.take(100) {
            tokio::time::advance(Duration::from_secs(1)).await;
            seconds += 1;
        }
        // It earns a tenth of a second in each second.
        assert!((11..=13).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_keeps_the_pace_in_bursts_is_fast_enough() {
        let mut pace = Pace::new(1000, Duration::from_secs(10));
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(9)).await;
            assert!(pace.take(9000));
        }
    }
}
