//! The wall clock, for everything that is not consensus. It is passed in, so that a chaos test can give all
//! replicas one virtual clock. Waiting uses tokio's timers, which follow the same virtual time.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Virtual { start_ms: u64, started: Instant },
}

impl Clock {
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start_ms` now and follows tokio's time, which may be paused.
    pub fn virtual_from(start_ms: u64) -> Self {
        Self(Source::Virtual { start_ms, started: Instant::now() })
    }

    /// The time in Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        let (start_ms, since) = match self.0 {
            // A clock before 1970 shows 0. That harms little: attested, it is one of the clocks that the
            // median is taken of.
            Source::System => (0, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Source::Virtual { start_ms, started } => (start_ms, started.elapsed()),
        };
        start_ms.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The system's time in Unix milliseconds.
pub fn now_ms() -> u64 {
    Clock::system().now_ms()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Clock;

    #[test]
    fn a_virtual_clock_follows_paused_time() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let clock = Clock::virtual_from(1_000);
            assert_eq!(clock.now_ms(), 1_000);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(clock.now_ms(), 3_601_000);
        });
    }
}
