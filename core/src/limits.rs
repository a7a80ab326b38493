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
/// Replicas in genesis, at most.
pub const REPLICAS_MAX: usize = 64;
/// Characters of a token symbol, at most.
pub const SYMBOL_LENGTH_MAX: usize = 12;
/// Characters of a deposit reference, at most.
pub const REFERENCE_LENGTH_MAX: usize = 64;
/// A tick size or lot size without its point, at most, so that ticks × tick size fits a `u128`.
pub const STEP_MAX: u128 = 18_446_744_073_709_551_615;
/// Bytes of a genesis file, at most.
pub const GENESIS_BYTES_MAX: usize = 1 << 20;

/// Nonces kept for each signing key. A nonce is valid if it is unused and, once so many are kept,
/// above the lowest kept.
pub const NONCES_KEPT: usize = 64;
/// Open orders of one account in one market that genesis may allow, at most.
pub const OPEN_ORDERS_MAX: u32 = 10_000;

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

/// Nodes in a node list, at most.
pub const NODES_MAX: usize = 1024;
/// Bytes of one `finalized` answer, at most. A network of one node with default limits cuts its
/// answers at 10 MB of bodies; JSON escapes and signatures come on top.
pub const PAGE_BYTES_MAX: usize = 64 << 20;
/// Batches of one `finalized` answer that are read; the rest is asked for again.
pub const PAGE_BATCHES_MAX: usize = 1 << 17;
/// Finality signatures of one `finalized` answer that are read.
pub const PAGE_SIGNATURES_MAX: usize = 1 << 14;
/// What a batch costs in memory besides its body, in bytes, about.
pub const BATCH_OVERHEAD: usize = 128;
/// Bytes of bodies kept that no signature covers yet, at most.
pub const PENDING_BYTES_MAX: usize = 256 << 20;

const _: () = assert!(TRANSACTION_BYTES_MAX + 2 <= BATCH_BYTES_DEFAULT);
const _: () = assert!(BATCH_BYTES_DEFAULT <= BODY_BYTES_MAX);
const _: () = assert!(PAGE_BYTES_MAX + PAGE_BATCHES_MAX * BATCH_OVERHEAD <= PENDING_BYTES_MAX);
// What a lot of one tick can be worth, times the largest order, is checked when an order arrives;
// what exists of a token can always be added up.
const _: () = assert!(SUPPLY_MAX < u128::MAX / 2);
