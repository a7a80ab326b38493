//! Markets: what is listed, books, trades and candles.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::types::Side;

/// A token, in `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBody {
    /// Symbol.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: String,
    /// The key that signs its deposits.
    pub issuer: String,
    /// What the faucet credits, where there is one.
    pub faucet: Option<String>,
}

/// A market, in `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketBody {
    /// `ETH/USDT`.
    pub name: String,
    /// Base symbol.
    pub base: String,
    /// Quote symbol.
    pub quote: String,
    /// Price step.
    pub tick_size: String,
    /// Quantity step.
    pub lot_size: String,
    /// Least notional of an order, in quote.
    pub notional_min: String,
    /// What a maker pays, in basis points of the quote amount.
    pub maker_fee_bps: String,
    /// What a taker pays, in basis points of the quote amount.
    pub taker_fee_bps: String,
    /// Best bid.
    pub bid: Option<String>,
    /// Best ask.
    pub ask: Option<String>,
    /// Price of the last trade.
    pub last: Option<String>,
    /// Price of the first trade of the last 24 hours.
    pub open_24h: Option<String>,
    /// Highest price of the last 24 hours.
    pub high_24h: Option<String>,
    /// Lowest price of the last 24 hours.
    pub low_24h: Option<String>,
    /// Quantity of the last 24 hours, in base.
    pub volume_24h: String,
}

/// Bounds that the exchange chose, in `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsBody {
    /// Open orders of one account in one market, at most.
    pub open_orders_per_account_and_market: String,
    /// Resting orders that one order may meet, at most.
    pub makers_per_order: String,
    /// Session keys of one account, at most.
    pub session_keys_per_account: String,
}

/// Answer to `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketsResponse {
    /// The tokens of genesis.
    pub tokens: Vec<TokenBody>,
    /// The markets of genesis.
    pub markets: Vec<MarketBody>,
    /// The bounds of genesis.
    pub limits: LimitsBody,
}

/// A price level: price, quantity, number of orders.
pub type LevelBody = (String, String, String);

/// Answer to `GET /v1/markets/{base}-{quote}/book`, and the snapshot of the book channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookBody {
    /// Market.
    pub market: String,
    /// The batch after which the book was so.
    pub batch: String,
    /// Bids, best first.
    pub bids: Vec<LevelBody>,
    /// Asks, best first.
    pub asks: Vec<LevelBody>,
}

/// A trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeBody {
    /// Sequence number.
    pub id: String,
    /// Market.
    pub market: String,
    /// Price.
    pub price: String,
    /// Quantity.
    pub quantity: String,
    /// Side of the incoming order.
    pub taker_side: Side,
    /// Id of the resting order.
    pub maker_order: String,
    /// Id of the incoming order.
    pub taker_order: String,
    /// The batch that it is in.
    pub batch: String,
    /// The time of that batch's proof.
    pub time_ms: String,
}

/// Answer to `GET /v1/markets/{base}-{quote}/trades`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradesResponse {
    /// Market.
    pub market: String,
    /// The batch up to which these are the newest.
    pub batch: String,
    /// Newest first.
    pub trades: Vec<TradeBody>,
}

/// Answer to `GET /v1/markets/{base}-{quote}/candles`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandlesResponse {
    /// Market.
    pub market: String,
    /// The length of each: `1m`, `5m`, `15m`, `1h`, `4h` or `1d`.
    pub interval: String,
    /// The batch up to which they count the trades.
    pub batch: String,
    /// Newest first; none where the market traded nothing.
    pub candles: Vec<CandleBody>,
}

/// What a market traded in an interval of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandleBody {
    /// When it begins: a multiple of its length, in UTC.
    pub start_ms: String,
    /// Price of the first trade.
    pub open: String,
    /// Highest price.
    pub high: String,
    /// Lowest price.
    pub low: String,
    /// Price of the last trade.
    pub close: String,
    /// Quantity of all, in base.
    pub volume: String,
}
