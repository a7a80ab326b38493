//! Reads the history of an account: closed orders, fills, and the ledger of deposits, withdrawals and
//! transfers.
//!
//! Pages are cut by number, not by offset, so that rows which are added meanwhile do not shift them.

use rusqlite::params;
use zellbook_core::PublicKey;
use zellbook_core::wire::{FillBody, LedgerEntryBody, OrderBody};

use super::error::QueryError;
use super::reader::{Named, ORDER_COLUMNS, Unsigned, View, text};

/// An upper bound of ids, within what SQLite can compare.
fn below(before: u64) -> i64 {
    // Cast to an `i64`, a large bound would be negative and the page empty.
    i64::try_from(before).unwrap_or(i64::MAX)
}

impl View<'_> {
    /// The closed orders of an account with a lower id, newest first.
    pub fn past_orders(
        &self,
        account: &PublicKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<OrderBody>, QueryError> {
        let Some(account) = self.account_id(account)? else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT {ORDER_COLUMNS} FROM orders
             WHERE account = ?1 AND status <> 0 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        );
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_map(params![account, below(before), limit], |row| self.order(row))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// The fills of an account in trades with a lower id, newest first.
    pub fn fills(
        &self,
        account: &PublicKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<FillBody>, QueryError> {
        let Some(account) = self.account_id(account)? else { return Ok(Vec::new()) };
        // Each query returns up to `limit` rows, so the newest `limit` of all are among them.
        let mut fills = self.fills_as(account, true, below(before), limit)?;
        // No trade is in both lists: an account never trades with itself (I7).
        fills.extend(self.fills_as(account, false, below(before), limit)?);
        fills.sort_by_key(|fill| std::cmp::Reverse(fill.trade.id.parse::<u64>().unwrap_or(0)));
        fills.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(fills)
    }

    /// The ledger entries of an account with a lower number, newest first.
    pub fn ledger(
        &self,
        account: &PublicKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<LedgerEntryBody>, QueryError> {
        let certified = self.certified_batch()?;
        Ok(self.connection
            .prepare_cached(
                "SELECT number, kind, token, amount, counterpart, batch, position, time_ms FROM ledger
                 WHERE account = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            )?
            .query_map(params![account.as_bytes(), below(before), limit], |row| {
                let (token, amount) = self.amount(row, 2)?;
                let batch = row.get::<_, Unsigned>(5)?.0;
                Ok(LedgerEntryBody {
                    number: text(row, 0)?,
                    kind: row.get::<_, Named<_>>(1)?.0,
                    token,
                    amount,
                    with: row.get(4)?,
                    batch: batch.to_string(),
                    position: text(row, 6)?,
                    time_ms: text(row, 7)?,
                    certified: Some(batch) <= certified,
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
    }
}
