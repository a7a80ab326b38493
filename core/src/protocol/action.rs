//! What a transaction can do.

use alloc::string::String;
use core::fmt::{self};

use crate::types::{Decimal, Hash, PublicKey, SelfTrade, Side, TimeInForce, TransactionHash};

/// What an order says before it is checked against its market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The market's name, `ETH/USDT`.
    pub market: String,
    /// Buy or sell.
    pub side: Side,
    /// In base.
    pub quantity: Decimal,
    /// The limit, in quote per base.
    pub price: Decimal,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// When it is cancelled, in Unix milliseconds of the state's time; with `gtd` and only then.
    pub expires: Option<u64>,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
    /// A name of the trader's own, 1 to 36 of `A-Za-z0-9._:-`, unique among its open orders.
    pub client_id: Option<String>,
}

/// How a transaction names an open order of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// By its id.
    Id(u64),
    /// By the hash of the transaction that placed it.
    Transaction(TransactionHash),
    /// By its client id.
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

/// What a session key may do, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// The session key.
    pub key: PublicKey,
    /// When it ends, in Unix milliseconds of the state's time.
    pub expires: u64,
    /// The one market that it may trade in, or all.
    pub market: Option<String>,
    /// The one token that it may spend, and how much its orders may give away all told.
    pub spend: Option<(String, Decimal)>,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Places an order.
    Order(Order),
    /// Cancels an open order and places another in its market, on its side, at once; or neither.
    Replace {
        /// The open order.
        target: OrderRef,
        /// What takes its place. Its quantity counts what the open order has filled already.
        order: Order,
    },
    /// Cancels one open order of the account.
    Cancel(OrderRef),
    /// Cancels all open orders of the account, of one market or of all.
    CancelAll {
        /// The market's name, or all.
        market: Option<String>,
    },
    /// Cancels all open orders of the account at a time, unless it is set anew before.
    CancelAllAfter {
        /// In Unix milliseconds of the state's time; 0 for never.
        time: u64,
    },
    /// Moves an amount to another account.
    Transfer {
        /// The token's symbol.
        token: String,
        /// The receiver.
        to: PublicKey,
        /// In whole tokens.
        amount: Decimal,
    },
    /// Takes an amount out, for the issuer to pay outside.
    Withdraw {
        /// The token's symbol.
        token: String,
        /// In whole tokens.
        amount: Decimal,
        /// Where the issuer pays it: 1 to 128 of `A-Za-z0-9._:/@+-`.
        destination: String,
    },
    /// Credits an amount that the issuer holds outside.
    Deposit {
        /// The token's symbol.
        token: String,
        /// The receiver.
        to: PublicKey,
        /// In whole tokens.
        amount: Decimal,
        /// The issuer's reference: 1 to 64 of `A-Za-z0-9._:-`.
        reference: String,
    },
    /// Lets a session key trade for the account.
    AuthorizeKey(KeyGrant),
    /// Ends a session key.
    RevokeKey {
        /// The session key.
        key: PublicKey,
    },
    /// What a replica of genesis says it has seen.
    Attest {
        /// Index of a batch.
        batch: u64,
        /// The state root after it.
        root: Hash,
        /// The replica's clock in Unix milliseconds.
        clock: u64,
    },
}

impl Action {
    /// The kind on the wire.
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
