//! Exponential backoff: the wait doubles with each failure in a row, up to a maximum.
//!
//! Callers add jitter where several replicas could otherwise retry in step and overload a gateway together.

use std::time::Duration;

use fastrand::Rng;

/// The waits of one row of failures.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Makes the waits from `first` to `longest`, before any failure.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Returns the wait after this many failures in a row.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        // After 32 failures the factor no longer fits, but the wait has long been the longest.
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// Counts a failure, and returns the wait after it.
    pub fn fail(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.after(self.failures)
    }

    /// Starts from the first wait again, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Returns a random time between half of `wait` and all of it.
#[must_use]
pub fn jitter(wait: Duration, random: &mut Rng) -> Duration {
    wait.mul_f64(0.5 + random.f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_the_longest_and_begins_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let waits = [(); 4].map(|()| backoff.fail().as_secs());
        assert_eq!(waits, [1, 2, 4, 5]);
        assert_eq!(backoff.after(u32::MAX).as_secs(), 5);
        backoff.reset();
        assert_eq!(backoff.fail().as_secs(), 1);
    }

    #[test]
    fn jitter_keeps_at_least_half_of_a_wait_and_adds_nothing() {
        let mut random = Rng::with_seed(1);
        let wait = Duration::from_secs(2);
        for _ in 0..1000 {
            let waited = jitter(wait, &mut random);
            assert!((wait / 2..=wait).contains(&waited), "{waited:?}");
        }
    }
}
