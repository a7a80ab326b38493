//! Opens the databases of this program: the store, the outbox and the embedded sequencer's.

use std::path::Path;

use rusqlite::Connection;

use super::error::{SCHEMA_VERSION, StoreError};

/// Sets how much of a database SQLite keeps in memory. Without it, it is 2 MB.
///
/// A page cache and no mapping of the file (`mmap_size`): an error of the disk in a mapping is a signal that ends the process, and
/// not an error that a query returns.
pub(super) fn set_page_cache(connection: &Connection, mib: u32) -> rusqlite::Result<()> {
    // Negative: in KiB and not in pages.
    connection.pragma_update(None, "cache_size", -i64::from(mib) * 1024)
}

/// Opens or creates a database for writing, such that every commit is on disk when it returns.
pub fn open_durable(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open(path)?;
        // Another process can hold a lock for a moment, for example an operator who makes a back-up.
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // In WAL mode, NORMAL would not sync at each commit. A power cut could then take back a commit that
        // readers have seen or a client has a receipt for.
        connection.pragma_update(None, "synchronous", "FULL")?;
        // A commit uses more statements than the 16 that are cached by default. Each one that does not fit
        // would be parsed again at every commit.
        connection.set_prepared_statement_cache_capacity(64);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        // A new file. The version is set before the first table is created, so a crash in between leaves a
        // file that the next start accepts and completes.
        if tables == 0 {
            connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, version))
    };
    let (connection, found): (Connection, i64) =
        open().map_err(|error| StoreError::Sqlite { path: path.to_path_buf(), error })?;
    if found != SCHEMA_VERSION {
        return Err(StoreError::Version { path: path.to_path_buf(), found });
    }
    Ok(connection)
}
