//! The embedded sequencer's sequence on disk.
//!
//! One thread numbers bodies. It takes all puts that wait, writes their bodies in one SQLite transaction, and
//! only then answers them, so one sync of the disk serves many clients. Once per interval it signs the last
//! body, which finalizes all before it. Readers open connections of their own and never wait for the writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;
use zellular::bls::BlsSecretKey;
use zellular::{SignedState, bls_message, chain, message};

use super::node::{Aggregated, LastBatch, NodePage, SignedBatch};
use crate::store::{Body, StoreError, open_durable};

/// Bodies to be numbered, and the channel that tells when they are durable.
pub(super) struct Put {
    pub bodies: Vec<String>,
    pub done: oneshot::Sender<()>,
}

/// The largest number of batches in one answer.
const PAGE_BATCHES_MAX: usize = 10_000;
/// The largest number of batches that one signature covers. Readers release batches only at a signature, so
/// none of them should hold back many pages.
const GROUP_MAX: u64 = 1000;

/// Returns what a body counts against limits of bytes. Empty bodies count too, or a flood of them would be
/// free.
pub(super) const fn cost(body: &str) -> usize {
    body.len() + 64
}

/// The largest number of puts that one commit takes.
const PUTS_PER_COMMIT: usize = 1000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    idx INTEGER PRIMARY KEY, body BLOB NOT NULL, chaining_hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS signatures (
    idx INTEGER PRIMARY KEY, parent_index INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    chaining_hash TEXT NOT NULL, locked TEXT NOT NULL, finalized TEXT NOT NULL
) STRICT;";

/// The writing side of the sequence.
pub(super) struct Sequence {
    app_name: String,
    connection: Connection,
    key: BlsSecretKey,
    last_index: u64,
    chaining_hash: String,
    finalized_index: u64,
}

impl Sequence {
    pub fn open(path: &Path, app_name: &str, key: BlsSecretKey) -> Result<Self, StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: path.to_path_buf(), error };
        let connection = open_durable(path)?;
        connection.execute_batch(SCHEMA).map_err(sqlite)?;
        // One history belongs to one app and one key: for readers, no signature covers a mixture.
        let (x, y) = key.public_key().to_decimal();
        let public_key = [x, y].concat().join(" ");
        for (name, value) in [("app_name", app_name), ("public_key", &public_key)] {
            let stored: Option<String> = connection
                .query_row("SELECT value FROM meta WHERE key = ?1", [name], |row| row.get(0))
                .optional()
                .map_err(sqlite)?;
            match stored {
                Some(found) if found != value => {
                    let (path, expected) = (path.to_path_buf(), value.to_string());
                    return Err(StoreError::Network { path, found, expected });
                }
                Some(_) => {}
                None => {
                    connection
                        .execute("INSERT INTO meta VALUES (?1, ?2)", [name, value])
                        .map_err(sqlite)?;
                }
            }
        }
        let last: Option<(i64, String)> = connection
            .query_row(
                "SELECT idx, chaining_hash FROM batches ORDER BY idx DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(sqlite)?;
        // A crash can leave batches without a signature. `run` signs them after its first interval.
        let finalized: Option<i64> = connection
            .query_row("SELECT max(idx) FROM signatures", [], |row| row.get(0))
            .map_err(sqlite)?;
        let (last_index, chaining_hash) = last.unwrap_or_default();
        Ok(Self {
            app_name: app_name.into(),
            connection,
            key,
            last_index: last_index.cast_unsigned(),
            chaining_hash,
            finalized_index: finalized.unwrap_or(0).cast_unsigned(),
        })
    }

    /// Takes puts until all senders are dropped. Finalizes what is new once per interval.
    pub fn run(mut self, puts: &Receiver<Put>, interval: Duration) -> rusqlite::Result<()> {
        let mut finalized_at = Instant::now();
        loop {
            let is_behind = self.finalized_index < self.last_index;
            let wait = if is_behind {
                interval.saturating_sub(finalized_at.elapsed())
            } else {
                // Everything is signed. Only a put can change that, and it ends the wait.
                Duration::from_secs(3600)
            };
            match puts.recv_timeout(wait) {
                Ok(first) => {
                    let rest = puts.try_iter().take(PUTS_PER_COMMIT);
                    self.append(std::iter::once(first).chain(rest).collect())?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            // Not only after a time-out: while puts keep coming, there is none.
            if self.finalized_index < self.last_index && finalized_at.elapsed() >= interval {
                self.finalize()?;
                finalized_at = Instant::now();
            }
        }
    }

    /// Numbers bodies, makes them durable, and then answers.
    fn append(&mut self, puts: Vec<Put>) -> rusqlite::Result<()> {
        let (mut index, mut chaining_hash) = (self.last_index, self.chaining_hash.clone());
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO batches VALUES (?1, ?2, ?3)")?;
            for body in puts.iter().flat_map(|put| &put.bodies) {
                index += 1;
                chaining_hash = chain(&chaining_hash, body);
                insert.execute(params![index.cast_signed(), Body(body.as_str()), chaining_hash])?;
            }
        }
        transaction.commit()?;
        // Memory follows the disk: if the commit fails, the numbers are still free.
        (self.last_index, self.chaining_hash) = (index, chaining_hash);
        for put in puts {
            // The client may have gone away.
            let _ = put.done.send(());
        }
        Ok(())
    }

    /// Signs the last batch as a network does, with a lock and with a sequence proof. That covers all batches since the
    /// last finalized one.
    fn finalize(&mut self) -> rusqlite::Result<()> {
        let parent = self.finalized_index;
        let index = self.last_index.min(parent + GROUP_MAX);
        let chaining_hash: String = self
            .connection
            .prepare_cached("SELECT chaining_hash FROM batches WHERE idx = ?1")?
            .query_row([index.cast_signed()], |row| row.get(0))?;
        let timestamp =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let sign = |state, timestamp| {
            let text = message(&self.app_name, state, index, parent, timestamp, &chaining_hash);
            // `sign` fails only for a message that has no hash, which will never be met.
            self.key.sign(bls_message(&text).as_bytes()).map_or_else(String::new, |s| s.to_string())
        };
        self.connection
            .prepare_cached("INSERT INTO signatures VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
            index.cast_signed(),
            parent.cast_signed(),
            timestamp.cast_signed(),
            chaining_hash,
            // In the first round nodes sign without a time.
            sign(SignedState::Sequenced, 0),
            sign(SignedState::Locked, timestamp),
        ])?;
        self.finalized_index = index;
        Ok(())
    }
}

