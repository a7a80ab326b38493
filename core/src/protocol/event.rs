//! What a batch did: an outcome for each transaction, and the events behind it.

use alloc::string::String;
use alloc::vec::Vec;

use super::reject::Reject;
use crate::types::{
    Atoms, Hash, Lots, MarketIndex, PublicKey, ReplicaIndex, Side, Ticks, TimeInForce, TokenIndex,
    TransactionHash,
};

/// Leaves that were touched, keys in ascending order: the value now, or `None` where there is none.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// What a batch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index of the batch.
    pub index: u64,
    /// The state root after it.
    pub root: Hash,
    /// What came due before the first transaction: expired orders, switches.
    pub due: Vec<Event>,
    /// One for each element of the body, in order.
    pub transactions: Vec<TransactionOutcome>,
    /// The state's leaves that were touched, by key: the value now, or `None` where there is none.
    pub changes: Changes,
}

/// The one outcome of one element of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// The hash, where the signature was good: else anyone could speak in another's name.
    pub hash: Option<TransactionHash>,
    /// Whose it is, where the signature was good.
    pub account: Option<PublicKey>,
    /// The kind on the wire, where the element could be read; `guide_order` for the guide's format.
    pub kind: Option<&'static str>,
    /// What it did, in sequence, or why it did nothing.
    pub result: Result<Vec<Event>, Reject>,
}

/// One thing that a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The issuer credited an amount.
    Deposited {
        /// Credited account.
        account: PublicKey,
        /// Token.
        token: TokenIndex,
        /// Amount.
        amount: Atoms,
        /// The issuer's reference.
        reference: String,
    },
    /// An amount moved.
    Transferred {
        /// Sender.
        from: PublicKey,
        /// Receiver.
        to: PublicKey,
        /// Token.
        token: TokenIndex,
        /// Amount.
        amount: Atoms,
    },
    /// An amount left the exchange.
    Withdrawn {
        /// Number of the withdrawal, from 1, over all accounts.
        withdrawal: u64,
        /// Whose.
        account: PublicKey,
        /// Token.
        token: TokenIndex,
        /// Amount.
        amount: Atoms,
        /// Where the issuer pays it.
        destination: String,
    },
    /// A session key may trade for an account, or may on other terms.
    KeyAuthorized {
        /// Whose.
        account: PublicKey,
        /// The session key.
        key: PublicKey,
        /// Until when, in Unix milliseconds.
        expires: u64,
    },
    /// A session key ended.
    KeyEnded {
        /// Whose.
        account: PublicKey,
        /// The session key.
        key: PublicKey,
        /// Whether it was revoked; else its time came.
        is_revoked: bool,
    },
    /// An account's orders are to be cancelled at a time; or, without one, no more.
    SwitchSet {
        /// Whose.
        account: PublicKey,
        /// In Unix milliseconds.
        time: Option<u64>,
    },
    /// The time of an account's switch came; its cancelled orders follow.
    SwitchFired {
        /// Whose.
        account: PublicKey,
    },
    /// A replica said what it has seen.
    Attested {
        /// Its place in genesis.
        replica: ReplicaIndex,
        /// Index of a batch.
        batch: u64,
        /// The state root after it.
        root: Hash,
        /// The replica's clock.
        clock: u64,
    },
    /// More than two thirds of the replicas' weight agree on a root.
    Certified {
        /// Index of the batch.
        batch: u64,
        /// The state root after it.
        root: Hash,
    },
    /// An order was accepted; fills and a cancellation of its rest may follow.
    Accepted {
        /// Its id.
        order: u64,
        /// Whose.
        account: PublicKey,
        /// Market.
        market: MarketIndex,
        /// Side.
        side: Side,
        /// Limit price.
        price: Ticks,
        /// Quantity.
        quantity: Lots,
        /// Time in force.
        time_in_force: TimeInForce,
        /// The trader's own name for it.
        client_id: Option<String>,
    },
    /// The quantity of an open order went down; it keeps its place.
    Reduced {
        /// Its id.
        order: u64,
        /// Whose.
        account: PublicKey,
        /// Market.
        market: MarketIndex,
        /// Side.
        side: Side,
        /// Limit price.
        price: Ticks,
        /// Its quantity now, with what is filled.
        quantity: Lots,
        /// What is left of it.
        remaining: Lots,
    },
    /// Two orders traded.
    Filled(Fill),
    /// The rest of an order left the book, or never reached it.
    Cancelled {
        /// Its id.
        order: u64,
        /// Whose.
        account: PublicKey,
        /// Market.
        market: MarketIndex,
        /// Side.
        side: Side,
        /// Limit price.
        price: Ticks,
        /// What was left of it.
        remaining: Lots,
        /// Why.
        reason: CancelReason,
    },
}

/// A trade between a resting order and an incoming one, at the resting order's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Sequence number of the trade, from 1, over all markets.
    pub trade: u64,
    /// Market.
    pub market: MarketIndex,
    /// The maker's price.
    pub price: Ticks,
    /// Quantity.
    pub quantity: Lots,
    /// Id of the resting order.
    pub maker_order: u64,
    /// Id of the incoming order.
    pub taker_order: u64,
    /// Account of the resting order.
    pub maker: PublicKey,
    /// Account of the incoming order.
    pub taker: PublicKey,
    /// Side of the incoming order.
    pub taker_side: Side,
    /// What the maker pays, in quote.
    pub maker_fee: Atoms,
    /// What the taker pays, in quote.
    pub taker_fee: Atoms,
}

/// Why an order's rest was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Its account asked.
    Requested,
    /// An `ioc` order's rest.
    ImmediateOrCancel,
    /// It met an order of its own account.
    SelfTrade,
    /// It met as many resting orders as one order may.
    MakerLimit,
    /// Its time came.
    Expired,
    /// Another order takes its place.
    Replaced,
    /// The account's switch fired.
    Switch,
}

impl CancelReason {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::ImmediateOrCancel => "ioc",
            Self::SelfTrade => "self_trade",
            Self::MakerLimit => "maker_limit",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Switch => "switch",
        }
    }
}
