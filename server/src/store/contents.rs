//! Reads the contents of a batch: its elements with their outcomes, and its trades.

use rusqlite::{OptionalExtension, params};
use zellbook_core::protocol::{Element, check_element, elements};
use zellbook_core::wire::{ElementBody, RejectBody, SignedBody, TradeBody};
use zellbook_core::{Reject, TransactionHash};

use super::body::Body;
use super::error::QueryError;
use super::reader::{TRADE_COLUMNS, Unsigned, View};

/// Fields that the response has as members of their own.
const NOT_LISTED: [&str; 2] = ["kind", "account"];

/// The outcome of a transaction, and the element that it belongs to.
struct Found {
    batch: u64,
    position: u64,
    reject: Option<RejectBody>,
}

impl View<'_> {
    pub fn body(&self, index: u64) -> Result<Option<String>, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT body FROM batches WHERE idx = ?1")?
            .query_row([index.cast_signed()], |row| row.get::<_, Body<_>>(0))
            .optional()?
            .map(|body| body.0))
    }

    /// The number of elements of a batch, and up to `limit` of them from a position on.
    pub fn elements(
        &self,
        index: u64,
        from: usize,
        limit: usize,
    ) -> Result<(usize, Vec<ElementBody>), QueryError> {
        // A batch up to the snapshot that the state started from has no body here, and so no elements.
        let body = self.body(index)?.unwrap_or_default();
        let elements = elements(body.as_bytes());
        let shown = elements.iter().enumerate().skip(from).take(limit);
        let shown = shown.map(|(position, element)| self.element(index, position, element.get()));
        Ok((elements.len(), shown.collect::<Result<_, _>>()?))
    }

    fn element(&self, batch: u64, position: usize, json: &str) -> rusqlite::Result<ElementBody> {
        let mut shown = ElementBody {
            position: position.to_string(),
            hash: None,
            kind: None,
            account: None,
            fields: Vec::new(),
            reject: None,
            copy_of: None,
        };
        let read = match Element::read(json, self.rules.genesis.guide_orders) {
            Ok(read) => read,
            Err(reject) => {
                shown.reject = Some(RejectBody::from(&reject));
                return Ok(shown);
            }
        };
        let (hash, kind, account) = match &read {
            Element::Signed(signed) => {
                let transaction = &signed.transaction;
                (
                    transaction.hash(&self.rules.network),
                    transaction.action.kind(),
                    transaction.account,
                )
            }
            Element::Guide(order) => (order.hash(), "guide_order", order.account),
        };
        shown.kind = Some(kind.into());
        shown.fields = fields(&read);
        // The stored outcome makes it unnecessary to check the signature again, which is the slow part of a
        // check.
        let found = self.outcome(&hash)?;
        let is_here =
            |found: &Found| found.batch == batch && usize::try_from(found.position) == Ok(position);
        let found = match found {
            // The row belongs to the first element with this hash. A copy has the same hash at another
            // position.
            Some(found) if is_here(&found) => found,
            found => {
                // An element without an outcome has an invalid signature, or is a copy of a transaction
                // that was applied elsewhere.
                let checked = match check_element(self.rules, json) {
                    Ok(checked) => checked,
                    Err(invalid) => {
                        shown.reject = Some(RejectBody::from(&invalid.reject));
                        return Ok(shown);
                    }
                };
                let at = u64::try_from(position).unwrap_or(u64::MAX);
                let reject = match found {
                    // The row of a reject that can be retried gives way to a later outcome. So an element before
                    // the one of its row had such a reject, and so has one beside a row of that kind.
                    Some(found)
                        if (found.batch, found.position) > (batch, at)
                            || found.reject.as_ref().is_some_and(RejectBody::can_be_retried) =>
                    {
                        Some(Reject::UnknownSigner { signer: checked.signer })
                    }
                    // Why a copy was rejected is not stored: its nonce is used, or too old by then.
                    Some(found) => {
                        shown.copy_of = Some(found.batch.to_string());
                        None
                    }
                    None => Some(Reject::NonceUsed),
                };
                Found { batch, position: at, reject: reject.as_ref().map(RejectBody::from) }
            }
        };
        shown.hash = Some(hash.to_string());
        shown.account = Some(account.to_string());
        shown.reject = found.reject;
        Ok(shown)
    }

    fn outcome(&self, hash: &TransactionHash) -> rusqlite::Result<Option<Found>> {
        self.connection
            .prepare_cached(
                "SELECT batch, position, reject_code, reject_name, reject_message
                 FROM transactions WHERE hash = ?1",
            )?
            .query_row([hash.0], |row| {
                let reject = match row.get::<_, Option<u16>>(2)? {
                    Some(code) => Some(RejectBody {
                        code: code.to_string(),
                        name: row.get(3)?,
                        message: row.get(4)?,
                    }),
                    None => None,
                };
                let number = |column| row.get::<_, Unsigned>(column).map(|number| number.0);
                Ok(Found { batch: number(0)?, position: number(1)?, reject })
            })
            .optional()
    }

    /// The signed text of a transaction that has its outcome.
    pub fn signed(&self, hash: &[u8; 32]) -> Result<Option<SignedBody>, QueryError> {
        let Some(found) = self.outcome(&TransactionHash(*hash))? else { return Ok(None) };
        let body = self.body(found.batch)?.unwrap_or_default();
        let elements = elements(body.as_bytes());
        let position = usize::try_from(found.position).unwrap_or(usize::MAX);
        Ok(elements
            .get(position)
            .and_then(|element| SignedBody::read(self.rules, element.get()).ok()))
    }

    /// The number of trades of a batch (all, or those of one taker order), and up to `limit` of them from
    /// the position `from` on, in sequence.
    pub fn trades_of(
        &self,
        batch: u64,
        taker_order: Option<u64>,
        from: u32,
        limit: u32,
    ) -> Result<(u64, Vec<TradeBody>), QueryError> {
        const OF: &str =
            "FROM trades WHERE id BETWEEN ?1 AND ?2 AND (?3 IS NULL OR taker_order = ?3)";
        // Trade ids have no gaps and increase with the batches, so the trades of a batch are one range of the
        // primary key.
        let (first, next) = (self.first_trade(batch)?, self.first_trade(batch.saturating_add(1))?);
        let (last, taker) = (next.saturating_sub(1), taker_order.map(u64::cast_signed));
        let total = self
            .connection
            .prepare_cached(&format!("SELECT count(*) {OF}"))?
            .query_row(params![first, last, taker], |row| row.get::<_, Unsigned>(0))?;
        let sql = format!("SELECT {TRADE_COLUMNS} {OF} ORDER BY id LIMIT ?4 OFFSET ?5");
        let trades = self
            .connection
            .prepare_cached(&sql)?
            .query_map(params![first, last, taker, limit, from], |row| self.trade(row))?
            .collect::<Result<_, _>>()?;
        Ok((total.0, trades))
    }

    /// The id of the first trade in this batch or a later one; without one, the id that the next trade
    /// will get. Ids increase with the batches, so bisection finds it without an index on batches.
    fn first_trade(&self, batch: u64) -> rusqlite::Result<i64> {
        let mut at = self
            .connection
            .prepare_cached("SELECT batch FROM trades WHERE id >= ?1 ORDER BY id LIMIT 1")?;
        let bounds = "SELECT coalesce(min(id), 0), coalesce(max(id), -1) + 1 FROM trades";
        let (mut low, mut high): (i64, i64) = self
            .connection
            .prepare_cached(bounds)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        while low < high {
            let middle = low + (high - low) / 2;
            let found = at.query_row([middle], |row| row.get::<_, Unsigned>(0)).optional()?;
            if found.is_some_and(|found| found.0 < batch) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// The fields that are specific to an element's kind.
fn fields(element: &Element) -> Vec<(String, String)> {
    let named = |fields: Vec<(&str, String)>| {
        let own = fields.into_iter().filter(|(name, _)| !NOT_LISTED.contains(name));
        own.map(|(name, value)| (name.to_string(), value)).collect()
    };
    match element {
        Element::Signed(signed) => named(signed.transaction.fields()),
        Element::Guide(guide) => named(vec![
            ("market", guide.order.market.clone()),
            ("side", guide.order.side.to_string()),
            ("quantity", guide.order.quantity.to_string()),
            ("price", guide.order.price.to_string()),
        ]),
    }
}
