//! Deriving the listing from what a replica reports in `GET /v1/markets`.
//!
//! A page has no genesis. With the listing it can check and convert an order by the engine's own code before
//! the user signs. A dishonest replica could report wrong markets, but not change what an order means: the
//! signed text contains decimals and names, and every replica applies it by its own genesis.

use alloc::vec::Vec;

use super::markets::{MarketBody, MarketsResponse};
use crate::rules::{GenesisLimits, ListedToken, Listing, MarketSpec};
use crate::types::Decimal;
use crate::types::limits::TOKEN_DECIMALS_MAX;

impl MarketsResponse {
    /// Derives the listing. `None` if the replica's values do not form a valid one.
    pub fn listing(&self) -> Option<Listing> {
        let mut tokens = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            // Checked for tokens of no market too: amounts of any token are shown with them.
            let decimals = token.decimals.parse().ok().filter(|it| *it <= TOKEN_DECIMALS_MAX)?;
            tokens.push(ListedToken { symbol: token.symbol.clone(), decimals });
        }
        let limits = GenesisLimits {
            open_orders_per_account_and_market: self
                .limits
                .open_orders_per_account_and_market
                .parse()
                .ok()?,
            makers_per_order: self.limits.makers_per_order.parse().ok()?,
            session_keys_per_account: self.limits.session_keys_per_account.parse().ok()?,
        };
        let markets = Vec::with_capacity(self.markets.len());
        let mut listing = Listing { tokens, markets, limits };
        for (index, market) in self.markets.iter().enumerate() {
            // The order of the lists is that of genesis, so a position is the same index as in the engine.
            let market = listing.derive_market(index, &spec(market)?).ok()?;
            listing.markets.push(market);
        }
        Some(listing)
    }
}

/// Parses the specification of a market.
fn spec(body: &MarketBody) -> Option<MarketSpec> {
    let decimal = |text: &str| Decimal::parse(text).ok();
    Some(MarketSpec {
        base: body.base.clone(),
        quote: body.quote.clone(),
        tick_size: decimal(&body.tick_size)?,
        lot_size: decimal(&body.lot_size)?,
        notional_min: decimal(&body.notional_min)?,
        maker_fee_bps: body.maker_fee_bps.parse().ok()?,
        taker_fee_bps: body.taker_fee_bps.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use super::*;
    use crate::types::{Atoms, MarketIndex, TokenIndex};
    use crate::wire::LimitsBody;
    use crate::wire::TokenBody;

    fn body() -> MarketsResponse {
        let token = |symbol: &str, decimals: &str| TokenBody {
            symbol: symbol.into(),
            decimals: decimals.into(),
            issuer: "nobody's".into(),
            faucet: None,
        };
        let market = MarketBody {
            name: "ETH/USDT".into(),
            base: "ETH".into(),
            quote: "USDT".into(),
            tick_size: "0.01".into(),
            lot_size: "0.0001".into(),
            notional_min: "1".into(),
            maker_fee_bps: "0".into(),
            taker_fee_bps: "5".into(),
            bid: None,
            ask: None,
            last: None,
            open_24h: None,
            high_24h: None,
            low_24h: None,
            volume_24h: "0".into(),
        };
        let limits = LimitsBody {
            open_orders_per_account_and_market: "200".into(),
            makers_per_order: "100".into(),
            session_keys_per_account: "16".into(),
        };
        let tokens = vec![token("ETH", "18"), token("USDT", "6")];
        MarketsResponse { tokens, markets: vec![market], limits }
    }

    #[test]
    fn a_listing_is_derived_from_the_reported_markets() {
        let listing = body().listing().unwrap();
        let (index, token) = listing.token("USDT").unwrap();
        assert_eq!((index, token.decimals), (TokenIndex(1), 6));
        let market = listing.market("ETH/USDT").unwrap();
        assert_eq!(listing.market_at(MarketIndex(0)), Some(market));
        assert_eq!((market.base, market.quote), (TokenIndex(0), TokenIndex(1)));
        assert_eq!(market.atoms_per_lot, 100_000_000_000_000);
        assert_eq!(market.atoms_per_tick_lot, 1);
        assert_eq!(market.notional_min_atoms, Atoms(1_000_000));
        assert_eq!((market.maker_fee_bps, market.taker_fee_bps), (0, 5));
        assert_eq!(listing.limits.makers_per_order, 100);
        assert_eq!(listing.format_amount(index, Atoms(1_500_000)), "1.5");
    }

    #[test]
    fn a_reported_value_that_genesis_could_not_have_is_refused() {
        let refuse = |change: fn(&mut MarketsResponse)| {
            let mut body = body();
            change(&mut body);
            assert_eq!(body.listing(), None, "{body:?}");
        };
        refuse(|body| body.tokens[0].decimals = "many".into());
        refuse(|body| body.limits.open_orders_per_account_and_market = String::new());
        refuse(|body| body.limits.makers_per_order = "-1".into());
        refuse(|body| body.limits.session_keys_per_account = "1.5".into());
        refuse(|body| body.markets[0].tick_size = "0".into());
        refuse(|body| body.markets[0].tick_size = "a".into());
        refuse(|body| body.markets[0].lot_size = "b".into());
        refuse(|body| body.markets[0].notional_min = "c".into());
        refuse(|body| body.markets[0].maker_fee_bps = "70000".into());
        refuse(|body| body.markets[0].taker_fee_bps = "1001".into());
        refuse(|body| body.markets[0].quote = "ETH".into());
        refuse(|body| body.markets[0].base = "BTC".into());
        // More decimals than genesis allows: one atom could not be represented.
        refuse(|body| body.tokens[0].decimals = "255".into());
        // The same for a token that is in no market.
        refuse(|body| {
            let other =
                TokenBody { symbol: "X".into(), decimals: "19".into(), ..body.tokens[0].clone() };
            body.tokens.push(other);
        });
    }
}
