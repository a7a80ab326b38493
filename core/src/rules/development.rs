//! A ready-made genesis for development and examples.

use super::genesis::{Genesis, GenesisLimits, MarketSpec, ReplicaSpec, Token};
use crate::types::{Atoms, Decimal, PublicKey};

impl Genesis {
    /// A genesis with ETH, BTC and USDT and the markets ETH/USDT and BTC/USDT, without fees and without a
    /// faucet. It accepts orders in the guide's format, which an exchange in earnest should not. `key` has every role: issuer of all tokens, fee account and only replica. All fields are public:
    /// change what should be different before [`Self::check`].
    pub fn development(key: PublicKey) -> Self {
        // A step with this many digits after the point: 2 for 0.01.
        let step = |digits| Decimal::of_atoms(Atoms(1), digits);
        let token = |symbol: &str, decimals| Token {
            symbol: symbol.into(),
            decimals,
            issuer: key,
            faucet: None,
        };
        let market = |base: &str, tick_digits, lot_digits| MarketSpec {
            base: base.into(),
            quote: "USDT".into(),
            tick_size: step(tick_digits),
            lot_size: step(lot_digits),
            notional_min: step(0),
            maker_fee_bps: 0,
            taker_fee_bps: 0,
        };
        Self {
            version: 1,
            name: "Zellbook development".into(),
            app_name: "zellbook".into(),
            guide_orders: true,
            tokens: alloc::vec![token("ETH", 18), token("BTC", 8), token("USDT", 6)],
            markets: alloc::vec![market("ETH", 2, 4), market("BTC", 1, 5)],
            fee_account: key,
            limits: GenesisLimits {
                open_orders_per_account_and_market: 200,
                makers_per_order: 200,
                session_keys_per_account: 16,
            },
            replicas: alloc::vec![ReplicaSpec { public_key: key, weight: 1 }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    #[test]
    fn the_development_genesis_is_valid() {
        let key = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        let rules = Genesis::development(key).check().unwrap();
        let market = rules.listing.market("BTC/USDT").unwrap();
        assert_eq!(market.tick_size, Decimal::parse("0.1").unwrap());
        assert_eq!(market.lot_size, Decimal::parse("0.00001").unwrap());
    }
}
