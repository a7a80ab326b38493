//! `GET /v1/ws`: the feed, with channels for books, trades, accounts and the replica's status.
//!
//! A subscription starts with a channel snapshot, numbered 0, followed by changes numbered from 1. Nothing
//! is buffered per client beyond the feed's own bounded queue: a client that reads too slowly is
//! disconnected with a close reason and gets a new snapshot when it reconnects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use zellbook_core::PublicKey;
use zellbook_core::wire::{
    Channel, ClientMessage, ErrorDetail, FeedData, ServerMessage, feed_prefix,
};

use super::app::Shared;
use super::channels;
use super::error::ApiError;
use super::reads::Reads;
use super::socket::{End, Received, Socket, TOO_SLOW};
use super::sockets::{MakeRoom, Seat};
use super::unsent::PIECE_BYTES;
use crate::client_address::ClientAddress;
use crate::listen::{Closer, stopped};
use crate::published::Update;

/// The most channels of one connection.
const CHANNELS_MAX: usize = 64;
const PING_EVERY: Duration = Duration::from_secs(20);
/// A connection without any message for this long, not even a response to a ping, is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How far a connection may be behind. All connections share the updates that wait for the slowest of them, so
/// this also bounds the memory that one of them can hold.
const LAG_MAX: Duration = Duration::from_secs(20);

/// Opens a WebSocket, unless a page of another origin asks for it: browsers do not apply the same-origin
/// policy to WebSockets.
pub async fn upgrade(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    mut request: Request,
) -> Response {
    if let Err(error) = app.origins.check_origin(request.headers()) {
        return error.into_response();
    }
    // Its bytes and the frames after it would be read in two ways.
    if !request.body().is_end_stream() {
        let message = "a request that opens a WebSocket has no body";
        return ApiError::bad_request("bad_request", message).into_response();
    }
    let response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => {
            let message = format!("the request does not open a WebSocket of version 13: {error}");
            return ApiError::bad_request("bad_request", message).into_response();
        }
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        let message = "this connection cannot become a WebSocket; use HTTP/1.1";
        return ApiError::new(StatusCode::UPGRADE_REQUIRED, "no_upgrade", message).into_response();
    };
    let (seat, make_room) = match app.sockets.seat(client).await {
        Ok(seat) => seat,
        Err(refused) => return ApiError::from(refused).into_response(),
    };
    tokio::spawn(async move {
        // Fails if the client is gone before it got the response.
        if let Ok(upgraded) = upgrade.await {
            // The seat is held until the close frame was sent: when the replica stops, it waits for all of them.
            let socket = Socket::new(upgraded).await;
            Connection::new(Reads::new(app, client), socket, seat).run(make_room).await;
        }
    });
    response
}

struct Subscription {
    /// The number of the last message.
    number: u64,
    /// The last batch that the client has seen; changes up to it are skipped.
    batch: u64,
    account: Option<PublicKey>,
}

struct Connection {
    reads: Reads,
    socket: Socket,
    channels: BTreeMap<Channel, Subscription>,
    seat: Seat,
    closer: Closer,
}

const STORE_FAILED: End =
    End::Closed(CloseCode::Error, "this replica failed to read its store; use another replica");
const MAKE_ROOM: End = End::Closed(
    CloseCode::Again,
    "this replica needs the place for another client; reconnect in a moment",
);
const STOPPING: End =
    End::Closed(CloseCode::Away, "this replica is stopping; reconnect in a moment");

impl Connection {
    fn new(reads: Reads, socket: Socket, seat: Seat) -> Self {
        Self { reads, socket, channels: BTreeMap::new(), seat, closer: Closer::default() }
    }

