//! The outbox: signed transactions stay here, on disk, until they are seen in a finalized batch. They
//! are posted in batches, and again when they do not come back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::{Future, pending};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use zellbook_core::batch::check_element;
use zellbook_core::genesis::Rules;
use zellbook_core::wire::Stage;

use crate::attester::Attester;
use crate::clock::Clock;
use crate::sequencer::{GatewayError, Sequencer};
use crate::store::{Reader, StoreError, open_durable};

/// Transactions in the outbox, at most.
pub const ENTRIES_MAX: usize = 100_000;
/// How often the wait before a repost doubles, at most.
const REPOST_DOUBLINGS_MAX: u32 = 6;
/// Sightings kept of transactions that left.
const RECENT_MAX: usize = 1000;
/// Submissions that one commit takes together, at most.
const SUBMITS_PER_COMMIT: usize = 1000;
/// Bodies that are posted in one round, at most.
const BODIES_PER_ROUND: usize = 64;
/// Submissions that wait for the disk, at most.
const SUBMITS_WAITING_MAX: usize = 4096;
/// After an error of the gateways, how long until the next try.
const RETRY_AFTER: Duration = Duration::from_millis(500);

type Hash = [u8; 32];

/// How the outbox posts.
#[derive(Clone, Copy, Debug)]
pub struct OutboxOptions {
    /// Bytes of UTF-8 in a batch, at most.
    pub batch_bytes_max: usize,
    /// How long transactions are gathered for a batch.
    pub gather: Duration,
    /// How long until a transaction that was posted and not seen is posted again.
    pub repost_after: Duration,
}

/// Why a submission was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The outbox is full.
    Full,
    /// It cannot write to its disk, or the replica is stopping.
    Stopped,
}

#[derive(Clone, Debug)]
struct Entry {
    /// Arrival order.
    sequence: u64,
    element: Arc<str>,
    received_ms: u64,
    posted_ms: Option<u64>,
    posted_at: Option<Instant>,
    /// How often it was posted.
    posts: u32,
    is_finalized: bool,
}

impl Entry {
    /// Whether it is to be posted now. The wait doubles with each post: a network or replica that
    /// is slow must not be made slower by copies.
    fn is_due(&self, repost_after: Duration) -> bool {
        let wait = repost_after * (1 << self.posts.saturating_sub(1).min(REPOST_DOUBLINGS_MAX));
        !self.is_finalized && self.posted_at.is_none_or(|at| at.elapsed() >= wait)
    }

    const fn sighting(&self) -> Sighting {
        let stage = match self {
            Self { is_finalized: true, .. } => Stage::Finalized,
            Self { posted_ms: Some(_), .. } => Stage::Posted,
            _ => Stage::Received,
        };
        Sighting { stage, received_ms: self.received_ms, posted_ms: self.posted_ms }
    }
}

/// What the outbox knows of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// `Received`, `Posted` or `Finalized`.
    pub stage: Stage,
    /// When it was taken.
    pub received_ms: u64,
    /// When it was last posted.
    pub posted_ms: Option<u64>,
}

struct Submit {
    hash: Hash,
    element: String,
    done: oneshot::Sender<()>,
}

/// The outbox, as the API and the replica see it.
#[derive(Clone)]
pub struct Outbox {
    entries: Arc<Mutex<Entries>>,
    submits: mpsc::Sender<Submit>,
}

#[derive(Default)]
struct Entries {
    by_hash: HashMap<Hash, Entry>,
    by_sequence: BTreeMap<u64, Hash>,
    /// Applied, so to be deleted from the disk.
    done: Vec<Hash>,
    /// When those that were applied last were taken and posted, oldest first.
    recent: VecDeque<(Hash, Sighting)>,
    next: u64,
}

impl Entries {
    fn insert(&mut self, hash: Hash, element: Arc<str>, received_ms: u64) {
        self.next += 1;
        let sequence = self.next;
        let entry = Entry {
            sequence,
            element,
            received_ms,
            posted_ms: None,
            posted_at: None,
            posts: 0,
            is_finalized: false,
        };
        if let Some(old) = self.by_hash.insert(hash, entry) {
            self.by_sequence.remove(&old.sequence);
        }
        self.by_sequence.insert(sequence, hash);
    }

    fn remove(&mut self, hash: &Hash) {
        if let Some(entry) = self.by_hash.remove(hash) {
            self.by_sequence.remove(&entry.sequence);
            self.done.push(*hash);
            if self.recent.len() >= RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((*hash, entry.sighting()));
        }
    }
}

/// The task behind the outbox.
pub struct OutboxTask {
    connection: Connection,
    entries: Arc<Mutex<Entries>>,
    submits: mpsc::Receiver<Submit>,
    options: OutboxOptions,
    /// What the gateways are known to take.
    batch_bytes_max: usize,
    /// Told when something was posted, so that the replica looks for it at once.
    posted: Arc<Notify>,
    clock: Clock,
}

