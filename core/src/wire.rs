//! The JSON shapes that the API answers with and the page and other clients read. All numbers are
//! texts: amounts, prices and quantities in decimal, ids and indexes in digits, times in Unix
//! milliseconds.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::reject::Reject;
use crate::transaction::{Side, TimeInForce};

/// Every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A stable name in snake case.
    pub code: String,
    /// A sentence that says what was wrong and what would be right.
    pub message: String,
    /// More, by code; an empty object if there is none.
    pub details: serde_json::Value,
}

/// Why a transaction had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectBody {
    /// The number in the protocol.
    pub code: String,
    /// Its name in snake case.
    pub name: String,
    /// A sentence that says what was wrong and what would be right.
    pub message: String,
}

impl From<&Reject> for RejectBody {
    fn from(reject: &Reject) -> Self {
        Self {
            code: reject.code().to_string(),
            name: reject.name().to_string(),
            message: reject.to_string(),
        }
    }
}

/// Answer to `POST /v1/transactions`: one entry for each transaction sent, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitResponse {
    /// What became of each.
    pub transactions: Vec<Submitted>,
}

/// What became of a submitted transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its hash, if it was taken.
    pub hash: Option<String>,
    /// The replica's signed word that it took it; `null` if it was not taken, or has its outcome.
    #[serde(default)]
    pub receipt: Option<ReceiptBody>,
    /// Why it was not taken.
    pub error: Option<RejectBody>,
}

/// That a replica took a transaction, signed by it: see `receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    /// The network id.
    pub network: String,
    /// The transaction's hash.
    pub transaction: String,
    /// When the replica took it.
    pub received_ms: String,
    /// The replica's public key.
    pub replica: String,
    /// Its signature over the text of the receipt.
    pub signature: String,
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// In this replica's outbox.
    Received,
    /// A gateway of the sequencer took it, which promises nothing yet.
    Posted,
    /// In a finalized batch, whose proof was checked.
    Finalized,
    /// It had its effect.
    Applied,
    /// It had none, for ever.
    Rejected,
    /// This replica gave it up: the state's time passed its `valid_until` before it was seen in a
    /// batch. If it still appears in one, it is rejected.
    Expired,
    /// This replica gave it up: its nonce was used by another transaction, or is too old by now. If it
    /// still appears in a batch, it is rejected.
    Superseded,
}

/// Answer to `GET /v1/transactions/{hash}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionStatus {
    /// Its hash.
    pub hash: String,
    /// How far it has come.
    pub status: Stage,
    /// Its kind.
    pub kind: Option<String>,
    /// Whose it is.
    pub account: Option<String>,
    /// When this replica took it, if it did.
    pub received_ms: Option<String>,
    /// When it was last posted to a gateway.
    pub posted_ms: Option<String>,
    /// How often it was posted, where this replica took it and knows that still.
    #[serde(default)]
    pub posts: Option<String>,
    /// The finality proof's time.
    pub finalized_ms: Option<String>,
    /// When this replica applied it.
    pub applied_ms: Option<String>,
    /// The batch that it is in.
    pub batch: Option<String>,
    /// Its position in that batch, from 0.
    pub position: Option<String>,
    /// Why it had no effect.
    pub reject: Option<RejectBody>,
    /// This replica's signed word that it took it, while it is in the outbox.
    #[serde(default)]
    pub receipt: Option<ReceiptBody>,
    /// The order that it placed or reduced.
    pub order: Option<OrderBody>,
}

