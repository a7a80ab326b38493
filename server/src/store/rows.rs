//! What a batch writes: the rows of its effects.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use zellbook_core::event::{Event, Fill, Outcome};
use zellbook_core::exchange::Exchange;
use zellbook_core::genesis::MarketIndex;
use zellbook_core::key::PublicKey;
use zellbook_core::transaction::{Side, TimeInForce, TransactionHash};
use zellbook_core::units::{Lots, Ticks};
use zellbook_core::wire::OrderStatus;

/// A batch that was applied, with all that is stored of it.
#[derive(Clone, Debug)]
pub struct AppliedBatch {
    /// Index in the sequence.
    pub index: u64,
    /// As it was finalized.
    pub body: String,
    /// The network's chaining hash with it.
    pub chaining_hash: String,
    /// The time of the proof that covers it, Unix milliseconds.
    pub time_ms: u64,
    /// When this replica applied it, Unix milliseconds.
    pub applied_ms: u64,
    /// What it did.
    pub outcome: Outcome,
    /// Orders that it accepted.
    pub accepted: Vec<OrderRow>,
    /// What is left of the orders that it changed, and their status.
    pub changed: BTreeMap<u64, (Lots, OrderStatus)>,
    /// Its trades.
    pub trades: Vec<TradeRow>,
}

impl AppliedBatch {
    fn events(&self) -> impl Iterator<Item = &Event> {
        self.outcome
            .transactions
            .iter()
            .filter_map(|outcome| outcome.result.as_ref().ok())
            .flatten()
    }

    /// Price levels that may have changed.
    pub fn touched_levels(&self) -> impl Iterator<Item = (MarketIndex, Side, Ticks)> {
        self.events().filter_map(|event| match event {
            Event::Accepted { market, side, price, .. }
            | Event::Cancelled { market, side, price, .. } => Some((*market, *side, *price)),
            Event::Filled(fill) => Some((fill.market, fill.taker_side.opposite(), fill.price)),
            Event::Deposited { .. } | Event::Transferred { .. } => None,
        })
    }

    /// Accounts whose balances, orders or fills may have changed.
    pub fn touched_accounts(&self) -> impl Iterator<Item = PublicKey> {
        self.events().flat_map(|event| match event {
            Event::Accepted { account, .. }
            | Event::Cancelled { account, .. }
            | Event::Deposited { account, .. } => [*account, *account],
            Event::Transferred { from, to, .. } => [*from, *to],
            Event::Filled(fill) => [fill.maker, fill.taker],
        })
    }
}

/// An order as it was accepted.
#[derive(Clone, Copy, Debug)]
pub struct OrderRow {
    /// Order id.
    pub id: u64,
    /// The transaction.
    pub hash: TransactionHash,
    /// Whose.
    pub account: PublicKey,
    /// Market.
    pub market: MarketIndex,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: Ticks,
    /// Quantity.
    pub quantity: Lots,
    /// Time in force.
    pub time_in_force: TimeInForce,
}

/// A trade with where and when it happened.
#[derive(Clone, Copy, Debug)]
pub struct TradeRow {
    /// The trade.
    pub fill: Fill,
    /// Its batch.
    pub batch: u64,
    /// The time of the proof, Unix milliseconds.
    pub time_ms: u64,
}

/// Orders accepted, orders changed and trades of a batch. `exchange` is as the batch left it.
#[expect(clippy::type_complexity, reason = "three fields of AppliedBatch")]
pub fn rows_of(
    exchange: &Exchange,
    outcome: &Outcome,
    time_ms: u64,
) -> (Vec<OrderRow>, BTreeMap<u64, (Lots, OrderStatus)>, Vec<TradeRow>) {
    let mut accepted = Vec::new();
    let mut trades = Vec::new();
    let mut touched = BTreeMap::new();
    for transaction in &outcome.transactions {
        let (Ok(events), Some(hash)) = (&transaction.result, transaction.hash) else { continue };
        for event in events {
            match event {
                &Event::Accepted {
                    order,
                    account,
                    market,
                    side,
                    price,
                    quantity,
                    time_in_force,
                } => {
                    touched.insert(order, None);
                    let id = order;
                    accepted.push(OrderRow {
                        id,
                        hash,
                        account,
                        market,
                        side,
                        price,
                        quantity,
                        time_in_force,
                    });
                }
                Event::Filled(fill) => {
                    touched.insert(fill.maker_order, None);
                    touched.insert(fill.taker_order, None);
                    trades.push(TradeRow { fill: *fill, batch: outcome.index, time_ms });
                }
                Event::Cancelled { order, remaining, .. } => {
                    touched.insert(*order, Some(*remaining));
                }
                Event::Deposited { .. } | Event::Transferred { .. } => {}
            }
        }
    }
    let changed = touched
        .into_iter()
        .map(|(id, cancelled)| {
            let state = match (cancelled, exchange.order(id)) {
                (Some(remaining), _) => (remaining, OrderStatus::Cancelled),
                (None, Some((_, order))) => (order.remaining, OrderStatus::Open),
                (None, None) => (Lots(0), OrderStatus::Filled),
            };
            (id, state)
        })
        .collect();
    (accepted, changed, trades)
}

