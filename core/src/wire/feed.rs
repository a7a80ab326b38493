//! The messages of the WebSocket.
//!
//! A client subscribes to channels. Each subscription starts with a channel snapshot that holds everything,
//! numbered 0, and continues with changes numbered 1, 2, 3 and so on. A client that misses a number has lost a
//! message and must subscribe again. Server and client use different types: [`FeedData`] and [`ServerMessage`]
//! are what the server writes, and [`ReceivedMessage`] lets a client parse only the data of the channel that a
//! message belongs to.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::accounts::{AccountBody, AccountChangeBody};
use super::errors::ErrorDetail;
use super::markets::{BookBody, TradesResponse};
use super::replicas::StatusBody;

/// A message from the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Starts a channel: its snapshot follows, then its changes.
    Subscribe(Channel),
    /// Ends a channel.
    Unsubscribe(Channel),
}

/// A channel that a client can subscribe to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case", deny_unknown_fields)]
pub enum Channel {
    /// Price levels of a market.
    Book {
        /// Name of the market, like `ETH/USDT`.
        market: String,
    },
    /// Trades of a market.
    Trades {
        /// Name of the market, like `ETH/USDT`.
        market: String,
    },
    /// Balances, orders and fills of an account.
    Account {
        /// The account's public key.
        account: String,
    },
    /// The replica's status.
    Status,
}

/// A message from the server that is not the snapshot or a change of a channel, as the server writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// A message from the client was not valid. The connection stays open.
    Error(ErrorDetail),
    /// The server is about to close the connection.
    Closing {
        /// The close reason: a sentence for people.
        reason: String,
    },
}

/// A message from the server, as a client reads it. Its contents stay raw JSON until the client knows the type to
/// parse them as; serde's own enum would first parse them into a general value.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ReceivedMessage<'a> {
    /// `snapshot`, `change`, `error` or `closing`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// In `snapshot` and `change`: the number of the message.
    pub number: Option<&'a str>,
    /// In `snapshot` and `change`: `book`, `trades`, `account` or `status`.
    pub channel: Option<&'a str>,
    /// In `snapshot` and `change`: the JSON of a [`BookBody`], [`TradesResponse`], [`AccountBody`],
    /// [`AccountChangeBody`] or [`StatusBody`], depending on the channel.
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    /// In `error`: a sentence, as a JSON string.
    #[serde(borrow)]
    pub message: Option<&'a RawValue>,
    /// In `closing`: a sentence, as a JSON string.
    #[serde(borrow)]
    pub reason: Option<&'a RawValue>,
}

/// What a `snapshot` or `change` says: `channel` and `data` of the message. It is the same for all subscribers
/// of a channel; only `type` and `number` belong to one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "channel", content = "data", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "each lives for one message")]
pub enum FeedData {
    /// Price levels: the snapshot has all of them, a change those that changed. A level that was removed has
    /// quantity `0`.
    Book(BookBody),
    /// Trades: the snapshot has the latest ones, newest first; a change has the new ones.
    Trades(TradesResponse),
    /// The snapshot of an account.
    Account(AccountBody),
    /// A change of an account.
    #[serde(rename = "account")]
    AccountChange(AccountChangeBody),
    /// The replica's status: complete in the snapshot and in each change.
    Status(StatusBody),
}

impl FeedData {
    /// The part of a message that all subscribers share: JSON without its opening brace.
    pub fn shared_json(&self) -> serde_json::Result<String> {
        let json = serde_json::to_string(self)?;
        // An enum with a tag is always an object.
        Ok(json.strip_prefix('{').unwrap_or_default().into())
    }
}

/// The part of a message that belongs to one subscription. [`FeedData::shared_json`] follows it. It comes first,
/// so that the shared part is serialized once for all subscribers.
pub fn feed_prefix(is_snapshot: bool, number: u64) -> String {
    let kind = if is_snapshot { "snapshot" } else { "change" };
    alloc::format!(r#"{{"type":"{kind}","number":"{number}","#)
}
