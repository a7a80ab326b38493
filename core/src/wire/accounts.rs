//! Accounts: balances, orders, fills, keys and what came and went.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::markets::TradeBody;
use crate::types::{Side, TimeInForce, names};

/// An order of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBody {
    /// Its id.
    pub id: String,
    /// The transaction that placed it.
    pub hash: String,
    /// Market, `ETH/USDT`.
    pub market: String,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: String,
    /// Quantity when it was accepted, less what a `replace` took off.
    pub quantity: String,
    /// What was filled so far.
    pub filled: String,
    /// What is open.
    pub remaining: String,
    /// Time in force.
    pub time_in_force: TimeInForce,
    /// When it is cancelled, with `gtd`.
    pub expires_ms: Option<String>,
    /// The trader's own name for it.
    pub client_id: Option<String>,
    /// `open`, `filled` or `cancelled`.
    pub status: OrderStatus,
    /// Why it was cancelled, if it was: `requested`, `ioc`, `self_trade`, `maker_limit`, `expired`,
    /// `replaced` or `switch`.
    pub reason: Option<String>,
    /// The batch that accepted it.
    pub batch: String,
    /// The time of that batch's proof.
    pub time_ms: String,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// In the book.
    Open,
    /// Filled in full.
    Filled,
    /// Its rest was cancelled.
    Cancelled,
}

/// A trade from the view of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FlatFill")]
pub struct FillBody {
    /// The trade.
    #[serde(flatten)]
    pub trade: TradeBody,
    /// The account's side.
    pub side: Side,
    /// The account's order.
    pub order: String,
    /// Whether the account's order was the resting one.
    pub is_maker: bool,
    /// What the account paid for it, in quote.
    pub fee: String,
}

/// A fill as it is read: what serde derives for a flattened field keeps all of it in memory first, which
/// costs the page more code than all the rest of a fill.
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

/// A balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceBody {
    /// Token symbol.
    pub token: String,
    /// What can be spent.
    pub available: String,
    /// What open orders hold.
    pub locked: String,
}

/// Answer to `GET /v1/accounts/{public key}`, and the data of the account channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountBody {
    /// Public key.
    pub account: String,
    /// The batch after which it was so.
    pub batch: String,
    /// One for each token of genesis.
    pub balances: Vec<BalanceBody>,
    /// Open orders, newest first.
    pub open_orders: Vec<OrderBody>,
    /// Orders that are filled or cancelled, newest first; the last 50.
    pub past_orders: Vec<OrderBody>,
    /// Fills, newest first; the last 100.
    pub fills: Vec<FillBody>,
    /// Keys that may trade for the account.
    pub session_keys: Vec<SessionKeyBody>,
    /// When all its orders are cancelled, unless that is set anew.
    pub switch_ms: Option<String>,
    /// What it withdrew, newest first; the last 50.
    pub withdrawals: Vec<WithdrawalBody>,
}

/// A key that may trade for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKeyBody {
    /// Public key.
    pub key: String,
    /// When it ends.
    pub expires_ms: String,
    /// The one market that it may trade in, or all.
    pub market: Option<String>,
    /// The one token that it may spend, if it is bound so.
    pub spend_token: Option<String>,
    /// How much of it, all told.
    pub spend_limit: Option<String>,
    /// How much of that is spent.
    pub spent: Option<String>,
}

/// An amount that left the exchange, for the issuer to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalBody {
    /// Its number, from 1, over all accounts.
    pub number: String,
    /// Token symbol.
    pub token: String,
    /// Amount.
    pub amount: String,
    /// Where the issuer pays it.
    pub destination: String,
    /// The batch that it is in.
    pub batch: String,
}

/// Answer to `GET /v1/accounts/{public key}/orders`: past orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Filled or cancelled, newest first.
    pub orders: Vec<OrderBody>,
}

/// Answer to `GET /v1/accounts/{public key}/fills`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillsResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Newest first.
    pub fills: Vec<FillBody>,
}

/// Answer to `GET /v1/accounts/{public key}/ledger`: deposits, withdrawals and transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Newest first.
    pub entries: Vec<LedgerEntryBody>,
}

/// An amount that came to an account or left it, other than by a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntryBody {
    /// Its number on this replica, over all accounts.
    pub number: String,
    /// What it was.
    pub kind: LedgerKind,
    /// Token symbol.
    pub token: String,
    /// Amount.
    pub amount: String,
    /// The issuer's reference of a deposit, the destination of a withdrawal, the other account of a
    /// transfer.
    pub with: String,
    /// The batch that it is in.
    pub batch: String,
    /// Its place in that batch, from 0.
    pub position: String,
    /// The time of that batch's proof.
    pub time_ms: String,
}

/// How an amount came or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// The issuer credited it.
    Deposit,
    /// The account took it out.
    Withdrawal,
    /// The account sent it.
    TransferOut,
    /// Another account sent it.
    TransferIn,
}

names!(LedgerKind {
    Deposit = "deposit",
    Withdrawal = "withdrawal",
    TransferOut = "transfer_out",
    TransferIn = "transfer_in",
});
