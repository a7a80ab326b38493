//! Turns the events of an applied batch into the rows that are stored for the API.

use std::collections::BTreeMap;

use zellbook_core::engine::Engine;
use zellbook_core::protocol::{CancelReason, Fill};
use zellbook_core::types::MarketIndex;
use zellbook_core::wire::OrderStatus;
use zellbook_core::{
    Action, Batch, Event, Hash, Lots, Outcome, PublicKey, Side, Ticks, TimeInForce, TransactionHash,
};

/// An applied batch with everything that is stored for it.
#[derive(Clone, Debug)]
pub struct AppliedBatch {
    pub index: u64,
    /// The bytes as they were sequenced.
    pub body: String,
    /// The network's chaining hash after this batch.
    pub chaining_hash: String,
    /// The time of the sequence proof, in Unix milliseconds.
    pub time_ms: u64,
    /// When this replica applied it, in Unix milliseconds.
    pub applied_ms: u64,
    pub outcome: Outcome,
    pub rows: Rows,
}

impl AppliedBatch {
    /// The events in sequence: first those of timers, without a position, then those of transactions, with
    /// the position of the transaction.
    pub(super) fn positioned_events(&self) -> impl Iterator<Item = (Option<usize>, &Event)> {
        positioned_events(&self.outcome)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.positioned_events().map(|(_, event)| event)
    }

    /// The price levels that may have changed.
    pub fn touched_levels(&self) -> impl Iterator<Item = (MarketIndex, Side, Ticks)> {
        self.events().filter_map(|event| match event {
            Event::Accepted { market, side, price, .. }
            | Event::Reduced { market, side, price, .. }
            | Event::Cancelled { market, side, price, .. } => Some((*market, *side, *price)),
            // A fill changes the maker's level. The taker's own level can change only if the taker rests, and
            // `Accepted` names that level.
            Event::Filled(fill) => Some((fill.market, fill.taker_side.opposite(), fill.price)),
            _ => None,
        })
    }

    /// Whether the batch holds more than attestations and junk: something that users would have certified.
    pub fn has_content(&self) -> bool {
        let mut transactions = self.outcome.transactions.iter();
        // Junk has no hash. It changes nothing, and anyone could keep the replicas attesting with it.
        let is_content = transactions.any(|outcome| {
            outcome.hash.is_some() && outcome.kind.is_some_and(|kind| kind != "attest")
        });
        is_content || !self.outcome.due.is_empty()
    }

    /// The roots that were certified in this batch, with the batches that they belong to.
    pub fn certified(&self) -> impl Iterator<Item = (u64, Hash)> {
        self.events().filter_map(|event| match event {
            Event::Certified { batch, root } => Some((*batch, *root)),
            _ => None,
        })
    }
}

fn positioned_events(outcome: &Outcome) -> impl Iterator<Item = (Option<usize>, &Event)> {
    let transactions = outcome.transactions.iter().enumerate();
    let of_transactions = transactions.flat_map(|(position, transaction)| {
        let events = transaction.result.iter().flatten();
        events.map(move |event| (Some(position), event))
    });
    outcome.due.iter().map(|event| (None, event)).chain(of_transactions)
}

/// The rows that cannot be written from single events: an order's row depends on all events of the batch
/// that concern it, and on the state after the batch.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The orders that were accepted.
    pub accepted: Vec<OrderRow>,
    /// The state of each accepted or changed order after the batch, by id.
    pub changed: BTreeMap<u64, OrderState>,
    pub trades: Vec<TradeRow>,
}

/// The fields of an order that do not change, except its quantity.
#[derive(Clone, Debug)]
pub struct OrderRow {
    pub id: u64,
    /// The transaction that placed it.
    pub hash: TransactionHash,
    pub account: PublicKey,
    pub market: MarketIndex,
    pub side: Side,
    pub price: Ticks,
    pub quantity: Lots,
    pub time_in_force: TimeInForce,
    /// When it expires, in Unix milliseconds.
    pub expires: Option<u64>,
    pub client_id: Option<String>,
}

/// An order after a batch.
#[derive(Clone, Copy, Debug)]
pub struct OrderState {
    pub account: PublicKey,
    /// The total quantity, for an order that is open or that the batch reduced. Else it is what it was before.
    pub quantity: Option<Lots>,
    /// The unfilled part; for a cancelled order, the part that was cancelled.
    pub remaining: Lots,
    pub status: OrderStatus,
    /// Why it was cancelled.
    pub reason: Option<CancelReason>,
}

impl OrderState {
    /// The state after both this one and a later one: that of the later batch, which need not name the quantity.
    pub fn then(self, later: Self) -> Self {
        Self { quantity: later.quantity.or(self.quantity), ..later }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct TradeRow {
    pub fill: Fill,
    pub batch: u64,
    /// The time of the sequence proof, in Unix milliseconds.
    pub time_ms: u64,
}

/// The number that stands for a status.
pub(super) const fn status_number(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Open => 0,
        OrderStatus::Filled => 1,
        OrderStatus::Cancelled => 2,
    }
}

/// The number that stands for a side.
pub(super) const fn side_number(side: Side) -> u8 {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

/// The changes to one order, collected from the events of a batch.
struct Touch {
    account: PublicKey,
    quantity: Option<Lots>,
    cancelled: Option<(Lots, CancelReason)>,
}

impl Touch {
    fn state(&self, engine: &Engine, id: u64) -> OrderState {
        let (account, quantity) = (self.account, self.quantity);
        // Nothing can happen to an order after its cancel, so the cancel decides, also for one that was
        // filled in part before.
        if let Some((remaining, reason)) = self.cancelled {
            let status = OrderStatus::Cancelled;
            return OrderState { account, quantity, remaining, status, reason: Some(reason) };
        }
        // The engine knows what is left of the order; the fills need not be summed up here.
        let owner = engine.ledger().find(&account);
        let open = owner.and_then(|owner| engine.open_order(owner, id));
        let (quantity, remaining, status) = match open {
            Some((_, _, order)) => (Some(order.quantity), order.remaining, OrderStatus::Open),
            None => (quantity, Lots(0), OrderStatus::Filled),
        };
        OrderState { account, quantity, remaining, status, reason: None }
    }
}

/// The rows of a batch. `engine` must have the state right after it.
pub fn rows_of(engine: &Engine, batch: &Batch, outcome: &Outcome, time_ms: u64) -> Rows {
    let mut rows = Rows::default();
    // Sorted by id: the writer tells new orders from earlier ones by a range of ids.
    let mut touched: BTreeMap<u64, Touch> = BTreeMap::new();
    for (position, event) in positioned_events(outcome) {
        let mut touch = |id: u64, account: PublicKey, change: &dyn Fn(&mut Touch)| {
            let new = Touch { account, quantity: None, cancelled: None };
            change(touched.entry(id).or_insert(new));
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
                // Always found: only a transaction can place an order, a timer cannot.
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
