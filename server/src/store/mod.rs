//! The store: an SQLite database with the sequence, the state and the views that the API reads.
//!
//! The effects of a batch, its body, its root and the proof that covers it are written in one transaction,
//! which is on disk before anyone sees the batch (WAL, `synchronous = FULL`). So after a crash at any
//! moment the database holds the state after some whole batch. At start the engine is rebuilt from the
//! stored leaves, and its root must be the one that was stored with the last batch.
//!
//! One connection writes; readers have connections of their own and see a consistent snapshot each.

mod accounts;
mod candles;
mod contents;
mod headers;
mod ledger;
mod log;
mod reader;
mod rows;
mod start;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use thiserror::Error;
use zellbook_core::event::Corrupt;
use zellbook_core::exchange::Exchange;
use zellbook_core::genesis::Rules;
use zellbook_core::leaf::LeafKey;
use zellbook_core::state_root::Hash;
use zellular::{FinalitySignature, Position};

pub use accounts::read_balance;
pub use candles::Interval;
pub use contents::signed;
pub use reader::{Reader, View};
pub use rows::{AppliedBatch, TradeRow, rows_of};

/// A restored state, and the position of its last batch in the network's chain.
pub type Loaded = (Exchange, Position);

/// The schema version of all databases, stored in `user_version`. A file with another version is refused:
/// its content can be fetched again from the sequencer.
const SCHEMA_VERSION: i64 = 5;

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{}: {error}", path.display())]
    Sqlite { path: PathBuf, error: rusqlite::Error },
    /// The file belongs to another version of this program.
    #[error("{} has schema version {found}, but this program needs version {SCHEMA_VERSION}; use another --data directory and let the replica catch up from the sequencer", path.display())]
    Version { path: PathBuf, found: i64 },
    /// The file belongs to another network.
    #[error("{} is for network {found}, not {expected}; use another --data directory", path.display())]
    Network { path: PathBuf, found: String, expected: String },
    /// The state does not have the root that was stored with its last batch.
    #[error("{}: after batch {batch} the stored state has root {found}, but the root {expected} was stored with that batch; the file is damaged: move it away and let the replica catch up again", path.display())]
    Root { path: PathBuf, batch: u64, found: String, expected: String },
    /// The state breaks an invariant.
    #[error("{}: {error}; the file is damaged: move it away and let the replica catch up again", path.display())]
    Invariant { path: PathBuf, error: String },
    /// Replicas certified another root than the stored one.
    #[error("{}: replicas with more than two thirds of the weight certified the root {certified} for batch {batch}, but the stored root is {ours}; either this replica or the others are wrong: keep the file as evidence and run zellbook replay to find out", path.display())]
    Certified { path: PathBuf, batch: u64, ours: String, certified: String },
    /// The engine cannot be rebuilt from the leaves.
    #[error("{}: {error}; move the file away and let the replica catch up again", path.display())]
    Corrupt { path: PathBuf, error: Corrupt },
}

/// A finality signature and the chaining hash that it signs.
#[derive(Clone, Debug)]
pub struct Proof {
    pub signature: FinalitySignature,
    /// The chaining hash at the signature's index, as computed by this replica.
    pub chaining_hash: String,
}

/// The storage behind a replica. Tests use one that fails.
pub trait Storage: Send {
    /// Writes consecutive batches and the signature that covers them, all or nothing, and returns once they
    /// are on disk. The result is the number of transactions that already had an outcome.
    fn commit(&mut self, batches: &[AppliedBatch], proof: &Proof) -> Result<u64, StoreError>;

    /// The root that was stored with a batch.
    fn root(&self, index: u64) -> Result<Option<Hash>, StoreError>;

    /// The batch of the snapshot that the state started from; 0 if it started from genesis.
    fn start(&self) -> Result<u64, StoreError>;
}

/// The connection of the writer.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

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

