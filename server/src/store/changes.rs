//! What a commit changed in each account: the data of the account channel's changes.
//!
//! All that a batch can change is taken from the commit itself. So a change says exactly what its batch did,
//! even if the store is ahead by the time somebody asks. Only the fields of an order that never change are
//! read from the store.

use std::collections::{BTreeMap, HashMap};

use rusqlite::OptionalExtension;
use zellbook_core::state::Balance;
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::{
    AccountChangeBody, BalanceBody, FillBody, OrderBody, OrderStatus, TradeBody, WithdrawalBody,
};
use zellbook_core::{Atoms, Event, LeafKey, Listing, Market, PublicKey};

use super::accounts::{Numbers, read_balance};
use super::error::QueryError;
use super::reader::{ORDER_COLUMNS, View};
use super::rows::{AppliedBatch, OrderState, TradeRow};

/// The most entries of a list in one change. A longer list is spread over several.
const ENTRIES_MAX: usize = 500;

/// The changes of one account, each as it is after the commit.
#[derive(Debug, Default)]
pub struct AccountChanges {
    balances: BTreeMap<TokenIndex, Balance>,
    /// By id.
    orders: BTreeMap<u64, OrderState>,
    /// Oldest first.
    fills: Vec<TradeRow>,
    /// The value of each leaf; none if the key is no longer active.
    session_keys: BTreeMap<PublicKey, Option<Vec<u8>>>,
    /// When the switch fires; `Some(None)` if it is off.
    switch: Option<Option<u64>>,
    /// Oldest first.
    withdrawals: Vec<Withdrawal>,
}

#[derive(Debug)]
struct Withdrawal {
    number: u64,
    token: TokenIndex,
    amount: Atoms,
    destination: String,
    batch: u64,
}

/// The changes of each account in the batches of one commit.
pub fn account_changes(batches: &[AppliedBatch]) -> HashMap<PublicKey, AccountChanges> {
    let mut changes: HashMap<PublicKey, AccountChanges> = HashMap::new();
    for batch in batches {
        for (key, value) in &batch.outcome.changes {
            // The engine wrote these keys, so each can be read.
            match LeafKey::from_bytes(key) {
                Ok(LeafKey::Balance(account, token)) => {
                    let balance = read_balance(value.as_deref());
                    changes.entry(account).or_default().balances.insert(token, balance);
                }
                Ok(LeafKey::SessionKey(account, key)) => {
                    changes.entry(account).or_default().session_keys.insert(key, value.clone());
                }
                Ok(LeafKey::Switch(account)) => {
                    let time = value.as_deref().map(|time| Numbers(time).u64());
                    changes.entry(account).or_default().switch = Some(time);
                }
                _ => {}
            }
        }
        for (id, state) in &batch.rows.changed {
            let orders = &mut changes.entry(state.account).or_default().orders;
            orders
                .entry(*id)
                .and_modify(|earlier| *earlier = earlier.then(*state))
                .or_insert(*state);
        }
        for trade in &batch.rows.trades {
            changes.entry(trade.fill.maker).or_default().fills.push(*trade);
            changes.entry(trade.fill.taker).or_default().fills.push(*trade);
        }
        for event in batch.events() {
            if let Event::Withdrawn { withdrawal, account, token, amount, destination } = event {
                changes.entry(*account).or_default().withdrawals.push(Withdrawal {
                    number: *withdrawal,
                    token: *token,
                    amount: *amount,
                    destination: destination.clone(),
                    batch: batch.index,
                });
            }
        }
    }
    changes
}

impl TradeRow {
    /// The trade as everybody sees it.
    pub fn body(&self, market: &Market) -> TradeBody {
        let Self { fill, batch, time_ms } = self;
        TradeBody {
            id: fill.trade.to_string(),
            market: market.name.clone(),
            price: market.format_price(fill.price),
            quantity: market.format_quantity(fill.quantity.0.into()),
            taker_side: fill.taker_side,
            maker_order: fill.maker_order.to_string(),
            taker_order: fill.taker_order.to_string(),
            batch: batch.to_string(),
            time_ms: time_ms.to_string(),
        }
    }

