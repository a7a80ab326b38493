//! Checks of transactions on a bounded number of threads, and a limit of bad signatures for each client.
//!
//! A signature takes some 80 microseconds of computation, far more than anything else that a request can ask
//! for with as few bytes. So clients take turns in small pieces, and a client that sent a bad signature lately comes
//! after all others. A client that sends many waits for itself alone. The pieces of a request begin small, so that an
//! order waits for little more than one signature of each client that is new to us. Good signatures are cheaper
//! together, so the pieces grow with them.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::task::spawn_blocking;

use crate::client_address::ClientAddress;
use crate::turns::{Turn, Turns};

/// The most transactions that a client has checked in a turn while others wait: about a millisecond.
const TURN: usize = 16;
/// The same while nobody else waits. One who comes then waits for the rest of it.
const TURN_ALONE: usize = 128;
/// The same for a client that sent a bad signature lately. Bad ones are no cheaper together.
const TURN_AFTER_BAD: usize = 4;
/// The bad signatures that a client may send at once: what a faulty bot sends before it is noticed.
const BAD_AT_ONCE: NonZero<u32> = NonZero::new(64).unwrap();
/// The bad signatures that a client may send each second after that.
const BAD_PER_SECOND: NonZero<u32> = NonZero::new(1).unwrap();
/// Longer bodies, which are large arrays, take long to read. A client that is slowed down may not send them.
pub const SHORT_BYTES_MAX: usize = 16 << 10;
/// How long a client is remembered after its last bad signature.
const REMEMBERED: Duration = Duration::from_secs(10);
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
    checks: Arc<Turns>,
    /// Apart from checks: what is signed was taken already, so nobody may come last.
    signs: Arc<Turns>,
    /// One thread reads long bodies, so that no check waits for one.
    reads: Arc<Turns>,
    bad: DefaultKeyedRateLimiter<ClientAddress>,
    /// The clients that sent a bad signature lately.
    recent: Mutex<HashMap<ClientAddress, Recent>>,
}

/// A client that sent a bad signature lately.
#[derive(Clone, Copy)]
struct Recent {
    until: Instant,
    /// It has sent too many, so its long bodies are refused.
    is_slowed: bool,
}

impl Default for Checks {
    fn default() -> Self {
        // One processor is left to the tasks that follow the sequence, post and answer.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = processors.saturating_sub(1).max(1);
        let quota = Quota::per_second(BAD_PER_SECOND).allow_burst(BAD_AT_ONCE);
        Self {
            checks: Turns::new(threads, 1),
            signs: Turns::new(threads, 1),
            reads: Turns::new(1, 1),
            bad: RateLimiter::keyed(quota),
            recent: Mutex::default(),
        }
    }
}

