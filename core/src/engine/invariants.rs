//! Counts the whole state again and reports the first invariant that is broken. This is slow: it is
//! for tests, for `zellbook replay --check`, and for states that were restored.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use thiserror::Error;

use super::engine::Engine;
use crate::cores::map_chunks;
use crate::protocol::{parse_client_id, parse_destination, parse_reference};
use crate::rules::{Market, Rules};
use crate::state::{Account, Counters, RestingOrder, Timer};
use crate::types::limits::{CERTIFIED_KEPT, NONCES_KEPT, SUPPLY_MAX, VOTES_KEPT};
use crate::types::{Corrupt, Lots, Side, Ticks, TokenIndex};

/// The number of accounts that a thread recounts at once.
const ACCOUNTS_TOGETHER: usize = 4096;

/// An invariant that the state breaks.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("I{number}: {problem}")]
pub struct BrokenInvariant {
    /// The number of the invariant in the list on the crate's first page: 3 for I3.
    pub number: u8,
    /// What breaks it.
    pub problem: String,
}

fn broken(number: u8, problem: impl Into<String>) -> BrokenInvariant {
    BrokenInvariant { number, problem: problem.into() }
}

impl Engine {
    pub(crate) fn recount(&self, rules: &Rules) -> Result<(), BrokenInvariant> {
        self.recount_books(rules)?;
        self.recount_supply(rules)?;
        let accounts = self.ledger.accounts();
        let recounts = map_chunks(accounts, ACCOUNTS_TOGETHER, |accounts| {
            accounts.into_iter().try_for_each(|account| self.recount_account(rules, account))
        });
        recounts.into_iter().collect::<Result<(), BrokenInvariant>>()?;
        self.recount_timers(rules)?;
        self.recount_attestations(rules)?;
        self.recount_records(rules)
    }

