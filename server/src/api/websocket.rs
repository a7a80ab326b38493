//! `GET /v1/ws`: the feed, with channels for books, trades, accounts and the replica's status.
//!
//! A subscription starts with a channel snapshot, numbered 0, followed by changes numbered from 1. Nothing
//! is buffered per client beyond the feed's own bounded queue: a client that reads too slowly is
//! disconnected with a close reason and gets a new snapshot when it reconnects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{
    CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval, timeout};
use zellbook_core::PublicKey;
use zellbook_core::wire::{
    Channel, ClientMessage, ErrorDetail, Feed, FeedData, ServerMessage, TradeBody, TradesResponse,
};

use super::accounts::parse_account;
use super::app::{App, Shared};
use super::error::ApiError;
use super::sockets::{MakeRoom, Seat};
use crate::client_address::ClientAddress;
use crate::listen::stopped;
use crate::published::{BOOK_DEPTH_MAX, Update};

/// The most channels of one connection.
const CHANNELS_MAX: usize = 64;
/// The longest message from a client.
const MESSAGE_BYTES_MAX: usize = 4096;
/// How long a client may take to receive a message before it counts as too slow.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(20);
/// A connection without any message for this long, not even a response to a ping, is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The number of trades in a snapshot of the channel `trades`.
const TRADES: u32 = 50;

/// Opens a WebSocket, unless a page of another origin asks for it: browsers do not apply the same-origin
/// policy to WebSockets.
pub async fn upgrade(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Err(error) = app.origins.check_origin(&headers) {
        return error.into_response();
    }
    let (seat, make_room) = match app.sockets.seat(client).await {
        Ok(seat) => seat,
        Err(refused) => return ApiError::from(refused).into_response(),
    };
    upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX).on_upgrade(
        // The seat is held until the close frame was sent: when the replica stops, it waits for all of them.
        |socket| Connection::new(app, socket, seat).run(make_room),
    )
}

struct Subscription {
    /// The number of the last message.
    number: u64,
    /// The last batch that the client has seen; changes up to it are skipped.
    batch: u64,
    account: Option<PublicKey>,
}

struct Connection {
    app: Arc<App>,
    socket: WebSocket,
    channels: BTreeMap<Channel, Subscription>,
    seat: Seat,
}

/// Why a connection ends.
enum End {
    /// The client disconnected.
    Gone,
    /// The replica closes the connection, with this close reason.
    Closed(CloseCode, &'static str),
}

/// The client broke a rule of the protocol.
const fn misuse(reason: &'static str) -> End {
    End::Closed(close_code::POLICY, reason)
}

const TOO_SLOW: End = misuse("you are reading too slowly; reconnect for a new snapshot");
const STORE_FAILED: End =
    End::Closed(close_code::ERROR, "this replica failed to read its store; use another replica");
const MAKE_ROOM: End = End::Closed(
    close_code::AGAIN,
    "this replica needs the place for another client; reconnect in a moment",
);
const STOPPING: End =
    End::Closed(close_code::AWAY, "this replica is stopping; reconnect in a moment");

impl Connection {
    fn new(app: Arc<App>, socket: WebSocket, seat: Seat) -> Self {
        Self { app, socket, channels: BTreeMap::new(), seat }
    }