/// An order of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBody {
    /// Its id.
    pub id: String,
    /// The transaction that placed it.
    pub hash: String,
    /// Market, `ETH/USDT`.
    pub market: String,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: String,
    /// Quantity when it was accepted, less what a `replace` took off.
    pub quantity: String,
    /// What was filled so far.
    pub filled: String,
    /// What is open.
    pub remaining: String,
    /// Time in force.
    pub time_in_force: TimeInForce,
    /// When it is cancelled, with `gtd`.
    pub expires_ms: Option<String>,
    /// The trader's own name for it.
    pub client_id: Option<String>,
    /// `open`, `filled` or `cancelled`.
    pub status: OrderStatus,
    /// Why it was cancelled, if it was: `requested`, `ioc`, `self_trade`, `maker_limit`, `expired`,
    /// `replaced` or `switch`.
    pub reason: Option<String>,
    /// The batch that accepted it.
    pub batch: String,
    /// The time of that batch's proof.
    pub time_ms: String,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// In the book.
    Open,
    /// Filled in full.
    Filled,
    /// Its rest was cancelled.
    Cancelled,
}

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
    pub open_orders_per_account: String,
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

/// A trade from the view of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FlatFill")]
pub struct FillBody {
    /// The trade.
    #[serde(flatten)]
    pub trade: TradeBody,
    /// The account's side.
    pub side: Side,
    /// The account's order.
    pub order: String,
    /// Whether the account's order was the resting one.
    pub is_maker: bool,
    /// What the account paid for it, in quote.
    pub fee: String,
}

/// A fill as it is read: what serde derives for a flattened field keeps all of it in memory first, which
/// costs the page more code than all the rest of a fill.
#[derive(Deserialize)]
struct FlatFill {
    id: String,
    market: String,
    price: String,
    quantity: String,
    taker_side: Side,
    maker_order: String,
    taker_order: String,
    batch: String,
    time_ms: String,
    side: Side,
    order: String,
    is_maker: bool,
    fee: String,
}

impl From<FlatFill> for FillBody {
    fn from(flat: FlatFill) -> Self {
        let FlatFill { id, market, price, quantity, taker_side, maker_order, taker_order, .. } =
            flat;
        let FlatFill { batch, time_ms, side, order, is_maker, fee, .. } = flat;
        let trade = TradeBody {
            id,
            market,
            price,
            quantity,
            taker_side,
            maker_order,
            taker_order,
            batch,
            time_ms,
        };
        Self { trade, side, order, is_maker, fee }
    }
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

/// A balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceBody {
    /// Token symbol.
    pub token: String,
    /// What can be spent.
    pub available: String,
    /// What open orders hold.
    pub locked: String,
}

/// Answer to `GET /v1/accounts/{public key}`, and the data of the account channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountBody {
    /// Public key.
    pub account: String,
    /// The batch after which it was so.
    pub batch: String,
    /// One for each token of genesis.
    pub balances: Vec<BalanceBody>,
    /// Open orders, newest first.
    pub open_orders: Vec<OrderBody>,
    /// Orders that are filled or cancelled, newest first; the last 50.
    pub past_orders: Vec<OrderBody>,
    /// Fills, newest first; the last 100.
    pub fills: Vec<FillBody>,
    /// Keys that may trade for the account.
    pub session_keys: Vec<SessionKeyBody>,
    /// When all its orders are cancelled, unless that is set anew.
    pub switch_ms: Option<String>,
    /// What it withdrew, newest first; the last 50.
    pub withdrawals: Vec<WithdrawalBody>,
}

/// A key that may trade for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKeyBody {
    /// Public key.
    pub key: String,
    /// When it ends.
    pub expires_ms: String,
    /// The one market that it may trade in, or all.
    pub market: Option<String>,
    /// The one token that it may spend, if it is bound so.
    pub spend_token: Option<String>,
    /// How much of it, all told.
    pub spend_limit: Option<String>,
    /// How much of that is spent.
    pub spent: Option<String>,
}

/// An amount that left the exchange, for the issuer to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalBody {
    /// Its number, from 1, over all accounts.
    pub number: String,
    /// Token symbol.
    pub token: String,
    /// Amount.
    pub amount: String,
    /// Where the issuer pays it.
    pub destination: String,
    /// The batch that it is in.
    pub batch: String,
}

