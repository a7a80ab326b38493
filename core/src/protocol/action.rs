//! The actions: what a transaction asks the exchange to do.
//!
//! An action holds the texts and numbers of the transaction as they were read. Its form is valid, but nothing is
//! compared with genesis or the state yet: the market may not exist, and the price may lie between two ticks. So
//! an action of any exchange can be read, shown and signed without knowing that exchange. The step from here to
//! ticks, lots and atoms is [`super::Terms`].

use alloc::string::String;
use core::fmt::{self};

use crate::types::{Decimal, Hash, PublicKey, SelfTrade, Side, TimeInForce, TransactionHash};

/// An order as its trader wrote it, not yet checked against its market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The market's name, like `ETH/USDT`.
    pub market: String,
    /// Buy or sell.
    pub side: Side,
    /// Quantity in base; in a `replace`, the total including what the replaced order has filled.
    pub quantity: Decimal,
    /// Limit price in quote per base. There is no market order: an `ioc` order with the worst acceptable price as
    /// its limit does the same and bounds the slippage.
    pub price: Decimal,
    /// What happens to the part that does not fill immediately.
    pub time_in_force: TimeInForce,
    /// When the order expires, in Unix milliseconds of the exchange's time. Present with `gtd` and only with it.
    pub expires: Option<u64>,
    /// What happens when the order meets another order of the same account.
    pub self_trade: SelfTrade,
    /// The trader's own name for the order: 1 to 36 of `A-Za-z0-9._:-`, unique among the account's open orders.
    pub client_id: Option<String>,
}

/// How a transaction names an open order of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// By the id that the exchange assigned when it accepted the order.
    Id(u64),
    /// By the hash of the transaction that placed it. A client knows this before the order is in a batch, so it
    /// can cancel an order whose id it does not know yet.
    Transaction(TransactionHash),
    /// By the client id that the order was placed with.
    ClientId(String),
}

impl fmt::Display for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Transaction(hash) => write!(f, "of transaction {hash}"),
            Self::ClientId(client_id) => write!(f, "with client id {client_id}"),
        }
    }
}

/// The terms on which a session key may trade for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// The session key; never the account itself.
    pub key: PublicKey,
    /// When the key expires, in Unix milliseconds of the exchange's time.
    pub expires: u64,
    /// The only market that the key may trade in; `None` for all markets.
    pub market: Option<String>,
    /// The only token that the key may spend, and the total that its orders may spend, in whole tokens; `None`
    /// for no limit. The total never recovers: a cancelled order gives nothing back to it.
    pub spend: Option<(String, Decimal)>,
}

/// What a transaction asks for: one variant for each `kind` on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Places an order.
    Order(Order),
    /// Changes an open order: in place if only its quantity goes down, otherwise by cancelling it and placing
    /// another in the same market and on the same side. If the new order is rejected, the old one stays.
    Replace {
        /// The open order to change.
        target: OrderRef,
        /// The order as it should be afterwards. Its quantity is the total, including what is already filled:
        /// so a fill that happens while the transaction travels cannot make the account trade more than it
        /// intended.
        order: Order,
    },
    /// Cancels one open order of the account.
    Cancel(OrderRef),
    /// Cancels all open orders of the account, in one market or in all.
    CancelAll {
        /// The market's name; `None` for all markets.
        market: Option<String>,
    },
    /// Sets the dead-man's switch: at the given time all open orders of the account are cancelled, unless another
    /// `cancel_all_after` moves the time before then.
    CancelAllAfter {
        /// Unix milliseconds of the exchange's time; 0 turns the switch off.
        time: u64,
    },
    /// Moves an amount to another account.
    Transfer {
        /// The token's symbol.
        token: String,
        /// The receiving account. It needs no earlier transaction.
        to: PublicKey,
        /// Amount in whole tokens.
        amount: Decimal,
    },
    /// Removes an amount from the exchange. The issuer pays it out outside the exchange.
    Withdraw {
        /// The token's symbol.
        token: String,
        /// Amount in whole tokens.
        amount: Decimal,
        /// Where the issuer pays the amount: 1 to 128 of `A-Za-z0-9._:/@+-`. Only the issuer interprets it.
        destination: String,
    },
    /// Credits an amount that the issuer received outside the exchange. Only the token's issuer may sign it.
    Deposit {
        /// The token's symbol.
        token: String,
        /// The account to credit.
        to: PublicKey,
        /// Amount in whole tokens.
        amount: Decimal,
        /// The issuer's own reference: 1 to 64 of `A-Za-z0-9._:-`. Each is credited once, so an issuer can safely
        /// sign a deposit again if it does not know whether the first one arrived.
        reference: String,
    },
    /// Lets a session key trade for the account, or changes the terms of one that already may.
    AuthorizeKey(KeyGrant),
    /// Ends a session key. Orders that it placed stay open.
    RevokeKey {
        /// The session key.
        key: PublicKey,
    },
    /// A replica's statement of the root it computed and of its clock. Certified roots and the exchange's time come
    /// from these statements.
    Attest {
        /// Index of the batch that the root belongs to.
        batch: u64,
        /// The state root after that batch.
        root: Hash,
        /// The replica's clock in Unix milliseconds.
        clock: u64,
    },
}

impl Action {
    /// The value of the field `kind` on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::Replace { .. } => "replace",
            Self::Cancel(_) => "cancel",
            Self::CancelAll { .. } => "cancel_all",
            Self::CancelAllAfter { .. } => "cancel_all_after",
            Self::Transfer { .. } => "transfer",
            Self::Withdraw { .. } => "withdraw",
            Self::Deposit { .. } => "deposit",
            Self::AuthorizeKey(_) => "authorize_key",
            Self::RevokeKey { .. } => "revoke_key",
            Self::Attest { .. } => "attest",
        }
    }
}
