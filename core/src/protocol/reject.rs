//! Why a transaction had no effect: the reject codes and their order.
//!
//! Several rules can be broken at once, and every replica must then report the same code. So the order is
//! fixed: the checks run in the order of the code numbers, except that 8 comes right after 4, and the first that
//! fails decides. Codes 1 to 4 leave the nonce unused, because without a valid signature and a good nonce nothing
//! shows that the account sent the transaction now. Code 8 does too: a nonce is a leaf, and a key that never held
//! anything has nobody who paid for one. So the same bytes can still be applied once the key is known. Every other
//! reject uses the nonce up, and then the transaction can never be applied later.
//! Codes 10 to 17 depend on genesis alone ([`super::Terms`]), except that 16 also bounds the supply of a token;
//! the other codes depend on the state.

use alloc::string::String;

use thiserror::Error;

use super::action::OrderRef;
use crate::types::limits::NONCES_KEPT;
use crate::types::{Decimal, PublicKey};

/// Why a transaction had no effect, in the order in which the rules are checked. The code is part of consensus:
/// never renumber, never reuse. The message says what was wrong and what would be right. It is not part of
/// consensus, and neither are the fields.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Reject {
    /// The element is not a transaction of this protocol. The text names the field and its valid form.
    #[error("malformed transaction: {0}")]
    Malformed(String),
    /// The signature is not one of the signing key over this transaction's text.
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
    /// The nonce is below the lowest of the 64 that are stored for the signing key. It may have been used and
    /// forgotten, so it cannot be accepted.
    #[error(
        "nonce {nonce} is too low: the lowest of the {NONCES_KEPT} nonces stored for this key is {lowest}; use a higher one"
    )]
    NonceTooOld {
        /// The nonce of the transaction.
        nonce: u64,
        /// The lowest nonce that is stored.
        lowest: u64,
    },
    /// The exchange's time has reached the transaction's `valid_until`.
    #[error("this transaction was valid until {valid_until}, but the exchange's time is {time}")]
    Expired {
        /// The limit that the transaction states, in Unix milliseconds.
        valid_until: u64,
        /// The exchange's time in Unix milliseconds.
        time: u64,
    },
    /// The signer is not an active session key of the account: never authorized, revoked, or expired.
    #[error(
        "{signer} is not an active session key of this account; authorize it first, or sign with the account's own key"
    )]
    KeyNotAuthorized {
        /// The key that signed.
        signer: PublicKey,
    },
    /// The session key's terms do not allow this action.
    #[error("{problem}; sign with the account's own key")]
    KeyNotAllowed {
        /// A sentence that says what the key may not do.
        problem: String,
    },
    /// The state does not know the signing key: it never held anything and has no role. Checked right after the
    /// nonce, which stays unused.
    #[error(
        "the exchange does not know the key {signer}, which has no balance and is not a session key of this account; make a deposit or a transfer to it first, then send this transaction again"
    )]
    UnknownSigner {
        /// The key that signed.
        signer: PublicKey,
    },
    /// Genesis has no market of this name.
    #[error("there is no market {market}; the markets are {known}")]
    UnknownMarket {
        /// The name in the transaction.
        market: String,
        /// The first markets of genesis, joined by commas.
        known: String,
    },
    /// Genesis has no token with this symbol.
    #[error("there is no token {token}; the tokens are {known}")]
    UnknownToken {
        /// The symbol in the transaction.
        token: String,
        /// The first tokens of genesis, joined by commas.
        known: String,
    },
    /// A price, quantity or amount is zero.
    #[error("{field} is zero; the minimum is {least}")]
    NotPositive {
        /// The field: `price`, `quantity` or `amount`.
        field: &'static str,
        /// The smallest valid value: one tick, lot or atom.
        least: Decimal,
    },
    /// The price is not a multiple of the tick size.
    #[error("price {price} is not a multiple of the tick size {tick_size}{suggestion}")]
    PriceOffTick {
        /// The price of the order.
        price: Decimal,
        /// The tick size of the market.
        tick_size: Decimal,
        /// The valid prices just below and above.
        suggestion: Suggestion,
    },
    /// The quantity is not a multiple of the lot size.
    #[error("quantity {quantity} is not a multiple of the lot size {lot_size}{suggestion}")]
    QuantityOffLot {
        /// The quantity of the order.
        quantity: Decimal,
        /// The lot size of the market.
        lot_size: Decimal,
        /// The valid quantities just below and above.
        suggestion: Suggestion,
    },
    /// The amount is not a whole number of atoms.
    #[error("amount {amount} has too many decimals; {token} has {decimals}")]
    AmountOffAtom {
        /// The amount of the transaction.
        amount: Decimal,
        /// The symbol of the token.
        token: String,
        /// The number of digits after the point that an amount of the token can have.
        decimals: u8,
    },
    /// A number is larger than the engine can count: 2^64 - 1 ticks or lots, 10^38 - 1 atoms.
    #[error("{field} {value} is too large; the maximum is {largest}")]
    TooLarge {
        /// The field, or the product that is too large, as in `price times quantity`.
        field: &'static str,
        /// The value of the transaction.
        value: String,
        /// The largest valid value.
        largest: String,
    },
    /// The order value is below the market's minimum. The minimum keeps tiny orders from filling the book.
    #[error(
        "the order value (price times quantity) is {notional} {quote}; the minimum in this market is {notional_min} {quote}"
    )]
    NotionalTooSmall {
        /// Price times quantity, in quote, without any fee.
        notional: Decimal,
        /// The market's minimum, in quote.
        notional_min: Decimal,
        /// Symbol of the quote token.
        quote: String,
    },
    /// A time that must be in the future is not.
    #[error("{field} is {value}, but the exchange's time is already {time}; use a later time")]
    TimePassed {
        /// The field: `expires` or `time`.
        field: &'static str,
        /// The time that the transaction states, in Unix milliseconds.
        value: u64,
        /// The exchange's time in Unix milliseconds.
        time: u64,
    },
    /// The deposit is not signed by the token's issuer.
    #[error("only the issuer of {token}, {issuer}, can sign its deposits")]
    NotIssuer {
        /// The symbol of the token.
        token: String,
        /// The account that genesis names as the token's issuer.
        issuer: PublicKey,
    },
    /// A deposit of this token with this reference was already credited.
    #[error(
        "deposit {reference} of {token} was already credited; a reference can be credited only once"
    )]
    ReferenceUsed {
        /// The symbol of the token.
        token: String,
        /// The issuer's reference.
        reference: String,
    },
    /// A transfer names its sender as receiver.
    #[error("the sender and the recipient are the same account; name another recipient")]
    TransferToSelf,
    /// The account that attests is not a replica of genesis.
    #[error("only a replica named in genesis can attest")]
    NotReplica,
    /// The replica already attested to a later batch.
    #[error("this replica already attested to batch {last}; batch {batch} is older")]
    AttestationStale {
        /// The batch of the transaction.
        batch: u64,
        /// The last batch that the replica attested to.
        last: u64,
    },
    /// The attestation is for the batch that contains it or a later one. No replica can have that root yet.
    #[error(
        "an attestation in batch {index} cannot be for batch {batch}; attest to an earlier batch"
    )]
    AttestationInFuture {
        /// The batch of the transaction.
        batch: u64,
        /// The batch that contains the transaction.
        index: u64,
    },
    /// The account already has as many session keys as genesis allows.
    #[error("the account already has the maximum of {most} session keys; revoke one first")]
    TooManyKeys {
        /// The maximum in genesis.
        most: u32,
    },
    /// The key to revoke is not a session key of the account.
    #[error("{key} is not a session key of this account")]
    UnknownKey {
        /// The key that the transaction names.
        key: PublicKey,
    },
    /// The account has no such open order, or it is in another market or on another side than the transaction
    /// says.
    #[error("the account has no open order {order} here; it may already be filled or cancelled")]
    UnknownOrder {
        /// The order as the transaction names it.
        order: OrderRef,
    },
    /// Another open order of the account, in any market, has this client id.
    #[error(
        "client id {client_id} is already used by open order {order} of this account; use another one"
    )]
    ClientIdUsed {
        /// The client id.
        client_id: String,
        /// The id of the open order that has it.
        order: u64,
    },
    /// A post-only order would trade immediately.
    #[error("this post-only order would trade immediately: the best {side} is {best}")]
    WouldCross {
        /// The opposite side: `ask` or `bid`.
        side: &'static str,
        /// The best price of that side.
        best: Decimal,
    },
    /// The account already has as many open orders in the market as genesis allows.
    #[error(
        "the account already has the maximum of {most} open orders in {market}; cancel one first"
    )]
    TooManyOrders {
        /// The market's name.
        market: String,
        /// The maximum in genesis.
        most: u32,
    },
    /// A fill-or-kill order would not fill completely.
    #[error("this fill-or-kill order would fill only {filled} of {quantity}")]
    CannotFill {
        /// The quantity that would fill now.
        filled: Decimal,
        /// The quantity of the order.
        quantity: Decimal,
    },
    /// The order would exceed the session key's spending limit.
    #[error(
        "this order can spend {needed} {token}, but only {left} {token} of the session key's limit is left"
    )]
    KeyLimit {
        /// The symbol of the token.
        token: String,
        /// The amount that the order can spend, without its fee.
        needed: Decimal,
        /// The unspent part of the limit.
        left: Decimal,
    },
    /// The available balance is too low.
    #[error("this needs {needed} {token}, but only {available} {token} is available")]
    BalanceTooLow {
        /// The symbol of the token.
        token: String,
        /// The amount that would be debited or locked.
        needed: Decimal,
        /// The available balance.
        available: Decimal,
    },
}

