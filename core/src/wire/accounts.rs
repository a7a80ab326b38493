//! Accounts: balances, orders, fills, session keys, deposits, withdrawals and transfers.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use serde::{Deserialize, Deserializer, Serialize};

use super::markets::TradeBody;
use crate::types::{Side, TimeInForce, names};

/// An order of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBody {
    /// The order id.
    pub id: String,
    /// Hash of the transaction that placed the order.
    pub hash: String,
    /// Name of the market, like `ETH/USDT`.
    pub market: String,
    /// `buy` or `sell`.
    pub side: Side,
    /// Limit price.
    pub price: String,
    /// Total quantity: as accepted, or as a later `replace` in place reduced it.
    pub quantity: String,
    /// Filled quantity.
    pub filled: String,
    /// Unfilled quantity that is still open.
    pub remaining: String,
    /// `gtc`, `gtd`, `ioc`, `fok` or `post_only`.
    pub time_in_force: TimeInForce,
    /// When the order expires, by the exchange's time; with `gtd` only.
    pub expires_ms: Option<String>,
    /// The trader's own name for the order.
    pub client_id: Option<String>,
    /// `open`, `filled` or `cancelled`.
    pub status: OrderStatus,
    /// Why the order was cancelled: `requested`, `ioc`, `self_trade`, `maker_limit`, `expired`, `replaced` or
    /// `switch`. `null` if it was not.
    pub reason: Option<String>,
    /// The batch that accepted the order.
    pub batch: String,
    /// The time of that batch's sequence proof.
    pub time_ms: String,
}

/// The status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// It is in the book.
    Open,
    /// It was filled completely.
    Filled,
    /// Its unfilled part was cancelled. It may have been filled in part before.
    Cancelled,
}

/// A trade as one account sees it. The JSON is one flat object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FlatFill")]
pub struct FillBody {
    /// The trade as everybody sees it.
    #[serde(flatten)]
    pub trade: TradeBody,
    /// The side of the account's order.
    pub side: Side,
    /// Id of the account's order.
    pub order: String,
    /// Whether the account's order was the resting one.
    pub is_maker: bool,
    /// The fee that the account paid, in quote.
    pub fee: String,
}

/// The fields of a [`FillBody`] for deserialization. The code that serde derives for a flattened field first
/// stores the whole object in memory, which would add more to the page's size than everything else about a
/// fill.
#[derive(Deserialize)]
struct FlatFill {
    id: String,
    market: String,
    price: String,
    quantity: String,
    taker_side: Side,
    maker_order: String,
    taker_order: String,
    batch: String,
    time_ms: String,
    side: Side,
    order: String,
    is_maker: bool,
    fee: String,
}

impl From<FlatFill> for FillBody {
    fn from(flat: FlatFill) -> Self {
        let FlatFill { id, market, price, quantity, taker_side, maker_order, taker_order, .. } =
            flat;
        let FlatFill { batch, time_ms, side, order, is_maker, fee, .. } = flat;
        let trade = TradeBody {
            id,
            market,
            price,
            quantity,
            taker_side,
            maker_order,
            taker_order,
            batch,
            time_ms,
        };
        Self { trade, side, order, is_maker, fee }
    }
}

/// An account's balance of one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceBody {
    /// Symbol of the token.
    pub token: String,
    /// The amount that can be spent.
    pub available: String,
    /// The amount that open orders lock.
    pub locked: String,
}

/// Answer to `GET /v1/accounts/{public key}`, and the snapshot of the account channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountBody {
    /// The account's public key.
    pub account: String,
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// The last certified batch; what is in a later one is only sequenced. `null` before the first.
    pub certified_batch: Option<String>,
    /// One balance for each token of genesis, in its order.
    pub balances: Vec<BalanceBody>,
    /// All open orders, newest first.
    pub open_orders: Vec<OrderBody>,
    /// The newest 50 filled or cancelled orders, newest first.
    pub past_orders: Vec<OrderBody>,
    /// The newest 100 fills, newest first.
    pub fills: Vec<FillBody>,
    /// The active session keys, in ascending order.
    pub session_keys: Vec<SessionKeyBody>,
    /// When the dead-man's switch cancels all open orders, by the exchange's time; `null` if it is off.
    pub switch_ms: Option<String>,
    /// The newest 50 withdrawals, newest first.
    pub withdrawals: Vec<WithdrawalBody>,
    /// Which of the lists above leave out older entries.
    pub more: MoreBody,
}

