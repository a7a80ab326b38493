//! Why a transaction had no effect.

use alloc::string::String;

use thiserror::Error;

use super::action::OrderRef;
use crate::types::limits::NONCES_KEPT;
use crate::types::{Decimal, PublicKey};

/// Why a transaction had no effect. The code is part of consensus: never renumber, never reuse.
/// In the order in which they are checked; the first that applies is the answer. The message
/// says what was wrong and what would be right; it is not part of consensus.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Reject {
    /// The element is no transaction of this protocol.
    #[error("malformed transaction: {0}")]
    Malformed(String),
    /// The signature is not the signing key's over this transaction's text.
    #[error(
        "the signature of {signer} does not match this transaction's text; sign the text again for this network"
    )]
    BadSignature {
        /// The key that should have signed: the account, or the signer that the transaction names.
        signer: PublicKey,
    },
    /// This nonce, or this signature in the guide's format, was used before.
    #[error("this nonce was already used; use a higher one, for example the time in milliseconds")]
    NonceUsed,
    /// The nonce is below the lowest of the 64 that are kept.
    #[error(
        "nonce {nonce} is too low: the lowest of the {NONCES_KEPT} nonces stored for this key is {lowest}; use a higher one"
    )]
    NonceTooOld {
        /// The nonce of the transaction.
        nonce: u64,
        /// The lowest that is kept.
        lowest: u64,
    },
    /// The state's time has reached the transaction's `valid_until`.
    #[error("this transaction was valid until {valid_until}, but the exchange's time is {time}")]
    Expired {
        /// What the transaction says, in Unix milliseconds.
        valid_until: u64,
        /// The state's time.
        time: u64,
    },
    /// The signer is no session key of the account.
    #[error(
        "{signer} is not an active session key of this account; authorize it first, or sign with the account's own key"
    )]
    KeyNotAuthorized {
        /// The key that signed.
        signer: PublicKey,
    },
    /// A session key signed what it may not do.
    #[error("{problem}; sign with the account's own key")]
    KeyNotAllowed {
        /// What it may not do.
        problem: String,
    },
    /// There is no such market in genesis.
    #[error("there is no market {market}; the markets are {known}")]
    UnknownMarket {
        /// What the transaction names.
        market: String,
        /// The markets of genesis.
        known: String,
    },
    /// There is no such token in genesis.
    #[error("there is no token {token}; the tokens are {known}")]
    UnknownToken {
        /// What the transaction names.
        token: String,
        /// The tokens of genesis.
        known: String,
    },
    /// A price, quantity or amount of zero.
    #[error("{field} is zero; the minimum is {least}")]
    NotPositive {
        /// The field: `price`, `quantity` or `amount`.
        field: &'static str,
        /// The least that is valid.
        least: Decimal,
    },
    /// The price is between two ticks.
    #[error("price {price} is not a multiple of the tick size {tick_size}{suggestion}")]
    PriceOffTick {
        /// The price of the order.
        price: Decimal,
        /// The tick size of the market.
        tick_size: Decimal,
        /// `; the nearest valid prices are …`, or nothing.
        suggestion: Suggestion,
    },
    /// The quantity is between two lots.
    #[error("quantity {quantity} is not a multiple of the lot size {lot_size}{suggestion}")]
    QuantityOffLot {
        /// The quantity of the order.
        quantity: Decimal,
        /// The lot size of the market.
        lot_size: Decimal,
        /// `; the nearest valid quantities are …`, or nothing.
        suggestion: Suggestion,
    },
    /// The amount is no whole number of atoms.
    #[error("amount {amount} has too many decimals; {token} has {decimals}")]
    AmountOffAtom {
        /// The amount of the transaction.
        amount: Decimal,
        /// The symbol of the token.
        token: String,
        /// The decimals of the token.
        decimals: u8,
    },
    /// A number is larger than the engine counts.
    #[error("{field} {value} is too large; the maximum is {largest}")]
    TooLarge {
        /// The field: `price`, `quantity`, `amount` or `price times quantity`.
        field: &'static str,
        /// The value of the transaction.
        value: String,
        /// The largest that is valid.
        largest: String,
    },
    /// Price times quantity is less than the market's least notional.
    #[error(
        "the order value (price times quantity) is {notional} {quote}; the minimum in this market is {notional_min} {quote}"
    )]
    NotionalTooSmall {
        /// Price times quantity.
        notional: Decimal,
        /// The market's least.
        notional_min: Decimal,
        /// Symbol of the quote token.
        quote: String,
    },
    /// A time that must be ahead is not.
    #[error("{field} is {value}, but the exchange's time is already {time}; use a later time")]
    TimePassed {
        /// The field: `expires` or `time`.
        field: &'static str,
        /// What the transaction says, in Unix milliseconds.
        value: u64,
        /// The state's time.
        time: u64,
    },
    /// Only the issuer in genesis signs deposits.
    #[error("only the issuer of {token}, {issuer}, can sign its deposits")]
    NotIssuer {
        /// The symbol of the token.
        token: String,
        /// Its issuer.
        issuer: PublicKey,
    },
    /// This deposit reference was credited before.
    #[error(
        "deposit {reference} of {token} was already credited; a reference can be credited only once"
    )]
    ReferenceUsed {
        /// The symbol of the token.
        token: String,
        /// The reference.
        reference: String,
    },
    /// A transfer to its own sender.
    #[error("the sender and the recipient are the same account; name another recipient")]
    TransferToSelf,
    /// Only replicas of genesis attest.
    #[error("only a replica named in genesis can attest")]
    NotReplica,
    /// The replica attested to a later batch before.
    #[error("this replica already attested to batch {last}; batch {batch} is older")]
    AttestationStale {
        /// The batch of the transaction.
        batch: u64,
        /// The last batch that the replica attested to.
        last: u64,
    },
    /// The batch is not applied yet.
    #[error(
        "an attestation in batch {index} cannot be for batch {batch}; attest to an earlier batch"
    )]
    AttestationInFuture {
        /// The batch of the transaction.
        batch: u64,
        /// The batch that holds the transaction.
        index: u64,
    },
    /// The account has as many session keys as genesis allows.
    #[error("the account already has the maximum of {most} session keys; revoke one first")]
    TooManyKeys {
        /// The bound.
        most: u32,
    },
    /// There is no such session key to revoke.
    #[error("{key} is not a session key of this account")]
    UnknownKey {
        /// What the transaction names.
        key: PublicKey,
    },
    /// No open order of this account is so named.
    #[error("the account has no open order {order} here; it may already be filled or cancelled")]
    UnknownOrder {
        /// What the transaction names.
        order: OrderRef,
    },
    /// Another open order has this client id.
    #[error(
        "client id {client_id} is already used by open order {order} of this account; use another one"
    )]
    ClientIdUsed {
        /// The client id.
        client_id: String,
        /// The order that has it.
        order: u64,
    },
    /// A post-only order would take.
    #[error("this post-only order would trade immediately: the best {side} is {best}")]
    WouldCross {
        /// `ask` or `bid`: the other side.
        side: &'static str,
        /// The best price there.
        best: Decimal,
    },
    /// The account has as many open orders in the market as genesis allows.
    #[error(
        "the account already has the maximum of {most} open orders in {market}; cancel one first"
    )]
    TooManyOrders {
        /// The market.
        market: String,
        /// The bound.
        most: u32,
    },
    /// A fill-or-kill order would not fill.
    #[error("this fill-or-kill order would fill only {filled} of {quantity}")]
    CannotFill {
        /// What would fill now.
        filled: Decimal,
        /// The quantity of the order.
        quantity: Decimal,
    },
    /// The session key's spending limit does not cover it.
    #[error(
        "this order can spend {needed} {token}, but only {left} {token} of the session key's limit is left"
    )]
    KeyLimit {
        /// The symbol of the token.
        token: String,
        /// What the order gives away.
        needed: Decimal,
        /// What is left of the limit.
        left: Decimal,
    },
    /// The available balance does not cover it.
    #[error("this needs {needed} {token}, but only {available} {token} is available")]
    BalanceTooLow {
        /// The symbol of the token.
        token: String,
        /// What would be debited or locked.
        needed: Decimal,
        /// What is available.
        available: Decimal,
    },
}

