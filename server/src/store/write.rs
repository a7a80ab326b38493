//! Writes the rows of a commit.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use zellbook_core::protocol::CancelReason;
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::LedgerKind;
use zellbook_core::{Atoms, Event, PublicKey, Reject};

use super::account_ids::AccountIds;
use super::body::Body;
use super::candles::write_candles;
use super::rows::{AppliedBatch, OrderState, TradeRow, side_number, status_number};

pub(super) const INSERT_ORDER: &str = "INSERT INTO orders
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

/// Writes the batches of one commit. What several of them change is written once, as it is after the last one. Rows are
/// written in the order of their keys, so that neighbours are on pages that are at hand.
///
/// Returns the number of transactions that already had an outcome.
pub(super) fn write_batches(
    transaction: &Transaction<'_>,
    accounts: &mut AccountIds,
    batches: &[AppliedBatch],
) -> rusqlite::Result<u64> {
    for batch in batches {
        write_batch(transaction, batch)?;
    }
    write_state(transaction, batches)?;
    let duplicates = write_transactions(transaction, accounts, batches)?;
    write_orders(transaction, accounts, batches)?;
    write_trades(transaction, accounts, batches)?;
    write_candles(transaction, batches)?;
    for batch in batches {
        for (position, event) in batch.positioned_events() {
            write_event(transaction, batch.index, position, event)?;
            write_ledger(transaction, batch, position, event)?;
        }
    }
    Ok(duplicates)
}

fn write_batch(transaction: &Transaction<'_>, batch: &AppliedBatch) -> rusqlite::Result<()> {
    let outcomes = &batch.outcome.transactions;
    let applied: usize = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    transaction
        // Without OR REPLACE: a batch that is stored already must fail the commit, since it would be applied
        // twice (I12).
        .prepare_cached("INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            batch.index.cast_signed(),
            Body(batch.body.as_str()),
            batch.body.len().cast_signed(),
            batch.chaining_hash,
            batch.outcome.root,
            applied.cast_signed(),
            (outcomes.len() - applied).cast_signed(),
            batch.applied_ms.cast_signed(),
        ])
        .map(drop)
}

fn write_state(transaction: &Transaction<'_>, batches: &[AppliedBatch]) -> rusqlite::Result<()> {
    let mut set = transaction.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2)")?;
    let mut remove = transaction.prepare_cached("DELETE FROM state WHERE key = ?1")?;
    let changes = batches.iter().flat_map(|batch| &batch.outcome.changes);
    // Later changes of a leaf take the place of earlier ones.
    let last: BTreeMap<&[u8], Option<&[u8]>> =
        changes.map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
    for (key, value) in last {
        match value {
            Some(value) => set.execute(params![key, value])?,
            None => remove.execute([key])?,
        };
    }
    Ok(())
}

fn write_transactions(
    transaction: &Transaction<'_>,
    accounts: &mut AccountIds,
    batches: &[AppliedBatch],
) -> rusqlite::Result<u64> {
    // A transaction's first outcome is its only one, and copies later in the sequence have no effect. The
    // exception is a reject that leaves the nonce unused: the next other outcome takes the place of that row.
    let mut insert = transaction.prepare_cached(
        "INSERT INTO transactions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (hash) DO UPDATE SET batch = excluded.batch, position = excluded.position,
            reject_code = excluded.reject_code, reject_name = excluded.reject_name,
            reject_message = excluded.reject_message, order_id = excluded.order_id
         WHERE reject_code = ?10 AND excluded.reject_code IS NOT ?10",
    )?;
    let outcomes = batches.iter().flat_map(|batch| {
        let outcomes = batch.outcome.transactions.iter().enumerate();
        outcomes.map(|(position, outcome)| (batch.index, position, outcome))
    });
    // Malformed ones, and those with a bad signature, have no hash to be found by, and their reject follows from the
    // body alone.
    let mut outcomes: Vec<_> = outcomes
        .filter_map(|(batch, position, outcome)| Some((outcome.hash?, batch, position, outcome)))
        .collect();
    outcomes.sort_unstable_by_key(|(hash, batch, position, _)| (*hash, *batch, *position));
    let mut duplicates = 0;
    for (hash, batch, position, outcome) in outcomes {
        let (Some(account), Some(kind)) = (outcome.account, outcome.kind) else { continue };
        let reject = outcome.result.as_ref().err();
        // The first one is the only one: a transaction places or reduces at most one order.
        let order = outcome.result.iter().flatten().find_map(|event| match event {
            Event::Accepted { order, .. } | Event::Reduced { order, .. } => {
                Some(order.cast_signed())
            }
            _ => None,
        });
        let inserted = insert.execute(params![
            hash.0,
            batch.cast_signed(),
            position.cast_signed(),
            kind,
            accounts.id(transaction, &account)?,
            reject.map(Reject::code),
            reject.map(Reject::name),
            reject.map(ToString::to_string),
            order,
            Reject::UNKNOWN_SIGNER,
        ])?;
        duplicates += u64::from(inserted == 0);
    }
    Ok(duplicates)
}

