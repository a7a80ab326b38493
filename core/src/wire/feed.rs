//! The WebSocket: what a client asks for, and what the server tells it.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::accounts::AccountBody;
use super::errors::ErrorDetail;
use super::markets::{BookBody, TradesResponse};
use super::replicas::StatusBody;

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
