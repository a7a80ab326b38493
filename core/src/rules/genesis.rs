//! The genesis file: the configuration that all replicas of one exchange share.
//!
//! It holds everything that affects consensus and nothing else; what only one replica needs is in its own
//! settings. Its hash is the network id, which every signed text names, so replicas with different genesis
//! files never accept each other's transactions. The order of the struct's fields is part of that hash: never
//! reorder them.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::types::{Decimal, NetworkId, PublicKey};

/// The genesis file, as JSON. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The version of this format: 1.
    pub version: u32,
    /// The name that people see, 1 to 64 characters.
    pub name: String,
    /// The name under which batches are posted to the sequencer: 1 to 64 of `a-z0-9_-`.
    pub app_name: String,
    /// Whether orders in the integration guide's format are accepted. Each leaves a leaf for ever, so only for
    /// development.
    pub guide_orders: bool,
    /// The tokens, 1 to 256. The position of a token is its index.
    pub tokens: Vec<Token>,
    /// The markets, 1 to 256. The position of a market is its index.
    pub markets: Vec<MarketSpec>,
    /// The account that receives all fees.
    pub fee_account: PublicKey,
    /// Limits that this exchange chooses.
    pub limits: GenesisLimits,
    /// The replicas that attest to roots and clocks, 1 to 64. Without any, the exchange's time would never advance and
    /// nothing would expire.
    pub replicas: Vec<ReplicaSpec>,
}

/// A token of genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The symbol: 1 to 12 of `A-Z0-9`.
    pub symbol: String,
    /// The digits after the point, 0 to 18. One atom is `10^-decimals` tokens.
    pub decimals: u8,
    /// The key that signs deposits of this token and pays its withdrawals outside the exchange.
    pub issuer: PublicKey,
    /// The amount in whole tokens that a replica's faucet credits on request; `None` for no faucet.
    // Left out instead of `null`: a file may have either, and both must give the same network id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faucet: Option<Decimal>,
}

/// A market of genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketSpec {
    /// Symbol of the token that is bought and sold.
    pub base: String,
    /// Symbol of the token that prices are in.
    pub quote: String,
    /// The price step, in quote per base. One tick times one lot must be a whole number of quote atoms.
    pub tick_size: Decimal,
    /// The quantity step, in base. It must be a whole number of base atoms.
    pub lot_size: Decimal,
    /// The minimum order value (price times quantity), in quote; more than zero.
    pub notional_min: Decimal,
    /// The maker's fee in basis points of the quote amount; 0 to 1,000.
    pub maker_fee_bps: u16,
    /// The taker's fee in basis points of the quote amount; 0 to 1,000.
    pub taker_fee_bps: u16,
}

/// Limits that an exchange chooses. They bound the work that one transaction can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisLimits {
    /// The maximum number of open orders of one account in one market: 1 or more, and at most 5,000 divided by
    /// the number of markets.
    pub open_orders_per_account_and_market: u32,
    /// The maximum number of resting orders that one order may meet, 1 to 1,000. When it is reached, the rest
    /// of the incoming order is cancelled.
    pub makers_per_order: u32,
    /// The maximum number of session keys of one account, 0 to 64.
    pub session_keys_per_account: u32,
}

/// A replica whose attestations count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSpec {
    /// The key that signs the replica's attestations.
    pub public_key: PublicKey,
    /// The weight of its attestations; more than zero. More than two thirds of the total certify a root, and more
    /// than half of it move the exchange's time forward.
    pub weight: u32,
}

impl Genesis {
    /// The network id: SHA-256 of the compact JSON with the keys in the order of this struct.
    pub fn network_id(&self) -> NetworkId {
        // Serialization of these types cannot fail.
        // The id is computed from the parsed values and not from the file, so it does not depend on white space
        // or on the order of keys.
        let json = serde_json::to_vec(self).unwrap_or_default();
        NetworkId(Sha256::digest(json).into())
    }
}
