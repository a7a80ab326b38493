//! Measures how long posted transactions take to be finalized, to decide when to post them again.
//!
//! Networks differ by a factor of a thousand, so no constant would do. The method is TCP's retransmission
//! timer (RFC 6298): a smoothed latency plus four times its smoothed variation.

use std::time::Duration;

use zellular::client::Backoff;

const WAIT_MAX: Duration = Duration::from_secs(300);
/// The shortest wait, unless the configured first wait is shorter. With less, every short delay of the
/// network would cause duplicates.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// Further posts of one transaction do not make its wait longer.
const POSTS_MAX: u32 = 7;

/// The time from posting to finality.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The wait before anything has been measured.
    first: Duration,
    /// The smoothed latency and its smoothed variation.
    measured: Option<(Duration, Duration)>,
    /// The smoothed latency of transactions that were posted only once.
    certain: Option<Duration>,
}

impl Latency {
    pub const fn new(first: Duration) -> Self {
        Self { first, measured: None, certain: None }
    }

    /// Adds the measurement of a transaction that was just seen in a finalized batch.
    ///
    /// For a transaction that was posted several times, it is unknown which copy was seen. If the last
    /// post can have arrived so quickly, the earlier ones were lost, and the time until they were repeated
    /// is not latency: counting it would make the wait longer with every loss. Otherwise the network is
    /// slower than the wait, and the time since the first post counts, up to twice the present wait.
    pub fn observe(&mut self, since_first_post: Duration, since_last_post: Duration, posts: u32) {
        if posts <= 1 {
            self.certain = Some(match self.certain {
                None => since_first_post,
                // Here and below, the weights are those of RFC 6298: 1/8 for the latency and 1/4 for its
                // variation.
                Some(smoothed) => smoothed * 7 / 8 + since_first_post / 8,
            });
            self.take(since_first_post);
        } else if self.is_last_copy(since_last_post) {
            self.take(since_last_post);
        } else {
            // One transaction that waited through an outage must not set the wait of all others. A network
            // that really is slower still raises the wait with each measurement.
            self.take(since_first_post.min(self.wait() * 2));
        }
    }

    /// Whether a transaction that was posted several times and was just seen can be the copy that was posted last.
    pub fn is_last_copy(&self, since_last_post: Duration) -> bool {
        // Below half of the usual latency, the copy that was seen must be an earlier one. Above double, the
        // network itself must have become slower.
        self.certain.is_none_or(|certain| (certain / 2..=certain * 2).contains(&since_last_post))
    }

    fn take(&mut self, sample: Duration) {
        self.measured = Some(match self.measured {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => {
                // A sample below the average must not increase the variation, and with it the wait.
                let max = if sample < smoothed { variation } else { Duration::MAX };
                let difference = smoothed.abs_diff(sample).min(max);
                (smoothed * 7 / 8 + sample / 8, variation * 3 / 4 + difference / 4)
            }
        });
    }

    pub fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|(smoothed, _)| smoothed)
    }

    /// The wait before the first repost.
    pub fn wait(&self) -> Duration {
        let wait =
            self.measured.map_or(self.first, |(smoothed, variation)| smoothed + variation * 4);
        wait.clamp(WAIT_MIN.min(self.first), WAIT_MAX)
    }

    /// The wait after this many posts. It doubles with each, because copies would slow a congested network
    /// down even more.
    pub fn wait_after(&self, posts: u32) -> Duration {
        Backoff::new(self.wait(), WAIT_MAX).after(posts.min(POSTS_MAX))
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
    fn the_wait_grows_to_the_latency_of_a_network_that_is_slower_than_the_wait() {
        // All that is posted is posted again before it is seen: 60 s of latency, a wait of 5 s.
        let mut latency = Latency::new(ms(5000));
        for _ in 0..20 {
            let (mut posts, mut last) = (1, ms(0));
            while last + latency.wait_after(posts) < ms(60_000) {
                last += latency.wait_after(posts);
                posts += 1;
            }
            latency.observe(ms(60_000), ms(60_000) - last, posts);
        }
        assert!(latency.wait() >= ms(60_000), "{:?}", latency.wait());
        // The same for a network that was fast before.
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
    fn the_wait_is_soon_short_again_after_the_network_paused() {
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
