//! Read access for the API, over connections of its own.
//!
//! In WAL mode a reader never blocks the writer, and sees the database as of the start of its transaction.
//! So everything that one [`View`] returns is after the same batch.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use zellbook_core::engine::Maker;
use zellbook_core::types::MarketIndex;
use zellbook_core::wire::{
    OrderBody, OrderStatus, RejectBody, Stage, TradeBody, TransactionStatus,
};
use zellbook_core::{LeafKey, Market, PublicKey, Reject, Rules, Side, Ticks, TimeInForce};

use super::error::{QueryError, StoreError};
use super::restore::{Loaded, restore};
use super::rows::{OrderState, side_number};

/// The most idle connections that are kept for later requests.
const IDLE_CONNECTIONS_MAX: usize = 16;
/// The columns that [`View::order`] reads.
pub(super) const ORDER_COLUMNS: &str = "id, hash, market, side, price, quantity, remaining, time_in_force, status, batch, time_ms, \
     expires, client_id, reason";
/// The columns that [`View::trade`] reads.
pub(super) const TRADE_COLUMNS: &str =
    "id, market, price, quantity, taker_side, maker_order, taker_order, batch, time_ms";

/// The query of [`View::trades_since`].
pub(super) const TRADES_SINCE: &str = "SELECT market, price, quantity, time_ms
     FROM trades INDEXED BY trades_by_time WHERE time_ms >= ?1 ORDER BY time_ms, id";

/// The query for columns of a market's orders on one side, best first. Prices of 2^63 and above are stored as negative numbers, so they are
/// sorted by sign first. The side is part of the text and not a parameter: only then can SQLite use the
/// partial index of that side.
pub(super) fn best_first(columns: &str, side: Side) -> String {
    let direction = if side == Side::Buy { "DESC" } else { "ASC" };
    let side = side_number(side);
    format!(
        "SELECT {columns} FROM orders
         WHERE market = ?1 AND side = {side} AND status = 0
         ORDER BY price < 0 {direction}, price {direction}, id LIMIT ?2"
    )
}

/// A pool of read-only connections to a replica's store.
#[derive(Clone, Debug)]
pub struct Reader {
    path: PathBuf,
    rules: Arc<Rules>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A `u64` that SQLite stores as the signed integer with the same bits.
pub(super) struct Unsigned(pub u64);

impl FromSql for Unsigned {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|signed| Self(signed.cast_unsigned()))
    }
}

/// A value that is stored as its name.
pub(super) struct Named<T>(pub T);

impl<T: std::str::FromStr> FromSql for Named<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(|_| FromSqlError::InvalidType)
    }
}

pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get::<_, Unsigned>(column).map(|number| number.0.to_string())
}

fn side(row: &Row<'_>, column: usize) -> rusqlite::Result<Side> {
    match row.get(column)? {
        0 => Ok(Side::Buy),
        1 => Ok(Side::Sell),
        other => Err(rusqlite::Error::IntegralValueOutOfRange(column, other)),
    }
}

impl Reader {
    /// A reader of an existing database.
    pub fn new(path: &Path, rules: Arc<Rules>) -> Self {
        Self { path: path.to_path_buf(), rules, idle: Arc::default() }
    }

    pub const fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Adds the path to an error of a query.
    pub fn error(&self, error: QueryError) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), error: error.0 }
    }

    /// Runs a query in one read transaction, off the async threads. The turn is held until the query ends.
    pub async fn read<T: Send + 'static>(
        &self,
        turn: impl Send + 'static,
        query: impl FnOnce(&View<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let reader = self.clone();
        // The turn goes with the query and not with this future: a client that disconnects drops the future,
        // but a query that has begun goes on.
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            reader.read_now(query)
        });
        // The query panicked, or the runtime is stopping. The API answers both as an internal error.
        task.await.unwrap_or_else(|_| Err(QueryError(rusqlite::Error::InvalidQuery)))
    }

    /// Runs a query in one read transaction, on this thread.
    pub fn read_now<T>(
        &self,
        query: impl FnOnce(&View<'_>) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        // Taken out of the pool while it is in use. So each connection is used by one thread at a time, as
        // NO_MUTEX below demands, and the pool is not locked during a query.
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&self.path, flags)?;
                connection.busy_timeout(Duration::from_secs(10))?;
                connection
            }
        };
        let result = {
            // Never committed. It only pins the snapshot of the database that the first query sees. If it
            // cannot be started, the connection is dropped instead of put back.
            let transaction = connection.unchecked_transaction()?;
            query(&View { connection: &transaction, rules: &self.rules })
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
        result
    }
}

/// A consistent view of the store, after one batch.
pub struct View<'a> {
    pub(super) connection: &'a Connection,
    pub(super) rules: &'a Rules,
}