impl Store {
    /// Opens or creates the database of a network.
    pub fn open(path: &Path, rules: &Rules) -> Result<Self, StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: path.to_path_buf(), error };
        let mut connection = open_durable(path)?;
        let is_new = !connection.table_exists(None, "meta").map_err(sqlite)?;
        if is_new {
            let transaction = connection.transaction().map_err(sqlite)?;
            let network = rules.network.to_string();
            transaction.execute_batch(include_str!("schema.sql")).map_err(sqlite)?;
            transaction
                .execute("INSERT INTO meta VALUES ('network', ?1)", [network])
                .map_err(sqlite)?;
            transaction.commit().map_err(sqlite)?;
        }
        let network: Option<String> = connection
            .query_row("SELECT value FROM meta WHERE key = 'network'", [], |row| row.get(0))
            .optional()
            .map_err(sqlite)?;
        let network = network.unwrap_or_else(|| "none".into());
        if network != rules.network.to_string() {
            let expected = rules.network.to_string();
            return Err(StoreError::Network { path: path.to_path_buf(), found: network, expected });
        }
        Ok(Self { path: path.to_path_buf(), connection })
    }

    fn sqlite(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), error }
    }

    /// Rebuilds the engine and checks it: its root against the stored one, the certified roots in its state
    /// against the stored ones, and all invariants.
    pub fn load(&self, rules: &Arc<Rules>) -> Result<Loaded, StoreError> {
        let (exchange, position) = load(&self.connection, &self.path, rules)?;
        self.check_certified()?;
        exchange
            .recount()
            .map_err(|error| StoreError::Invariant { path: self.path.clone(), error })?;
        Ok((exchange, position))
    }

    /// Checks that the roots which replicas certified are those which this replica stored.
    fn check_certified(&self) -> Result<(), StoreError> {
        let certified = read_certified(&self.connection).map_err(|error| self.sqlite(error))?;
        let start = self.start()?;
        for (batch, certified) in certified.into_iter().filter(|(batch, _)| *batch >= start) {
            let ours = self.root(batch)?;
            if ours.is_none_or(|ours| ours[..] != certified[..]) {
                return Err(StoreError::Certified {
                    path: self.path.clone(),
                    batch,
                    ours: ours.map_or_else(|| "nothing".into(), hex::encode),
                    certified: hex::encode(certified),
                });
            }
        }
        Ok(())
    }

    fn write(&mut self, batches: &[AppliedBatch], proof: &Proof) -> rusqlite::Result<u64> {
        let Proof { signature, chaining_hash } = proof;
        let transaction = self.connection.transaction()?;
        let mut duplicates = 0;
        for batch in batches {
            duplicates += write::write_batch(&transaction, batch)?;
        }
        transaction
            .prepare_cached("INSERT OR REPLACE INTO proofs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                signature.index.cast_signed(),
                signature.parent_index.cast_signed(),
                signature.timestamp.cast_signed(),
                chaining_hash,
                serde_json::to_string(&signature.nonsigners).unwrap_or_default(),
                signature.signature,
                signature.tag.cast_signed(),
            ])?;
        transaction.commit()?;
        Ok(duplicates)
    }
}

/// Rebuilds the engine from the stored leaves and checks its root.
fn load(connection: &Connection, path: &Path, rules: &Arc<Rules>) -> Result<Loaded, StoreError> {
    let path = || path.to_path_buf();
    let (leaves, last) =
        read_state(connection).map_err(|error| StoreError::Sqlite { path: path(), error })?;
    let Some((index, chaining_hash, root)) = last else {
        return Ok((Exchange::new(Arc::clone(rules)), Position::start()));
    };
    let bytes = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let mut exchange = Exchange::from_leaves(Arc::clone(rules), bytes)
        .map_err(|error| StoreError::Corrupt { path: path(), error })?;
    let found = exchange.root();
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
fn read_certified(connection: &Connection) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
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

impl Storage for Store {
    fn commit(&mut self, batches: &[AppliedBatch], proof: &Proof) -> Result<u64, StoreError> {
        self.write(batches, proof).map_err(|error| self.sqlite(error))
    }

    fn root(&self, index: u64) -> Result<Option<Hash>, StoreError> {
        log::read_root(&self.connection, index).map_err(|error| self.sqlite(error))
    }

    fn start(&self) -> Result<u64, StoreError> {
        let start = "SELECT coalesce(max(idx), 0) FROM start";
        self.connection
            .query_row(start, [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .map_err(|error| self.sqlite(error))
    }
}

impl StoreError {
    /// Whether the stored state is wrong, as opposed to that of another version or network.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Root { .. }
            | Self::Certified { .. }
            | Self::Invariant { .. }
            | Self::Corrupt { .. } => true,
            Self::Sqlite { error, .. } => {
                matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            }
            Self::Version { .. } | Self::Network { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zellbook_core::key::SecretKey;

    use super::Store;
    use crate::config::test_rules;

    #[test]
    fn queries_for_books_trades_and_candles_use_an_index_and_sort_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        let rules = Arc::new(test_rules(key, key));
        let store = Store::open(&folder.path().join("replica.sqlite"), &rules).unwrap();
        let plan = |sql: &str| {
            let mut query = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            // Parameters need not be bound for a query plan.
            let mut rows = query.raw_query();
            let mut steps = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                steps.push(row.get::<_, String>(3).unwrap());
            }
            steps
        };
        let book = |side: &str, direction: &str| plan(&super::reader::resting_sql(side, direction));
        assert_eq!(book("buy", "DESC"), ["SEARCH orders USING INDEX orders_bids (market=?)"]);
        assert_eq!(
            book("sell", "ASC"),
            ["SEARCH orders USING INDEX orders_book (market=? AND side=?)"]
        );
        let day = plan(super::reader::TRADES_SINCE);
        assert_eq!(day, ["SEARCH trades USING INDEX trades_by_time (time_ms>?)"]);
        let candles = plan(super::candles::CANDLES);
        let search = "SEARCH candles USING PRIMARY KEY (market=? AND minutes=? AND start_ms<?)";
        assert_eq!(candles, [search]);
    }
}
