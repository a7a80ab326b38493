//! The genesis file: what every replica of one exchange starts from. Its hash is the network id.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::types::{Decimal, NetworkId, PublicKey};

/// The genesis file, as JSON. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The format of this file; 1.
    pub version: u32,
    /// A name that people see, 1 to 64 characters.
    pub name: String,
    /// The name under which batches are posted to the sequencer, 1 to 64 of `a-z0-9_-`.
    pub app_name: String,
    /// Whether orders in the integration guide's format are accepted.
    pub guide_orders: bool,
    /// The tokens; their order is their index.
    pub tokens: Vec<Token>,
    /// The markets; their order is their index.
    pub markets: Vec<MarketSpec>,
    /// The account that fees are credited to.
    pub fee_account: PublicKey,
    /// Bounds that this exchange chooses.
    pub limits: GenesisLimits,
    /// The replicas that attest to roots and clocks, with their weights. At least one: the state's
    /// time comes from them.
    pub replicas: Vec<ReplicaSpec>,
}

/// A token of genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// 1 to 12 of `A-Z0-9`.
    pub symbol: String,
    /// Digits after the point; an atom is `10^-decimals`. 0 to 18.
    pub decimals: u8,
    /// The key that signs deposits of this token.
    pub issuer: PublicKey,
    /// What a faucet credits to a key that asks; no faucet without it.
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
    /// The price step, in quote per base.
    pub tick_size: Decimal,
    /// The quantity step, in base.
    pub lot_size: Decimal,
    /// The least that quantity × price of an order may be, in quote.
    pub notional_min: Decimal,
    /// What a maker pays, in basis points of the quote amount; 0 to 1,000.
    pub maker_fee_bps: u16,
    /// What a taker pays, in basis points of the quote amount; 0 to 1,000.
    pub taker_fee_bps: u16,
}

/// Bounds that an exchange chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisLimits {
    /// Open orders of one account in one market, at most. 1 or more; times the number of markets at
    /// most 5,000.
    pub open_orders_per_account_and_market: u32,
    /// Resting orders that one order may meet, at most; 1 to 1,000. Its rest is cancelled then.
    pub makers_per_order: u32,
    /// Session keys of one account, at most; 0 to 64.
    pub session_keys_per_account: u32,
}

/// A replica that attests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSpec {
    /// The key that its attestations are signed with.
    pub public_key: PublicKey,
    /// Its weight; more than zero.
    pub weight: u32,
}

impl Genesis {
    /// The network id: SHA-256 of the compact JSON with the keys in the order of this struct.
    pub fn network_id(&self) -> NetworkId {
        let json = serde_json::to_vec(self).unwrap_or_default();
        NetworkId(Sha256::digest(json).into())
    }
}
