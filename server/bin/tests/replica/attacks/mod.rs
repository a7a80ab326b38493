//! Attacks on a replica, with an honest client beside each.
//!
//! Every test measures the honest client without and under the attack, by turns, in the same processes and minute.
//! `cargo xtask test` runs these tests after all others and one at a time, so that they measure only their own load.
//! The figures in docs/testing.md come from here: run the tests with `--nocapture` to see them.

mod admin;
mod connections;
mod faucet;
mod frames;
mod funded;
mod nginx;
mod one_key;
mod reads;
pub mod signatures;
pub mod sockets;
mod unfunded;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;
use tokio::time::interval;

use crate::harness::{Replica, TIMEOUT, key};
use crate::nginx::Nginx;
use crate::raw::{address, request};

/// How many times an honest client asks under an attack. The third worst time of these is their 99th percentile.
const REQUESTS: usize = 200;
/// How often it asks, unless the responses take longer. All requests together take longer than an attacker
/// takes to come back, so that the figures are those of the whole attack and not of its first burst.
const PACE: Duration = Duration::from_millis(20);
/// The most that the honest client's times may grow.
const RATIO_MAX: u32 = 2;
/// What other programs on the machine may add to a time. A client that is kept out waits for seconds.
const SLACK: Duration = Duration::from_millis(50);
/// The same for attacks that the replica has to work for, on the processors that other programs use too: it posts and
/// applies their transactions, and answers their frames.
const WORK_SLACK: Duration = Duration::from_secs(1);
/// The same for floods that a client sends without waiting for answers: the replica gives everyone a turn.
const FLOOD_SLACK: Duration = Duration::from_millis(250);
/// How often a comparison is made before it fails. Other programs spoil some of them, a real blockade all.
const ROUNDS: usize = 4;
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

    /// The longer time of each pair.
    fn max(self, other: Self) -> Self {
        Self { p50: self.p50.max(other.p50), p99: self.p99.max(other.p99) }
    }

    fn is_within(self, without: Self, slack: Duration) -> bool {
        let is_within = |under, without| under <= without * RATIO_MAX + slack;
        is_within(self.p50, without.p50) && is_within(self.p99, without.p99)
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.1?} p99 {:.1?}", self.p50, self.p99)
    }
}

/// A replica for one comparison. Each round starts its own, which knows nothing of the attackers.
pub struct Scene {
    pub replica: Replica,
    /// The proxy in front of it.
    pub proxy: Option<Nginx>,
    /// Removed last.
    pub folder: TempDir,
}

impl Scene {
    /// A replica with an account that has test tokens.
    pub async fn start(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let replica = Replica::start(&folder, "data", arguments).await;
        replica.fund(&[key(1).public_key()]).await;
        Self { replica, proxy: None, folder }
    }
}

/// Compares an honest client's times under an attack with those before and after it. `measure` returns the times
/// of so many requests, `attack` starts the attack and returns what ends it when it is dropped, and `check` asserts
/// what else must hold while it goes on. Times that are too long are compared with those that the same attack on
/// another replica of the machine causes: they may not be twice as long as these either.
async fn compare<A>(
    name: &str,
    (requests, slack): (usize, Duration),
    scene: impl AsyncFn() -> Scene,
    measure: impl AsyncFn(&Scene, usize) -> Vec<Duration>,
    attack: impl AsyncFn(&Scene) -> A,
    check: impl AsyncFn(&Scene, &A),
) {
    let _alone = MEASURING.lock().await;
    raise_file_limit();
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS {
        let mut honest = scene().await;
        honest.replica.ready().await;
        let mut without = measure(&honest, requests / 2).await;
        let attacking = attack(&honest).await;
        let under = Figures::of(measure(&honest, requests).await);
        check(&honest, &attacking).await;
        drop(attacking);
        without.extend(measure(&honest, requests / 2).await);
        let without = Figures::of(without);
        println!("{name}: without {without}, under attack {under}");
        let is_within = under.is_within(without, slack);
        if is_within && std::env::var_os("ZELLBOOK_TEST_PROGRAM").is_none() {
            return;
        }
        // What sharing the processors with the attackers and their victim costs alone.
        let other = scene().await;
        let attacking = attack(&other).await;
        let control = Figures::of(measure(&honest, requests).await);
        drop(attacking);
        println!("{name}, on another replica of the machine: {control}");
        if is_within || under.is_within(without.max(control), slack) {
            return;
        }
        rounds.push(format!(
            "without {without}, under attack {under}, while another replica is attacked {control}"
        ));
    }
    panic!("{name}: more than {RATIO_MAX} times as long, plus {slack:?}: {rounds:#?}");
}

