//! Beginning with a snapshot in place of the first batch.

use rusqlite::{Transaction, params};
use zellbook_core::book::HashPrefix;
use zellbook_core::leaf::LeafKey;
use zellbook_core::state_root::Hash;
use zellbook_core::wire::OrderStatus;
use zellular::Position;

use super::accounts::Numbers;
use super::write::status_name;
use super::{Store, StoreError};

impl Store {
    /// Fills an empty database with the leaves of a state that was checked, which is that after a batch.
    pub fn begin(
        &mut self,
        leaves: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        root: &Hash,
        position: &Position,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let begin = || {
            let transaction = self.connection.transaction()?;
            transaction.execute(
                "INSERT INTO start VALUES (?1, ?2, ?3)",
                params![position.index.cast_signed(), root, position.chaining_hash],
            )?;
            for (key, value) in leaves {
                transaction
                    .prepare_cached("INSERT INTO state VALUES (?1, ?2)")?
                    .execute([&key, &value])?;
                // The leaves were checked: each key can be read.
                if let Ok(leaf) = LeafKey::from_bytes(&key) {
                    write_view(&transaction, position.index, &leaf, &value)?;
                }
            }
            transaction.commit()
        };
        begin().map_err(|error| StoreError::Sqlite { path, error })
    }

    /// Moves all that was written into the one file, and closes it.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { path, connection } = self;
        let sqlite = |error| StoreError::Sqlite { path: path.clone(), error };
        connection.pragma_update(None, "wal_checkpoint", "TRUNCATE").map_err(sqlite)?;
        connection.close().map_err(|(_, error)| sqlite(error))
    }
}

/// The rows of the API's views that a leaf says. What was before the snapshot is in no view.
fn write_view(
    transaction: &Transaction<'_>,
    batch: u64,
    leaf: &LeafKey,
    value: &[u8],
) -> rusqlite::Result<()> {
    let mut numbers = Numbers(value);
    match leaf {
        LeafKey::Order(account, id) => {
            let (market, side) = (numbers.u16(), numbers.take::<1>());
            let [price, quantity, _, remaining] = [(); 4].map(|()| numbers.u64());
            // The state has no more of the hash of the transaction that placed it.
            let hash: HashPrefix = numbers.take();
            let expires = numbers.u64();
            let expires = (expires > 0).then_some(expires);
            let client_id = std::str::from_utf8(numbers.0).ok().filter(|name| !name.is_empty());
            // That an order was post-only is no part of the state.
            let time_in_force = if expires.is_some() { "gtd" } else { "gtc" };
            let mut insert = transaction.prepare_cached(
                "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?;
            insert.execute(params![
                id.cast_signed(),
                hash,
                account.as_bytes(),
                market,
                if side == [0] { "buy" } else { "sell" },
                price.cast_signed(),
                quantity.cast_signed(),
                remaining.cast_signed(),
                time_in_force,
                expires.map(u64::cast_signed),
                client_id,
                status_name(OrderStatus::Open),
                None::<&str>,
                batch.cast_signed(),
                // When it was placed is not known.
                0,
            ])?;
        }
        LeafKey::Withdrawal(number) => {
            let (account, token) = (numbers.take::<33>(), numbers.u16());
            let amount = numbers.atoms();
            let destination = std::str::from_utf8(numbers.0).unwrap_or_default();
            transaction
                .prepare_cached("INSERT INTO withdrawals VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![
                    number.cast_signed(),
                    account,
                    token,
                    amount.0.to_string(),
                    destination,
                    batch.cast_signed(),
                ])?;
        }
        _ => {}
    }
    Ok(())
}