/// Answer to `GET /v1/accounts/{public key}/proof?token=ETH`: a balance, and the proof that the state
/// root commits to it, or to there being none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceProofBody {
    /// The batch after which it is so.
    pub batch: String,
    /// The state root after that batch, 64 hex digits.
    pub root: String,
    /// The leaf's key in hex.
    pub key: String,
    /// The leaf's value in hex; `null` if the state has no such leaf.
    pub value: Option<String>,
    /// The proof in hex: see *Proofs* in `docs/protocol.md`.
    pub proof: String,
    /// The balance that the value says.
    pub balance: BalanceBody,
}

/// Answer to `GET /v1/accounts/{public key}/orders/{id}/proof`: an open order, and the proof that the state
/// root commits to it, or to there being none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderProofBody {
    /// The batch after which it is so.
    pub batch: String,
    /// The state root after that batch, 64 hex digits.
    pub root: String,
    /// The leaf's key in hex.
    pub key: String,
    /// The leaf's value in hex; `null` if the account has no such open order.
    pub value: Option<String>,
    /// The proof in hex: see *Proofs* in `docs/protocol.md`.
    pub proof: String,
    /// What the value says; `null` if there is none.
    pub order: Option<ProvenOrderBody>,
}

/// An open order, as its leaf has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenOrderBody {
    /// Market.
    pub market: String,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: String,
    /// All of it, in base.
    pub quantity: String,
    /// What of it came to rest, in base.
    pub rested: String,
    /// What is open of it, in base.
    pub remaining: String,
    /// The first 16 hex digits of the hash of the transaction that placed it.
    pub transaction: String,
    /// When it expires, Unix milliseconds; `null` if it does not.
    pub expires_ms: Option<String>,
    /// Its client id, if it has one.
    pub client_id: Option<String>,
}

/// Answer to `POST /v1/simulate`: what an order would do now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulationBody {
    /// The batch after which the book was so.
    pub batch: String,
    /// Why it would be rejected, if it would.
    pub reject: Option<RejectBody>,
    /// What it would trade: price and quantity, in sequence.
    pub fills: Vec<(String, String)>,
    /// All that it would trade, in base.
    pub filled: String,
    /// What that is worth, in quote.
    pub quote: String,
    /// What it would pay for it, in quote.
    pub fee: String,
    /// The mean price of its trades.
    pub average_price: Option<String>,
    /// What would rest in the book, in base.
    pub rests: String,
    /// What it would lock while it rests.
    pub locked: String,
    /// What would be cancelled at once, in base.
    pub cancelled: String,
    /// What it can cost at most, with its fee.
    pub cost: Option<String>,
    /// The token of `cost` and `locked`.
    pub cost_token: Option<String>,
    /// The nearest price that the market takes.
    pub nearest_price: Option<String>,
    /// The nearest quantity that the market takes at that price.
    pub nearest_quantity: Option<String>,
}

/// The finality proof of a batch: what a signature proves, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofBody {
    /// The last batch that it covers.
    pub index: String,
    /// The finalized index before it.
    pub parent_index: String,
    /// Unix seconds.
    pub timestamp: String,
    /// The chaining hash at `index`.
    pub chaining_hash: String,
    /// Ids of nodes that did not sign.
    pub nonsigners: Vec<String>,
    /// `1 x y`.
    pub signature: String,
    /// The block at which the signers' stakes and keys count; `0` where the network's nodes are fixed.
    pub tag: String,
}

/// Answer to `GET /v1/network`: what finality proofs are checked by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkBody {
    /// The app's name on the network, which the signed messages have.
    pub app_name: String,
    /// The share of stake that must sign, in percent.
    pub threshold: String,
    /// The block at which these nodes count; `0` where they are always the same.
    pub tag: String,
    /// The nodes, as a network file lists them.
    pub nodes: Box<RawValue>,
}