/// The two nearest valid values, where they exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suggestion(pub Option<(Decimal, Decimal)>);

impl core::fmt::Display for Suggestion {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some((below, above)) if below.is_zero() => {
                write!(f, "; the nearest valid value is {above}")
            }
            Some((below, above)) => write!(f, "; the nearest valid values are {below} and {above}"),
            None => Ok(()),
        }
    }
}

impl Reject {
    /// The number on the wire.
    pub const fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 1,
            Self::BadSignature { .. } => 2,
            Self::NonceUsed => 3,
            Self::NonceTooOld { .. } => 4,
            Self::Expired { .. } => 5,
            Self::KeyNotAuthorized { .. } => 6,
            Self::KeyNotAllowed { .. } => 7,
            Self::UnknownMarket { .. } => 10,
            Self::UnknownToken { .. } => 11,
            Self::NotPositive { .. } => 12,
            Self::PriceOffTick { .. } => 13,
            Self::QuantityOffLot { .. } => 14,
            Self::AmountOffAtom { .. } => 15,
            Self::TooLarge { .. } => 16,
            Self::NotionalTooSmall { .. } => 17,
            Self::TimePassed { .. } => 18,
            Self::NotIssuer { .. } => 20,
            Self::ReferenceUsed { .. } => 21,
            Self::TransferToSelf => 22,
            Self::NotReplica => 23,
            Self::AttestationStale { .. } => 24,
            Self::AttestationInFuture { .. } => 25,
            Self::TooManyKeys { .. } => 26,
            Self::UnknownKey { .. } => 27,
            Self::UnknownOrder { .. } => 30,
            Self::ClientIdUsed { .. } => 31,
            Self::WouldCross { .. } => 32,
            Self::TooManyOrders { .. } => 33,
            Self::CannotFill { .. } => 34,
            Self::KeyLimit { .. } => 35,
            Self::BalanceTooLow { .. } => 40,
        }
    }

    /// The name on the wire, in snake case.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::BadSignature { .. } => "bad_signature",
            Self::NonceUsed => "nonce_used",
            Self::NonceTooOld { .. } => "nonce_too_old",
            Self::Expired { .. } => "expired",
            Self::KeyNotAuthorized { .. } => "key_not_authorized",
            Self::KeyNotAllowed { .. } => "key_not_allowed",
            Self::UnknownMarket { .. } => "unknown_market",
            Self::UnknownToken { .. } => "unknown_token",
            Self::NotPositive { .. } => "not_positive",
            Self::PriceOffTick { .. } => "price_off_tick",
            Self::QuantityOffLot { .. } => "quantity_off_lot",
            Self::AmountOffAtom { .. } => "amount_off_atom",
            Self::TooLarge { .. } => "too_large",
            Self::NotionalTooSmall { .. } => "notional_too_small",
            Self::TimePassed { .. } => "time_passed",
            Self::NotIssuer { .. } => "not_issuer",
            Self::ReferenceUsed { .. } => "reference_used",
            Self::TransferToSelf => "transfer_to_self",
            Self::NotReplica => "not_replica",
            Self::AttestationStale { .. } => "attestation_stale",
            Self::AttestationInFuture { .. } => "attestation_in_future",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::UnknownKey { .. } => "unknown_key",
            Self::UnknownOrder { .. } => "unknown_order",
            Self::ClientIdUsed { .. } => "client_id_used",
            Self::WouldCross { .. } => "would_cross",
            Self::TooManyOrders { .. } => "too_many_orders",
            Self::CannotFill { .. } => "cannot_fill",
            Self::KeyLimit { .. } => "key_limit",
            Self::BalanceTooLow { .. } => "balance_too_low",
        }
    }
}
