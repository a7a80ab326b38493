//! What a rollback reads and writes besides batches.

use rusqlite::OptionalExtension;

use super::error::{QueryError, StoreError};
use super::reader::{Unsigned, View};
use super::writer::Store;

impl View<'_> {
    /// When this replica applied a batch, by its own clock.
    pub fn applied_ms(&self, index: u64) -> Result<Option<u64>, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT applied_ms FROM batches WHERE idx = ?1")?
            .query_row([index.cast_signed()], |row| row.get::<_, Unsigned>(0))
            .optional()?
            .map(|time| time.0))
    }
}

impl Store {
    /// Moves everything from the write-ahead log into the database file. Fails while another program reads it:
    /// then a file that takes its place would be read with the old log.
    pub fn settle(self) -> Result<(), StoreError> {
        let busy: i64 = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| StoreError::Sqlite { path: self.path.clone(), error })?;
        if busy != 0 {
            return Err(StoreError::InUse(self.path));
        }
        self.close()
    }
}
