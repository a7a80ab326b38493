//! The short numbers that stand for the keys of accounts.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use zellbook_core::PublicKey;

/// The most numbers that are remembered, which take about 6 MB.
const REMEMBERED_MAX: usize = 1 << 16;

/// The numbers that the writer has used last.
#[derive(Debug, Default)]
pub(super) struct AccountIds(HashMap<PublicKey, i64>);

/// The number of an account that has one.
pub(super) fn account_id(
    connection: &Connection,
    account: &PublicKey,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM accounts WHERE key = ?1")?
        .query_row([account.as_bytes()], |row| row.get(0))
        .optional()
}

impl AccountIds {
    /// The number of an account. It gets one if it has none.
    pub fn id(&mut self, connection: &Connection, account: &PublicKey) -> rusqlite::Result<i64> {
        if let Some(id) = self.0.get(account) {
            return Ok(*id);
        }
        let id = match account_id(connection, account)? {
            Some(id) => id,
            None => connection
                .prepare_cached("INSERT INTO accounts (key) VALUES (?1)")?
                .insert([account.as_bytes()])?,
        };
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        self.0.insert(*account, id);
        Ok(id)
    }

    /// Forgets all numbers, because those that were given in a transaction are gone if it fails.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}