    async fn run(mut self, make_room: MakeRoom) {
        let end = tokio::select! {
            end = self.serve() => end,
            // Also while a message is being sent to a client that does not read.
            Ok(()) = make_room => Err(MAKE_ROOM),
        };
        if let Err(End::Closed(code, reason)) = end {
            // Failures are ignored and each send is limited in time, because the client may be gone or may
            // not be reading.
            let message = ServerMessage::Closing { reason: reason.into() };
            let _ = self.send(&message).await;
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            let _ = timeout(SEND_TIMEOUT, self.socket.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        // Before any snapshot is read, so that no commit between the two is missed.
        let mut feed = self.app.watch.feed.subscribe();
        let mut health = self.app.watch.health.clone();
        let mut stop = self.app.stop.clone();
        let mut ping = interval(PING_EVERY);
        let mut last_received = Instant::now();
        loop {
            // Not biased: a client that floods the socket with messages must not keep its own feed waiting.
            // While one branch sends, the feed's queue fills, so a slow client ends as `Lagged`.
            self.seat.set_has_channels(!self.channels.is_empty());
            tokio::select! {
                message = self.socket.recv() => {
                    last_received = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.take(&text).await?,
                        Some(Ok(Message::Binary(_))) => {
                            return Err(misuse("messages must be text, not binary"));
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    }
                }
                update = feed.recv() => match update {
                    Ok(update) => self.update(&update).await?,
                    // The feed has dropped messages for this client; to continue would leave a gap.
                    Err(RecvError::Lagged(_)) => return Err(TOO_SLOW),
                    Err(RecvError::Closed) => return Err(STOPPING),
                },
                changed = health.changed() => match changed {
                    Ok(()) => self.status().await?,
                    Err(_) => return Err(STOPPING),
                },
                () = stopped(&mut stop) => return Err(STOPPING),
                // Pings reveal dead connections, which TCP alone may keep for hours.
                _ = ping.tick() => {
                    if last_received.elapsed() > SILENCE_MAX {
                        return Err(End::Gone);
                    }
                    self.send_raw(Message::Ping(axum::body::Bytes::new())).await?;
                }
            }
        }
    }

    async fn send_raw(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(TOO_SLOW),
        }
    }

    async fn send(&mut self, message: &ServerMessage) -> Result<(), End> {
        let json = serde_json::to_string(message).map_err(|_| End::Gone)?;
        self.send_raw(Message::Text(json.into())).await
    }

    async fn error(&mut self, code: &str, message: String) -> Result<(), End> {
        let detail = ErrorDetail { code: code.into(), message, details: json!({}) };
        self.send(&ServerMessage::Error(detail)).await
    }

    async fn take(&mut self, text: &str) -> Result<(), End> {
        // A wrong message gets an error and the connection stays open, so one typing error does not cost a
        // client all its channels.
        match serde_json::from_str(text) {
            Ok(ClientMessage::Subscribe(channel)) => {
                match self.subscribe(slashed(channel)).await? {
                    Ok(()) => Ok(()),
                    Err(error) => {
                        let detail = error.detail().clone();
                        self.send(&ServerMessage::Error(detail)).await
                    }
                }
            }
            Ok(ClientMessage::Unsubscribe(channel)) => {
                self.channels.remove(&slashed(channel));
                Ok(())
            }
            Err(error) => {
                let message = format!(
                    "invalid message: {error}; example: {{\"op\":\"subscribe\",\"channel\":\"book\",\"market\":\"ETH/USDT\"}}"
                );
                self.error("bad_message", message).await
            }
        }
    }

    /// Sends a channel's snapshot. The feed is subscribed to before the snapshot is read, so no change
    /// between the two is lost; changes that the snapshot already includes are skipped by batch.
    async fn subscribe(&mut self, channel: Channel) -> Result<Result<(), ApiError>, End> {
        // Subscribing again replaces the channel, so it is allowed at the limit too.
        if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(&channel) {
            let message = format!(
                "a connection can have at most {CHANNELS_MAX} channels; unsubscribe from one first"
            );
            return Ok(Err(ApiError::bad_request("too_many_channels", message)));
        }
        let (data, account) = match snapshot(&self.app, &channel).await {
            Ok(snapshot) => snapshot,
            Err(error) => return Ok(Err(error)),
        };
        let batch = match &data {
            FeedData::Book(body) => &body.batch,
            FeedData::Trades(body) => &body.batch,
            FeedData::Account(body) => &body.batch,
            FeedData::Status(body) => &body.batch,
        };
        let batch = batch.parse().unwrap_or(0);
        self.channels.insert(channel, Subscription { number: 0, batch, account });
        let number = "0".to_string();
        self.send(&ServerMessage::Snapshot(Feed { number, data })).await.map(Ok)
    }

    /// Sends a commit to the channels that it changes.
    async fn update(&mut self, update: &Update) -> Result<(), End> {
        // Collected first, because sending borrows the whole connection.
        let mut messages = Vec::new();
        for (channel, subscription) in &mut self.channels {
            if update.batch <= subscription.batch {
                continue;
            }
            let data = match channel {
                Channel::Book { market } => {
                    let changed = update.books.iter().find(|body| body.market == *market);
                    changed.cloned().map(FeedData::Book)
                }
                Channel::Trades { market } => trades(&self.app, update, market),
                Channel::Account { .. } => match subscription.account {
                    // The whole account is read again, and only for the accounts that the commit changed.
                    // So no second code computes an account from events.
                    Some(account) if update.accounts.contains(&account) => {
                        let body = self.app.account(account).await;
                        let body = body.map_err(|_| STORE_FAILED)?;
                        // The store may be ahead of this update; then later updates are included already.
                        subscription.batch = body.batch.parse().unwrap_or(0);
                        Some(FeedData::Account(body))
                    }
                    _ => None,
                },
                Channel::Status => Some(FeedData::Status(self.app.status())),
            };
            if let Some(data) = data {
                subscription.number += 1;
                let number = subscription.number.to_string();
                messages.push(ServerMessage::Change(Feed { number, data }));
            }
        }
        for message in messages {
            self.send(&message).await?;
        }
        Ok(())
    }

    async fn status(&mut self) -> Result<(), End> {
        let Some(subscription) = self.channels.get_mut(&Channel::Status) else { return Ok(()) };
        subscription.number += 1;
        let number = subscription.number.to_string();
        let data = FeedData::Status(self.app.status());
        self.send(&ServerMessage::Change(Feed { number, data })).await
    }
}

/// The channel with its market named as in genesis (`ETH/USDT`). The form of paths (`ETH-USDT`) is accepted
/// too.
fn slashed(channel: Channel) -> Channel {
    // One form for both, so that a client that uses both does not subscribe to one channel twice.
    let slash = |market: String| market.replacen('-', "/", 1);
    match channel {
        Channel::Book { market } => Channel::Book { market: slash(market) },
        Channel::Trades { market } => Channel::Trades { market: slash(market) },
        other => other,
    }
}

/// The data of a channel's first message.
async fn snapshot(app: &App, channel: &Channel) -> Result<(FeedData, Option<PublicKey>), ApiError> {
    // The status stays available after a halt, so that clients learn the reason.
    if let Some(error) = app.halted().filter(|_| *channel != Channel::Status) {
        return Err(error);
    }
    Ok(match channel {
        Channel::Book { market } => {
            (FeedData::Book(app.book(app.market(market)?, BOOK_DEPTH_MAX)), None)
        }
        Channel::Trades { market } => {
            let market = app.market(market)?;
            (FeedData::Trades(app.trades(market, u64::MAX, TRADES).await?), None)
        }
        Channel::Account { account } => {
            let key = parse_account(account)?;
            (FeedData::Account(app.account(key).await?), Some(key))
        }
        Channel::Status => (FeedData::Status(app.status()), None),
    })
}

/// The trades of a commit in one market, newest first.
fn trades(app: &App, update: &Update, name: &str) -> Option<FeedData> {
    let market = app.rules.listing.market(name)?;
    let trades: Vec<TradeBody> = update
        .trades
        .iter()
        .rev()
        .filter(|row| row.fill.market == market.index)
        .map(|row| TradeBody {
            id: row.fill.trade.to_string(),
            market: market.name.clone(),
            price: market.format_price(row.fill.price),
            quantity: market.format_quantity(row.fill.quantity.0.into()),
            taker_side: row.fill.taker_side,
            maker_order: row.fill.maker_order.to_string(),
            taker_order: row.fill.taker_order.to_string(),
            batch: row.batch.to_string(),
            time_ms: row.time_ms.to_string(),
        })
        .collect();
    let (market, batch) = (market.name.clone(), update.batch.to_string());
    (!trades.is_empty()).then_some(FeedData::Trades(TradesResponse { market, batch, trades }))
}
