//! Opens the databases of this program: the store, the outbox and the embedded sequencer's.

use std::path::Path;

use rusqlite::Connection;

use super::error::{SCHEMA_VERSION, StoreError};

/// Opens or creates a database for writing, such that every commit is on disk when it returns.
pub fn open_durable(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(64);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
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
