//! Restores the engine from the stored leaves.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use zellbook_core::{Exchange, LeafKey, Rules};
use zellular::Position;

use super::error::StoreError;

/// A restored state, and the position of its last batch in the network's chain.
pub type Loaded = (Exchange, Position);

/// Rebuilds the engine from the stored leaves and checks its root.
pub(super) fn restore(
    connection: &Connection,
    path: &Path,
    rules: &Arc<Rules>,
) -> Result<Loaded, StoreError> {
    let path = || path.to_path_buf();
    let (leaves, last) =
        read_state(connection).map_err(|error| StoreError::Sqlite { path: path(), error })?;
    // Neither a batch nor a snapshot: this is the state before the first batch.
    let Some((index, chaining_hash, root)) = last else {
        return Ok((Exchange::new(Arc::clone(rules)), Position::start()));
    };
    let bytes = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let mut exchange = Exchange::from_leaves(Arc::clone(rules), bytes)
        .map_err(|error| StoreError::Corrupt { path: path(), error })?;
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

#[expect(clippy::type_complexity, reason = "used once, and destructured there")]
fn read_state(
    connection: &Connection,
) -> rusqlite::Result<(Vec<(Vec<u8>, Vec<u8>)>, Option<(u64, String, Vec<u8>)>)> {
    let leaves = connection
        .prepare("SELECT key, value FROM state ORDER BY key")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let last = connection
        .query_row(
            "SELECT idx, chaining_hash, root FROM batches
             UNION ALL SELECT idx, chaining_hash, root FROM start ORDER BY idx DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    Ok((leaves, last))
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