/// The valid values just below and just above an invalid one; `None` if a `u128` cannot hold them. Zero below
/// means that only the value above is valid.
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
    /// The code of [`Self::UnknownSigner`]. It is the only reject of a transaction with a valid signature that does
    /// not end it: the same bytes can be applied later.
    pub const UNKNOWN_SIGNER: u16 = 8;

    /// The code: the number that identifies this reject in the protocol and the API.
    pub const fn code(&self) -> u16 {
        match self {
            // The numbers are written out, since a code never changes: with the position of a variant,
            // inserting one would renumber those after it.
            Self::Malformed(_) => 1,
            Self::BadSignature { .. } => 2,
            Self::NonceUsed => 3,
            Self::NonceTooOld { .. } => 4,
            Self::Expired { .. } => 5,
            Self::KeyNotAuthorized { .. } => 6,
            Self::KeyNotAllowed { .. } => 7,
            Self::UnknownSigner { .. } => Self::UNKNOWN_SIGNER,
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

    /// The name of the code in the API, in snake case.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::BadSignature { .. } => "bad_signature",
            Self::NonceUsed => "nonce_used",
            Self::NonceTooOld { .. } => "nonce_too_old",
            Self::Expired { .. } => "expired",
            Self::KeyNotAuthorized { .. } => "key_not_authorized",
            Self::KeyNotAllowed { .. } => "key_not_allowed",
            Self::UnknownSigner { .. } => "unknown_signer",
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
