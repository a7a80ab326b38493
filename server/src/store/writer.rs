//! Write access to the store, for the one task that applies batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use zellbook_core::{Hash, Rules};
use zellular::FinalitySignature;

use super::account_ids::AccountIds;
use super::database::{open_durable, set_page_cache};
use super::error::StoreError;
use super::log::read_root;
use super::restore::{Loaded, read_certified, restore};
use super::rows::AppliedBatch;
use super::write::write_batches;

/// A signature of the network and the chaining hash that it signs.
#[derive(Clone, Debug)]
pub struct Proof {
    pub signature: FinalitySignature,
    /// The chaining hash at the signature's index, as computed by this replica.
    pub chaining_hash: String,
}

/// The storage behind a replica. Tests use one that fails.
pub trait Storage: Send + 'static {
    /// Writes consecutive batches and the signatures that cover them, all or nothing, and returns once they
    /// are on disk. The result is the number of transactions that already had an outcome.
    fn commit(
        &mut self,
        batches: &[AppliedBatch],
        proofs: &[Arc<Proof>],
    ) -> Result<u64, StoreError>;

    /// The root that was stored with a batch.
    fn root(&self, index: u64) -> Result<Option<Hash>, StoreError>;

    /// The batch of the snapshot that the state started from; 0 if it started from genesis.
    fn start(&self) -> Result<u64, StoreError>;
}

/// The connection of the writer.
#[derive(Debug)]
pub struct Store {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    accounts: AccountIds,
}

impl Store {
    /// Opens or creates the database of a network.
    pub fn open(path: &Path, rules: &Rules) -> Result<Self, StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: path.to_path_buf(), error };
        let mut connection = open_durable(path)?;
        // The file exists by now in any case, so the tables tell whether it is new.
        let is_new = !connection.table_exists(None, "meta").map_err(sqlite)?;
        // One transaction: a crash leaves either no tables or all of them.
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
        Ok(Self { path: path.to_path_buf(), connection, accounts: AccountIds::default() })
    }

    /// Sets the size of the page cache, in MiB.
    pub fn set_page_cache(&self, mib: u32) -> Result<(), StoreError> {
        set_page_cache(&self.connection, mib).map_err(|error| self.sqlite(error))
    }

    fn sqlite(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), error }
    }

    /// Rebuilds the engine and checks it: its root against the stored one, the certified roots in its state
    /// against the stored ones, and all invariants.
    pub fn load(&self, rules: &Arc<Rules>) -> Result<Loaded, StoreError> {
        let (exchange, position) = restore(&self.connection, &self.path, rules)?;
        self.check_certified()?;
        // The root shows only that the leaves are those that were stored. Counting again finds a state that
        // was wrong when it was stored.
        exchange
            .recount()
            .map_err(|error| StoreError::Invariant { path: self.path.clone(), error })?;
        Ok((exchange, position))
    }

    /// Checks that the roots which replicas certified are those which this replica stored.
    fn check_certified(&self) -> Result<(), StoreError> {
        let certified = read_certified(&self.connection).map_err(|error| self.sqlite(error))?;
        // Roots of batches before the snapshot that the state started from are unknown.
        let start = self.start()?;
        for (batch, certified) in certified.into_iter().filter(|(batch, _)| *batch >= start) {
            // Every batch from there on has a stored root: attestations can only be about earlier batches
            // (reject 25).
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

    fn write(&mut self, batches: &[AppliedBatch], proofs: &[Arc<Proof>]) -> rusqlite::Result<u64> {
        let transaction = self.connection.transaction()?;
        let duplicates = write_batches(&transaction, &mut self.accounts, batches)?;
        for proof in proofs {
            let Proof { signature, chaining_hash } = &**proof;
            transaction
                // OR REPLACE, because a group of batches that is too long for one commit is written in parts,
                // each with the proof of the whole group.
                .prepare_cached(
                    "INSERT OR REPLACE INTO proofs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    signature.index.cast_signed(),
                    signature.parent_index.cast_signed(),
                    signature.timestamp.cast_signed(),
                    chaining_hash,
                    serde_json::to_string(&signature.nonsigners).unwrap_or_default(),
                    signature.signature,
                    signature.tag.cast_signed(),
                ])?;
        }
        transaction.commit()?;
        Ok(duplicates)
    }
}

impl Storage for Store {
    fn commit(
        &mut self,
        batches: &[AppliedBatch],
        proofs: &[Arc<Proof>],
    ) -> Result<u64, StoreError> {
        self.write(batches, proofs).map_err(|error| {
            self.accounts.forget();
            self.sqlite(error)
        })
    }

    fn root(&self, index: u64) -> Result<Option<Hash>, StoreError> {
        read_root(&self.connection, index).map_err(|error| self.sqlite(error))
    }

    fn start(&self) -> Result<u64, StoreError> {
        let start = "SELECT coalesce(max(idx), 0) FROM start";
        self.connection
            .query_row(start, [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .map_err(|error| self.sqlite(error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zellbook_core::{SecretKey, Side};

    use super::Store;
    use crate::config::test_rules;

    #[test]
    fn queries_for_books_trades_candles_deposits_and_withdrawals_use_an_index_and_sort_nothing() {
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
        let book =
            |side| plan(&crate::store::reader::best_first("price, remaining, account", side));
        assert_eq!(book(Side::Buy), ["SEARCH orders USING INDEX orders_bids (market=?)"]);
        assert_eq!(book(Side::Sell), ["SEARCH orders USING INDEX orders_asks (market=?)"]);
        let day = plan(crate::store::reader::TRADES_SINCE);
        assert_eq!(day, ["SEARCH trades USING INDEX trades_by_time (time_ms>?)"]);
        let candles = plan(crate::store::candles::CANDLES);
        let search = "SEARCH candles USING PRIMARY KEY (market=? AND minutes=? AND start_ms<?)";
        assert_eq!(candles, [search]);
        for (of_token, deposits, withdrawals) in [
            (false, "INDEX ledger_deposits (number>?)", "INTEGER PRIMARY KEY (rowid>?)"),
            (
                true,
                "INDEX ledger_deposits_by_token (token=? AND number>?)",
                "INDEX withdrawals_by_token (token=? AND number>?)",
            ),
        ] {
            let steps = plan(&crate::store::issuers::deposits(of_token));
            assert_eq!(steps, [format!("SEARCH ledger USING {deposits}")]);
            let steps = plan(&crate::store::issuers::withdrawals(of_token));
            assert_eq!(steps, [format!("SEARCH withdrawals USING {withdrawals}")]);
        }
    }
}
