//! Every bound of the protocol in one place, with the relations that other code relies on.

/// Digits of a decimal on the wire, at most. A `u128` holds every number of 38 digits.
pub const DECIMAL_DIGITS_MAX: usize = 38;
/// Atoms of one token that can exist, at most: the largest number of 38 digits, so that every
/// amount has a decimal text that can be read back.
pub const SUPPLY_MAX: u128 = 10_u128.pow(38) - 1;
/// Decimals of a token, at most.
pub const TOKEN_DECIMALS_MAX: u8 = 18;
/// Tokens in genesis, at most.
pub const TOKENS_MAX: usize = 256;
/// Markets in genesis, at most.
pub const MARKETS_MAX: usize = 256;
/// What stands for no market or no token where their index is stored.
pub const NO_INDEX: u16 = u16::MAX;
/// Replicas in genesis, at most.
pub const REPLICAS_MAX: usize = 64;
/// Characters of a token symbol, at most.
pub const SYMBOL_LENGTH_MAX: usize = 12;
/// Characters of a deposit reference, at most.
pub const REFERENCE_LENGTH_MAX: usize = 64;
/// Characters of an order's client id, at most.
pub const CLIENT_ID_LENGTH_MAX: usize = 36;
/// Characters of a withdrawal's destination, at most.
pub const DESTINATION_LENGTH_MAX: usize = 128;
/// A maker's or taker's fee in basis points of the quote amount, at most: 10 %.
pub const FEE_BPS_MAX: u16 = 1000;
/// Basis points in a whole.
pub const BPS: u128 = 10_000;
/// A tick size or lot size without its point, at most, so that ticks × tick size fits a `u128`.
pub const STEP_MAX: u128 = 18_446_744_073_709_551_615;
/// Bytes of a genesis file, at most.
pub const GENESIS_BYTES_MAX: usize = 1 << 20;

/// Nonces kept for each signing key. A nonce is valid if it is unused and, once so many are kept,
/// above the lowest kept.
pub const NONCES_KEPT: usize = 64;
/// Open orders of one account in all markets together that genesis may allow, at most. It bounds what
/// one `cancel_all` costs.
pub const OPEN_ORDERS_MAX: u32 = 5000;
/// Resting orders that one order may meet, as genesis may allow, at most. It bounds what one order
/// costs.
pub const MAKERS_PER_ORDER_MAX: u32 = 1000;
/// Session keys of one account that genesis may allow, at most.
pub const SESSION_KEYS_MAX: u32 = 64;
/// Timers and cancelled orders after which the rest of what is due waits for the next batch.
pub const DUE_PER_BATCH_MAX: usize = 4096;
/// Votes on batches that are not certified, kept for each replica.
pub const VOTES_KEPT: usize = 32;
/// Certified roots that are kept.
pub const CERTIFIED_KEPT: usize = 64;

/// Bytes of the key, and of the value, of any leaf of the state, at most.
pub const LEAF_PART_BYTES_MAX: usize = 1024;

/// Bytes of a batch body that is read; a longer one changes nothing but the index and the chain.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Elements of a batch body that is read; a longer one changes nothing but the index and the chain.
/// A signed transaction has some 300 bytes, so no honest body comes near.
pub const ELEMENTS_MAX: usize = 4096;
/// Fields of one transaction, at most; the largest kind has fewer.
pub const FIELDS_MAX: usize = 16;
/// Bytes of one transaction's JSON, at most.
pub const TRANSACTION_BYTES_MAX: usize = 4096;
/// Bytes of UTF-8 in one batch that the network takes by default.
pub const BATCH_BYTES_DEFAULT: usize = 5120;

// The longest leaves: an account's nonces, and a withdrawal with its destination.
const _: () = assert!(NONCES_KEPT * 8 <= LEAF_PART_BYTES_MAX);
const _: () = assert!(51 + DESTINATION_LENGTH_MAX <= LEAF_PART_BYTES_MAX);
const _: () = assert!(3 + REFERENCE_LENGTH_MAX <= LEAF_PART_BYTES_MAX);
const _: () = assert!(TRANSACTION_BYTES_MAX + 2 <= BATCH_BYTES_DEFAULT);
const _: () = assert!(BATCH_BYTES_DEFAULT <= BODY_BYTES_MAX);
// What a lot of one tick can be worth, times the largest order, is checked when an order arrives;
// what exists of a token can always be added up.
const _: () = assert!(SUPPLY_MAX < u128::MAX / 2);
const _: () = assert!(SUPPLY_MAX <= u128::MAX / 3);
#[expect(clippy::as_conversions, reason = "constants have no `From`, and each of these widens")]
const _: () = {
    // A fee never exceeds the amount that it is taken from, and what an order costs with its fee can
    // be added up.
    assert!((FEE_BPS_MAX as u128) < BPS);
    // Every market can have an open order.
    assert!(OPEN_ORDERS_MAX as usize >= MARKETS_MAX);
    // No market or token has the index that stands for none.
    assert!(MARKETS_MAX < NO_INDEX as usize);
    assert!(TOKENS_MAX < NO_INDEX as usize);
    // A switch that fires may go beyond the bound on what comes due, by one account's orders.
    assert!(DUE_PER_BATCH_MAX <= OPEN_ORDERS_MAX as usize);
};