    /// The trade as its maker or its taker sees it.
    fn fill_body(&self, listing: &Listing, account: &PublicKey) -> Option<FillBody> {
        let market = listing.market_at(self.fill.market)?;
        let trade = self.body(market);
        // An account never trades with itself (I7).
        let is_maker = self.fill.maker == *account;
        let (side, order, fee) = if is_maker {
            (trade.taker_side.opposite(), trade.maker_order.clone(), self.fill.maker_fee)
        } else {
            (trade.taker_side, trade.taker_order.clone(), self.fill.taker_fee)
        };
        let fee = listing.format_amount(market.quote, fee);
        Some(FillBody { trade, side, order, is_maker, fee })
    }
}

impl View<'_> {
    /// The messages that tell a client what a commit changed in an account. `batch` is the last one of the
    /// commit, which the store must have, and `certified` the last certified batch then.
    pub fn account_change(
        &self,
        account: &PublicKey,
        batch: u64,
        certified: Option<u64>,
        changes: &AccountChanges,
    ) -> Result<Vec<AccountChangeBody>, QueryError> {
        let listing = &self.rules.listing;
        let mut open_orders = Vec::new();
        let mut past_orders = Vec::new();
        for (id, state) in &changes.orders {
            let Some(order) = self.order_after(*id, state)? else { continue };
            let is_open = order.status == OrderStatus::Open;
            if is_open { &mut open_orders } else { &mut past_orders }.push(order);
        }
        let fills = changes.fills.iter();
        let fills = fills.filter_map(|trade| trade.fill_body(listing, account)).collect();
        let withdrawals = changes.withdrawals.iter();
        let withdrawals = withdrawals.map(|it| self.withdrawal(it, certified)).collect();
        let mut bodies = vec![AccountChangeBody::default()];
        spread(&mut bodies, open_orders, |body| &mut body.open_orders);
        spread(&mut bodies, past_orders, |body| &mut body.past_orders);
        spread(&mut bodies, fills, |body| &mut body.fills);
        spread(&mut bodies, withdrawals, |body| &mut body.withdrawals);
        let last = bodies.len() - 1;
        for (position, body) in bodies.iter_mut().enumerate() {
            body.account = account.to_string();
            body.batch = batch.to_string();
            body.certified_batch = certified.map(|batch| batch.to_string());
            body.continues = position < last;
        }
        // Bounded without help: by the tokens of genesis, and by its limit of session keys.
        let body = &mut bodies[last];
        for (token, balance) in &changes.balances {
            let Some(symbol) = listing.token_at(*token) else { continue };
            body.balances.push(BalanceBody {
                token: symbol.symbol.clone(),
                available: listing.format_amount(*token, balance.available),
                locked: listing.format_amount(*token, balance.locked),
            });
        }
        for (key, value) in &changes.session_keys {
            match value {
                Some(value) => {
                    body.session_keys.push(self.session_key(key.as_bytes(), Numbers(value)));
                }
                None => body.ended_session_keys.push(key.to_string()),
            }
        }
        body.switch_ms = changes.switch.map(|time| time.map(|time| time.to_string()));
        Ok(bodies)
    }

    /// An order as it was after a commit.
    fn order_after(&self, id: u64, state: &OrderState) -> rusqlite::Result<Option<OrderBody>> {
        let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE id = ?1");
        self.connection
            .prepare_cached(&sql)?
            .query_row([id.cast_signed()], |row| self.order_in_state(row, state))
            .optional()
    }

    fn withdrawal(&self, withdrawal: &Withdrawal, certified: Option<u64>) -> WithdrawalBody {
        let Withdrawal { number, token, amount, destination, batch } = withdrawal;
        let symbol = self.rules.listing.token_at(*token).map_or("", |token| token.symbol.as_str());
        WithdrawalBody {
            number: number.to_string(),
            token: symbol.into(),
            amount: self.rules.listing.format_amount(*token, *amount),
            destination: destination.clone(),
            batch: batch.to_string(),
            // True where one commit has both the withdrawal and the root that certifies it.
            certified: Some(*batch) <= certified,
        }
    }
}

/// Spreads a list over messages, oldest entries first, and turns it newest first within each.
fn spread<T>(
    bodies: &mut Vec<AccountChangeBody>,
    list: Vec<T>,
    field: fn(&mut AccountChangeBody) -> &mut Vec<T>,
) {
    for (position, entry) in list.into_iter().enumerate() {
        let message = position / ENTRIES_MAX;
        if message >= bodies.len() {
            bodies.push(AccountChangeBody::default());
        }
        field(&mut bodies[message]).push(entry);
    }
    for body in bodies {
        field(body).reverse();
    }
}