/// Answer to `GET /v1/batches/{index}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchBody {
    /// Index in the sequence.
    pub index: String,
    /// The body as it was finalized.
    pub body: String,
    /// The chaining hash with it.
    pub chaining_hash: String,
    /// The state root after it, 64 hex digits.
    pub root: String,
    /// How many elements had an effect.
    pub applied: String,
    /// How many elements had none.
    pub rejected: String,
    /// The proof that covers it.
    pub proof: ProofBody,
}

/// Answer to `GET /v1/certified?from=N`: a certified root with what certified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedBody {
    /// The first certified batch from N on.
    pub batch: String,
    /// The state root after it, 64 hex digits.
    pub root: String,
    /// One of each replica that signed it.
    pub attestations: Vec<AttestationBody>,
}

/// An `attest` transaction and where the sequence has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationBody {
    /// The batch that holds it.
    pub batch: String,
    /// Its place in that batch, from 0.
    pub position: String,
    /// The transaction as it stands there.
    pub transaction: String,
}

/// Answer to `GET /v1/snapshots`: the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsResponse {
    /// The newest first.
    pub snapshots: Vec<SnapshotBody>,
}

/// A snapshot that a replica keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotBody {
    /// The batch that it is of.
    pub batch: String,
    /// The state root, 64 hex digits.
    pub root: String,
    /// Its size.
    pub bytes: String,
    /// SHA-256 of the file, 64 hex digits.
    pub sha256: String,
    /// The network's chaining hash at the batch.
    pub chaining_hash: String,
    /// When it was made, Unix milliseconds.
    pub made_ms: String,
}

/// Answer to `GET /v1/batches?after=N`: whole batches, in sequence, for replaying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchesResponse {
    /// In sequence.
    pub batches: Vec<BatchBody>,
    /// The last batch that this replica has.
    pub last: String,
    /// The batch of the snapshot that it began with: it has none up to that one; `0` if it has all.
    pub start: String,
}

/// A batch in short, in `GET /v1/headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderBody {
    /// Index in the sequence.
    pub index: String,
    /// The chaining hash with it.
    pub chaining_hash: String,
    /// The state root after it, 64 hex digits.
    pub root: String,
    /// How many elements had an effect.
    pub applied: String,
    /// How many elements had none.
    pub rejected: String,
    /// Bytes of its body.
    pub bytes: String,
    /// The time of the proof that covers it.
    pub time_ms: String,
    /// When this replica applied it.
    pub applied_ms: String,
    /// The batch in which replicas of more than two thirds of the weight had attested to its root;
    /// `null` while they have not.
    pub certified_in: Option<String>,
}

/// Answer to `GET /v1/headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadersResponse {
    /// The newest first.
    pub headers: Vec<HeaderBody>,
    /// The last batch that this replica has.
    pub last: String,
    /// The batch of the snapshot that it began with: it has none up to that one; `0` if it has all.
    pub start: String,
}

/// Answer to `GET /v1/batches/{index}/contents`: what a batch holds and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentsBody {
    /// The batch in short.
    pub header: HeaderBody,
    /// The chaining hash before it; `null` for the first batch, and where it is not known here.
    pub previous_chaining_hash: Option<String>,
    /// The proof that covers it.
    pub proof: ProofBody,
    /// How many elements its body has.
    pub elements_total: String,
    /// Some of them, in sequence.
    pub elements: Vec<ElementBody>,
    /// Its trades, in sequence; the first 200.
    pub trades: Vec<TradeBody>,
    /// Whether it has more trades than these.
    pub has_more_trades: bool,
}

/// Answer to `GET /v1/batches/{index}/trades`: trades of a batch, in sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTradesResponse {
    /// How many there are in all.
    pub total: String,
    /// Some of them.
    pub trades: Vec<TradeBody>,
}

