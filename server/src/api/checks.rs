//! Checks of transactions on a bounded number of threads, and a limit of bad signatures for each client.
//!
//! A signature takes some 80 microseconds of computation, far more than anything else that a request can ask
//! for with as few bytes. Clients take turns: each has at most a few checks at a time in the one queue that
//! all share, so a client that sends many does not hold up the others.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::client_address::ClientAddress;

/// The most transactions that a client checks before it queues again.
const TURN: usize = 8;
/// The bad signatures that a client may send at once: what a faulty bot sends before it is noticed.
const BAD_AT_ONCE: NonZero<u32> = NonZero::new(64).unwrap();
/// The bad signatures that a client may send each second after that.
const BAD_PER_SECOND: NonZero<u32> = NonZero::new(1).unwrap();
/// Longer bodies, which are large arrays, take long to read. A client that is slowed down may not send them.
const SHORT_BYTES_MAX: usize = 16 << 10;
/// How long a client is slowed down after its last bad signature.
const SLOWED_FOR: Duration = Duration::from_secs(10);
/// Above this number of clients, those that have sent nothing bad for a while are forgotten.
const CLIENTS_MAX: usize = 1 << 14;

/// The client has sent too many bad signatures, and should wait for this many seconds.
#[derive(Debug, PartialEq, Eq)]
pub struct TooManyBad {
    pub retry_after_s: u32,
}

impl TooManyBad {
    fn after(wait: Duration) -> Self {
        // Rounded up, since a client that comes back too early is refused again.
        Self { retry_after_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1) }
    }
}

/// Why checks did not finish.
#[derive(Debug)]
pub enum Unfinished {
    TooManyBad(TooManyBad),
    /// A check panicked, or the process is stopping.
    Failed(String),
}

pub struct Checks {
    checks: Lane,
    /// One thread reads long bodies, so that no check waits for one.
    reads: Lane,
    bad: DefaultKeyedRateLimiter<ClientAddress>,
    /// Until when clients are slowed down that have sent too many bad signatures.
    slowed: Mutex<HashMap<ClientAddress, Instant>>,
}

/// Threads in whose use clients take turns.
struct Lane {
    threads: Arc<Semaphore>,
    /// A semaphore with one permit for each client that has work here.
    turns: Mutex<HashMap<ClientAddress, Weak<Semaphore>>>,
}

impl Lane {
    fn new(threads: usize) -> Self {
        Self { threads: Arc::new(Semaphore::new(threads)), turns: Mutex::default() }
    }

    /// Does a client's work when it is its turn, on one of the threads.
    async fn work<T: Send + 'static>(
        &self,
        client: ClientAddress,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        let failed = |error: &dyn std::fmt::Display| Unfinished::Failed(error.to_string());
        // First the client's own queue, then the one that all share. Both are first in, first out.
        let own = self.turn(client).acquire_owned().await.map_err(|error| failed(&error))?;
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let thread = thread.map_err(|error| failed(&error))?;
        let done = spawn_blocking(move || {
            // In the closure, which continues where its request is given up.
            let _permits = (own, thread);
            work()
        });
        done.await.map_err(|error| failed(&error))
    }

    fn turn(&self, client: ClientAddress) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&client).and_then(Weak::upgrade) {
            return turn;
        }
        // Only the clients with checks in progress stay, and those are bounded by the connections.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Semaphore::new(1));
        turns.insert(client, Arc::downgrade(&turn));
        turn
    }
}

impl Default for Checks {
    fn default() -> Self {
        // One processor is left to the tasks that follow the sequence, post and answer.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = processors.saturating_sub(1).max(1);
        let quota = Quota::per_second(BAD_PER_SECOND).allow_burst(BAD_AT_ONCE);
        Self {
            checks: Lane::new(threads),
            reads: Lane::new(1),
            bad: RateLimiter::keyed(quota),
            slowed: Mutex::default(),
        }
    }
}