/// Whether lists leave out older entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoreBody {
    /// There are older past orders.
    pub past_orders: bool,
    /// There are older fills.
    pub fills: bool,
    /// There are older withdrawals.
    pub withdrawals: bool,
}

/// A change in the account channel. The fields are those of [`AccountBody`]; one that did not change is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountChangeBody {
    /// The account's public key.
    pub account: String,
    /// The last batch that this change takes into account.
    pub batch: String,
    /// The last certified batch, as of that batch; `null` before the first.
    pub certified_batch: Option<String>,
    /// The balances that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub balances: Vec<BalanceBody>,
    /// The orders that were opened, and those that changed and are still open; newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_orders: Vec<OrderBody>,
    /// The orders that were filled or cancelled, newest first. They are no longer open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub past_orders: Vec<OrderBody>,
    /// The new fills, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fills: Vec<FillBody>,
    /// The session keys that were authorized or changed, in ascending order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub session_keys: Vec<SessionKeyBody>,
    /// The session keys that are no longer active.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_session_keys: Vec<String>,
    /// The dead-man's switch, if it changed: when it fires, or `null` if it is off.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub switch_ms: Option<Option<String>>,
    /// The new withdrawals, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withdrawals: Vec<WithdrawalBody>,
    /// Whether the next message continues this change, which has too many entries for one.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub continues: bool,
}

/// Reads a field that is present. serde alone reads `null` as if the field were left out.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

impl AccountBody {
    /// Applies a change. Lists that show only their newest entries grow to at most `newest_max` entries.
    pub fn apply(&mut self, change: AccountChangeBody, newest_max: usize) {
        self.batch = change.batch;
        self.certified_batch = change.certified_batch;
        for new in change.balances {
            if let Some(old) = self.balances.iter_mut().find(|old| old.token == new.token) {
                *old = new;
            }
        }
        // An order that closed is among the open ones, unless it was opened and closed by the same change.
        let changed = change.open_orders.iter().chain(&change.past_orders);
        let changed: BTreeSet<&str> = changed.map(|order| order.id.as_str()).collect();
        self.open_orders.retain(|order| !changed.contains(order.id.as_str()));
        let order_id = |order: &OrderBody| number(&order.id);
        merge(&mut self.open_orders, change.open_orders, order_id);
        merge(&mut self.past_orders, change.past_orders, order_id);
        merge(&mut self.fills, change.fills, |fill| number(&fill.trade.id));
        merge(&mut self.withdrawals, change.withdrawals, |withdrawal| number(&withdrawal.number));
        self.more.past_orders |= cut(&mut self.past_orders, newest_max);
        self.more.fills |= cut(&mut self.fills, newest_max);
        self.more.withdrawals |= cut(&mut self.withdrawals, newest_max);
        let certified = self.certified_batch.as_deref().map_or(0, number);
        for withdrawal in &mut self.withdrawals {
            withdrawal.certified |= number(&withdrawal.batch) <= certified;
        }
        self.session_keys.retain(|old| {
            !change.ended_session_keys.contains(&old.key)
                && change.session_keys.iter().all(|new| new.key != old.key)
        });
        self.session_keys.extend(change.session_keys);
        self.session_keys.sort_by(|one, other| one.key.cmp(&other.key));
        if let Some(switch) = change.switch_ms {
            self.switch_ms = switch;
        }
    }
}

fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(0)
}

/// Adds entries to a list that is in descending order of their numbers.
fn merge<T>(list: &mut Vec<T>, new: Vec<T>, number: impl Fn(&T) -> u64) {
    if !new.is_empty() {
        list.extend(new);
        list.sort_by_key(|entry| Reverse(number(entry)));
    }
}

fn cut<T>(list: &mut Vec<T>, length: usize) -> bool {
    let is_longer = list.len() > length;
    list.truncate(length);
    is_longer
}

/// Answer to `GET /v1/deposits`: deposits to all accounts, for issuers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositsResponse {
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// The last certified batch; what is in a later one is only sequenced. `null` before the first.
    pub certified_batch: Option<String>,
    /// Deposits by ascending number.
    pub deposits: Vec<DepositBody>,
}

