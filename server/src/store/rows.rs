//! What a batch leaves behind: the rows of its effects.

use std::collections::BTreeMap;

use zellbook_core::batch::Batch;
use zellbook_core::engine::Engine;
use zellbook_core::event::{CancelReason, Event, Fill, Outcome};
use zellbook_core::key::PublicKey;
use zellbook_core::listing::MarketIndex;
use zellbook_core::state_root::Hash;
use zellbook_core::transaction::{Action, Side, TimeInForce, TransactionHash};
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
    /// Orders and trades of it.
    pub rows: Rows,
}

impl AppliedBatch {
    /// What happened, in sequence: what came due, then what transactions did, with their positions.
    pub(super) fn placed_events(&self) -> impl Iterator<Item = (Option<usize>, &Event)> {
        placed_events(&self.outcome)
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.placed_events().map(|(_, event)| event)
    }

    /// Price levels that may have changed.
    pub fn touched_levels(&self) -> impl Iterator<Item = (MarketIndex, Side, Ticks)> {
        self.events().filter_map(|event| match event {
            Event::Accepted { market, side, price, .. }
            | Event::Reduced { market, side, price, .. }
            | Event::Cancelled { market, side, price, .. } => Some((*market, *side, *price)),
            Event::Filled(fill) => Some((fill.market, fill.taker_side.opposite(), fill.price)),
            _ => None,
        })
    }

    /// Accounts of which something may have changed. Fees go to the fee account.
    pub fn touched_accounts(&self, fee_account: PublicKey) -> impl Iterator<Item = PublicKey> {
        self.events()
            .flat_map(move |event| match event {
                Event::Accepted { account, .. }
                | Event::Reduced { account, .. }
                | Event::Cancelled { account, .. }
                | Event::Deposited { account, .. }
                | Event::Withdrawn { account, .. }
                | Event::KeyAuthorized { account, .. }
                | Event::KeyEnded { account, .. }
                | Event::SwitchSet { account, .. }
                | Event::SwitchFired { account } => [Some(*account), None, None],
                Event::Transferred { from, to, .. } => [Some(*from), Some(*to), None],
                Event::Filled(fill) => {
                    let has_fee = fill.maker_fee.0 > 0 || fill.taker_fee.0 > 0;
                    [Some(fill.maker), Some(fill.taker), has_fee.then_some(fee_account)]
                }
                Event::Attested { .. } | Event::Certified { .. } => [None; 3],
            })
            .flatten()
    }

    /// Roots that replicas certified in it, with the batches that they are of.
    pub fn certified(&self) -> impl Iterator<Item = (u64, Hash)> {
        self.events().filter_map(|event| match event {
            Event::Certified { batch, root } => Some((*batch, *root)),
            _ => None,
        })
    }
}

fn placed_events(outcome: &Outcome) -> impl Iterator<Item = (Option<usize>, &Event)> {
    let transactions = outcome.transactions.iter().enumerate();
    let of_transactions = transactions.flat_map(|(position, transaction)| {
        let events = transaction.result.iter().flatten();
        events.map(move |event| (Some(position), event))
    });
    outcome.due.iter().map(|event| (None, event)).chain(of_transactions)
}

/// The rows of a batch that take more than its events to write.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Orders that it accepted.
    pub accepted: Vec<OrderRow>,
    /// What became of the orders that it accepted or changed.
    pub changed: BTreeMap<u64, OrderState>,
    /// Its trades.
    pub trades: Vec<TradeRow>,
}

/// An order as it was accepted.
#[derive(Clone, Debug)]
pub struct OrderRow {
    /// Order id.
    pub id: u64,
    /// The transaction that placed it.
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
    /// When it is cancelled, Unix milliseconds.
    pub expires: Option<u64>,
    /// The trader's own name for it.
    pub client_id: Option<String>,
}

/// What a batch left of an order.
#[derive(Clone, Copy, Debug)]
pub struct OrderState {
    /// Its quantity, if the batch reduced it.
    pub quantity: Option<Lots>,
    /// What is left of it, or was when it was cancelled.
    pub remaining: Lots,
    /// Whether it is open, filled or cancelled.
    pub status: OrderStatus,
    /// Why it was cancelled.
    pub reason: Option<CancelReason>,
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

/// What the events of a batch say of an order.
struct Touch {
    account: PublicKey,
    quantity: Option<Lots>,
    cancelled: Option<(Lots, CancelReason)>,
}

impl Touch {
    fn state(&self, engine: &Engine, id: u64) -> OrderState {
        let quantity = self.quantity;
        if let Some((remaining, reason)) = self.cancelled {
            let status = OrderStatus::Cancelled;
            return OrderState { quantity, remaining, status, reason: Some(reason) };
        }
        let account = engine.ledger().find(&self.account);
        let open = account.and_then(|account| engine.open_order(account, id));
        let (remaining, status) = match open {
            Some((_, _, order)) => (order.remaining, OrderStatus::Open),
            None => (Lots(0), OrderStatus::Filled),
        };
        OrderState { quantity, remaining, status, reason: None }
    }
}

/// The rows of a batch. `engine` is as the batch left it.
pub fn rows_of(engine: &Engine, batch: &Batch, outcome: &Outcome, time_ms: u64) -> Rows {
    let mut rows = Rows::default();
    let mut touched: BTreeMap<u64, Touch> = BTreeMap::new();
    for (position, event) in placed_events(outcome) {
        let mut touch = |id: u64, account: PublicKey, act: &dyn Fn(&mut Touch)| {
            let new = Touch { account, quantity: None, cancelled: None };
            act(touched.entry(id).or_insert(new));
        };
        match event {
            Event::Accepted {
                order,
                account,
                market,
                side,
                price,
                quantity,
                time_in_force,
                client_id,
            } => {
                touch(*order, *account, &|_| {});
                let checked = position.and_then(|position| batch.transactions.get(position));
                let Some(Ok(checked)) = checked else { continue };
                let expires = match &checked.action {
                    Action::Order(order) | Action::Replace { order, .. } => order.expires,
                    _ => None,
                };
                rows.accepted.push(OrderRow {
                    id: *order,
                    hash: checked.hash,
                    account: *account,
                    market: *market,
                    side: *side,
                    price: *price,
                    quantity: *quantity,
                    time_in_force: *time_in_force,
                    expires,
                    client_id: client_id.clone(),
                });
            }
            Event::Reduced { order, account, quantity, .. } => {
                touch(*order, *account, &|touch| touch.quantity = Some(*quantity));
            }
            Event::Filled(fill) => {
                touch(fill.maker_order, fill.maker, &|_| {});
                touch(fill.taker_order, fill.taker, &|_| {});
                rows.trades.push(TradeRow { fill: *fill, batch: outcome.index, time_ms });
            }
            Event::Cancelled { order, account, remaining, reason, .. } => {
                touch(*order, *account, &|touch| touch.cancelled = Some((*remaining, *reason)));
            }
            _ => {}
        }
    }
    let touched = touched.into_iter();
    rows.changed = touched.map(|(id, touch)| (id, touch.state(engine, id))).collect();
    rows
}