impl Checks {
    /// Checks transactions, in order. `check` does some at once, and `is_bad` says of a result whether the
    /// signature was bad.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        client: ClientAddress,
        elements: Vec<String>,
        check: impl Fn(&[&str]) -> Vec<T> + Clone + Send + 'static,
        is_bad: fn(&T) -> bool,
    ) -> Result<Vec<(String, T)>, Unfinished> {
        let mut results = Vec::with_capacity(elements.len());
        let mut elements = elements.into_iter().peekable();
        while elements.peek().is_some() {
            let turn = self.turn(&self.checks, client).await;
            let most = match self.recent(client) {
                Some(_) => TURN_AFTER_BAD,
                None if self.checks.is_wanted() => TURN,
                None => TURN_ALONE,
            };
            // The first signature shows whether the others may be bad: then they come after all other clients.
            let count = results.len().clamp(1, most);
            let part: Vec<String> = elements.by_ref().take(count).collect();
            let (checks, check) = (Arc::clone(self), check.clone());
            let work = move || {
                let texts: Vec<&str> = part.iter().map(String::as_str).collect();
                let checked = check(&texts);
                for result in &checked {
                    if is_bad(result) {
                        checks.count_bad(client)?;
                    }
                }
                Ok::<_, Unfinished>(part.into_iter().zip(checked))
            };
            results.extend(work_in(turn, work).await??);
        }
        Ok(results)
    }

    /// Signs something for each item, in turns.
    pub async fn sign<T: Send + 'static, U: Send + 'static>(
        &self,
        client: ClientAddress,
        items: Vec<T>,
        sign: impl Fn(T) -> U + Clone + Send + 'static,
    ) -> Result<Vec<U>, Unfinished> {
        let mut items = items.into_iter();
        if items.len() == 1 {
            // To pass it to another thread would cost as much again.
            return Ok(items.map(sign).collect());
        }
        let mut done = Vec::with_capacity(items.len());
        while items.len() > 0 {
            let turn = self.signs.take(client, false).await;
            let (part, sign): (Vec<T>, _) = (items.by_ref().take(TURN).collect(), sign.clone());
            done.extend(
                work_in(turn, move || part.into_iter().map(sign).collect::<Vec<U>>()).await?,
            );
        }
        Ok(done)
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
        self.permit_long(client).map_err(Unfinished::TooManyBad)?;
        let turn = self.turn(&self.reads, client).await;
        work_in(turn, move || read(&body)).await
    }

    async fn turn(&self, turns: &Arc<Turns>, client: ClientAddress) -> Turn {
        turns.take(client, self.recent(client).is_some()).await
    }

    /// Whether a client may send long bodies now.
    pub fn permit_long(&self, client: ClientAddress) -> Result<(), TooManyBad> {
        match self.recent(client) {
            Some(Recent { until, is_slowed: true }) => {
                Err(TooManyBad::after(until.saturating_duration_since(Instant::now())))
            }
            _ => Ok(()),
        }
    }

    /// Counts a bad signature. The error is that the client has sent too many. Its good ones are checked all
    /// the same: many users can share one address.
    fn count_bad(&self, client: ClientAddress) -> Result<(), Unfinished> {
        if self.bad.len() > CLIENTS_MAX {
            self.bad.retain_recent();
        }
        let is_too_many = self.bad.check_key(&client).is_err();
        let now = Instant::now();
        let mut clients = self.clients();
        if clients.len() > CLIENTS_MAX {
            clients.retain(|_, recent| recent.until > now);
        }
        let until = now + REMEMBERED;
        let recent = clients.entry(client).or_insert(Recent { until, is_slowed: false });
        recent.is_slowed = is_too_many || (recent.is_slowed && recent.until > now);
        recent.until = until;
        if is_too_many {
            return Err(Unfinished::TooManyBad(TooManyBad::after(REMEMBERED)));
        }
        Ok(())
    }

    /// The client's entry, if it sent a bad signature lately.
    fn recent(&self, client: ClientAddress) -> Option<Recent> {
        let now = Instant::now();
        self.clients().get(&client).copied().filter(|recent| recent.until > now)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<ClientAddress, Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does work on a thread of its own, which the turn is for.
async fn work_in<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let done = spawn_blocking(move || {
        // In the closure, which continues where its request is given up.
        let _turn = turn;
        work()
    });
    done.await.map_err(|error| Unfinished::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use tokio::task::JoinHandle;

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
        let check = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let results = checks.run(client(1), elements(1000), check, |_| false).await.unwrap();
        assert_eq!(results.len(), 1000);
        for (number, (element, result)) in results.iter().enumerate() {
            assert_eq!((element, result), (&number.to_string(), element));
        }
    }

    #[tokio::test]
    async fn a_client_with_bad_signatures_is_slowed_down_and_its_good_ones_are_not() {
        let checks = Arc::new(Checks::default());
        let done = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&done);
        let check = move |texts: &[&str]| {
            texts.iter().map(|_| count.fetch_add(1, Ordering::Relaxed)).collect()
        };
        let bad = checks.run(client(1), elements(1000), check.clone(), |_| true).await;
        let Err(Unfinished::TooManyBad(bad)) = bad else { panic!("a thousand bad signatures") };
        assert_eq!(bad, TooManyBad::after(REMEMBERED));
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

    /// What is checked by whom, with one thread that the first client holds until the others have queued.
    struct Order {
        checks: Arc<Checks>,
        log: Arc<Mutex<Vec<u8>>>,
        begin: mpsc::Sender<()>,
        begun: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    impl Order {
        fn new() -> Self {
            let (begin, begun) = mpsc::channel();
            Self {
                checks: Arc::new(Checks { checks: Turns::new(1, 1), ..Checks::default() }),
                log: Arc::default(),
                begin,
                begun: Arc::new(Mutex::new(begun)),
            }
        }

        fn run(&self, number: u8, count: usize) -> JoinHandle<()> {
            let checks = Arc::clone(&self.checks);
            let (log, begun) = (Arc::clone(&self.log), Arc::clone(&self.begun));
            tokio::spawn(async move {
                let check = move |texts: &[&str]| {
                    if log.lock().unwrap().is_empty() {
                        begun.lock().unwrap().recv().unwrap();
                    }
                    log.lock().unwrap().extend(texts.iter().map(|_| number));
                    vec![(); texts.len()]
                };
                checks.run(client(number), elements(count), check, |()| false).await.unwrap();
            })
        }

        /// Waits until no thread is free, and this many clients wait for one.
        async fn until_waiting(&self, clients: usize) {
            while self.checks.checks.waiting() != Some(clients) {
                tokio::task::yield_now().await;
            }
        }

        fn log(&self) -> Vec<u8> {
            self.log.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn clients_take_turns() {
        let order = Order::new();
        let mut many = vec![order.run(1, 10 * TURN)];
        order.until_waiting(0).await;
        many.extend((0..20).map(|_| order.run(1, 10 * TURN)));
        let one = order.run(2, 1);
        order.until_waiting(1).await;
        order.begin.send(()).unwrap();
        one.await.unwrap();
        for task in many {
            task.await.unwrap();
        }
        let log = order.log();
        assert_eq!(log.len(), 210 * TURN + 1);
        // The present turn of the other client ends first, which is a short one, since its request has just begun.
        assert_eq!(log.iter().position(|number| *number == 2), Some(1));
    }

    #[tokio::test]
    async fn clients_with_recent_bad_signatures_come_after_all_others() {
        let order = Order::new();
        for bad in [1, 2, 3] {
            order.checks.count_bad(client(bad)).unwrap();
        }
        let mut tasks = vec![order.run(1, 1)];
        order.until_waiting(0).await;
        for (waiting, number) in [2, 3, 4, 5].into_iter().enumerate() {
            tasks.push(order.run(number, 1));
            order.until_waiting(waiting + 1).await;
        }
        order.begin.send(()).unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(order.log(), [1, 4, 5, 2, 3]);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_does_not_keep_its_thread() {
        let order = Order::new();
        let first = order.run(1, 1);
        order.until_waiting(0).await;
        let given_up = order.run(2, 1);
        order.until_waiting(1).await;
        let last = order.run(3, 1);
        order.until_waiting(2).await;
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        order.begin.send(()).unwrap();
        first.await.unwrap();
        last.await.unwrap();
        assert_eq!(order.log(), [1, 3]);
        order.run(2, 1).await.unwrap();
    }
}
