//! The outbox: signed transactions stay here, on disk, until they are seen in a finalized batch. They
//! are posted in batches, and again when they do not come back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tokio::sync::{Notify, mpsc, oneshot};
use zellbook_core::wire::Stage;

use crate::clock::now_ms;
use crate::sequencer::{GatewayError, Sequencer};
use crate::store::{Reader, StoreError, open_durable};

/// Transactions in the outbox, at most.
pub const ENTRIES_MAX: usize = 100_000;
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
    is_finalized: bool,
}

impl Entry {
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
    /// Told when something was posted, so that the replica looks for it at once.
    posted: Arc<Notify>,
}

impl Outbox {
    /// Opens or makes the outbox at a path. What the store has applied already is dropped from it.
    pub async fn open(
        path: &Path,
        store: &Reader,
        options: OutboxOptions,
        posted: Arc<Notify>,
    ) -> Result<(Self, OutboxTask), StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: path.to_path_buf(), error };
        let connection = open_durable(path).map_err(sqlite)?;
        let mut entries = Entries::default();
        for (hash, element, received_ms) in load(&connection).map_err(sqlite)? {
            let is_done =
                store.read(move |view| view.has_transaction(&hash)).await.map_err(sqlite)?;
            entries.insert(hash, element.into(), received_ms);
            if is_done {
                entries.remove(&hash);
            }
        }
        let entries = Arc::new(Mutex::new(entries));
        let (sender, receiver) = mpsc::channel(SUBMITS_WAITING_MAX);
        let outbox = Self { entries: Arc::clone(&entries), submits: sender };
        Ok((outbox, OutboxTask { connection, entries, submits: receiver, options, posted }))
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
    /// Takes submissions and posts until all handles are gone or the disk fails.
    pub async fn run<S: Sequencer>(mut self, sequencer: Arc<S>) -> rusqlite::Result<()> {
        let mut tick = tokio::time::interval(self.options.gather);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut not_before = Instant::now();
        // Posting must not keep submissions from the disk, so it has a task of its own.
        let mut posting: Option<tokio::task::JoinHandle<Vec<Posted>>> = None;
        loop {
            tokio::select! {
                submit = self.submits.recv() => match submit {
                    Some(submit) => self.store(submit)?,
                    None => return Ok(()),
                },
                _ = tick.tick() => {
                    self.delete_done()?;
                    if let Some(task) = posting.take_if(|task| task.is_finished()) {
                        let results = task.await.unwrap_or_default();
                        if self.settle(results) {
                            not_before = Instant::now() + RETRY_AFTER;
                        }
                    }
                    if posting.is_none() && Instant::now() >= not_before {
                        let batches = self.batches();
                        if !batches.is_empty() {
                            let sequencer = Arc::clone(&sequencer);
                            posting = Some(tokio::spawn(post(sequencer, batches)));
                        }
                    }
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
        let received_ms = now_ms();
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

    /// What is due, in arrival order, as bodies under the limit.
    fn batches(&self) -> Vec<Body> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bodies: Vec<Body> = Vec::new();
        for hash in entries.by_sequence.values() {
            let Some(entry) = entries.by_hash.get(hash) else { continue };
            let is_due = entry.posted_at.is_none_or(|at| at.elapsed() >= self.options.repost_after);
            if entry.is_finalized || !is_due {
                continue;
            }
            // A comma or bracket before each element, and one bracket behind the last.
            let fits = |body: &Body| {
                body.text.len() + entry.element.len() + 2 <= self.options.batch_bytes_max
            };
            let count = bodies.len();
            match bodies.last_mut().filter(|body| fits(body)) {
                Some(body) => {
                    body.text.push(',');
                    body.text.push_str(&entry.element);
                    body.hashes.push(*hash);
                }
                None if count >= BODIES_PER_ROUND => break,
                None => {
                    bodies.push(Body { text: format!("[{}", entry.element), hashes: vec![*hash] });
                }
            }
        }
        for body in &mut bodies {
            body.text.push(']');
        }
        bodies
    }

    /// Notes what was posted; says whether something failed.
    fn settle(&self, results: Vec<Posted>) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = false;
        for Posted { hashes, result } in results {
            failed |= result.is_err();
            if let Err(GatewayError::TooLarge(message)) = &result {
                tracing::error!(
                    "the network refused a batch for good: {message}; --batch-bytes is above its limit"
                );
            }
            if result.is_ok() {
                for hash in hashes {
                    if let Some(entry) = entries.by_hash.get_mut(&hash) {
                        entry.posted_ms = Some(now_ms());
                        entry.posted_at = Some(Instant::now());
                    }
                }
                self.posted.notify_one();
            }
        }
        failed
    }
}

struct Body {
    text: String,
    hashes: Vec<Hash>,
}

struct Posted {
    hashes: Vec<Hash>,
    result: Result<(), GatewayError>,
}

/// Posts bodies one after the other, to keep their order, until one fails.
async fn post<S: Sequencer>(sequencer: Arc<S>, bodies: Vec<Body>) -> Vec<Posted> {
    let mut results = Vec::new();
    for Body { text, hashes } in bodies {
        let result = sequencer.post(text).await;
        let failed = result.is_err();
        results.push(Posted { hashes, result });
        if failed {
            break;
        }
    }
    results
}
