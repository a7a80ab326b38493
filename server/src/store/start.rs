//! Starting a store from a snapshot instead of from the first batch.

use rusqlite::{OptionalExtension, Transaction, params};
use zellbook_core::protocol::{ReplayGuard, check_element, elements};
use zellbook_core::state::{OrderLeaf, Withdrawal};
use zellbook_core::types::limits::NONCES_KEPT;
use zellbook_core::wire::{OrderStatus, TransactionStatus};
use zellbook_core::{Hash, LeafKey, PublicKey};
use zellular::Position;

use super::account_ids::AccountIds;
use super::error::{QueryError, StoreError};
use super::reader::View;
use super::rows::{side_number, status_number};
use super::write::INSERT_ORDER;
use super::writer::Store;

impl Store {
    /// Fills an empty database with the leaves of a verified state, the one after the batch at `position`.
    pub fn begin(
        &mut self,
        leaves: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        root: &Hash,
        position: &Position,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let sqlite = |error| StoreError::Sqlite { path: path.clone(), error };
        let corrupt = |error| StoreError::Corrupt { path: path.clone(), error };
        // One transaction for all leaves: a crash leaves an empty database and not a part of a state.
        let transaction = self.connection.transaction().map_err(sqlite)?;
        let start = params![position.index.cast_signed(), root, position.chaining_hash];
        transaction.execute("INSERT INTO start VALUES (?1, ?2, ?3)", start).map_err(sqlite)?;
        let mut accounts = AccountIds::default();
        for (key, value) in leaves {
            transaction
                .prepare_cached("INSERT INTO state VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute([&key, &value]))
                .map_err(sqlite)?;
            // The API's views start with what is in the state. They have no history before the snapshot.
            match LeafKey::from_bytes(&key).map_err(corrupt)? {
                LeafKey::Order(account, id) => {
                    let order = OrderLeaf::read(&value).map_err(corrupt)?;
                    accounts.id(&transaction, &account).and_then(|account| {
                        write_order(&transaction, position.index, account, id, &order)
                    })
                }
                LeafKey::Nonces(key) => write_nonces(&transaction, key.as_bytes(), &value),
                LeafKey::Withdrawal(number) => {
                    let withdrawal = Withdrawal::read(&value).map_err(corrupt)?;
                    write_withdrawal(&transaction, position.index, number, &withdrawal)
                }
                _ => Ok(()),
            }
            .map_err(sqlite)?;
        }
        transaction.commit().map_err(sqlite)
    }

    /// Moves everything from the write-ahead log into the database file, and closes it.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { path, connection, .. } = self;
        let sqlite = |error| StoreError::Sqlite { path: path.clone(), error };
        // The caller moves the database file alone. Commits that are only in the log would stay behind.
        connection.pragma_update(None, "wal_checkpoint", "TRUNCATE").map_err(sqlite)?;
        connection.close().map_err(|(_, error)| sqlite(error))
    }
}

fn write_nonces(transaction: &Transaction<'_>, key: &[u8], nonces: &[u8]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO start_nonces VALUES (?1, ?2)")?;
    insert.execute([key, nonces]).map(drop)
}

impl View<'_> {
    /// Whether a transaction that was rejected because its nonce was used may have been applied before the snapshot that
    /// this replica started from. A replica that has every batch shows that first outcome.
    pub(super) fn is_before_start(&self, status: &TransactionStatus) -> Result<bool, QueryError> {
        let name = status.reject.as_ref().map(|reject| reject.name.as_str());
        if !matches!(name, Some("nonce_used" | "nonce_too_old")) || self.start()? == 0 {
            return Ok(false);
        }
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        let (batch, position) = (number(&status.batch), number(&status.position));
        let body = self.body(batch.unwrap_or(0))?.unwrap_or_default();
        let elements = elements(body.as_bytes());
        let element = position.and_then(|at| elements.get(usize::try_from(at).ok()?).copied());
        let checked = element.and_then(|element| check_element(self.rules, element.get()).ok());
        let Some(checked) = checked else { return Ok(false) };
        // An order in the guide's format is used up as a whole. Had it been used since, its first use would be stored.
        let ReplayGuard::Nonce(nonce) = checked.replay_guard else { return Ok(true) };
        self.was_used_before_start(&checked.signer, nonce)
    }

    /// Whether a nonce was or may have been used up before the snapshot that this replica started from.
    pub fn was_used_before_start(
        &self,
        signer: &PublicKey,
        nonce: u64,
    ) -> Result<bool, QueryError> {
        let used: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT nonces FROM start_nonces WHERE key = ?1")?
            .query_row([signer.as_bytes()], |row| row.get(0))
            .optional()?;
        let used = used.unwrap_or_default();
        let used: Vec<u64> =
            used.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
        // Below a full window nothing tells which nonces were used.
        let is_below = used.len() >= NONCES_KEPT && used.first().is_some_and(|low| nonce < *low);
        Ok(is_below || used.contains(&nonce))
    }
}

fn write_order(
    transaction: &Transaction<'_>,
    batch: u64,
    account: i64,
    id: u64,
    order: &OrderLeaf,
) -> rusqlite::Result<()> {
    // The state does not say that an order was post-only.
    let time_in_force = if order.expires.is_some() { "gtd" } else { "gtc" };
    let mut insert = transaction.prepare_cached(INSERT_ORDER)?;
    insert.execute(params![
        id.cast_signed(),
        // The state has only this prefix of the hash of the transaction that placed the order.
        order.hash,
        account,
        order.market.0,
        side_number(order.side),
        order.price.0.cast_signed(),
        order.quantity.0.cast_signed(),
        order.remaining.0.cast_signed(),
        time_in_force,
        order.expires.map(u64::cast_signed),
        order.client_id,
        status_number(OrderStatus::Open),
        None::<&str>,
        batch.cast_signed(),
        // The time at which it was placed is not in the state.
        0,
    ])?;
    Ok(())
}

fn write_withdrawal(
    transaction: &Transaction<'_>,
    batch: u64,
    number: u64,
    withdrawal: &Withdrawal,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO withdrawals VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            number.cast_signed(),
            withdrawal.account.as_bytes(),
            withdrawal.token.0,
            withdrawal.amount.0.to_string(),
            withdrawal.destination,
            batch.cast_signed(),
        ])?;
    Ok(())
}
