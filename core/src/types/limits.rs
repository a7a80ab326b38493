//! Every limit of the protocol, and the relations between them that other code relies on.
//!
//! Limits have two purposes. Those of numbers guarantee that arithmetic in a `u128` cannot overflow. Those of
//! sizes bound the time and memory that one transaction or one batch can cost, because anybody can post
//! anything. They are part of consensus: changing one changes which transactions are rejected. The relations at
//! the end are checked when the crate is compiled.

/// The maximum number of digits of a decimal on the wire. A `u128` holds every number of 38 digits.
pub const DECIMAL_DIGITS_MAX: usize = 38;
/// The maximum supply of one token in atoms: the largest number of 38 digits, so that every amount has a
/// decimal text that can be read back.
pub const SUPPLY_MAX: u128 = 10_u128.pow(38) - 1;
/// The maximum number of decimals of a token.
pub const TOKEN_DECIMALS_MAX: u8 = 18;
/// The maximum number of tokens in genesis.
pub const TOKENS_MAX: usize = 256;
/// The maximum number of markets in genesis.
pub const MARKETS_MAX: usize = 256;
/// Marks the absence of a market or a token where their index is stored.
pub const NO_INDEX: u16 = u16::MAX;
/// The maximum number of replicas in genesis.
pub const REPLICAS_MAX: usize = 64;
/// The maximum length of a token symbol in characters.
pub const SYMBOL_LENGTH_MAX: usize = 12;
/// The maximum length of a deposit reference in characters.
pub const REFERENCE_LENGTH_MAX: usize = 64;
/// The maximum length of an order's client id in characters; a UUID with its hyphens fits.
pub const CLIENT_ID_LENGTH_MAX: usize = 36;
/// The maximum length of a withdrawal's destination in characters.
pub const DESTINATION_LENGTH_MAX: usize = 128;
/// The maximum fee of a maker or a taker, in basis points of the quote amount: 10 %.
pub const FEE_BPS_MAX: u16 = 1000;
/// The number of basis points in 100 %.
pub const BPS: u128 = 10_000;
/// The maximum of a tick size or lot size without its point: 2^64 - 1. A number of ticks is a `u64`, so ticks ×
/// tick size fits a `u128`.
pub const STEP_MAX: u128 = 18_446_744_073_709_551_615;
/// The maximum size of a genesis file in bytes.
pub const GENESIS_BYTES_MAX: usize = 1 << 20;

/// The number of nonces stored for each signing key, the highest that it used. A nonce is valid if it is not
/// among them and, once this many are stored, above the lowest. So the state is bounded, and the transactions
/// of a key may still arrive out of order.
pub const NONCES_KEPT: usize = 64;
/// The maximum that genesis may allow as open orders of one account in all markets together. It bounds the cost
/// of one `cancel_all`.
pub const OPEN_ORDERS_MAX: u32 = 5000;
/// The maximum that genesis may allow as resting orders that one order meets. It bounds the cost of one order.
pub const MAKERS_PER_ORDER_MAX: u32 = 1000;
/// The maximum that genesis may allow as session keys of one account.
pub const SESSION_KEYS_MAX: u32 = 64;
/// The number of due timers, and of orders that they cancel, after which the remaining timers wait for the next
/// batch. It bounds the work before the first transaction, even if very many orders expire at the same time.
pub const DUE_PER_BATCH_MAX: usize = 4096;
/// The number of votes on batches that are not certified yet, stored for each replica.
pub const VOTES_KEPT: usize = 32;
/// The number of certified roots that the state stores, the newest.
pub const CERTIFIED_KEPT: usize = 64;

/// The maximum size of a leaf's key, and of its value, in bytes. A reader of a snapshot relies on it before it
/// allocates memory.
pub const LEAF_PART_BYTES_MAX: usize = 1024;

/// The maximum size of a batch body in bytes. A longer one counts as a batch without transactions.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The maximum number of elements of a batch body. A body with more counts as a batch without transactions. A
/// signed transaction has about 300 bytes, so an honest body of 1 MiB has fewer.
pub const ELEMENTS_MAX: usize = 4096;
/// The maximum number of fields of one transaction. A `replace` with every optional field has exactly as many.
pub const FIELDS_MAX: usize = 16;
/// The maximum size of one transaction's JSON in bytes.
pub const TRANSACTION_BYTES_MAX: usize = 4096;
/// The size of a batch body in bytes that the sequencer network accepts by default. It is a setting of the
/// network and not a rule for readers.
pub const BATCH_BYTES_DEFAULT: usize = 5120;

// The longest leaves fit: a key's nonces, a withdrawal with its destination, a deposit reference.
const _: () = assert!(NONCES_KEPT * 8 <= LEAF_PART_BYTES_MAX);
const _: () = assert!(51 + DESTINATION_LENGTH_MAX <= LEAF_PART_BYTES_MAX);
const _: () = assert!(3 + REFERENCE_LENGTH_MAX <= LEAF_PART_BYTES_MAX);
// A transaction of the maximum size fits a batch of the default size, with the brackets of the array.
const _: () = assert!(TRANSACTION_BYTES_MAX + 2 <= BATCH_BYTES_DEFAULT);
const _: () = assert!(BATCH_BYTES_DEFAULT <= BODY_BYTES_MAX);
// Balances of one token can always be added: each is at most the supply. (The value of an order is not bounded by
// constants alone; it is checked when the order arrives.)
const _: () = assert!(SUPPLY_MAX < u128::MAX / 2);
const _: () = assert!(SUPPLY_MAX <= u128::MAX / 3);
#[expect(clippy::as_conversions, reason = "constants have no `From`, and each of these widens")]
const _: () = {
    // A fee never exceeds the amount that it is taken from, and the sum of the two does not overflow.
    assert!((FEE_BPS_MAX as u128) < BPS);
    // Even with the most markets, an account can have an open order in each.
    assert!(OPEN_ORDERS_MAX as usize >= MARKETS_MAX);
    // No market or token has the index that marks absence.
    assert!(MARKETS_MAX < NO_INDEX as usize);
    assert!(TOKENS_MAX < NO_INDEX as usize);
    // A dead-man's switch that fires cancels all orders of its account, even if that exceeds the limit of the
    // batch.
    assert!(DUE_PER_BATCH_MAX <= OPEN_ORDERS_MAX as usize);
};