/// An element of a batch, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementBody {
    /// Its place in the batch, from 0.
    pub position: String,
    /// The transaction's hash; `null` if it is none, or its signature is not good.
    pub hash: Option<String>,
    /// Its kind, if it could be read.
    pub kind: Option<String>,
    /// Whose it is, where the signature is good.
    pub account: Option<String>,
    /// The fields of its kind, as they are signed: names and values.
    pub fields: Vec<(String, String)>,
    /// Why it had no effect, if it had none.
    pub reject: Option<RejectBody>,
    /// The batch that has its outcome, where that is not this one: this is a copy.
    pub copy_of: Option<String>,
}

/// Answer to `GET /v1/transactions/{hash}/signed`: what was signed, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBody {
    /// The transaction's hash.
    pub hash: String,
    /// The text that was signed. The hash is its SHA-256, unless the scheme is `guide`.
    pub text: String,
    /// `raw`, `eip191` or `guide`.
    pub scheme: String,
    /// The signature in hex.
    pub signature: String,
    /// The key that signed: the account's, or a session key of it.
    pub signer: String,
    /// The element as the batch, or the outbox, has it.
    pub element: String,
}

/// Answer to `GET /v1/replicas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Those of genesis, in its order.
    pub replicas: Vec<ReplicaBody>,
}

/// A replica that genesis names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaBody {
    /// The key that its attestations are signed with.
    pub public_key: String,
    /// Its weight.
    pub weight: String,
    /// Whether it is the one that answers.
    pub is_this: bool,
    /// The last batch that it attested to; `null` before the first.
    pub attested_batch: Option<String>,
    /// The root that it attested to then, where this replica has that.
    pub attested_root: Option<String>,
    /// The batch that holds this attestation, where this replica has it.
    pub said_in: Option<String>,
    /// Its clock then.
    pub clock_ms: Option<String>,
}

/// Answer to `GET /v1/accounts/{public key}/orders`: past orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Filled or cancelled, newest first.
    pub orders: Vec<OrderBody>,
}

/// Answer to `GET /v1/accounts/{public key}/fills`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillsResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Newest first.
    pub fills: Vec<FillBody>,
}

/// Answer to `GET /v1/accounts/{public key}/ledger`: deposits, withdrawals and transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Newest first.
    pub entries: Vec<LedgerEntryBody>,
}

/// An amount that came to an account or left it, other than by a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntryBody {
    /// Its number on this replica, over all accounts.
    pub number: String,
    /// What it was.
    pub kind: LedgerKind,
    /// Token symbol.
    pub token: String,
    /// Amount.
    pub amount: String,
    /// The issuer's reference of a deposit, the destination of a withdrawal, the other account of a
    /// transfer.
    pub with: String,
    /// The batch that it is in.
    pub batch: String,
    /// Its place in that batch, from 0.
    pub position: String,
    /// The time of that batch's proof.
    pub time_ms: String,
}

/// How an amount came or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// The issuer credited it.
    Deposit,
    /// The account took it out.
    Withdrawal,
    /// The account sent it.
    TransferOut,
    /// Another account sent it.
    TransferIn,
}

impl LedgerKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::TransferOut => "transfer_out",
            Self::TransferIn => "transfer_in",
        }
    }
}

impl core::str::FromStr for LedgerKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Deposit, Self::Withdrawal, Self::TransferOut, Self::TransferIn];
        all.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// It has not reached the sequencer yet since it started.
    Starting,
    /// It has all that the sequencer finalized.
    Following,
    /// It cannot reach any gateway, or each answers wrongly.
    Disconnected,
    /// It found a reason never to go on; an operator must look.
    Halted,
}

