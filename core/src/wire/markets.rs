//! Markets: the listing, order books, trades and candles.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::types::Side;

/// A token, in `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBody {
    /// The symbol, like `ETH`.
    pub symbol: String,
    /// The number of digits after the point that an amount can have.
    pub decimals: String,
    /// Public key of the account that signs deposits of this token.
    pub issuer: String,
    /// The amount that the faucet credits; `null` if the token has no faucet.
    pub faucet: Option<String>,
}

/// A market, in `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketBody {
    /// The name, like `ETH/USDT`.
    pub name: String,
    /// Symbol of the token that is bought and sold.
    pub base: String,
    /// Symbol of the token that prices are in.
    pub quote: String,
    /// The price step.
    pub tick_size: String,
    /// The quantity step.
    pub lot_size: String,
    /// The minimum order value (price times quantity), in quote.
    pub notional_min: String,
    /// The maker's fee in basis points of the quote amount.
    pub maker_fee_bps: String,
    /// The taker's fee in basis points of the quote amount.
    pub taker_fee_bps: String,
    /// Price of the best bid; `null` if there is none.
    pub bid: Option<String>,
    /// Price of the best ask; `null` if there is none.
    pub ask: Option<String>,
    /// Price of the last trade; `null` if there was none.
    pub last: Option<String>,
    /// Price of the first trade of the last 24 hours; `null` if there was none.
    pub open_24h: Option<String>,
    /// Highest price of the last 24 hours; `null` if there was no trade.
    pub high_24h: Option<String>,
    /// Lowest price of the last 24 hours; `null` if there was no trade.
    pub low_24h: Option<String>,
    /// Quantity traded in the last 24 hours, in base.
    pub volume_24h: String,
}

/// The limits of genesis, in `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsBody {
    /// The maximum number of open orders of one account in one market.
    pub open_orders_per_account_and_market: String,
    /// The maximum number of resting orders that one order may meet.
    pub makers_per_order: String,
    /// The maximum number of session keys of one account.
    pub session_keys_per_account: String,
}

/// Answer to `GET /v1/markets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketsResponse {
    /// The tokens in the order of genesis.
    pub tokens: Vec<TokenBody>,
    /// The markets in the order of genesis.
    pub markets: Vec<MarketBody>,
    /// The limits of genesis.
    pub limits: LimitsBody,
}

/// A price level as an array: price, total quantity, number of orders.
pub type LevelBody = (String, String, String);

/// Answer to `GET /v1/markets/{base}-{quote}/book`, and the snapshot of the book channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookBody {
    /// Name of the market.
    pub market: String,
    /// The last batch that this book takes into account.
    pub batch: String,
    /// Bids, best first.
    pub bids: Vec<LevelBody>,
    /// Asks, best first.
    pub asks: Vec<LevelBody>,
}

/// A trade between two orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeBody {
    /// Number of the trade, counted from 1 over all markets.
    pub id: String,
    /// Name of the market.
    pub market: String,
    /// The price of the trade, which is the resting order's.
    pub price: String,
    /// The quantity that changed hands.
    pub quantity: String,
    /// Side of the incoming order.
    pub taker_side: Side,
    /// Id of the resting order.
    pub maker_order: String,
    /// Id of the incoming order.
    pub taker_order: String,
    /// The batch that contains the incoming order.
    pub batch: String,
    /// The time of that batch's sequence proof.
    pub time_ms: String,
}

/// Answer to `GET /v1/markets/{base}-{quote}/trades`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradesResponse {
    /// Name of the market.
    pub market: String,
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// Trades, newest first.
    pub trades: Vec<TradeBody>,
}

/// Answer to `GET /v1/markets/{base}-{quote}/candles`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandlesResponse {
    /// Name of the market.
    pub market: String,
    /// The length of each candle: `1m`, `5m`, `15m`, `1h`, `4h` or `1d`.
    pub interval: String,
    /// The last batch whose trades are counted.
    pub batch: String,
    /// Candles, newest first. An interval without trades has no candle.
    pub candles: Vec<CandleBody>,
}

/// The trades of a market in one interval of time, summarized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandleBody {
    /// The start of the interval: a multiple of its length, in UTC.
    pub start_ms: String,
    /// Price of the first trade.
    pub open: String,
    /// Highest price.
    pub high: String,
    /// Lowest price.
    pub low: String,
    /// Price of the last trade.
    pub close: String,
    /// The quantity of all trades, in base.
    pub volume: String,
}