impl View<'_> {
    pub const fn rules(&self) -> &Rules {
        self.rules
    }

    pub(super) fn market(&self, row: &Row<'_>, column: usize) -> rusqlite::Result<&Market> {
        let index = MarketIndex(row.get(column)?);
        self.rules.listing.market_at(index).ok_or(rusqlite::Error::InvalidColumnIndex(column))
    }

    /// Whether a transaction has an outcome that stays. A reject for an unknown signer does not: the same
    /// transaction can be posted again, and then be applied.
    pub fn has_transaction(&self, hash: &[u8; 32]) -> Result<bool, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM transactions WHERE hash = ?1 AND reject_code IS NOT ?2")?
            .exists(params![hash, Reject::UNKNOWN_SIGNER])?)
    }

    /// Those of the transactions that have an outcome that stays.
    pub fn known_transactions(&self, hashes: &[[u8; 32]]) -> Result<HashSet<[u8; 32]>, QueryError> {
        // One look-up each: a list of parameters would be another statement for every length of the list.
        let mut known = HashSet::new();
        for hash in hashes {
            if self.has_transaction(hash)? {
                known.insert(*hash);
            }
        }
        Ok(known)
    }

    pub fn has_leaf(&self, key: &LeafKey) -> Result<bool, QueryError> {
        Ok(self.leaf(key)?.is_some())
    }

    pub fn leaf(&self, key: &LeafKey) -> Result<Option<Vec<u8>>, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT value FROM state WHERE key = ?1")?
            .query_row([key.to_bytes()], |row| row.get(0))
            .optional()?)
    }

    /// The exchange's time, in Unix milliseconds.
    pub fn time(&self) -> Result<u64, QueryError> {
        let counters = self.leaf(&LeafKey::Counters)?.unwrap_or_default();
        // The time is the last field of the counters.
        let time = counters.last_chunk::<8>();
        Ok(time.map_or(0, |time| u64::from_be_bytes(*time)))
    }

    /// Rebuilds the engine and checks its root.
    pub fn load(&self, rules: &Arc<Rules>, path: &Path) -> Result<Loaded, StoreError> {
        restore(self.connection, path, rules)
    }

    /// The first resting orders of a side of a market, in the order in which they would be matched.
    pub fn resting(
        &self,
        market: MarketIndex,
        side: Side,
        account: Option<PublicKey>,
        limit: u32,
    ) -> Result<Vec<Maker<()>>, QueryError> {
        let sql = best_first("price, remaining, account", side);
        let account = match account {
            Some(account) => self.account_id(&account)?,
            None => None,
        };
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_map(params![market.0, limit], |row| {
                let owner: i64 = row.get(2)?;
                Ok(Maker {
                    price: Ticks(row.get::<_, Unsigned>(0)?.0),
                    remaining: row.get::<_, Unsigned>(1)?.0.into(),
                    // One maker for each order and not for each level: a simulation counts makers, and it
                    // must know which of them are the account's own.
                    orders: 1,
                    is_own: account == Some(owner),
                    key: (),
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// The status of a transaction that has an outcome.
    pub fn transaction(&self, hash: &[u8; 32]) -> Result<Option<TransactionStatus>, QueryError> {
        let mut query = self.connection.prepare_cached(
            "SELECT batch, position, kind,
                (SELECT key FROM accounts WHERE id = account), reject_code, reject_name, reject_message, order_id,
                (SELECT timestamp FROM proofs WHERE idx >= batch ORDER BY idx LIMIT 1),
                (SELECT applied_ms FROM batches WHERE idx = batch)
             FROM transactions WHERE hash = ?1",
        )?;
        let certified = self.certified_batch()?;
        let found = query
            .query_row([hash], |row| {
                let batch = row.get::<_, Unsigned>(0)?.0;
                let account: Vec<u8> = row.get(3)?;
                let reject = match row.get::<_, Option<u16>>(4)? {
                    Some(code) => Some(RejectBody {
                        code: code.to_string(),
                        name: row.get(5)?,
                        message: row.get(6)?,
                    }),
                    None => None,
                };
                let status = TransactionStatus {
                    hash: hex::encode(hash),
                    status: if reject.is_some() { Stage::Rejected } else { Stage::Applied },
                    kind: row.get(2)?,
                    account: Some(hex::encode(account)),
                    received_ms: None,
                    posted_ms: None,
                    posts: None,
                    receipt: None,
                    sequenced_ms: Some((row.get::<_, i64>(8)?.saturating_mul(1000)).to_string()),
                    applied_ms: Some(text(row, 9)?),
                    batch: Some(batch.to_string()),
                    certified: Some(batch) <= certified,
                    position: Some(text(row, 1)?),
                    reject,
                    order: None,
                };
                Ok((status, row.get::<_, Option<i64>>(7)?))
            })
            .optional()?;
        let Some((mut status, order)) = found else { return Ok(None) };
        if self.is_before_start(&status)? {
            (status.status, status.reject) = (Stage::BeforeStart, None);
        }
        if let Some(order) = order {
            let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE id = ?1");
            status.order = self
                .connection
                .prepare_cached(&sql)?
                .query_row([order], |row| self.order(row))
                .optional()?;
        }
        Ok(Some(status))
    }

    pub(super) fn order(&self, row: &Row<'_>) -> rusqlite::Result<OrderBody> {
        let status = match row.get(8)? {
            0 => OrderStatus::Open,
            1 => OrderStatus::Filled,
            2 => OrderStatus::Cancelled,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(8, other)),
        };
        let remaining = row.get::<_, Unsigned>(6)?.0;
        self.order_body(row, row.get::<_, Unsigned>(5)?.0, remaining, status, row.get(13)?)
    }

    /// An order in another state than the stored one, which may be of a later batch.
    pub(super) fn order_in_state(
        &self,
        row: &Row<'_>,
        state: &OrderState,
    ) -> rusqlite::Result<OrderBody> {
        // Without a quantity in the state, the order is closed. Then nothing can reduce it later, so that the
        // stored quantity is the right one.
        let quantity = match state.quantity {
            Some(quantity) => quantity.0,
            None => row.get::<_, Unsigned>(5)?.0,
        };
        let reason = state.reason.map(|reason| reason.name().into());
        self.order_body(row, quantity, state.remaining.0, state.status, reason)
    }

    fn order_body(
        &self,
        row: &Row<'_>,
        quantity: u64,
        remaining: u64,
        status: OrderStatus,
        reason: Option<String>,
    ) -> rusqlite::Result<OrderBody> {
        let market = self.market(row, 2)?;
        let hash: Vec<u8> = row.get(1)?;
        // For a cancelled order the stored number is the part that was cancelled. Nothing of it remains.
        let open = if status == OrderStatus::Open { remaining } else { 0 };
        Ok(OrderBody {
            id: text(row, 0)?,
            hash: hex::encode(hash),
            market: market.name.clone(),
            side: side(row, 3)?,
            price: market.format_price(Ticks(row.get::<_, Unsigned>(4)?.0)),
            quantity: market.format_quantity(quantity.into()),
            filled: market.format_quantity(quantity.saturating_sub(remaining).into()),
            remaining: market.format_quantity(open.into()),
            time_in_force: row.get::<_, Named<TimeInForce>>(7)?.0,
            expires_ms: row.get::<_, Option<Unsigned>>(11)?.map(|time| time.0.to_string()),
            client_id: row.get(12)?,
            status,
            reason,
            batch: text(row, 9)?,
            time_ms: text(row, 10)?,
        })
    }

    pub(super) fn trade(&self, row: &Row<'_>) -> rusqlite::Result<TradeBody> {
        let market = self.market(row, 1)?;
        Ok(TradeBody {
            id: text(row, 0)?,
            market: market.name.clone(),
            price: market.format_price(Ticks(row.get::<_, Unsigned>(2)?.0)),
            quantity: market.format_quantity(row.get::<_, Unsigned>(3)?.0.into()),
            taker_side: side(row, 4)?,
            maker_order: text(row, 5)?,
            taker_order: text(row, 6)?,
            batch: text(row, 7)?,
            time_ms: text(row, 8)?,
        })
    }

    /// The trades of a market with a lower id, newest first.
    pub fn trades(
        &self,
        market: MarketIndex,
        before: u64,
        limit: u32,
    ) -> Result<Vec<TradeBody>, QueryError> {
        let sql = format!(
            "SELECT {TRADE_COLUMNS} FROM trades WHERE market = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        );
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_map(params![market.0, before, limit], |row| self.trade(row))?
            .collect::<rusqlite::Result<_>>()?)
    }

    pub fn last_price(&self, market: MarketIndex) -> Result<Option<Ticks>, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT price FROM trades WHERE market = ?1 ORDER BY id DESC LIMIT 1")?
            .query_row([market.0], |row| row.get::<_, Unsigned>(0).map(|price| Ticks(price.0)))
            .optional()?)
    }

    /// Calls `each` with market, price, quantity and time of every trade since a time, oldest first.
    pub fn trades_since(
        &self,
        time_ms: u64,
        mut each: impl FnMut(MarketIndex, Ticks, u64, u64),
    ) -> Result<(), QueryError> {
        let mut query = self.connection.prepare(TRADES_SINCE)?;
        let mut rows = query.query([time_ms.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let number = |column| row.get::<_, Unsigned>(column).map(|number| number.0);
            each(MarketIndex(row.get(0)?), Ticks(number(1)?), number(2)?, number(3)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use zellbook_core::SecretKey;

    use super::*;
    use crate::config::test_rules;
    use crate::store::Store;

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_any_more_holds_its_turn_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        let rules = Arc::new(test_rules(key, key));
        let path = folder.path().join("replica.sqlite");
        let _store = Store::open(&path, &rules).unwrap();
        let reader = Reader::new(&path, rules);
        let turn = Arc::new(());
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let own = Arc::clone(&turn);
        let read = tokio::spawn(async move {
            let query = move |_: &View<'_>| {
                begin.send(()).unwrap();
                let _ = ended.recv();
                Ok(())
            };
            reader.read(own, query).await
        });
        begun.await.unwrap();
        // The client disconnects.
        read.abort();
        assert!(read.await.unwrap_err().is_cancelled());
        assert_eq!(Arc::strong_count(&turn), 2, "the query still runs");
        drop(end);
        let ended = async {
            while Arc::strong_count(&turn) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), ended).await.is_ok());
    }
}
