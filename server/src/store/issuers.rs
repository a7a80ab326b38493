//! Reads the deposits to and withdrawals of all accounts, for the issuers who took in or pay out the amounts.

use rusqlite::{Row, params};
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::{DepositBody, PayoutBody};

use super::accounts::stored_atoms;
use super::error::QueryError;
use super::reader::{Unsigned, View, text};

/// Which deposits or withdrawals an issuer asks for.
#[derive(Clone, Copy, Debug)]
pub struct IssuerQuery {
    /// Only those of this token.
    pub token: Option<TokenIndex>,
    /// Only those with a higher number.
    pub after: u64,
    pub limit: u32,
    /// Also those that are sequenced and not certified.
    pub with_sequenced: bool,
}

/// The query for deposits, of one token or of all. Each has an index of its own: to walk through the deposits of other
/// tokens would take as long as there are any.
pub(super) fn deposits(of_token: bool) -> String {
    // Without INDEXED BY, SQLite could take the primary key and walk through all other entries too.
    let (index, token) = by_token(of_token, "ledger_deposits");
    format!(
        "SELECT number, account, token, amount, counterpart, batch, position
         FROM ledger INDEXED BY {index}
         WHERE kind = 'deposit' AND {token} AND number > ?1 AND batch <= ?2 ORDER BY number LIMIT ?4"
    )
}

/// The same for withdrawals.
pub(super) fn withdrawals(of_token: bool) -> String {
    let (index, token) = by_token(of_token, "withdrawals");
    let index = if of_token { format!("INDEXED BY {index}") } else { "NOT INDEXED".into() };
    format!(
        "SELECT number, account, token, amount, destination, batch FROM withdrawals {index}
         WHERE {token} AND number > ?1 AND batch <= ?2 ORDER BY number LIMIT ?4"
    )
}

fn by_token(of_token: bool, index: &str) -> (String, &'static str) {
    if of_token {
        (format!("{index}_by_token"), "token = ?3")
    } else {
        (index.into(), "?3 IS NULL")
    }
}

impl View<'_> {
    /// Deposits by ascending number.
    pub fn deposits(&self, query: IssuerQuery) -> Result<Vec<DepositBody>, QueryError> {
        self.listed(&deposits(query.token.is_some()), query, |row, certified| {
            let (token, amount) = self.amount(row, 2)?;
            let batch = row.get::<_, Unsigned>(5)?.0;
            Ok(DepositBody {
                number: text(row, 0)?,
                account: hex::encode(row.get_ref(1)?.as_blob()?),
                token,
                amount,
                reference: row.get(4)?,
                batch: batch.to_string(),
                position: text(row, 6)?,
                certified: Some(batch) <= certified,
            })
        })
    }

    /// Withdrawals by ascending number.
    pub fn payouts(&self, query: IssuerQuery) -> Result<Vec<PayoutBody>, QueryError> {
        self.listed(&withdrawals(query.token.is_some()), query, |row, certified| {
            let (token, amount) = self.amount(row, 2)?;
            let batch = row.get::<_, Unsigned>(5)?.0;
            Ok(PayoutBody {
                number: text(row, 0)?,
                account: hex::encode(row.get_ref(1)?.as_blob()?),
                token,
                amount,
                destination: row.get(4)?,
                batch: batch.to_string(),
                certified: Some(batch) <= certified,
            })
        })
    }

    /// Reads rows in the order of their numbers, which ascend with the batches: what is not certified is at the end, and
    /// a reader who goes on after the last number skips nothing.
    fn listed<T>(
        &self,
        sql: &str,
        query: IssuerQuery,
        read: impl Fn(&Row<'_>, Option<u64>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, QueryError> {
        let certified = self.certified_batch()?;
        let until = match (query.with_sequenced, certified) {
            (true, _) => i64::MAX,
            (false, Some(batch)) => batch.cast_signed(),
            (false, None) => 0,
        };
        let after = i64::try_from(query.after).unwrap_or(i64::MAX);
        let token = query.token.map(|token| token.0);
        let rows = self
            .connection
            .prepare_cached(sql)?
            .query_map(params![after, until, token, query.limit], |row| read(row, certified))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    /// The symbol of the token in a column, and the amount in the next one.
    pub(super) fn amount(
        &self,
        row: &Row<'_>,
        column: usize,
    ) -> rusqlite::Result<(String, String)> {
        let token = TokenIndex(row.get(column)?);
        let amount = stored_atoms(row.get_ref(column + 1)?.as_str()?);
        let symbol = self.rules.listing.token_at(token).map_or("", |token| token.symbol.as_str());
        Ok((symbol.into(), self.rules.listing.format_amount(token, amount)))
    }
}