impl Outbox {
    /// Opens or makes the outbox at a path. What the store has applied already is dropped from it,
    /// and what is no transaction of this network.
    pub fn open(
        path: &Path,
        rules: &Rules,
        store: &Reader,
        options: OutboxOptions,
        posted: Arc<Notify>,
        clock: Clock,
    ) -> Result<(Self, OutboxTask), StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: path.to_path_buf(), error };
        let connection = open_durable(path)?;
        let mut entries = Entries::default();
        for (hash, element, received_ms) in load(&connection).map_err(sqlite)? {
            let is_done = store.read_now(|view| view.has_transaction(&hash)).map_err(sqlite)?;
            let is_ours =
                check_element(rules, &element).is_ok_and(|checked| checked.hash.0 == hash);
            if !is_ours {
                tracing::warn!(
                    "{}: dropped {}, no transaction of this network",
                    path.display(),
                    hex::encode(hash)
                );
            }
            entries.insert(hash, element.into(), received_ms);
            if is_done || !is_ours {
                entries.remove(&hash);
            }
        }
        let entries = Arc::new(Mutex::new(entries));
        let (sender, receiver) = mpsc::channel(SUBMITS_WAITING_MAX);
        let outbox = Self { entries: Arc::clone(&entries), submits: sender };
        let batch_bytes_max = options.batch_bytes_max;
        let submits = receiver;
        let task =
            OutboxTask { connection, entries, submits, options, batch_bytes_max, posted, clock };
        Ok((outbox, task))
    }

    fn entries<T>(&self, act: impl FnOnce(&mut Entries) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a transaction; returns when it is on disk. One that is there already stays as it is.
    pub async fn submit(&self, hash: Hash, element: String) -> Result<(), SubmitError> {
        let (is_known, is_full) = self.entries(|entries| {
            (entries.by_hash.contains_key(&hash), entries.by_hash.len() >= ENTRIES_MAX)
        });
        if is_known {
            return Ok(());
        }
        if is_full {
            return Err(SubmitError::Full);
        }
        let (done, wait) = oneshot::channel();
        self.submits.try_send(Submit { hash, element, done }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Full,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
        })?;
        wait.await.map_err(|_| SubmitError::Stopped)
    }

    /// What the outbox knows of a transaction that waits in it, or left it lately.
    pub fn sighting(&self, hash: &Hash) -> Option<Sighting> {
        self.entries(|entries| {
            let recent = || entries.recent.iter().find(|(recent, _)| recent == hash);
            let waiting = entries.by_hash.get(hash).map(Entry::sighting);
            waiting.or_else(|| recent().map(|(_, sighting)| *sighting))
        })
    }

    /// How many transactions wait.
    pub fn len(&self) -> usize {
        self.entries(|entries| entries.by_hash.len())
    }

    /// Notes transactions that are in a proven batch.
    pub fn finalized(&self, hashes: impl IntoIterator<Item = Hash>) {
        self.entries(|entries| {
            for hash in hashes {
                if let Some(entry) = entries.by_hash.get_mut(&hash) {
                    entry.is_finalized = true;
                }
            }
        });
    }

    /// Drops transactions whose outcome is committed.
    pub fn applied(&self, hashes: impl IntoIterator<Item = Hash>) {
        self.entries(|entries| hashes.into_iter().for_each(|hash| entries.remove(&hash)));
    }
}

fn load(connection: &Connection) -> rusqlite::Result<Vec<(Hash, String, u64)>> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS outbox (
            hash BLOB PRIMARY KEY, element TEXT NOT NULL, received_ms INTEGER NOT NULL
        ) STRICT",
    )?;
    connection
        .prepare("SELECT hash, element, received_ms FROM outbox ORDER BY rowid")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned())))?
        .collect()
}