fn write_orders(
    transaction: &Transaction<'_>,
    accounts: &mut AccountIds,
    batches: &[AppliedBatch],
) -> rusqlite::Result<()> {
    let mut states: BTreeMap<u64, OrderState> = BTreeMap::new();
    for (id, state) in batches.iter().flat_map(|batch| &batch.rows.changed) {
        states.entry(*id).and_modify(|earlier| *earlier = earlier.then(*state)).or_insert(*state);
    }
    let mut insert = transaction.prepare_cached(INSERT_ORDER)?;
    let accepted = batches
        .iter()
        .flat_map(|batch| batch.rows.accepted.iter().map(move |order| (batch, order)));
    let mut first_new = u64::MAX;
    for (batch, order) in accepted {
        first_new = first_new.min(order.id);
        // Always found: `rows_of` adds every accepted order to `changed`.
        let Some(state) = states.get(&order.id) else { continue };
        insert.execute(params![
            order.id.cast_signed(),
            order.hash.0,
            accounts.id(transaction, &order.account)?,
            order.market.0,
            side_number(order.side),
            order.price.0.cast_signed(),
            // The state after the commit: an order that is placed and filled in one is written once.
            state.quantity.unwrap_or(order.quantity).0.cast_signed(),
            state.remaining.0.cast_signed(),
            order.time_in_force.name(),
            order.expires.map(u64::cast_signed),
            order.client_id,
            status_number(state.status),
            state.reason.map(CancelReason::name),
            batch.index.cast_signed(),
            batch.time_ms.cast_signed(),
        ])?;
    }
    let mut update = transaction.prepare_cached(
        "UPDATE orders SET quantity = coalesce(?2, quantity), remaining = ?3, status = ?4, reason = ?5
         WHERE id = ?1",
    )?;
    // Ids increase, so ids below the first accepted one belong to orders of earlier commits.
    for (id, state) in states.range(..first_new) {
        update.execute(params![
            id.cast_signed(),
            state.quantity.map(|quantity| quantity.0.cast_signed()),
            state.remaining.0.cast_signed(),
            status_number(state.status),
            state.reason.map(CancelReason::name),
        ])?;
    }
    Ok(())
}

fn write_trades(
    transaction: &Transaction<'_>,
    accounts: &mut AccountIds,
    batches: &[AppliedBatch],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO trades VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for TradeRow { fill, batch, time_ms } in batches.iter().flat_map(|batch| &batch.rows.trades) {
        insert.execute(params![
            fill.trade.cast_signed(),
            fill.market.0,
            fill.price.0.cast_signed(),
            fill.quantity.0.cast_signed(),
            side_number(fill.taker_side),
            fill.maker_order.cast_signed(),
            fill.taker_order.cast_signed(),
            accounts.id(transaction, &fill.maker)?,
            accounts.id(transaction, &fill.taker)?,
            fill.maker_fee.0.to_string(),
            fill.taker_fee.0.to_string(),
            batch.cast_signed(),
            time_ms.cast_signed(),
        ])?;
    }
    Ok(())
}