/// Answer to `GET /v1/status`, and the data of the status channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusBody {
    /// The network id: the hash of genesis.
    pub network: String,
    /// The name in genesis.
    pub name: String,
    /// Version of this program.
    pub version: String,
    /// What the replica is doing.
    pub state: ReplicaState,
    /// Why, if it is not following.
    pub reason: Option<String>,
    /// The last batch that it applied.
    pub batch: String,
    /// The state root after it.
    pub root: String,
    /// The exchange's time: the median of the replicas' clocks.
    pub time_ms: String,
    /// The last batch whose root replicas of more than two thirds of the weight attested to.
    pub certified_batch: Option<String>,
    /// That root, 64 hex digits.
    pub certified_root: Option<String>,
    /// The network's chaining hash there.
    pub chaining_hash: String,
    /// When it applied that batch, if it did since it started.
    pub applied_ms: Option<String>,
    /// The batch of the snapshot that it began with: it has none up to that one; `0` if it has all.
    pub start: String,
    /// Batches that a gateway said are finalized and that it has not applied.
    pub lag_batches: String,
    /// Milliseconds from the time of the last proof, which is in whole seconds, to its commit.
    pub lag_ms: String,
    /// Transactions that stood in the sequence once more, since it started.
    pub duplicates: String,
    /// Transactions in its outbox.
    pub outbox: String,
    /// What the outbox did since this replica started.
    pub posting: PostingBody,
    /// The sequencer gateways, and the last fault of each.
    pub gateways: Vec<GatewayBody>,
    /// Whether `POST /v1/faucet` works here.
    pub faucet: bool,
}

/// What an outbox did since its replica started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingBody {
    /// Transactions taken.
    pub taken: String,
    /// Transactions posted for the first time.
    pub posted: String,
    /// Transactions posted once more.
    pub posted_again: String,
    /// Transactions of this replica that were in the sequence once more.
    pub duplicates: String,
    /// Transactions given up because they expired.
    pub expired: String,
    /// Transactions given up because their nonce cannot be used any more.
    pub superseded: String,
    /// Milliseconds until what was posted and not seen is posted again.
    pub repost_ms: String,
    /// Milliseconds from posting to finality, smoothed; `null` before the first was seen.
    pub latency_ms: Option<String>,
}

/// A gateway to the sequencer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayBody {
    /// Where it listens.
    pub url: String,
    /// Whether it is the one that is read now.
    pub in_use: bool,
    /// Whether it is posted to: one gateway, or several while there is more to post than one batch takes.
    pub is_posted_to: bool,
    /// Whether it says that it is the leader.
    pub is_leader: bool,
    /// The last finalized batch that it claims; `null` if it does not answer.
    pub finalized: Option<String>,
    /// Whether it is behind what most of the network claims.
    pub lags: bool,
    /// Faults since this replica started.
    pub faults: String,
    /// Proven lies since this replica started.
    pub lies: String,
    /// The last thing that went wrong with it.
    pub fault: Option<String>,
}

/// What a WebSocket client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Starts a channel: a snapshot follows, then numbered changes.
    Subscribe(Channel),
    /// Ends a channel.
    Unsubscribe(Channel),
}

/// A channel of the WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case", deny_unknown_fields)]
pub enum Channel {
    /// Price levels of a market.
    Book {
        /// `ETH/USDT`.
        market: String,
    },
    /// Trades of a market.
    Trades {
        /// `ETH/USDT`.
        market: String,
    },
    /// Balances, orders and fills of an account.
    Account {
        /// Public key.
        account: String,
    },
    /// The replica's status.
    Status,
}

/// What the server sends on a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The first message of a channel.
    Snapshot(Feed),
    /// Then each change, numbered by one up.
    Change(Feed),
    /// Something that the client sent was wrong; the connection stays.
    Error(ErrorDetail),
    /// The server ends the connection, and why.
    Closing {
        /// A sentence.
        reason: String,
    },
}

