//! Restores the engine from the stored leaves.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use zellbook_core::exchange::Restore;
use zellbook_core::{Exchange, LeafKey, Rules};
use zellular::Position;

use super::error::StoreError;

/// A restored state, and the position of its last batch in the network's chain.
pub type Loaded = (Exchange, Position);

/// A line in the log for every so many leaves shows that a large state is being read.
const LEAVES_A_LINE: u64 = 500_000;

/// Rebuilds the engine from the stored leaves and checks its root.
pub(super) fn restore(
    connection: &Connection,
    path: &Path,
    rules: &Arc<Rules>,
) -> Result<Loaded, StoreError> {
    let path = || path.to_path_buf();
    let sqlite = |error| StoreError::Sqlite { path: path(), error };
    let corrupt = |error| StoreError::Corrupt { path: path(), error };
    // Neither a batch nor a snapshot: this is the state before the first batch.
    let Some((index, chaining_hash, root)) = read_last(connection).map_err(sqlite)? else {
        return Ok((Exchange::new(Arc::clone(rules)), Position::start()));
    };
    let mut restore = Restore::new(Arc::clone(rules));
    let mut count = 0_u64;
    let mut query =
        connection.prepare("SELECT key, value FROM state ORDER BY key").map_err(sqlite)?;
    let mut leaves = query.query([]).map_err(sqlite)?;
    while let Some(row) = leaves.next().map_err(sqlite)? {
        let part = |column| row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from);
        restore.take(part(0).map_err(sqlite)?, part(1).map_err(sqlite)?).map_err(corrupt)?;
        count = count.saturating_add(1);
        if count.is_multiple_of(LEAVES_A_LINE) {
            tracing::info!("read {count} parts of the stored state");
        }
    }
    let mut exchange = restore.finish().map_err(corrupt)?;
    let found = exchange.root();
    // The index too: the root commits to the batch in the counters, but not to the number of the row that it
    // is stored in.
    if root != found || exchange.counters().batch != index {
        return Err(StoreError::Root {
            path: path(),
            batch: index,
            found: hex::encode(found),
            expected: hex::encode(root),
        });
    }
    Ok((exchange, Position { index, chaining_hash }))
}

/// The number, chaining hash and root of the last batch, or of the one that the state started from.
fn read_last(connection: &Connection) -> rusqlite::Result<Option<(u64, String, Vec<u8>)>> {
    connection
        .query_row(
            "SELECT idx, chaining_hash, root FROM batches
             UNION ALL SELECT idx, chaining_hash, root FROM start ORDER BY idx DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?, row.get(2)?)),
        )
        .optional()
}

/// The batches and roots of the certified roots in the state.
pub(super) fn read_certified(connection: &Connection) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
    // From the leaves, because the root commits to them. The table `certified` is a view for the API, and
    // lacks what was certified before the snapshot that the state started from.
    let (first, last) = (LeafKey::Certified(0).to_bytes(), LeafKey::Certified(u64::MAX).to_bytes());
    let mut query =
        connection.prepare("SELECT key, value FROM state WHERE key BETWEEN ?1 AND ?2")?;
    let rows = query.query_map([first, last], |row| {
        let key: Vec<u8> = row.get(0)?;
        Ok((LeafKey::from_bytes(&key), row.get(1)?))
    })?;
    let certified = rows.filter_map(|row| match row {
        Ok((Ok(LeafKey::Certified(batch)), root)) => Some(Ok((batch, root))),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    certified.collect()
}
