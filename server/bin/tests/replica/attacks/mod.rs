//! Attacks on a replica's connections, with an honest client beside each.
//!
//! Every test measures the honest client before and under the attack, in the same process and minute. The
//! figures in docs/testing.md come from here: run the tests with `--nocapture` to see them.

mod admin;
mod connections;
mod signatures;
mod sockets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::harness::{Replica, TIMEOUT, key};
use crate::raw::{address, request};

/// How many times an honest client asks. The second worst time of these is their 99th percentile.
const REQUESTS: usize = 200;
/// How often it asks, unless the responses take longer. All requests together take longer than an attacker
/// takes to come back, so that the figures are those of the whole attack and not of its first burst.
const PACE: Duration = Duration::from_millis(20);
/// The most that the honest client's times may grow.
const RATIO_MAX: u32 = 2;
/// What a busy machine with two processors, on which attackers, client and replica run together, adds to
/// any time. Without the bounds, the client waits for half a minute and longer.
const SLACK: Duration = Duration::from_secs(1);
/// How long an attacker waits after the replica has closed his connection.
const RECONNECT: Duration = Duration::from_secs(1);

/// Held by each test that measures, since tests that run at once would measure each other.
static MEASURING: Mutex<()> = Mutex::const_new(());

/// The times of an honest client's requests.
#[derive(Debug, Clone, Copy)]
struct Figures {
    p50: Duration,
    p99: Duration,
}

impl Figures {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { p50: times[times.len() / 2], p99: times[times.len() * 99 / 100 - 1] }
    }

    /// Asserts that a client was served under an attack as before, and prints both figures.
    fn compare(self, attack: &str, under: Self, slack: Duration) {
        println!(
            "{attack}: before p50 {:.1?} p99 {:.1?}, under attack p50 {:.1?} p99 {:.1?}",
            self.p50, self.p99, under.p50, under.p99
        );
        for (name, before, under) in [("p50", self.p50, under.p50), ("p99", self.p99, under.p99)] {
            let max = before * RATIO_MAX + slack;
            assert!(under <= max, "{attack}: {name} {under:?}, at most {max:?}");
        }
    }
}

/// Asks for the status again and again, each time on a new connection, as a new visitor does.
async fn visit(replica: &Replica) -> Figures {
    let mut times = Vec::new();
    let mut pace = interval(PACE);
    for _ in 0..REQUESTS {
        pace.tick().await;
        let started = Instant::now();
        let lines = ["GET /v1/status HTTP/1.1", "Host: 127.0.0.1"];
        let answer = request(address(replica), &lines, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("\"following\""), "{answer:?}");
        times.push(started.elapsed());
    }
    Figures::of(times)
}

/// Places an order and waits for its effect.
async fn trade(replica: &Replica) {
    let outcome = replica.order(&key(1), "sell 0.01 ETH/USDT @ 2000").await;
    assert_eq!(outcome["status"], "applied", "{outcome}");
}

/// Both the attackers here and the replica need more files than the usual soft limit.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Where the attackers come from.
#[derive(Clone, Copy)]
enum Source {
    /// Twenty addresses, so that the bound of one address does not stop them.
    Many,
    /// One address, which is not the honest client's.
    One,
    /// The honest client's own address.
    Shared,
}

impl Source {
    fn address(self, attacker: usize) -> [u8; 4] {
        match self {
            Self::Many => [127, 0, 0, 2 + u8::try_from(attacker % 20).unwrap()],
            Self::One => [127, 0, 0, 2],
            Self::Shared => [127, 0, 0, 1],
        }
    }
}

/// Connections that hold a replica's resources, until this is dropped. Each is opened again when the replica
/// closes it.
struct Attack {
    _attackers: JoinSet<()>,
    opened: Arc<AtomicUsize>,
}

impl Attack {
    /// Opens connections that send these bytes and then read as slowly as they can.
    async fn start(replica: &Replica, source: Source, count: usize, bytes: Vec<u8>) -> Self {
        raise_file_limit();
        let (to, bytes): (_, Arc<[u8]>) = (address(replica), bytes.into());
        let opened = Arc::new(AtomicUsize::new(0));
        let mut attackers = JoinSet::new();
        for number in 0..count {
            let (bytes, opened) = (Arc::clone(&bytes), Arc::clone(&opened));
            attackers.spawn(async move {
                loop {
                    // Errors end one connection, and the attacker goes on.
                    let _ = hold(source.address(number), to, &bytes, &opened).await;
                    tokio::time::sleep(RECONNECT).await;
                }
            });
        }
        let attack = Self { _attackers: attackers, opened };
        let started = Instant::now();
        while attack.opened() < count {
            assert!(started.elapsed() < TIMEOUT, "only {} are connected", attack.opened());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        attack
    }

    /// How many connections have sent their bytes so far.
    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

async fn hold(
    source: [u8; 4],
    to: SocketAddr,
    bytes: &[u8],
    opened: &AtomicUsize,
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // So small that a response does not fit into it, unread.
    socket.set_recv_buffer_size(2048)?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let mut stream = socket.connect(to).await?;
    // What the replica refuses to read is as good as sent.
    let sent = stream.write_all(bytes).await;
    opened.fetch_add(1, Ordering::Relaxed);
    sent?;
    // One byte each second, so that the connection is never still.
    while stream.read(&mut [0]).await? > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn post(replica: &Replica, body: &str) -> StatusCode {
    replica.request(Method::POST, "/v1/transactions", body).await.0
}