/// Writes the row of an event that does not concern an order, a trade or a balance.
fn write_event(
    transaction: &Transaction<'_>,
    index: u64,
    position: Option<usize>,
    event: &Event,
) -> rusqlite::Result<()> {
    let index = index.cast_signed();
    let position = position.map(usize::cast_signed);
    let key_event = |account: &PublicKey, key: &PublicKey, event: &str, expires: Option<u64>| {
        let (account, key) = (account.as_bytes(), key.as_bytes());
        transaction
            .prepare_cached("INSERT INTO key_events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![index, position, account, key, event, expires.map(u64::cast_signed)])
    };
    let switch_event = |account: &PublicKey, event: &str, time: Option<u64>| {
        let (account, time) = (account.as_bytes(), time.map(u64::cast_signed));
        transaction
            .prepare_cached("INSERT INTO switch_events VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![index, position, account, event, time])
    };
    match event {
        Event::Withdrawn { withdrawal, account, token, amount, destination } => transaction
            .prepare_cached("INSERT INTO withdrawals VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                withdrawal.cast_signed(),
                account.as_bytes(),
                token.0,
                amount.0.to_string(),
                destination,
                index,
            ]),
        Event::KeyAuthorized { account, key, expires } => {
            key_event(account, key, "authorized", Some(*expires))
        }
        Event::KeyEnded { account, key, is_revoked } => {
            key_event(account, key, if *is_revoked { "revoked" } else { "expired" }, None)
        }
        Event::SwitchSet { account, time } => {
            switch_event(account, if time.is_some() { "set" } else { "off" }, *time)
        }
        Event::SwitchFired { account } => switch_event(account, "fired", None),
        Event::Attested { replica, batch, root, clock } => transaction
            .prepare_cached("INSERT INTO attestations VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                index,
                position,
                replica.0,
                batch.cast_signed(),
                root,
                clock.cast_signed()
            ]),
        Event::Certified { batch, root } => transaction
            .prepare_cached("INSERT INTO certified VALUES (?1, ?2, ?3)")?
            .execute(params![batch.cast_signed(), root, index]),
        // Listed one by one, so that a new event does not compile before someone decides where it is stored.
        Event::Accepted { .. }
        | Event::Reduced { .. }
        | Event::Filled(_)
        | Event::Cancelled { .. }
        | Event::Deposited { .. }
        | Event::Transferred { .. } => Ok(0),
    }?;
    Ok(())
}

/// Writes the ledger entries of an event that changes a balance without a trade.
fn write_ledger(
    transaction: &Transaction<'_>,
    batch: &AppliedBatch,
    position: Option<usize>,
    event: &Event,
) -> rusqlite::Result<()> {
    let write = |account: &PublicKey,
                 kind: LedgerKind,
                 token: TokenIndex,
                 amount: Atoms,
                 with: &str| {
        transaction
            .prepare_cached(
                "INSERT INTO ledger (account, kind, token, amount, counterpart, batch, position, time_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                account.as_bytes(),
                kind.name(),
                token.0,
                amount.0.to_string(),
                with,
                batch.index.cast_signed(),
                // Never 0 for want of a position: timers move no funds, so these events are always those of a
                // transaction.
                position.unwrap_or(0).cast_signed(),
                batch.time_ms.cast_signed(),
            ])
            .map(drop)
    };
    match event {
        Event::Deposited { account, token, amount, reference } => {
            write(account, LedgerKind::Deposit, *token, *amount, reference)
        }
        Event::Withdrawn { account, token, amount, destination, .. } => {
            write(account, LedgerKind::Withdrawal, *token, *amount, destination)
        }
        Event::Transferred { from, to, token, amount } => {
            write(from, LedgerKind::TransferOut, *token, *amount, &to.to_string())?;
            write(to, LedgerKind::TransferIn, *token, *amount, &from.to_string())
        }
        _ => Ok(()),
    }
}