/// A message of the server as a client reads it: what it carries is read as what its channel carries.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ReceivedMessage<'a> {
    /// `snapshot`, `change`, `error` or `closing`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Of a snapshot and a change: the number of the message.
    pub number: Option<&'a str>,
    /// Of a snapshot and a change: `book`, `trades`, `account` or `status`.
    pub channel: Option<&'a str>,
    /// Of a snapshot and a change: the JSON of a [`BookBody`], [`TradesResponse`], [`AccountBody`] or
    /// [`StatusBody`].
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    /// Of an error: the JSON of a sentence.
    #[serde(borrow)]
    pub message: Option<&'a RawValue>,
    /// Of a closing: the JSON of a sentence.
    #[serde(borrow)]
    pub reason: Option<&'a RawValue>,
}

/// A message of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feed {
    /// `0` for the snapshot, then one more for each change of this subscription.
    pub number: String,
    /// What it carries.
    #[serde(flatten)]
    pub data: FeedData,
}

/// What a message of a channel carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "channel", content = "data", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "each lives for one message")]
pub enum FeedData {
    /// In a snapshot all levels; in a change those that changed, a quantity of `0` for one that is
    /// gone.
    Book(BookBody),
    /// In a snapshot the last trades, newest first; in a change the new ones.
    Trades(TradesResponse),
    /// In a snapshot and in a change all of it.
    Account(AccountBody),
    /// In a snapshot and in a change all of it.
    Status(StatusBody),
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use serde_json::json;

    use super::*;

    #[test]
    fn messages_and_fills_are_read_as_they_are_written() {
        let trade = TradeBody {
            id: "1".into(),
            market: "ETH/USDT".into(),
            price: "2000".into(),
            quantity: "0.5".into(),
            taker_side: Side::Buy,
            maker_order: "1".into(),
            taker_order: "2".into(),
            batch: "7".into(),
            time_ms: "1795346226000".into(),
        };
        let fill = FillBody {
            trade: trade.clone(),
            side: Side::Sell,
            order: "1".into(),
            is_maker: true,
            fee: "0.1".into(),
        };
        let json = serde_json::to_string(&fill).unwrap();
        assert_eq!(serde_json::from_str::<FillBody>(&json).unwrap(), fill);
        let (market, batch) = ("ETH/USDT".to_string(), "7".to_string());
        let book = BookBody {
            market: market.clone(),
            batch: batch.clone(),
            bids: alloc::vec![("1".into(), "2".into(), "3".into())],
            asks: Vec::new(),
        };
        let trades = TradesResponse { market, batch, trades: alloc::vec![trade] };
        let feed = |data| Feed { number: "3".into(), data };
        let error = ErrorDetail {
            code: "bad".into(),
            message: "a \"quoted\" word".into(),
            details: json!({"a": 1}),
        };
        let received = |message: &ServerMessage, kind: &str, channel, number| {
            let json = serde_json::to_string(message).unwrap();
            let received: ReceivedMessage = serde_json::from_str(&json).unwrap();
            assert_eq!(received.kind, kind);
            assert_eq!((received.channel, received.number), (channel, number));
            let carried = received.data.or(received.message).or(received.reason);
            carried.unwrap().get().to_string()
        };
        let message = ServerMessage::Snapshot(feed(FeedData::Book(book.clone())));
        let data = received(&message, "snapshot", Some("book"), Some("3"));
        assert_eq!(serde_json::from_str::<BookBody>(&data).unwrap(), book);
        let message = ServerMessage::Change(feed(FeedData::Trades(trades.clone())));
        let data = received(&message, "change", Some("trades"), Some("3"));
        assert_eq!(serde_json::from_str::<TradesResponse>(&data).unwrap(), trades);
        let text = received(&ServerMessage::Error(error.clone()), "error", None, None);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), error.message);
        let closing = ServerMessage::Closing { reason: "it stops".into() };
        assert_eq!(received(&closing, "closing", None, None), "\"it stops\"");
        for json in ["{}", "[]", r#"{"type":1}"#, r#"{"type":"change","number":1}"#] {
            assert!(serde_json::from_str::<ReceivedMessage>(json).is_err(), "{json}");
        }
    }
}