/// The threads of attackers. They compute only when nobody else on the machine wants to, since real attackers do not
/// share the processors of a replica and its honest clients.
pub struct Attackers(Option<Runtime>);

impl Attackers {
    pub fn new() -> Self {
        let mut threads = Builder::new_multi_thread();
        let threads = threads.worker_threads(2).enable_all().on_thread_start(|| {
            nice(19).unwrap();
        });
        Self(Some(threads.build().unwrap()))
    }

    pub fn spawn(&self, attacker: impl Future<Output = ()> + Send + 'static) {
        self.0.as_ref().unwrap().spawn(attacker);
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// Asks for the status again and again, each time on a new connection, as a new visitor does.
async fn visit(scene: &Scene, requests: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut pace = interval(PACE);
    for _ in 0..requests {
        pace.tick().await;
        let started = Instant::now();
        let lines = ["GET /v1/status HTTP/1.1", "Host: 127.0.0.1"];
        let answer = request(address(&scene.replica), &lines, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("\"following\""), "{answer:?}");
        times.push(started.elapsed());
    }
    times
}

/// Places an order and waits for its effect.
async fn trade(scene: &Scene) {
    let outcome = scene.replica.order(&key(1), "sell 0.01 ETH/USDT @ 2000").await;
    assert_eq!(outcome["status"], "applied", "{outcome}");
}

/// Both the attackers here and the replica need more files than the usual soft limit.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Where the attackers come from.
#[derive(Clone, Copy)]
pub enum Source {
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
pub struct Attack {
    _attackers: Attackers,
    opened: Arc<AtomicUsize>,
}

impl Attack {
    /// Opens connections that send these bytes and then read as slowly as they can.
    pub async fn start(replica: &Replica, source: Source, count: usize, bytes: Vec<u8>) -> Self {
        Self::on(address(replica), source, count, bytes).await
    }

    /// The same against any address, such as that of a proxy.
    pub async fn on(to: SocketAddr, source: Source, count: usize, bytes: Vec<u8>) -> Self {
        let bytes: Arc<[u8]> = bytes.into();
        let opened = Arc::new(AtomicUsize::new(0));
        let attackers = Attackers::new();
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

/// Sends these bytes again and again, each time on a new connection, and takes all responses as they come.
pub fn flood(to: SocketAddr, source: Source, count: usize, bytes: Vec<u8>) -> Attackers {
    let bytes: Arc<[u8]> = bytes.into();
    let attackers = Attackers::new();
    for number in 0..count {
        let bytes = Arc::clone(&bytes);
        attackers.spawn(async move {
            loop {
                // Errors end one connection, and the attacker goes on.
                let _ = ask(source.address(number), to, &bytes).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    attackers
}

async fn ask(source: [u8; 4], to: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let (mut read, mut write) = socket.connect(to).await?.into_split();
    let mut responses = tokio::io::sink();
    // At the same time: a server that is not read stops reading too.
    let (sent, received) =
        tokio::join!(write.write_all(bytes), tokio::io::copy(&mut read, &mut responses));
    sent.and(received.map(|_| ()))
}

/// Requests that all are sent before the first response is read.
pub fn pipelined(paths: &[String], host: &str) -> Vec<u8> {
    let request = |path: &String| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut requests: Vec<String> = paths.iter().map(request).collect();
    if let Some(last) = requests.last_mut() {
        *last = last.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    }
    requests.concat().into_bytes()
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
