//! Reads the leaves that decide about a transaction.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rusqlite::OptionalExtension;
use zellbook_core::types::MarketIndex;
use zellbook_core::{PublicKey, Side};

use super::error::QueryError;
use super::reader::{Unsigned, View, best_first};

/// Leaves by their keys.
pub type Leaves = BTreeMap<Vec<u8>, Vec<u8>>;

impl View<'_> {
    /// The leaves whose keys are in a range, at most `limit` of them.
    pub fn leaves_in(
        &self,
        range: &RangeInclusive<Vec<u8>>,
        limit: u32,
    ) -> Result<Leaves, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT key, value FROM state WHERE key BETWEEN ?1 AND ?2 LIMIT ?3")?
            .query_map((range.start(), range.end(), limit), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// Account and id of the order that the other side would meet first.
    pub fn best_order(
        &self,
        market: MarketIndex,
        side: Side,
    ) -> Result<Option<(PublicKey, u64)>, QueryError> {
        let sql = best_first("(SELECT key FROM accounts WHERE accounts.id = account), id", side);
        let found: Option<(Vec<u8>, Unsigned)> = self
            .connection
            .prepare_cached(&sql)?
            .query_row((market.0, 1), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.and_then(|(account, id)| Some((PublicKey::from_sec1(&account).ok()?, id.0))))
    }
}
