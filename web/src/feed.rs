//! The WebSocket: channels that follow the market on show and the wallet's account, with gaps
//! noticed and a new connection where the old one broke.

use std::collections::HashMap;
use std::future::ready;

use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use futures_util::stream::{once, select};
use futures_util::{SinkExt, StreamExt};
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, State as SocketState, WebSocketError};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::wire::{AccountBody, Channel, ClientMessage, Feed, FeedData, ServerMessage};

use crate::state::State;

/// How often a connection that is being made is looked at.
const OPENING_MS: u32 = 20;
/// Wait before connecting again, doubled from the first to the last.
const RECONNECT_MS: (u32, u32) = (250, 8000);

/// Keeps the state up to date for as long as the page lives.
pub fn start(state: State) {
    let (changed, mut changes) = unbounded();
    Effect::new(move || {
        state.market.track();
        let account = state.wallet.with(crate::wallet::Wallet::account);
        let account = account.map(|account| account.to_string());
        let is_other = |body: &AccountBody| Some(&body.account) != account.as_ref();
        // Another account's balances and orders must not bear on what the form says.
        if state.account.with_untracked(|body| body.as_ref().is_some_and(is_other)) {
            state.account.set(None);
        }
        // The receiver lives as long as the page.
        let _ = changed.unbounded_send(());
    });
    spawn_local(async move {
        let mut wait = RECONNECT_MS.0;
        loop {
            if follow(state, &mut changes).await.is_some() {
                wait = RECONNECT_MS.0;
            }
            state.connected.set(false);
            TimeoutFuture::new(wait).await;
            wait = (wait * 2).min(RECONNECT_MS.1);
        }
    });
}

/// The channels that the page needs now.
fn wanted(state: State) -> Vec<Channel> {
    let mut channels = vec![Channel::Status];
    let market = state.market.get_untracked();
    if !market.is_empty() {
        channels.push(Channel::Book { market: market.clone() });
        channels.push(Channel::Trades { market });
    }
    let account = state.wallet.with_untracked(crate::wallet::Wallet::account);
    channels.extend(account.map(|account| Channel::Account { account: account.to_string() }));
    channels
}

fn address() -> Option<String> {
    let location = web_sys::window()?.location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    Some(format!("{scheme}://{}/v1/ws", location.host().ok()?))
}

/// What a connection waits for.
enum Event {
    /// Another market or account.
    Changed,
    Message(Result<Message, WebSocketError>),
}

/// One connection, until it ends. `Some` if it ever worked.
async fn follow(state: State, changes: &mut UnboundedReceiver<()>) -> Option<()> {
    let socket = WebSocket::open(&address()?).ok()?;
    // Only an open connection can be written to; on one that failed the browser would complain.
    while matches!(socket.state(), SocketState::Connecting) {
        TimeoutFuture::new(OPENING_MS).await;
    }
    if !matches!(socket.state(), SocketState::Open) {
        return None;
    }
    let (mut sender, receiver) = socket.split();
    let ended = once(ready(Event::Message(Err(WebSocketError::ConnectionError))));
    let mut events = select(
        once(ready(Event::Changed)).chain(changes.map(|()| Event::Changed)),
        receiver.map(Event::Message).chain(ended),
    );
    let mut channels: Vec<Channel> = Vec::new();
    let mut numbers: HashMap<&'static str, u64> = HashMap::new();
    let mut worked = None;
    while let Some(event) = events.next().await {
        let text = match event {
            Event::Changed => {
                let next = wanted(state);
                let old = channels.iter().filter(|old| !next.contains(old));
                let old = old.cloned().map(ClientMessage::Unsubscribe);
                let new = next.iter().filter(|new| !channels.contains(new));
                let new = new.cloned().map(ClientMessage::Subscribe);
                for message in old.chain(new) {
                    let json = serde_json::to_string(&message).ok()?;
                    if sender.send(Message::Text(json)).await.is_err() {
                        return worked;
                    }
                }
                channels = next;
                continue;
            }
            Event::Message(Ok(Message::Text(text))) => text,
            Event::Message(Ok(Message::Bytes(_))) => continue,
            Event::Message(Err(_)) => return worked,
        };
        let Ok(message) = serde_json::from_str::<ServerMessage>(&text) else { continue };
        worked = Some(());
        state.connected.set(true);
        match message {
            ServerMessage::Snapshot(feed) => {
                numbers.insert(name(&feed.data), 0);
                take(state, feed, true);
            }
            ServerMessage::Change(feed) => {
                let number = numbers.entry(name(&feed.data)).or_default();
                *number += 1;
                if number.to_string() != feed.number {
                    // A change is missing: start over with fresh snapshots.
                    return worked;
                }
                take(state, feed, false);
            }
            ServerMessage::Error(error) => state.problem.set(Some(error.message)),
            ServerMessage::Closing { .. } => return worked,
        }
    }
    worked
}

const fn name(data: &FeedData) -> &'static str {
    match data {
        FeedData::Book(_) => "book",
        FeedData::Trades(_) => "trades",
        FeedData::Account(_) => "account",
        FeedData::Status(_) => "status",
    }
}

/// Shows a message, unless it is of a market or account that is no longer on show.
fn take(state: State, feed: Feed, is_snapshot: bool) {
    let is_shown = |market: &str| state.market.with_untracked(|shown| shown == market);
    match feed.data {
        FeedData::Book(body) if is_shown(&body.market) => {
            let rules = state.rules.get_untracked();
            if let Some(market) = rules.as_ref().and_then(|rules| rules.market(&body.market)) {
                state.book.update(|book| book.take(&body, market, is_snapshot));
            }
        }
        FeedData::Trades(body) if is_shown(&body.market) => {
            state.add_trades(body.trades, is_snapshot);
        }
        FeedData::Account(body) => {
            let account = state.wallet.with_untracked(crate::wallet::Wallet::account);
            if account.is_some_and(|account| account.to_string() == body.account) {
                state.account.set(Some(body));
            }
        }
        FeedData::Status(body) => state.status.set(Some(body)),
        FeedData::Book(_) | FeedData::Trades(_) => {}
    }
}
