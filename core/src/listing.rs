//! What is listed: tokens, markets, and the bounds that an order meets. It is what an order's terms
//! depend on, whoever signs it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::genesis::{GenesisLimits, MarketSpec};
use crate::limits::{FEE_BPS_MAX, NO_INDEX, STEP_MAX};
use crate::units::{Atoms, Decimal};
use crate::wire::{MarketBody, MarketsResponse};

/// Index of a token in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenIndex(pub u16);

impl TokenIndex {
    /// What stands for no token in memory.
    pub(crate) const NONE: Self = Self(NO_INDEX);
}

/// Index of a market in genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarketIndex(pub u16);

impl MarketIndex {
    /// What stands for no market in memory.
    pub(crate) const NONE: Self = Self(NO_INDEX);
}

/// A token, as amounts need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedToken {
    /// 1 to 12 of `A-Z0-9`.
    pub symbol: String,
    /// Digits after the point; an atom is `10^-decimals`. 0 to 18.
    pub decimals: u8,
}

/// A market with what is derived from its specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// Its place in genesis.
    pub index: MarketIndex,
    /// `ETH/USDT`.
    pub name: String,
    /// The token that is bought and sold.
    pub base: TokenIndex,
    /// The token that prices are in.
    pub quote: TokenIndex,
    /// The price step.
    pub tick_size: Decimal,
    /// The quantity step.
    pub lot_size: Decimal,
    /// The least notional of an order, in quote.
    pub notional_min: Decimal,
    /// Base atoms in one lot.
    pub atoms_per_lot: u128,
    /// Quote atoms that one lot costs at a price of one tick.
    pub atoms_per_tick_lot: u128,
    /// `notional_min` in quote atoms.
    pub notional_min_atoms: Atoms,
    /// What a maker pays, in basis points of the quote amount.
    pub maker_fee_bps: u16,
    /// What a taker pays, in basis points of the quote amount.
    pub taker_fee_bps: u16,
}

/// Tokens and markets, each by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The tokens.
    pub tokens: Vec<ListedToken>,
    /// The markets.
    pub markets: Vec<Market>,
    /// Bounds that the exchange chose.
    pub limits: GenesisLimits,
}

/// Why a market cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketFault {
    /// Its base is no token.
    UnknownBase,
    /// Its quote is no token.
    UnknownQuote,
    /// Base and quote are one token.
    OneToken,
    /// The tick size is zero or too long.
    TickSize,
    /// The lot size is zero or too long.
    LotSize,
    /// A lot is no whole number of base atoms.
    LotNotWhole,
    /// One tick times one lot is no whole number of quote atoms, so trades would round.
    TickTimesLot,
    /// The least notional is no whole number of quote atoms.
    NotionalMinNotWhole,
    /// The least notional is zero.
    NoNotionalMin,
    /// The maker fee is more than 1,000 basis points.
    MakerFee,
    /// The taker fee is more than 1,000 basis points.
    TakerFee,
    /// More markets than have an index.
    TooMany,
}

impl Listing {
    /// The token with this symbol and its index.
    pub fn token(&self, symbol: &str) -> Option<(TokenIndex, &ListedToken)> {
        let index = self.tokens.iter().position(|token| token.symbol == symbol)?;
        Some((TokenIndex(u16::try_from(index).ok()?), self.tokens.get(index)?))
    }

    /// The token at an index.
    pub fn token_at(&self, index: TokenIndex) -> Option<&ListedToken> {
        self.tokens.get(usize::from(index.0))
    }

    /// The market with this name (`ETH/USDT`).
    pub fn market(&self, name: &str) -> Option<&Market> {
        self.markets.iter().find(|market| market.name == name)
    }

    /// The market at an index.
    pub fn market_at(&self, index: MarketIndex) -> Option<&Market> {
        self.markets.get(usize::from(index.0))
    }

    /// An amount with its token's decimals, as text: `1.5`. Empty for an unknown token.
    pub fn format_amount(&self, token: TokenIndex, amount: Atoms) -> String {
        self.token_at(token)
            .map_or_else(String::new, |token| Decimal::of_atoms(amount, token.decimals).to_string())
    }