    /// I3 to I6: the books, their levels and queues.
    fn recount_books(&self, rules: &Rules) -> Result<(), BrokenInvariant> {
        let mut counted = 0_usize;
        for market in &rules.listing.markets {
            let book = self.book(market.index).ok_or_else(|| broken(6, "a market has no book"))?;
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell))
                && bid >= ask
            {
                return Err(broken(
                    3,
                    format!("{} is crossed: bid {bid:?}, ask {ask:?}", market.name),
                ));
            }
            for side in [Side::Buy, Side::Sell] {
                counted = counted.wrapping_add(self.recount_side(market, side)?);
            }
        }
        // `recount_side` found every order of a book in the list of its account. If the lists have
        // as many entries as the books have orders, they name nothing else.
        let listed: usize = self
            .ledger
            .accounts()
            .flat_map(|account| account.open_orders())
            .map(|orders| orders.count())
            .sum();
        if counted != listed {
            return Err(broken(
                6,
                format!("the books have {counted} orders, but the lists of accounts have {listed}"),
            ));
        }
        Ok(())
    }

    fn recount_side(&self, market: &Market, side: Side) -> Result<usize, BrokenInvariant> {
        let book = self.book(market.index).ok_or_else(|| broken(6, "a market has no book"))?;
        let mut counted = 0_usize;
        for level in book.levels(side) {
            let price = level.price;
            // `previous` starts at 0, so the check of the sequence below also refuses an order with
            // the id 0. The sum cannot wrap: 2^32 orders of less than 2^64 lots are below 2^96.
            let (mut quantity, mut orders, mut previous) = (0_u128, 0_u32, 0);
            for (slot, order) in book.queue(level) {
                let owner = self.ledger.get(order.account);
                // A list stores half of each id, so the slot shows which entry is meant.
                let mut listed =
                    owner.iter().flat_map(|owner| owner.orders_with_low_half_of(order.id));
                let is_whole = order.side == side
                    && order.price == price
                    && order.price > Ticks(0)
                    && order.remaining > Lots(0)
                    && order.remaining <= order.rested
                    && order.rested <= order.quantity
                    && order.id <= self.counters.order
                    // The leaf of a restored order can hold any numbers. The engine relies on
                    // values within the supply bound, as reject 16 ensures for orders that arrive.
                    && market.is_countable(order.price, order.quantity)
                    && listed.any(|listed| listed == (market.index, slot));
                if !is_whole {
                    return Err(broken(
                        6,
                        format!(
                            "order {} has invalid numbers or is missing from its account",
                            order.id
                        ),
                    ));
                }
                if order.id <= previous {
                    return Err(broken(
                        4,
                        format!("order {} is queued behind the later order {previous}", order.id),
                    ));
                }
                previous = order.id;
                quantity = quantity.wrapping_add(u128::from(order.remaining.0));
                orders = orders.wrapping_add(1);
            }
            if orders == 0 {
                return Err(broken(5, format!("the level {price:?} of {} is empty", market.name)));
            }
            if (quantity, orders) != (level.quantity, level.orders) {
                return Err(broken(
                    5,
                    format!(
                        "the level {price:?} of {} counts its orders or its quantity wrongly",
                        market.name
                    ),
                ));
            }
            counted = counted.wrapping_add(usize::try_from(orders).unwrap_or(usize::MAX));
        }
        Ok(counted)
    }

    /// I1: conservation.
    fn recount_supply(&self, rules: &Rules) -> Result<(), BrokenInvariant> {
        for (index, token) in (0_u16..).zip(&rules.genesis.tokens) {
            let index = TokenIndex(index);
            let mut sum = 0_u128;
            for account in self.ledger.accounts() {
                let balance = account.balance(index);
                let total = balance.available.checked_add(balance.locked);
                let total = total.ok_or_else(|| broken(1, "a balance overflows"))?;
                sum = sum
                    .checked_add(total.0)
                    .ok_or_else(|| broken(1, "a sum of balances overflows"))?;
            }
            let supply = self.ledger.supply(index).0;
            if sum != supply || sum > SUPPLY_MAX {
                let symbol = &token.symbol;
                return Err(broken(
                    1,
                    format!("the supply of {symbol} is {supply}, but its balances add up to {sum}"),
                ));
            }
        }
        let withdrawals = u64::try_from(self.withdrawals.len()).unwrap_or(u64::MAX);
        if withdrawals != self.counters.withdrawal {
            return Err(broken(
                1,
                format!(
                    "the state has {withdrawals} withdrawals, but counts {}",
                    self.counters.withdrawal
                ),
            ));
        }
        Ok(())
    }

    /// I2, I9 and I10: the locked balances, nonces and limits of one account.
    fn recount_account(&self, rules: &Rules, account: &Account) -> Result<(), BrokenInvariant> {
        let key = account.key;
        // By token and not by market: buys in several markets lock the same quote token.
        let mut locks: BTreeMap<TokenIndex, u128> = BTreeMap::new();
        let most = rules.genesis.limits.open_orders_per_account_and_market;
        for orders in account.open_orders() {
            if orders.count() > usize::try_from(most).unwrap_or(usize::MAX) {
                return Err(broken(10, format!("{key} has too many open orders")));
            }
            let market = rules
                .listing
                .market_at(orders.market)
                .ok_or_else(|| broken(6, "a market is not in genesis"))?;
            for slot in orders.slots() {
                let found = self.book(orders.market).and_then(|book| book.order(slot));
                let found = found.filter(|order| {
                    self.ledger.get(order.account).is_some_and(|owner| owner.key == key)
                });
                let order =
                    found.ok_or_else(|| broken(6, "a listed order is missing from its book"))?;
                let lock = market.lock(order.side, order.price, order.rested, order.remaining);
                let lock = lock.ok_or_else(|| broken(2, "a lock overflows"))?;
                let slot = locks.entry(market.cost_token(order.side)).or_default();
                *slot = slot.checked_add(lock.0).ok_or_else(|| broken(2, "locks overflow"))?;
            }
        }
        for (token, balance) in account.balances() {
            let (locked, needed) = (balance.locked.0, locks.remove(&token).unwrap_or(0));
            if locked != needed {
                return Err(broken(
                    2,
                    format!("{key} has {locked} locked, but its orders need {needed}"),
                ));
            }
        }
        if locks.values().any(|lock| *lock > 0) {
            return Err(broken(2, format!("orders of {key} have nothing locked")));
        }
        // The state does not show whether a nonce was used twice. It shows whether the window is
        // sound: `check_nonce` searches it by halves, and so needs it in ascending order.
        let nonces = account.nonces();
        if nonces.len() > NONCES_KEPT || !nonces.is_sorted_by(|a, b| a < b) {
            return Err(broken(9, format!("the nonces of {key} are out of order")));
        }
        Ok(())
    }

    /// I6 and I10: every client id and every timer leads to what it belongs to, and no timer is
    /// due.
    fn recount_timers(&self, rules: &Rules) -> Result<(), BrokenInvariant> {
        // Each thing with a time or a client id must be found by it. If there are also as many
        // timers and client ids as such things, then none of them leads elsewhere.
        let mut timers = 0_usize;
        let mut client_ids = 0_usize;
        for (index, account) in self.ledger.indexed_accounts() {
            let open = self.open_orders(account, None);
            for (.., RestingOrder { id, .. }) in
                open.map_err(|Corrupt(problem)| broken(6, problem))?
            {
                let details = self.details(id);
                if let Some(time) = details.expires {
                    timers = timers.wrapping_add(1);
                    if !self.timers.has(time, Timer::Order(id, index)) {
                        return Err(broken(6, format!("order {id} has no timer")));
                    }
                }
                if let Some(client_id) = details.client_id {
                    client_ids = client_ids.wrapping_add(1);
                    if self.client_ids.get(&(index, client_id)) != Some(&id) {
                        return Err(broken(
                            6,
                            format!("the client id of order {id} leads to another order"),
                        ));
                    }
                }
            }
        }
        let most = rules.genesis.limits.session_keys_per_account;
        // Session keys are ordered by account first, so those of one account are in a row.
        let mut of_account = (None, 0_u32);
        for ((account, key), session) in &self.session_keys {
            timers = timers.wrapping_add(1);
            let before = if of_account.0 == Some(account) { of_account.1 } else { 0 };
            of_account = (Some(account), before.wrapping_add(1));
            if of_account.1 > most {
                return Err(broken(10, format!("{account} has too many session keys")));
            }
            if !self.timers.has(session.expires, Timer::SessionKey(*account, *key)) {
                return Err(broken(6, format!("session key {key} has no timer")));
            }
            let is_known =
                session.market.is_none_or(|market| rules.listing.market_at(market).is_some())
                    && session.spending.is_none_or(|spending| {
                        rules.listing.token_at(spending.token).is_some()
                            && spending.spent <= spending.limit
                    });
            // The limits of such a key would never apply: `check_signer` takes a signer that equals
            // the account for the account itself.
            if !is_known || account == key {
                return Err(broken(
                    10,
                    format!("session key {key} is invalid or has spent more than its limit"),
                ));
            }
        }
        for (account, time) in &self.switches {
            timers = timers.wrapping_add(1);
            if !self.timers.has(*time, Timer::Switch(*account)) {
                return Err(broken(6, format!("the dead-man's switch of {account} has no timer")));
            }
        }
        if timers != self.timers.count() || client_ids != self.client_ids.len() {
            return Err(broken(6, "a timer or client id belongs to nothing in the state"));
        }
        if self.timers.first().is_some_and(|time| time <= self.counters.time) {
            return Err(broken(10, "the time of a timer has passed, but it is still there"));
        }
        Ok(())
    }

    /// I10: what can only be wrong in a state that was restored: texts, numbers out of range, and a
    /// state before the first batch that is not empty.
    fn recount_records(&self, rules: &Rules) -> Result<(), BrokenInvariant> {
        let is_amount = |amount: u128| (1..=SUPPLY_MAX).contains(&amount);
        for withdrawal in &self.withdrawals {
            if !is_amount(withdrawal.amount.0)
                || rules.listing.token_at(withdrawal.token).is_none()
                || parse_destination(&withdrawal.destination).is_err()
            {
                return Err(broken(
                    10,
                    format!("a withdrawal of {} is invalid", withdrawal.account),
                ));
            }
        }
        for (token, reference) in &self.references {
            if rules.listing.token_at(*token).is_none() || parse_reference(reference).is_err() {
                return Err(broken(10, "a deposit reference is invalid"));
            }
        }
        if self.client_ids.keys().any(|(_, client_id)| parse_client_id(client_id).is_err()) {
            return Err(broken(10, "a client id is invalid"));
        }
        let limits = self.session_keys.values().filter_map(|session| session.spending);
        if limits.into_iter().any(|spending| !is_amount(spending.limit.0)) {
            return Err(broken(10, "the spending limit of a session key is out of range"));
        }
        if !self.guide_signatures.is_empty() && !rules.genesis.guide_orders {
            return Err(broken(
                10,
                "the state has orders in the guide's format, but genesis does not accept them",
            ));
        }
        let Counters { batch, body_chain, order, trade, withdrawal, time } = self.counters;
        // `leaves` encodes the whole state. It is asked for last, because at every later batch the
        // chain already differs.
        let is_first = body_chain == rules.network.0
            && [order, trade, withdrawal, time] == [0; 4]
            && self.leaves().len() == 1;
        if batch == 0 && !is_first {
            return Err(broken(12, "the state before the first batch is not the initial one"));
        }
        Ok(())
    }

    /// I10: the stored attestations.
    fn recount_attestations(&self, rules: &Rules) -> Result<(), BrokenInvariant> {
        let attestations = &self.attestations;
        let certified = attestations.last_certified().map_or(0, |(batch, _)| batch);
        if attestations.certified.len() > CERTIFIED_KEPT
            || (certified > 0 && certified >= self.counters.batch)
            || attestations.certified(0).is_some()
        {
            return Err(broken(
                10,
                "there are too many certified roots, or one is of an impossible batch",
            ));
        }
        let replicas = rules.genesis.replicas.len();
        for (replica, latest) in &attestations.latest {
            let own = attestations.votes.keys().filter(|(_, voter)| voter == replica);
            if usize::from(replica.0) >= replicas
                || latest.batch >= self.counters.batch
                || own.count() > VOTES_KEPT
            {
                return Err(broken(
                    10,
                    format!(
                        "replica {} is unknown, attested to a future batch, or has too many votes",
                        replica.0
                    ),
                ));
            }
        }
        for (batch, replica) in attestations.votes.keys() {
            let latest = attestations.latest(*replica);
            // A vote of an unknown replica is refused here too: each replica with an attestation is
            // one of genesis, as the loop above found.
            if latest.is_none_or(|latest| *batch > latest.batch) || *batch <= certified {
                return Err(broken(
                    10,
                    format!(
                        "a vote on batch {batch} is already decided or newer than its replica attested"
                    ),
                ));
            }
        }
        // A root is certified with the vote that decides it, so no decided votes are ever stored.
        for ((batch, _), root) in &attestations.votes {
            if attestations.decides(rules, *batch, root) {
                return Err(broken(
                    10,
                    format!("a root of batch {batch} has enough votes but is not certified"),
                ));
            }
        }
        Ok(())
    }
}