pub(super) const fn status_name(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Open => "open",
        OrderStatus::Filled => "filled",
        OrderStatus::Cancelled => "cancelled",
    }
}

pub(super) fn write_batch(
    transaction: &Transaction<'_>,
    batch: &AppliedBatch,
) -> rusqlite::Result<()> {
    let outcomes = &batch.outcome.transactions;
    let applied: usize = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    transaction
        .prepare_cached("INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            batch.index.cast_signed(),
            batch.body,
            batch.chaining_hash,
            batch.outcome.root,
            applied.cast_signed(),
            (outcomes.len() - applied).cast_signed(),
            batch.applied_ms.cast_signed(),
        ])?;
    write_state(transaction, batch)?;
    write_transactions(transaction, batch)?;
    write_orders(transaction, batch)?;
    write_trades(transaction, batch)
}

fn write_state(transaction: &Transaction<'_>, batch: &AppliedBatch) -> rusqlite::Result<()> {
    let mut set = transaction.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2)")?;
    let mut remove = transaction.prepare_cached("DELETE FROM state WHERE key = ?1")?;
    for (key, value) in &batch.outcome.changes {
        match value {
            Some(value) => set.execute(params![key, value])?,
            None => remove.execute([key])?,
        };
    }
    Ok(())
}

fn write_transactions(transaction: &Transaction<'_>, batch: &AppliedBatch) -> rusqlite::Result<()> {
    // The first outcome of a hash is its only one; a copy that comes later had no effect.
    let mut insert = transaction.prepare_cached(
        "INSERT OR IGNORE INTO transactions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (position, outcome) in batch.outcome.transactions.iter().enumerate() {
        let (Some(hash), Some(account), Some(kind)) = (outcome.hash, outcome.account, outcome.kind)
        else {
            continue;
        };
        let reject = outcome.result.as_ref().err();
        let order = outcome.result.as_ref().ok().and_then(|events| {
            events.iter().find_map(|event| match event {
                Event::Accepted { order, .. } => Some(order.cast_signed()),
                _ => None,
            })
        });
        insert.execute(params![
            hash.0,
            batch.index.cast_signed(),
            position.cast_signed(),
            kind,
            account.as_bytes(),
            reject.map(zellbook_core::reject::Reject::code),
            reject.map(zellbook_core::reject::Reject::name),
            reject.map(ToString::to_string),
            order,
        ])?;
    }
    Ok(())
}

fn write_orders(transaction: &Transaction<'_>, batch: &AppliedBatch) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, 'open', ?9, ?10)",
    )?;
    for order in &batch.accepted {
        insert.execute(params![
            order.id.cast_signed(),
            order.hash.0,
            order.account.as_bytes(),
            order.market.0,
            order.side.name(),
            order.price.0.cast_signed(),
            order.quantity.0.cast_signed(),
            order.time_in_force.name(),
            batch.index.cast_signed(),
            batch.time_ms.cast_signed(),
        ])?;
    }
    let mut update = transaction
        .prepare_cached("UPDATE orders SET remaining = ?2, status = ?3 WHERE id = ?1")?;
    for (id, (remaining, status)) in &batch.changed {
        update.execute(params![
            id.cast_signed(),
            remaining.0.cast_signed(),
            status_name(*status)
        ])?;
    }
    Ok(())
}

fn write_trades(transaction: &Transaction<'_>, batch: &AppliedBatch) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO trades VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for TradeRow { fill, batch, time_ms } in &batch.trades {
        insert.execute(params![
            fill.trade.cast_signed(),
            fill.market.0,
            fill.price.0.cast_signed(),
            fill.quantity.0.cast_signed(),
            fill.taker_side.name(),
            fill.maker_order.cast_signed(),
            fill.taker_order.cast_signed(),
            fill.maker.as_bytes(),
            fill.taker.as_bytes(),
            batch.cast_signed(),
            time_ms.cast_signed(),
        ])?;
    }
    Ok(())
}