/// The reading side. Each request opens a connection.
#[derive(Clone, Debug)]
pub(super) struct SequenceReader {
    pub path: PathBuf,
}

fn signed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Arc<SignedBatch>> {
    let aggregated = |signature| Aggregated { signature, nonsigners: Vec::new() };
    Ok(Arc::new(SignedBatch {
        index: row.get::<_, i64>(0)?.cast_unsigned(),
        parent_index: row.get::<_, i64>(1)?.cast_unsigned(),
        timestamp: row.get::<_, i64>(2)?.cast_unsigned(),
        chaining_hash: row.get(3)?,
        locked: aggregated(row.get(4)?),
        finalized: Some(aggregated(row.get(5)?)),
    }))
}

impl SequenceReader {
    fn error(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), error }
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let connection =
            Connection::open_with_flags(&self.path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(connection)
    }

    /// Returns the finalized bodies after an index, up to `bytes_max` bytes but at least one. `None` if there are
    /// none.
    pub fn page(&self, after: u64, bytes_max: usize) -> Result<Option<NodePage>, StoreError> {
        self.query_page(after, bytes_max).map_err(|error| self.error(error))
    }

    /// Returns the last signature with the body that it is over.
    pub fn last(&self) -> Result<Option<LastBatch>, StoreError> {
        self.query_last().map_err(|error| self.error(error))
    }

    /// Returns the last index in sequence, and the last finalized one.
    pub fn indexes(&self) -> Result<(u64, u64), StoreError> {
        self.query_indexes().map_err(|error| self.error(error))
    }

    fn query_page(&self, after: u64, bytes_max: usize) -> rusqlite::Result<Option<NodePage>> {
        let connection = self.open()?;
        // One snapshot, so that bodies and signatures are of the same moment.
        let connection = connection.unchecked_transaction()?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        // Not the batches after the last signature: a reader would hold them without a signature, get nothing more, and
        // call that an error (section 21 of the protocol).
        let mut query = connection.prepare(
            "SELECT idx, body, chaining_hash FROM batches
             WHERE idx > ?1 AND idx <= (SELECT coalesce(max(idx), 0) FROM signatures) ORDER BY idx",
        )?;
        let mut rows = query.query([after])?;
        let (mut bodies, mut first, mut last, mut bytes) = (Vec::new(), None, after, 0_usize);
        while let Some(row) = rows.next()? {
            let Body::<String>(body) = row.get(1)?;
            bytes += cost(&body);
            if (bytes > bytes_max && !bodies.is_empty()) || bodies.len() >= PAGE_BATCHES_MAX {
                break;
            }
            if first.is_none() {
                first = Some(row.get(2)?);
            }
            last = row.get(0)?;
            bodies.push(Arc::from(body));
        }
        let Some(first_chaining_hash) = first else { return Ok(None) };
        let signatures = connection
            // Only over batches of this page. Readers refuse a page with a signature beyond its last batch.
            .prepare("SELECT * FROM signatures WHERE idx > ?1 AND idx <= ?2 ORDER BY idx")?
            .query_map([after, last], signed)?
            .collect::<Result<_, _>>()?;
        Ok(Some(NodePage { bodies, first_chaining_hash, signatures }))
    }

    fn query_last(&self) -> rusqlite::Result<Option<LastBatch>> {
        let connection = self.open()?;
        let last = connection
            .query_row(
                "SELECT s.*, b.body FROM signatures s JOIN batches b ON b.idx = s.idx
                 ORDER BY s.idx DESC LIMIT 1",
                [],
                |row| {
                    Ok(LastBatch {
                        signed: signed(row)?,
                        body: row.get::<_, Body<String>>(6)?.0.into(),
                    })
                },
            )
            .optional()?;
        Ok(last)
    }

    fn query_indexes(&self) -> rusqlite::Result<(u64, u64)> {
        self.open()?.query_row(
            "SELECT (SELECT coalesce(max(idx), 0) FROM batches),
                    (SELECT coalesce(max(idx), 0) FROM signatures)",
            [],
            |row| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
            },
        )
    }
}
