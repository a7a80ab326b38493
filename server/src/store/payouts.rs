//! Reads the withdrawals of all accounts, for the issuers who pay them.

use rusqlite::params;
use zellbook_core::Decimal;
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::PayoutBody;

use super::accounts::stored_atoms;
use super::error::QueryError;
use super::reader::{Unsigned, View, text};

/// Which withdrawals an issuer asks for.
#[derive(Clone, Copy, Debug)]
pub struct PayoutQuery {
    /// Only withdrawals of this token.
    pub token: Option<TokenIndex>,
    /// Only withdrawals with a higher number.
    pub after: u64,
    pub limit: u32,
    /// Also withdrawals that are sequenced and not certified.
    pub with_sequenced: bool,
}

impl View<'_> {
    /// Withdrawals by ascending number.
    pub fn payouts(&self, query: PayoutQuery) -> Result<Vec<PayoutBody>, QueryError> {
        let certified = self.certified_batch()?;
        let until = match (query.with_sequenced, certified) {
            (true, _) => i64::MAX,
            (false, Some(batch)) => batch.cast_signed(),
            (false, None) => 0,
        };
        let after = i64::try_from(query.after).unwrap_or(i64::MAX);
        let token = query.token.map(|token| token.0);
        Ok(self
            .connection
            .prepare_cached(
                // By the primary key from `after` on. Numbers ascend with the batches, so what is not certified
                // is at the end, and a reader who goes on after the last number skips nothing.
                "SELECT number, account, token, amount, destination, batch FROM withdrawals
                 WHERE number > ?1 AND batch <= ?2 AND (?3 IS NULL OR token = ?3)
                 ORDER BY number LIMIT ?4",
            )?
            .query_map(params![after, until, token, query.limit], |row| {
                let account: Vec<u8> = row.get(1)?;
                let token = self.rules.listing.token_at(TokenIndex(row.get(2)?));
                let (symbol, decimals) =
                    token.map_or(("", 0), |token| (token.symbol.as_str(), token.decimals));
                let amount = stored_atoms(row.get_ref(3)?.as_str()?);
                let batch = row.get::<_, Unsigned>(5)?.0;
                Ok(PayoutBody {
                    number: text(row, 0)?,
                    account: hex::encode(account),
                    token: symbol.into(),
                    amount: Decimal::of_atoms(amount, decimals).to_string(),
                    destination: row.get(4)?,
                    batch: batch.to_string(),
                    certified: Some(batch) <= certified,
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
    }
}
