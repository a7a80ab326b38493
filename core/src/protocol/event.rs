//! What a batch did: one outcome for each element, and the events that describe its effects.
//!
//! Events are for readers: the store, the feeds and the page are built from them. They are not part of the
//! state and no root commits to them, but they follow from the state and the batch alone, so every replica
//! produces the same events. Amounts are in engine units; the reader formats them with the listing.

use alloc::string::String;
use alloc::vec::Vec;

use super::reject::Reject;
use crate::types::{
    Atoms, Hash, Lots, MarketIndex, PublicKey, ReplicaIndex, Side, Ticks, TimeInForce, TokenIndex,
    TransactionHash,
};

/// The state's leaves that a batch touched, as (key, value), with ascending keys. `None` means that the leaf no
/// longer exists.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// What a batch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index of the batch.
    pub index: u64,
    /// The state root after the batch.
    pub root: Hash,
    /// What happened because time advanced, before the first transaction: expired orders and session keys, and
    /// dead-man's switches that fired.
    pub due: Vec<Event>,
    /// One outcome for each element of the body, in order.
    pub transactions: Vec<TransactionOutcome>,
    /// The leaves that changed. A store needs only these to keep a copy of the state.
    pub changes: Changes,
}

/// The outcome of one element of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// The transaction's hash, if the signature is valid. Without a valid signature there is none: otherwise
    /// anyone could make another account's transaction appear rejected.
    pub hash: Option<TransactionHash>,
    /// The account, if the signature is valid; for the same reason.
    pub account: Option<PublicKey>,
    /// The kind, if the element could be read: as on the wire, or `guide_order` for the guide's format.
    pub kind: Option<&'static str>,
    /// The effects in the order in which they happened, or why there were none.
    pub result: Result<Vec<Event>, Reject>,
}

/// One effect of a transaction or of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The issuer credited an amount.
    Deposited {
        /// The account that received the amount.
        account: PublicKey,
        /// The token of the amount.
        token: TokenIndex,
        /// The amount credited; never zero.
        amount: Atoms,
        /// The issuer's reference, unique for this token.
        reference: String,
    },
    /// An amount moved between two accounts.
    Transferred {
        /// The sending account.
        from: PublicKey,
        /// The receiving account; never the sender.
        to: PublicKey,
        /// The token of the amount.
        token: TokenIndex,
        /// The amount moved; never zero.
        amount: Atoms,
    },
    /// An amount left the exchange. Its issuer now owes it outside.
    Withdrawn {
        /// Number of the withdrawal, counted from 1 over all accounts and tokens.
        withdrawal: u64,
        /// The account that the amount was debited from.
        account: PublicKey,
        /// The token of the amount.
        token: TokenIndex,
        /// The amount withdrawn; never zero.
        amount: Atoms,
        /// Where the issuer pays the amount.
        destination: String,
    },
    /// A session key was authorized, or an active one received new terms.
    KeyAuthorized {
        /// The account that the key may trade for.
        account: PublicKey,
        /// The session key.
        key: PublicKey,
        /// When the key expires, in Unix milliseconds of the exchange's time.
        expires: u64,
    },
    /// A session key can no longer sign for an account.
    KeyEnded {
        /// The account that the key could trade for.
        account: PublicKey,
        /// The session key.
        key: PublicKey,
        /// `true` if the account revoked the key, `false` if the key expired.
        is_revoked: bool,
    },
    /// A dead-man's switch was set, moved or turned off.
    SwitchSet {
        /// The account of the switch.
        account: PublicKey,
        /// When the switch fires, in Unix milliseconds of the exchange's time; `None` if it was turned off.
        time: Option<u64>,
    },
    /// A dead-man's switch fired. One [`Event::Cancelled`] follows for each order that it cancelled.
    SwitchFired {
        /// The account of the switch.
        account: PublicKey,
    },
    /// A replica attested to a root and reported its clock.
    Attested {
        /// Index of the replica in genesis.
        replica: ReplicaIndex,
        /// Index of the batch that the root belongs to.
        batch: u64,
        /// The state root after that batch, according to the replica.
        root: Hash,
        /// The replica's clock in Unix milliseconds.
        clock: u64,
    },
    /// A root became certified: replicas with more than two thirds of the weight attested to it.
    Certified {
        /// Index of the batch that the root belongs to.
        batch: u64,
        /// The certified state root after that batch.
        root: Hash,
    },
    /// An order was accepted. Its fills follow, and its cancellation if the rest does not enter the book.
    Accepted {
        /// The order id, counted from 1 over all markets.
        order: u64,
        /// The account of the order.
        account: PublicKey,
        /// The market of the order.
        market: MarketIndex,
        /// Buy or sell.
        side: Side,
        /// Limit price.
        price: Ticks,
        /// Quantity before any fill.
        quantity: Lots,
        /// What happens to the part that does not fill immediately.
        time_in_force: TimeInForce,
        /// The trader's own name for the order.
        client_id: Option<String>,
    },
    /// A `replace` reduced the quantity of an open order, which keeps its id and its queue position.
    Reduced {
        /// The order id.
        order: u64,
        /// The account of the order.
        account: PublicKey,
        /// The market of the order.
        market: MarketIndex,
        /// Buy or sell.
        side: Side,
        /// Limit price; unchanged.
        price: Ticks,
        /// The new total quantity, including what is filled.
        quantity: Lots,
        /// The new unfilled quantity.
        remaining: Lots,
    },
    /// Two orders traded.
    Filled(Fill),
    /// The unfilled part of an order was cancelled, whether it was in the book or never entered it.
    Cancelled {
        /// The order id.
        order: u64,
        /// The account of the order.
        account: PublicKey,
        /// The market of the order.
        market: MarketIndex,
        /// Buy or sell.
        side: Side,
        /// Limit price.
        price: Ticks,
        /// The quantity that was cancelled.
        remaining: Lots,
        /// The cause of the cancellation.
        reason: CancelReason,
    },
}

/// A trade between a resting order and an incoming one, at the resting order's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Number of the trade, counted from 1 over all markets.
    pub trade: u64,
    /// The market of both orders.
    pub market: MarketIndex,
    /// The price of the trade, which is always the maker's.
    pub price: Ticks,
    /// The quantity that changed hands.
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
    /// The maker's fee in quote atoms, on either side.
    pub maker_fee: Atoms,
    /// The taker's fee in quote atoms, on either side.
    pub taker_fee: Atoms,
}

/// Why the unfilled part of an order was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// The account cancelled it.
    Requested,
    /// An `ioc` order never rests.
    ImmediateOrCancel,
    /// Self-trade prevention: it met, or was met by, an order of the same account.
    SelfTrade,
    /// It met the maximum number of resting orders. Genesis sets this bound so that one order has a bounded cost.
    MakerLimit,
    /// The exchange's time reached its `expires`.
    Expired,
    /// A `replace` cancelled it.
    Replaced,
    /// The account's dead-man's switch fired.
    Switch,
}

impl CancelReason {
    /// The value of `reason` in the API.
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