    /// The listing as a replica tells it in `GET /v1/markets`; `None` where that is none. What is signed
    /// goes by genesis.
    pub fn read(body: &MarketsResponse) -> Option<Self> {
        let mut tokens = Vec::with_capacity(body.tokens.len());
        for token in &body.tokens {
            let decimals = token.decimals.parse().ok()?;
            tokens.push(ListedToken { symbol: token.symbol.clone(), decimals });
        }
        let limits = GenesisLimits {
            open_orders_per_account: body.limits.open_orders_per_account.parse().ok()?,
            makers_per_order: body.limits.makers_per_order.parse().ok()?,
            session_keys_per_account: body.limits.session_keys_per_account.parse().ok()?,
        };
        let markets = Vec::with_capacity(body.markets.len());
        let mut listing = Self { tokens, markets, limits };
        for (index, market) in body.markets.iter().enumerate() {
            let market = listing.derive_market(index, &spec(market)?).ok()?;
            listing.markets.push(market);
        }
        Some(listing)
    }

    /// A market with what follows from its specification and its tokens.
    pub(crate) fn derive_market(
        &self,
        index: usize,
        spec: &MarketSpec,
    ) -> Result<Market, MarketFault> {
        let (base_index, base) = self.token(&spec.base).ok_or(MarketFault::UnknownBase)?;
        let (quote_index, quote) = self.token(&spec.quote).ok_or(MarketFault::UnknownQuote)?;
        if base_index == quote_index {
            return Err(MarketFault::OneToken);
        }
        let is_step = |step: Decimal| !step.is_zero() && step.digits() <= STEP_MAX;
        let is_fee = |bps: u16| bps <= FEE_BPS_MAX;
        let require = |holds: bool, fault| if holds { Ok(()) } else { Err(fault) };
        require(is_step(spec.tick_size), MarketFault::TickSize)?;
        require(is_step(spec.lot_size), MarketFault::LotSize)?;
        let atoms_per_lot = spec
            .lot_size
            .in_steps_of(Decimal::one_atom(base.decimals))
            .map_err(|_| MarketFault::LotNotWhole)?;
        let atoms_per_tick_lot = spec
            .tick_size
            .product_in_atoms(spec.lot_size, quote.decimals)
            .ok_or(MarketFault::TickTimesLot)?;
        let notional_min_atoms = spec
            .notional_min
            .in_steps_of(Decimal::one_atom(quote.decimals))
            .map_err(|_| MarketFault::NotionalMinNotWhole)?;
        require(notional_min_atoms > 0, MarketFault::NoNotionalMin)?;
        require(is_fee(spec.maker_fee_bps), MarketFault::MakerFee)?;
        require(is_fee(spec.taker_fee_bps), MarketFault::TakerFee)?;
        let mut name = spec.base.clone();
        name.push('/');
        name.push_str(&spec.quote);
        Ok(Market {
            index: MarketIndex(u16::try_from(index).map_err(|_| MarketFault::TooMany)?),
            name,
            base: base_index,
            quote: quote_index,
            tick_size: spec.tick_size,
            lot_size: spec.lot_size,
            notional_min: spec.notional_min,
            atoms_per_lot,
            atoms_per_tick_lot,
            notional_min_atoms: Atoms(notional_min_atoms),
            maker_fee_bps: spec.maker_fee_bps,
            taker_fee_bps: spec.taker_fee_bps,
        })
    }
}

/// The specification that a replica tells of a market.
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
    use alloc::vec;

    use super::*;
    use crate::wire::{LimitsBody, TokenBody};

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
            open_orders_per_account: "200".into(),
            makers_per_order: "100".into(),
            session_keys_per_account: "16".into(),
        };
        let tokens = vec![token("ETH", "18"), token("USDT", "6")];
        MarketsResponse { tokens, markets: vec![market], limits }
    }

    #[test]
    fn what_a_replica_lists_is_read_with_what_follows_from_it() {
        let listing = Listing::read(&body()).unwrap();
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
    fn what_is_no_listing_is_refused() {
        let refuse = |change: fn(&mut MarketsResponse)| {
            let mut body = body();
            change(&mut body);
            assert_eq!(Listing::read(&body), None, "{body:?}");
        };
        refuse(|body| body.tokens[0].decimals = "many".into());
        refuse(|body| body.limits.open_orders_per_account = String::new());
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
        // Atoms of a token whose decimals no genesis allows.
        refuse(|body| body.tokens[0].decimals = "255".into());
    }
}
