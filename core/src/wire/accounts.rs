//! Accounts: balances, orders, fills, session keys, deposits, withdrawals and transfers.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

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

/// Answer to `GET /v1/accounts/{public key}`, and the data of the account channel.
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
    /// The active session keys.
    pub session_keys: Vec<SessionKeyBody>,
    /// When the dead-man's switch cancels all open orders, by the exchange's time; `null` if it is off.
    pub switch_ms: Option<String>,
    /// The newest 50 withdrawals, newest first.
    pub withdrawals: Vec<WithdrawalBody>,
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
