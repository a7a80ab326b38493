//! What a batch did: an outcome for each transaction, and the events behind it.

use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use crate::genesis::{MarketIndex, TokenIndex};
use crate::key::PublicKey;
use crate::reject::Reject;
use crate::transaction::{Side, TimeInForce, TransactionHash};
use crate::units::{Atoms, Lots, Ticks};

/// An error that our own reasoning excludes: commit nothing and stop.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the state of this replica is corrupt: {0}")]
pub struct Corrupt(pub &'static str);

/// What a batch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index of the batch.
    pub index: u64,
    /// The state root after it.
    pub root: [u8; 32],
    /// One for each element of the body, in order.
    pub transactions: Vec<TransactionOutcome>,
    /// The state's leaves that were touched, by key: the value now, or `None` where there is none.
    pub changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The one outcome of one element of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// The hash, where the signature was good: else anyone could speak in another's name.
    pub hash: Option<TransactionHash>,
    /// The signer, where the signature was good.
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
}

impl CancelReason {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::ImmediateOrCancel => "ioc",
            Self::SelfTrade => "self_trade",
        }
    }
}
