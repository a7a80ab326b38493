//! How long to wait for what was posted before it is posted again: measured, as TCP measures when to
//! send a segment again (RFC 6298). Networks differ by a factor of a thousand.

use std::time::Duration;

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The shortest, unless the first is shorter: below that a hiccup would cost copies.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// How often the wait of one transaction doubles, at most.
const DOUBLINGS_MAX: u32 = 6;

/// The time from posting to finality.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The wait before anything is measured.
    first: Duration,
    measured: Option<(Duration, Duration)>,
    /// The smoothed latency of what was posted once.
    certain: Option<Duration>,
}

impl Latency {
    /// Nothing is measured yet; until then the wait is this.
    pub const fn new(first: Duration) -> Self {
        Self { first, measured: None, certain: None }
    }

    /// Takes a measurement: of a transaction that was posted once, from that post; of one that was posted
    /// more than once, from its first post to its last. Which of its copies was seen is not known. If the
    /// last can have come that quickly, the others were lost, and the time until they were posted again
    /// is no latency: else each loss would make the wait for the next one longer. If not, the network is
    /// slower than the wait, and the time from the first post is believed up to twice the present wait.
    pub fn observe(&mut self, since_first_post: Duration, since_last_post: Duration, posts: u32) {
        let was_lost = |certain: Duration| (certain / 2..=certain * 2).contains(&since_last_post);
        if posts <= 1 {
            self.certain = Some(match self.certain {
                None => since_first_post,
                Some(smoothed) => smoothed * 7 / 8 + since_first_post / 8,
            });
            self.take(since_first_post);
        } else if self.certain.is_some_and(was_lost) {
            self.take(since_last_post);
        } else {
            self.take(since_first_post.min(self.wait() * 2));
        }
    }

    fn take(&mut self, sample: Duration) {
        self.measured = Some(match self.measured {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => {
                // What comes sooner than expected is no reason to wait longer.
                let most = if sample < smoothed { variation } else { Duration::MAX };
                let difference = smoothed.abs_diff(sample).min(most);
                (smoothed * 7 / 8 + sample / 8, variation * 3 / 4 + difference / 4)
            }
        });
    }

    /// The smoothed latency, if anything was measured.
    pub fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|(smoothed, _)| smoothed)
    }

    /// The wait before a first repost.
    pub fn wait(&self) -> Duration {
        let wait =
            self.measured.map_or(self.first, |(smoothed, variation)| smoothed + variation * 4);
        wait.clamp(WAIT_MIN.min(self.first), WAIT_MAX)
    }

    /// The wait after so many posts: it doubles with each, since a network that is slow must not be made
    /// slower by copies.
    pub fn wait_after(&self, posts: u32) -> Duration {
        let doublings = posts.saturating_sub(1).min(DOUBLINGS_MAX);
        self.wait().saturating_mul(1 << doublings).min(WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_wait_follows_the_network_within_bounds() {
        let mut latency = Latency::new(ms(5000));
        assert_eq!((latency.wait(), latency.smoothed()), (ms(5000), None));
        for _ in 0..50 {
            latency.observe(ms(30), ms(30), 1);
        }
        assert_eq!(latency.wait(), WAIT_MIN);
        assert!(latency.smoothed().unwrap() < ms(31));
        for _ in 0..50 {
            latency.observe(ms(60_000), ms(60_000), 1);
        }
        let wait = latency.wait();
        assert!(wait > ms(60_000) && wait < ms(120_000), "{wait:?}");
        latency.observe(ms(u64::MAX / 4), ms(0), 1);
        assert_eq!(latency.wait(), WAIT_MAX);
    }

    #[test]
    fn a_network_slower_than_the_wait_is_measured_in_the_end() {
        // All is posted again before it is seen: 60 s of latency, a wait of 5 s.
        let mut latency = Latency::new(ms(5000));
        for _ in 0..20 {
            latency.observe(ms(60_000), ms(25_000), 4);
        }
        assert!(latency.wait() >= ms(60_000), "{:?}", latency.wait());
        // And one that was fast before.
        let mut latency = Latency::new(ms(5000));
        for _ in 0..50 {
            latency.observe(ms(400), ms(400), 1);
        }
        for _ in 0..20 {
            latency.observe(ms(60_000), ms(25_000), 6);
        }
        assert!(latency.wait() >= ms(60_000), "{:?}", latency.wait());
    }

    #[test]
    fn losses_do_not_make_the_wait_for_the_next_one_longer() {
        let mut latency = Latency::new(ms(5000));
        for _ in 0..50 {
            latency.observe(ms(400), ms(400), 1);
        }
        let wait = latency.wait();
        for lost in 1..100 {
            latency.observe(ms(10_000 * lost), ms(500), 3);
        }
        assert!(latency.wait() <= wait * 3 / 2, "{wait:?} {:?}", latency.wait());
    }

    #[test]
    fn after_a_pause_of_the_network_the_wait_is_soon_short_again() {
        let mut latency = Latency::new(ms(5000));
        for _ in 0..50 {
            latency.observe(ms(400), ms(400), 1);
        }
        for _ in 0..3 {
            latency.observe(ms(12_000), ms(12_000), 1);
        }
        assert!(latency.wait() > ms(12_000), "{:?}", latency.wait());
        for _ in 0..20 {
            latency.observe(ms(400), ms(400), 1);
        }
        assert!(latency.wait() < ms(3000), "{:?}", latency.wait());
    }

    #[test]
    fn each_post_doubles_the_wait() {
        let latency = Latency::new(ms(100));
        let waits: Vec<_> = [1, 2, 3, 7, 100].map(|posts| latency.wait_after(posts)).into();
        assert_eq!(waits, [ms(100), ms(200), ms(400), ms(6400), ms(6400)]);
    }
}
