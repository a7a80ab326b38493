//! Judges the transactions of one request by the committed state.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use zellbook_core::admission::{OrdersOf, leaves_of, reject_of};
use zellbook_core::protocol::CheckedTransaction;
use zellbook_core::state::OrderLeaf;
use zellbook_core::types::{TimeInForce, TokenIndex};
use zellbook_core::{Action, LeafKey, PublicKey, Reject};

use super::in_flight::InFlight;
use crate::store::{Leaves, QueryError, View, read_balance};

/// The most open orders of an account that are read to find one by hash or client id, or to count them. Accounts
/// with more are rare, and their transactions are then judged without.
const ORDERS_READ_MAX: u32 = 512;
/// The most leaves of any other range: an account has at most 256 balances and 64 session keys.
const RANGE_MAX: u32 = 256;
/// The first code that can depend on open orders.
const ORDERS_CODE: u16 = 30;

/// An open order of an account: its key and value in the state.
type OpenOrder = (u64, OrderLeaf, (Vec<u8>, Vec<u8>));

/// The state after one batch, with what the request has read of it so far.
pub struct Judge<'a> {
    view: &'a View<'a>,
    /// The open orders of an account; `None` if there are too many.
    orders: HashMap<PublicKey, Option<Vec<OpenOrder>>>,
}

impl<'a> Judge<'a> {
    pub fn new(view: &'a View<'a>) -> Self {
        Self { view, orders: HashMap::new() }
    }

    pub const fn view(&self) -> &'a View<'a> {
        self.view
    }

    /// The reject to refuse a transaction with; `None` if it may be applied when it arrives.
    pub fn refusal(
        &mut self,
        transaction: &CheckedTransaction,
        in_flight: &InFlight,
    ) -> Result<Option<Reject>, QueryError> {
        let mut leaves = Leaves::new();
        for range in leaves_of(self.view.rules(), transaction) {
            leaves.extend(self.view.leaves_in(&range, RANGE_MAX)?);
        }
        let knows_orders = self.add_orders(transaction, &mut leaves)?;
        self.add_best(transaction, &mut leaves)?;
        let rules = self.view.rules();
        let pairs = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let reject = reject_of(rules, pairs, transaction);
        let listing = &rules.listing;
        let has_locked = |token: &str| {
            let token = listing.token(token);
            token.is_some_and(|(token, _)| has_locked(&leaves, transaction.account, token))
        };
        Ok(reject.filter(|reject| {
            (knows_orders || reject.code() < ORDERS_CODE)
                && in_flight.leaves(reject, transaction, listing, has_locked)
        }))
    }

    /// Adds the open orders of the account that decide. Returns whether these are all.
    fn add_orders(
        &mut self,
        transaction: &CheckedTransaction,
        leaves: &mut Leaves,
    ) -> Result<bool, QueryError> {
        let decisive = OrdersOf::transaction(transaction);
        if decisive == OrdersOf::default() {
            return Ok(true);
        }
        let account = transaction.account;
        if let Some(id) = decisive.only_id() {
            let key = LeafKey::Order(account, id).to_bytes();
            leaves.extend(self.view.leaves_in(&(key.clone()..=key), 1)?);
            return Ok(true);
        }
        let rules = self.view.rules();
        let orders = match self.orders.entry(account) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(place) => place.insert(open_orders(self.view, account)?),
        };
        let Some(orders) = orders else { return Ok(false) };
        let market = decisive.rests_in.and_then(|name| rules.listing.market(name));
        let in_market =
            |order: &OrderLeaf| market.is_some_and(|market| market.index == order.market);
        let most = rules.genesis.limits.open_orders_per_account_and_market;
        let count = orders.iter().filter(|(_, order, _)| in_market(order)).count();
        let is_full = count >= usize::try_from(most).unwrap_or(usize::MAX);
        let decide = orders
            .iter()
            .filter(|(id, order, _)| decisive.names(*id, order) || (is_full && in_market(order)));
        leaves.extend(decide.map(|(.., leaf)| leaf.clone()));
        Ok(true)
    }

    /// Adds the order that a post-only order would cross first. Its reject 32 comes before those that the account
    /// itself decides.
    fn add_best(
        &self,
        transaction: &CheckedTransaction,
        leaves: &mut Leaves,
    ) -> Result<(), QueryError> {
        let (Action::Order(order) | Action::Replace { order, .. }) = &transaction.action else {
            return Ok(());
        };
        let market = self.view.rules().listing.market(&order.market);
        let Some(market) = market.filter(|_| order.time_in_force == TimeInForce::PostOnly) else {
            return Ok(());
        };
        if let Some((owner, id)) = self.view.best_order(market.index, order.side.opposite())? {
            let key = LeafKey::Order(owner, id).to_bytes();
            leaves.extend(self.view.leaves_in(&(key.clone()..=key), 1)?);
        }
        Ok(())
    }
}

/// The open orders of an account, or `None` if there are too many to read.
fn open_orders(view: &View<'_>, account: PublicKey) -> Result<Option<Vec<OpenOrder>>, QueryError> {
    let bound = |id| LeafKey::Order(account, id).to_bytes();
    let leaves = view.leaves_in(&(bound(0)..=bound(u64::MAX)), ORDERS_READ_MAX + 1)?;
    if leaves.len() > ORDERS_READ_MAX as usize {
        return Ok(None);
    }
    let order = |(key, value): (Vec<u8>, Vec<u8>)| {
        let LeafKey::Order(_, id) = LeafKey::from_bytes(&key).ok()? else { return None };
        Some((id, OrderLeaf::read(&value).ok()?, (key, value)))
    };
    Ok(Some(leaves.into_iter().filter_map(order).collect()))
}

/// Whether open orders of the account lock some of a token.
fn has_locked(leaves: &Leaves, account: PublicKey, token: TokenIndex) -> bool {
    let leaf = leaves.get(&LeafKey::Balance(account, token).to_bytes());
    read_balance(leaf.map(Vec::as_slice)).locked.0 > 0
}
