//! The network's time, and what it says about this replica's clock.
//!
//! The nodes sign a time with every sequence proof. A proof that arrives while the replica follows the network is a
//! few seconds old at most, so it tells the time to within the time until a batch is sequenced, and the process's own timer
//! carries it on. A proof that arrives while the replica catches up tells nothing.
//!
//! The exchange's time never goes back, so a clock that is ahead would do harm for as long as it is ahead: everything
//! would expire. A replica therefore attests the earlier of the two where they differ by more than
//! [`DIFFERENCE_MAX`]. So neither a wrong clock here nor a wrong clock of the network's leader pushes the
//! exchange's time ahead.

use std::time::Duration;

use tokio::time::Instant;

/// The largest difference at which the replica's clock is attested. The network's default interval is 30 s, and a
/// batch can be two intervals old when its proof arrives.
pub const DIFFERENCE_MAX: Duration = Duration::from_secs(120);
/// How long a proof tells the time. The process's timer stands still while the machine sleeps, so the next proof must
/// set it again.
const LASTS: Duration = Duration::from_secs(600);

/// The time of the newest sequence proof that arrived while the replica followed the network.
#[derive(Clone, Copy, Debug)]
pub struct NetworkTime {
    pub proof_ms: u64,
    /// When this replica had it.
    pub received: Instant,
}

impl NetworkTime {
    fn now_ms(&self) -> Option<u64> {
        let age = self.received.elapsed();
        (age <= LASTS).then(|| self.proof_ms.saturating_add(milliseconds(age)))
    }
}

/// This replica's clock beside the network's time, at one moment. In Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    pub own_ms: u64,
    /// `None` if no proof has told it lately.
    pub network_ms: Option<u64>,
}

impl ClockReading {
    pub fn new(own_ms: u64, network: Option<&NetworkTime>) -> Self {
        Self { own_ms, network_ms: network.and_then(NetworkTime::now_ms) }
    }

    /// How far this replica's clock is ahead of the network's time.
    pub fn ahead_ms(&self) -> Option<i64> {
        let network = i128::from(self.network_ms?);
        // Saturates only for clocks that differ by 292 million years.
        let ahead = i128::from(self.own_ms) - network;
        Some(i64::try_from(ahead).unwrap_or(if ahead > 0 { i64::MAX } else { i64::MIN }))
    }

    /// Whether this replica's clock is not attested because it differs too much.
    pub fn differs(&self) -> bool {
        self.ahead_ms().is_some_and(|ahead| ahead.unsigned_abs() > milliseconds(DIFFERENCE_MAX))
    }

    /// The best that is known of the present time: this replica's clock, or the network's time if they differ.
    pub fn best_ms(&self) -> u64 {
        self.network_ms.filter(|_| self.differs()).unwrap_or(self.own_ms)
    }

    /// The time by which this replica decides what is due.
    pub fn due_by_ms(&self) -> u64 {
        self.best_ms().min(self.own_ms)
    }

    /// The clock that this replica attests. `exchange_ms` is the exchange's time.
    pub fn attested_ms(&self, exchange_ms: u64) -> u64 {
        match self.network_ms {
            Some(_) => self.due_by_ms(),
            // Nothing has checked this clock yet. The attestation leaves the exchange's time where it is, and the
            // proof of its batch checks the clock.
            None => self.own_ms.min(exchange_ms),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const TWO_DAYS: u64 = 2 * 86_400_000;

    fn reading(own_ms: u64) -> ClockReading {
        ClockReading { own_ms, network_ms: Some(NOW) }
    }

    #[test]
    fn the_earlier_of_two_clocks_that_differ_is_attested() {
        for (own, attested, differs) in [
            (NOW, NOW, false),
            (NOW + 120_000, NOW + 120_000, false),
            (NOW + 120_001, NOW, true),
            (NOW + TWO_DAYS, NOW, true),
            (NOW - 120_000, NOW - 120_000, false),
            // Either may be the wrong one. The earlier one holds nothing back but itself.
            (NOW - TWO_DAYS, NOW - TWO_DAYS, true),
            (0, 0, true),
            (u64::MAX, NOW, true),
        ] {
            let reading = reading(own);
            assert_eq!(reading.attested_ms(0), attested, "{own}");
            assert_eq!(reading.differs(), differs, "{own}");
        }
    }

    #[test]
    fn an_unchecked_clock_leaves_the_exchanges_time_where_it_is() {
        let reading = ClockReading { own_ms: NOW, network_ms: None };
        assert_eq!(reading.attested_ms(5), 5);
        assert_eq!(reading.attested_ms(NOW + 1), NOW);
        assert_eq!((reading.best_ms(), reading.due_by_ms()), (NOW, NOW));
        assert!(!reading.differs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_proof_tells_the_time_for_some_minutes() {
        let network = NetworkTime { proof_ms: NOW, received: Instant::now() };
        tokio::time::advance(Duration::from_secs(90)).await;
        let reading = ClockReading::new(NOW + 90_000, Some(&network));
        assert_eq!(reading.ahead_ms(), Some(0));
        tokio::time::advance(LASTS).await;
        assert_eq!(ClockReading::new(NOW, Some(&network)).ahead_ms(), None);
    }
}