impl OutboxTask {
    /// Takes submissions and posts until all handles are gone or the disk fails. What is posted is
    /// gone along with by attestations, if this replica makes any. It blocks while it writes: it is
    /// made for a thread of its own.
    pub async fn run<S: Sequencer>(
        mut self,
        sequencer: Arc<S>,
        mut attester: Option<Attester>,
    ) -> rusqlite::Result<()> {
        let mut tick = tokio::time::interval(self.options.gather);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut not_before = Instant::now();
        // Posting must not keep submissions from the disk.
        let mut posting: Option<Pin<Box<dyn Future<Output = Round> + Send>>> = None;
        loop {
            let posted = async {
                match &mut posting {
                    Some(round) => round.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                round = posted => {
                    posting = None;
                    not_before = self.settle(round);
                }
                _ = tick.tick() => {
                    self.delete_done()?;
                    if posting.is_none() && Instant::now() >= not_before {
                        let batches = self.batches(attester.as_mut());
                        if !batches.is_empty() {
                            let (entries, posted) =
                                (Arc::clone(&self.entries), Arc::clone(&self.posted));
                            let sequencer = Arc::clone(&sequencer);
                            let round = post(sequencer, batches, entries, posted, self.clock);
                            posting = Some(Box::pin(round));
                        }
                    }
                }
                submit = self.submits.recv() => match submit {
                    Some(submit) => self.store(submit)?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Writes what waits in one commit, then answers.
    fn store(&mut self, first: Submit) -> rusqlite::Result<()> {
        let mut submits = vec![first];
        while submits.len() < SUBMITS_PER_COMMIT
            && let Ok(submit) = self.submits.try_recv()
        {
            submits.push(submit);
        }
        let received_ms = self.clock.now_ms();
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO outbox VALUES (?1, ?2, ?3)")?;
            for submit in &submits {
                insert.execute(params![submit.hash, submit.element, received_ms.cast_signed()])?;
            }
        }
        transaction.commit()?;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for submit in submits {
            if !entries.by_hash.contains_key(&submit.hash) {
                entries.insert(submit.hash, submit.element.into(), received_ms);
            }
            // A client that went away needs no answer.
            let _ = submit.done.send(());
        }
        Ok(())
    }

    fn delete_done(&mut self) -> rusqlite::Result<()> {
        let done = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut entries.done)
        };
        if done.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM outbox WHERE hash = ?1")?;
            for hash in done {
                delete.execute([hash])?;
            }
        }
        transaction.commit()
    }

    /// What is due, in arrival order, as bodies under the limit. An attestation goes last.
    fn batches(&self, attester: Option<&mut Attester>) -> Vec<Body> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bodies: Vec<Body> = Vec::new();
        for hash in entries.by_sequence.values() {
            let Some(entry) = entries.by_hash.get(hash) else { continue };
            if !entry.is_due(self.options.repost_after) {
                continue;
            }
            let is_again = entry.posts > 0;
            let count = bodies.len();
            let fits = |body: &Body| {
                body.is_again == is_again && body.takes(&entry.element, self.batch_bytes_max)
            };
            match bodies.last_mut().filter(|body| fits(body)) {
                Some(body) => {
                    body.add(&entry.element);
                    body.hashes.push(*hash);
                }
                None if count >= BODIES_PER_ROUND => break,
                None => bodies.push(Body {
                    text: format!("[{}", entry.element),
                    hashes: vec![*hash],
                    is_again,
                }),
            }
        }
        drop(entries);
        if let Some(element) = attester.and_then(|attester| attester.next(!bodies.is_empty())) {
            match bodies.last_mut().filter(|body| body.takes(&element, self.batch_bytes_max)) {
                Some(body) => body.add(&element),
                None => bodies.push(Body {
                    text: format!("[{element}"),
                    hashes: Vec::new(),
                    is_again: false,
                }),
            }
        }
        for body in &mut bodies {
            body.text.push(']');
        }
        bodies
    }

    /// After a round: when the next may begin, and how large a batch may be.
    fn settle(&mut self, round: Round) -> Instant {
        if round.was_too_large {
            // Down to one transaction a batch, the network's limit is found by halving.
            self.batch_bytes_max = (self.batch_bytes_max / 2).max(1);
            tracing::warn!(
                "a gateway finds our batches too large; they have at most {} bytes from now on",
                self.batch_bytes_max
            );
        }
        if round.failed { Instant::now() + RETRY_AFTER } else { Instant::now() }
    }
}

struct Body {
    text: String,
    hashes: Vec<Hash>,
    /// Whether its transactions were posted before.
    is_again: bool,
}

impl Body {
    /// Whether one more element fits: a comma or bracket before each, and one bracket behind the last.
    fn takes(&self, element: &str, bytes_max: usize) -> bool {
        self.text.len() + element.len() + 2 <= bytes_max
    }

    fn add(&mut self, element: &str) {
        self.text.push(',');
        self.text.push_str(element);
    }
}

/// What became of a round of posts.
#[derive(Clone, Copy, Default)]
struct Round {
    failed: bool,
    was_too_large: bool,
}

/// Posts bodies one after the other, to keep their order, until one fails. A body that is too
/// large does not hold up the others.
async fn post<S: Sequencer>(
    sequencer: Arc<S>,
    bodies: Vec<Body>,
    entries: Arc<Mutex<Entries>>,
    posted: Arc<Notify>,
    clock: Clock,
) -> Round {
    let mut round = Round::default();
    for Body { text, hashes, is_again } in bodies {
        match sequencer.post(&[text], is_again).await {
            Ok(()) => {
                let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                for hash in hashes {
                    if let Some(entry) = entries.by_hash.get_mut(&hash) {
                        entry.posted_ms = Some(clock.now_ms());
                        entry.posted_at = Some(Instant::now());
                        entry.posts = entry.posts.saturating_add(1);
                    }
                }
                posted.notify_one();
            }
            Err(GatewayError::BatchTooLarge) => {
                (round.failed, round.was_too_large) = (true, true);
            }
            Err(_) => {
                round.failed = true;
                break;
            }
        }
    }
    round
}