/// A deposit as its issuer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositBody {
    /// Number of its ledger entry on this replica. Other replicas may number entries differently.
    pub number: String,
    /// The account that was credited.
    pub account: String,
    /// Symbol of the token.
    pub token: String,
    /// The amount credited.
    pub amount: String,
    /// The issuer's reference, which credits once.
    pub reference: String,
    /// The batch that contains the deposit.
    pub batch: String,
    /// Position of the transaction in that batch, from 0.
    pub position: String,
    /// Whether that batch is certified. A deposit counts for its issuer only then.
    pub certified: bool,
}

/// Answer to `GET /v1/withdrawals`: withdrawals of all accounts, for issuers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalsResponse {
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// The last certified batch; what is in a later one is only sequenced. `null` before the first.
    pub certified_batch: Option<String>,
    /// Withdrawals by ascending number.
    pub withdrawals: Vec<PayoutBody>,
}

/// A withdrawal as its issuer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutBody {
    /// Number of the withdrawal, counted from 1 over all accounts.
    pub number: String,
    /// The account that withdrew.
    pub account: String,
    /// Symbol of the token.
    pub token: String,
    /// The amount withdrawn.
    pub amount: String,
    /// Where the issuer pays the amount.
    pub destination: String,
    /// The batch that contains the withdrawal.
    pub batch: String,
    /// Whether that batch is certified. An issuer pays only then.
    pub certified: bool,
}

/// An active session key of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKeyBody {
    /// Public key of the session key.
    pub key: String,
    /// When the key expires, by the exchange's time.
    pub expires_ms: String,
    /// The only market that the key may trade in; `null` for all markets.
    pub market: Option<String>,
    /// The only token that the key may spend; `null` for no spending limit.
    pub spend_token: Option<String>,
    /// The total that its orders may spend; `null` for no spending limit.
    pub spend_limit: Option<String>,
    /// The part of the limit that is spent; `null` for no spending limit.
    pub spent: Option<String>,
}

/// An amount that left the exchange and that the issuer pays outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalBody {
    /// Number of the withdrawal, counted from 1 over all accounts.
    pub number: String,
    /// Symbol of the token.
    pub token: String,
    /// The amount withdrawn.
    pub amount: String,
    /// Where the issuer pays the amount.
    pub destination: String,
    /// The batch that contains the withdrawal.
    pub batch: String,
    /// Whether that batch is certified. The issuer pays only then.
    pub certified: bool,
}

/// Answer to `GET /v1/accounts/{public key}/orders`: past orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersResponse {
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// The last certified batch; what is in a later one is only sequenced. `null` before the first.
    pub certified_batch: Option<String>,
    /// Filled or cancelled orders, newest first.
    pub orders: Vec<OrderBody>,
}

/// Answer to `GET /v1/accounts/{public key}/fills`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillsResponse {
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// The last certified batch; what is in a later one is only sequenced. `null` before the first.
    pub certified_batch: Option<String>,
    /// Fills, newest first.
    pub fills: Vec<FillBody>,
}

/// Answer to `GET /v1/accounts/{public key}/ledger`: deposits, withdrawals and transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerResponse {
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// The last certified batch; what is in a later one is only sequenced. `null` before the first.
    pub certified_batch: Option<String>,
    /// Entries, newest first.
    pub entries: Vec<LedgerEntryBody>,
}

/// A change of an account's balance other than by a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntryBody {
    /// Number of the entry on this replica, over all accounts. Other replicas may number entries differently.
    pub number: String,
    /// `deposit`, `withdrawal`, `transfer_out` or `transfer_in`.
    pub kind: LedgerKind,
    /// Symbol of the token.
    pub token: String,
    /// The amount; the kind says in which direction it moved.
    pub amount: String,
    /// The other side: the issuer's reference of a deposit, the destination of a withdrawal, the other account
    /// of a transfer.
    pub with: String,
    /// The batch that contains the transaction.
    pub batch: String,
    /// Position of the transaction in that batch, from 0.
    pub position: String,
    /// The time of that batch's sequence proof.
    pub time_ms: String,
    /// Whether that batch is certified. A deposit or withdrawal counts for its issuer only then.
    pub certified: bool,
}

/// The kind of a ledger entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// The issuer credited the amount.
    Deposit,
    /// The account withdrew the amount.
    Withdrawal,
    /// The account sent the amount to another account.
    TransferOut,
    /// Another account sent the amount.
    TransferIn,
}

names!(LedgerKind {
    Deposit = "deposit",
    Withdrawal = "withdrawal",
    TransferOut = "transfer_out",
    TransferIn = "transfer_in",
});
