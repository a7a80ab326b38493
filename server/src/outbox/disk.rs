//! The outbox's database: the transactions that wait, and those that were given up.
//!
//! A transaction is on disk before the client gets its receipt, and leaves the disk only when its outcome
//! is in the replica's store or when it is recorded as given up. When it was last posted is written with
//! a delay, because losing that costs only one more post.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::entry::{Ended, Hash, Reason};
use crate::store::{StoreError, open_durable};

/// The most given-up transactions that are remembered; the oldest are forgotten first.
pub const ENDED_MAX: usize = 100_000;

pub struct Disk {
    path: PathBuf,
    connection: Connection,
}

/// A stored transaction that waits for its outcome.
pub struct Waiting {
    pub hash: Hash,
    pub element: String,
    pub received_ms: u64,
    pub posted_ms: Option<u64>,
    pub posts: u32,
}

impl Disk {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open_durable(path)?;
        let created = connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS outbox (
                hash BLOB PRIMARY KEY, element TEXT NOT NULL, received_ms INTEGER NOT NULL,
                posted_ms INTEGER, posts INTEGER NOT NULL
            ) STRICT;
            CREATE TABLE IF NOT EXISTS ended (
                number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, reason TEXT NOT NULL,
                received_ms INTEGER NOT NULL, posted_ms INTEGER, posts INTEGER NOT NULL
            ) STRICT",
        );
        created.map_err(|error| StoreError::Sqlite { path: path.to_path_buf(), error })?;
        Ok(Self { path: path.to_path_buf(), connection })
    }

    fn error(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), error }
    }

    /// The waiting transactions, in order of arrival.
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.read_waiting().map_err(|error| self.error(error))
    }

    fn read_waiting(&self) -> rusqlite::Result<Vec<Waiting>> {
        self.connection
            .prepare(
                // A new row gets the highest rowid, so rowids are in order of arrival. The hash cannot tell
                // that order.
                "SELECT hash, element, received_ms, posted_ms, posts FROM outbox ORDER BY rowid",
            )?
            .query_map([], |row| {
                Ok(Waiting {
                    hash: row.get(0)?,
                    element: row.get(1)?,
                    received_ms: row.get::<_, i64>(2)?.cast_unsigned(),
                    posted_ms: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                    posts: row.get(4)?,
                })
            })?
            .collect()
    }

    /// The given-up transactions, oldest first.
    pub fn ended(&self) -> Result<Vec<(Hash, Ended)>, StoreError> {
        self.read_ended().map_err(|error| self.error(error))
    }

    fn read_ended(&self) -> rusqlite::Result<Vec<(Hash, Ended)>> {
        self.connection
            .prepare(
                "SELECT hash, reason, received_ms, posted_ms, posts FROM ended ORDER BY number",
            )?
            .query_map([], |row| {
                let reason = match row.get_ref(1)?.as_str()? {
                    "expired" => Reason::Expired,
                    // Only `Reason::name` writes this column, so there is no third name.
                    _ => Reason::Superseded,
                };
                let ended = Ended {
                    reason,
                    received_ms: row.get::<_, i64>(2)?.cast_unsigned(),
                    posted_ms: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                    posts: row.get(4)?,
                };
                Ok((row.get(0)?, ended))
            })?
            .collect()
    }

    /// Stores transactions, in one commit.
    pub fn take<'a>(
        &mut self,
        elements: impl IntoIterator<Item = (&'a Hash, &'a str)>,
        received_ms: u64,
    ) -> Result<(), StoreError> {
        self.insert(elements, received_ms).map_err(|error| self.error(error))
    }

    fn insert<'a>(
        &mut self,
        elements: impl IntoIterator<Item = (&'a Hash, &'a str)>,
        received_ms: u64,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            // A transaction that is already stored keeps the time of its first submission.
            let mut insert = transaction
                .prepare_cached("INSERT OR IGNORE INTO outbox VALUES (?1, ?2, ?3, NULL, 0)")?;
            for (hash, element) in elements {
                insert.execute(params![hash, element, received_ms.cast_signed()])?;
            }
        }
        transaction.commit()
    }

    /// Writes the changes, in one commit.
    pub fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.apply(changes).map_err(|error| self.error(error))
    }

    fn apply(&mut self, changes: &Changes) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut posted = transaction
                .prepare_cached("UPDATE outbox SET posted_ms = ?2, posts = ?3 WHERE hash = ?1")?;
            for (hash, posted_ms, posts) in &changes.posted {
                posted.execute(params![hash, posted_ms.cast_signed(), posts])?;
            }
            let mut end = transaction.prepare_cached(
                // A transaction that was given up before can have been submitted again. Its latest end
                // replaces the older one.
                "INSERT OR REPLACE INTO ended (hash, reason, received_ms, posted_ms, posts)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for (hash, ended) in &changes.ended {
                end.execute(params![
                    hash,
                    ended.reason.name(),
                    ended.received_ms.cast_signed(),
                    ended.posted_ms.map(u64::cast_signed),
                    ended.posts,
                ])?;
            }
            if !changes.ended.is_empty() {
                // Numbers have gaps where a row was replaced or deleted, so fewer rows than the maximum can
                // remain. An exact limit would need a count of all rows.
                let most = i64::try_from(ENDED_MAX).unwrap_or(i64::MAX);
                transaction.execute(
                    "DELETE FROM ended WHERE number <= (SELECT max(number) FROM ended) - ?1",
                    [most],
                )?;
            }
            // In the same commit as its end: after a crash, a transaction waits or has ended, but never both
            // or neither.
            let mut delete = transaction.prepare_cached("DELETE FROM outbox WHERE hash = ?1")?;
            for hash in changes.gone.iter().chain(changes.ended.iter().map(|(hash, _)| hash)) {
                delete.execute([hash])?;
            }
            // A transaction that was given up may have been submitted again, and then applied.
            let mut again = transaction.prepare_cached("DELETE FROM ended WHERE hash = ?1")?;
            for hash in &changes.gone {
                again.execute([hash])?;
            }
        }
        transaction.commit()
    }
}

/// Changes that are not on disk yet.
#[derive(Debug, Default)]
pub struct Changes {
    /// Transactions that were posted: hash, time in Unix milliseconds, number of posts so far.
    pub posted: Vec<(Hash, u64, u32)>,
    /// Transactions that were given up.
    pub ended: Vec<(Hash, Ended)>,
    /// Transactions whose outcome is in the store.
    pub gone: Vec<Hash>,
}

impl Changes {
    /// Whether something must be written without delay.
    pub fn is_urgent(&self) -> bool {
        !self.ended.is_empty() || !self.gone.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.posted.is_empty() && !self.is_urgent()
    }
}