impl Checks {
    /// Checks transactions, in order. `check` does one, and `is_bad` says of its result whether the
    /// signature was bad.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        client: ClientAddress,
        elements: Vec<String>,
        check: impl Fn(&str) -> T + Clone + Send + 'static,
        is_bad: fn(&T) -> bool,
    ) -> Result<Vec<(String, T)>, Unfinished> {
        let mut results = Vec::with_capacity(elements.len());
        let mut elements = elements.into_iter().peekable();
        while elements.peek().is_some() {
            let part: Vec<String> = elements.by_ref().take(TURN).collect();
            let (checks, check) = (Arc::clone(self), check.clone());
            let checked = self.checks.work(client, move || {
                let mut results = Vec::with_capacity(part.len());
                for element in part {
                    let result = check(&element);
                    if is_bad(&result) {
                        checks.count_bad(client)?;
                    }
                    results.push((element, result));
                }
                Ok::<_, Unfinished>(results)
            });
            results.extend(checked.await??);
        }
        Ok(results)
    }

    /// Reads a body with `read`. A client that is slowed down has to send short ones.
    pub async fn read<T: Send + 'static>(
        &self,
        client: ClientAddress,
        body: Bytes,
        read: fn(&[u8]) -> T,
    ) -> Result<T, Unfinished> {
        if body.len() <= SHORT_BYTES_MAX {
            return Ok(read(&body));
        }
        if let Some(until) = self.slowed().get(&client)
            && let Some(wait) = until.checked_duration_since(Instant::now())
        {
            return Err(Unfinished::TooManyBad(TooManyBad::after(wait)));
        }
        self.reads.work(client, move || read(&body)).await
    }

    /// Counts a bad signature. The error is that the client has sent too many. Its good ones are checked all
    /// the same: many users can share one address.
    fn count_bad(&self, client: ClientAddress) -> Result<(), Unfinished> {
        if self.bad.len() > CLIENTS_MAX {
            self.bad.retain_recent();
        }
        self.bad.check_key(&client).map_err(|_| {
            let now = Instant::now();
            let mut slowed = self.slowed();
            if slowed.len() > CLIENTS_MAX {
                slowed.retain(|_, until| *until > now);
            }
            slowed.insert(client, now + SLOWED_FOR);
            Unfinished::TooManyBad(TooManyBad::after(SLOWED_FOR))
        })
    }

    fn slowed(&self) -> MutexGuard<'_, HashMap<ClientAddress, Instant>> {
        self.slowed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn client(number: u8) -> ClientAddress {
        ClientAddress::new([10, 0, 0, number].into())
    }

    fn elements(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[tokio::test]
    async fn results_keep_the_order_of_the_elements() {
        let checks = Arc::new(Checks::default());
        let results = checks.run(client(1), elements(100), str::to_owned, |_| false).await.unwrap();
        assert_eq!(results.len(), 100);
        for (number, (element, result)) in results.iter().enumerate() {
            assert_eq!((element, result), (&number.to_string(), element));
        }
    }

    #[tokio::test]
    async fn a_client_with_bad_signatures_is_slowed_down_and_its_good_ones_are_not() {
        let checks = Arc::new(Checks::default());
        let done = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&done);
        let check = move |_: &str| count.fetch_add(1, Ordering::Relaxed);
        let bad = checks.run(client(1), elements(1000), check.clone(), |_| true).await;
        let Err(Unfinished::TooManyBad(bad)) = bad else { panic!("a thousand bad signatures") };
        assert_eq!(bad, TooManyBad::after(SLOWED_FOR));
        let allowed = BAD_AT_ONCE.get() as usize;
        // A slow machine earns a few more while it runs.
        assert!((allowed..allowed + 50).contains(&done.load(Ordering::Relaxed)), "{done:?}");
        assert!(checks.run(client(1), elements(1000), check.clone(), |_| false).await.is_ok());
        // Large bodies have to wait, even before they are read.
        let read =
            async |client, length| checks.read(client, vec![0; length].into(), <[u8]>::len).await;
        assert_eq!(read(client(1), SHORT_BYTES_MAX).await.unwrap(), SHORT_BYTES_MAX);
        assert!(matches!(read(client(1), 100_000).await, Err(Unfinished::TooManyBad(_))));
        assert_eq!(read(client(2), 100_000).await.unwrap(), 100_000);
        assert!(checks.run(client(2), elements(9), check, |_| true).await.is_ok());
    }

    #[tokio::test]
    async fn clients_take_turns() {
        let checks = Arc::new(Checks { checks: Lane::new(1), ..Checks::default() });
        let (begin, begun) = mpsc::channel::<()>();
        let begun = Arc::new(Mutex::new(begun));
        let log = Arc::new(Mutex::new(Vec::new()));
        // The first client holds the only thread until the others have queued.
        let run = |number: u8, count: usize| {
            let (checks, log, begun) = (Arc::clone(&checks), Arc::clone(&log), Arc::clone(&begun));
            tokio::spawn(async move {
                let check = move |_: &str| {
                    if number == 1 && log.lock().unwrap().is_empty() {
                        begun.lock().unwrap().recv().unwrap();
                    }
                    log.lock().unwrap().push(number);
                };
                checks.run(client(number), elements(count), check, |()| false).await.unwrap();
            })
        };
        let mut many = vec![run(1, 10 * TURN)];
        while checks.checks.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        many.extend((0..20).map(|_| run(1, 10 * TURN)));
        let one = run(2, 1);
        while checks.checks.turns.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        begin.send(()).unwrap();
        one.await.unwrap();
        let before = log.lock().unwrap().len();
        // Its own turn comes after at most two turns of the other client: the present and a queued one.
        assert!(before <= 4 * TURN, "{before} checks of another client came first");
        for task in many {
            task.await.unwrap();
        }
        assert_eq!(log.lock().unwrap().len(), 210 * TURN + 1);
    }
}