    async fn run(mut self, make_room: MakeRoom) {
        let closer = self.closer.clone();
        let end = tokio::select! {
            end = self.serve() => end,
            () = closer.closed() => Err(TOO_SLOW),
            // Also while a message is being sent to a client that does not read.
            Ok(()) = make_room => Err(MAKE_ROOM),
        };
        if let Err(End::Closed(code, reason)) = end {
            self.socket.close(code, reason).await;
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        // Before any snapshot is read, so that no commit between the two is missed.
        let mut feed = self.reads.app.watch.feed.subscribe();
        let mut health = self.reads.app.watch.health.clone();
        let mut stop = self.reads.app.stop.clone();
        // Each message is handled in its client's turn. So a client with many sockets, or one that floods them, delays only
        // itself.
        let (work, client) = (Arc::clone(&self.reads.app.queues.work), self.reads.client);
        let mut ping = interval(PING_EVERY);
        let mut last_received = Instant::now();
        loop {
            // Not biased: a client that floods the socket with messages must not keep its own feed waiting.
            // While one branch sends, the feed's queue fills, so a slow client ends as `Lagged`.
            self.seat.set_has_channels(!self.channels.is_empty());
            tokio::select! {
                message = self.socket.receive() => {
                    last_received = Instant::now();
                    if let Received::Text(text) = message? {
                        work.begin(client, self.take(&text)).await?;
                    }
                }
                update = feed.recv() => match update {
                    Ok(update) if update.published.elapsed() > LAG_MAX => return Err(TOO_SLOW),
                    Ok(update) => work.begin(client, self.update(&update)).await?,
                    // The feed has dropped messages for this client; to continue would leave a gap.
                    Err(RecvError::Lagged(_)) => return Err(TOO_SLOW),
                    Err(RecvError::Closed) => return Err(STOPPING),
                },
                changed = health.changed() => match changed {
                    Ok(()) => work.begin(client, self.status()).await?,
                    Err(_) => return Err(STOPPING),
                },
                () = stopped(&mut stop) => return Err(STOPPING),
                // Pings reveal dead connections, which TCP alone may keep for hours.
                _ = ping.tick() => {
                    if last_received.elapsed() > SILENCE_MAX {
                        return Err(End::Gone);
                    }
                    self.socket.ping().await?;
                }
            }
        }
    }

    async fn send(&mut self, message: &ServerMessage) -> Result<(), End> {
        let json = serde_json::to_string(message).map_err(|_| End::Gone)?;
        self.socket.send(json, "").await
    }

    async fn take(&mut self, text: &str) -> Result<(), End> {
        // A wrong message gets an error and the connection stays open, so one typing error does not cost a
        // client all its channels.
        let error = match serde_json::from_str(text) {
            Ok(ClientMessage::Subscribe(channel)) => match self.subscribe(channel).await? {
                Ok(()) => return Ok(()),
                Err(error) => error.detail().clone(),
            },
            Ok(ClientMessage::Unsubscribe(channel)) => match channels::named(channel) {
                Ok((channel, _)) => {
                    self.channels.remove(&channel);
                    return Ok(());
                }
                Err(error) => error.detail().clone(),
            },
            Err(error) => {
                let message = format!(
                    "invalid message: {error}; example: {{\"op\":\"subscribe\",\"channel\":\"book\",\"market\":\"ETH/USDT\"}}"
                );
                ErrorDetail { code: "bad_message".into(), message, details: json!({}) }
            }
        };
        self.send(&ServerMessage::Error(error)).await
    }

    /// Sends a channel's snapshot. The feed is subscribed to before the snapshot is read, so no change
    /// between the two is lost; changes that the snapshot already includes are skipped by batch.
    async fn subscribe(&mut self, channel: Channel) -> Result<Result<(), ApiError>, End> {
        let (channel, account) = match channels::named(channel) {
            Ok(named) => named,
            Err(error) => return Ok(Err(error)),
        };
        // Subscribing again replaces the channel, so it is allowed at the limit too.
        if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(&channel) {
            let message = format!(
                "a connection can have at most {CHANNELS_MAX} channels; unsubscribe from one first"
            );
            return Ok(Err(ApiError::bad_request("too_many_channels", message)));
        }
        let (data, batch) = match channels::snapshot(&self.reads, &channel, account).await {
            Ok(snapshot) => snapshot,
            Err(error) => return Ok(Err(error)),
        };
        self.channels.insert(channel, Subscription { number: 0, batch, account });
        let shared = data.shared_json().map_err(|_| End::Gone)?;
        // The client may take its time for the text.
        drop(data);
        let unsent = &self.reads.app.unsent;
        let _share = (shared.len() > PIECE_BYTES)
            .then(|| unsent.share(self.reads.client, shared.len(), self.closer.clone()));
        self.socket.send(feed_prefix(true, 0), &shared).await.map(Ok)
    }

    /// Sends a commit to the channels that it changes.
    async fn update(&mut self, update: &Arc<Update>) -> Result<(), End> {
        for (channel, subscription) in &mut self.channels {
            if update.batch <= subscription.batch {
                continue;
            }
            let messages =
                channels::changes(&self.reads.app, update, channel, subscription.account);
            for shared in messages.await.map_err(|_| STORE_FAILED)?.iter() {
                subscription.number += 1;
                self.socket.queue(feed_prefix(false, subscription.number), shared).await?;
            }
        }
        self.socket.flush().await
    }

    async fn status(&mut self) -> Result<(), End> {
        let Some(subscription) = self.channels.get_mut(&Channel::Status) else { return Ok(()) };
        subscription.number += 1;
        let shared =
            FeedData::Status(self.reads.app.status()).shared_json().map_err(|_| End::Gone)?;
        self.socket.send(feed_prefix(false, subscription.number), &shared).await
    }
}
