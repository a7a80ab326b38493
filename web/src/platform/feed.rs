//! The WebSocket: channels that follow the market on show and the wallet's account. What comes is kept
//! until the next frame and shown at once; a channel with a gap begins anew, and so does a connection
//! that broke.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{Function, Math};
use leptos::prelude::*;
use serde_json::value::RawValue;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, WebSocket};
use zellbook_core::wire::{
    AccountBody, BookBody, Channel, ClientMessage, FeedData, ReceivedMessage, StatusBody, TradeBody,
};

use crate::state::State;

/// Wait before connecting again, doubled from the first to the last; less up to half, at random, so that
/// not all pages of a replica that was away come back in one moment.
const RECONNECT_MS: (u32, u32) = (300, 10_000);

/// Keeps the state up to date for as long as the page lives.
pub fn start(state: State) {
    let feed = Feed(Rc::new(Connection {
        state,
        socket: RefCell::new(None),
        channels: RefCell::default(),
        unread: RefCell::default(),
        has_frame: Cell::new(false),
        wait_ms: Cell::new(RECONNECT_MS.0),
        again: RefCell::new(None),
    }));
    feed.connect();
    for (event, is_online) in [("online", true), ("offline", false)] {
        let feed = feed.clone();
        let listener = move || if is_online { feed.connect() } else { feed.lost() };
        let listener: Function =
            Closure::<dyn Fn()>::new(listener).into_js_value().unchecked_into();
        // Without it the wait for the next connection is only longer.
        let _ = window().add_event_listener_with_callback(event, &listener);
    }
    Effect::new(move || {
        state.market.track();
        let account = state.wallet.with(crate::wallet::Wallet::account);
        let account = account.map(|account| account.to_string());
        let is_other = |body: &AccountBody| Some(&body.account) != account.as_ref();
        // Another account's balances and orders must not bear on what the form says.
        if state.account.with_untracked(|body| body.as_ref().is_some_and(is_other)) {
            state.account.set(None);
        }
        feed.follow_what_is_shown();
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
    let location = window().location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    Some(format!("{scheme}://{}/v1/ws", location.host().ok()?))
}

/// A channel that was asked for.
struct Subscription {
    channel: Channel,
    /// The number of its last message; none until its snapshot comes.
    number: Option<u64>,
}

struct Connection {
    state: State,
    socket: RefCell<Option<WebSocket>>,
    channels: RefCell<Vec<Subscription>>,
    /// Messages since the last frame.
    unread: RefCell<Vec<String>>,
    /// Whether the browser was asked to call before its next frame.
    has_frame: Cell<bool>,
    wait_ms: Cell<u32>,
    /// Connects again when its time has come.
    again: RefCell<Option<Timeout>>,
}

#[derive(Clone)]
struct Feed(Rc<Connection>);

impl Feed {
    /// Opens a connection, unless there is one.
    fn connect(&self) {
        self.0.again.take();
        if self.0.socket.borrow().is_some() {
            return;
        }
        let Some(socket) = address().and_then(|address| WebSocket::new(&address).ok()) else {
            return self.lost();
        };
        let feed = self.clone();
        let opened = Closure::once_into_js(move || feed.follow_what_is_shown());
        let feed = self.clone();
        let closed = Closure::once_into_js(move || feed.lost());
        let feed = self.clone();
        let take = move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                feed.take(text);
            }
        };
        let message = Closure::<dyn Fn(MessageEvent)>::new(take).into_js_value();
        socket.set_onopen(Some(opened.unchecked_ref()));
        socket.set_onclose(Some(closed.unchecked_ref()));
        socket.set_onmessage(Some(message.unchecked_ref()));
        self.0.socket.replace(Some(socket));
    }

    /// The connection is no more: tries again after a while.
    fn lost(&self) {
        // What came before still holds.
        self.show();
        self.0.channels.borrow_mut().clear();
        if let Some(socket) = self.0.socket.take() {
            socket.set_onopen(None);
            socket.set_onclose(None);
            socket.set_onmessage(None);
            // It may be closed already.
            let _ = socket.close();
        }
        self.0.state.connected.set(false);
        let wait = self.0.wait_ms.get();
        self.0.wait_ms.set((wait * 2).min(RECONNECT_MS.1));
        let feed = self.clone();
        let again = Timeout::new(jittered(wait), move || feed.connect());
        self.0.again.replace(Some(again));
    }

    fn send(&self, message: &ClientMessage) {
        if let (Some(socket), Ok(json)) = (&*self.0.socket.borrow(), serde_json::to_string(message))
        {
            // It fails on one that is closing, whose end is told by its own event.
            let _ = socket.send_with_str(&json);
        }
    }

    /// Subscribes to what the page shows now, and to nothing else.
    fn follow_what_is_shown(&self) {
        let is_open = |socket: &WebSocket| socket.ready_state() == WebSocket::OPEN;
        if !self.0.socket.borrow().as_ref().is_some_and(is_open) {
            return;
        }
        let wanted = wanted(self.0.state);
        let mut channels = self.0.channels.borrow_mut();
        channels.retain(|old| {
            let is_wanted = wanted.contains(&old.channel);
            if !is_wanted {
                self.send(&ClientMessage::Unsubscribe(old.channel.clone()));
            }
            is_wanted
        });
        for channel in wanted {
            if channels.iter().all(|old| old.channel != channel) {
                self.send(&ClientMessage::Subscribe(channel.clone()));
                channels.push(Subscription { channel, number: None });
            }
        }
    }

    /// Keeps a message for the next frame. A page that is hidden has no frames, and reads at once.
    fn take(&self, text: String) {
        self.0.unread.borrow_mut().push(text);
        if document().hidden() {
            self.show();
        } else if !self.0.has_frame.replace(true) {
            let feed = self.clone();
            request_animation_frame(move || {
                feed.0.has_frame.set(false);
                feed.show();
            });
        }
    }

    /// Shows all messages that came since the last frame.
    fn show(&self) {
        let unread = self.0.unread.take();
        let mut news = News::default();
        for text in unread {
            // What does not read is of a version that this page does not know.
            if let Ok(message) = serde_json::from_str(&text) {
                self.read(message, &mut news);
            }
        }
        if news.is_some {
            self.0.wait_ms.set(RECONNECT_MS.0);
            if !self.0.state.connected.get_untracked() {
                self.0.state.connected.set(true);
                self.0.state.parting.set(None);
            }
            news.show(self.0.state);
        }
    }

    fn read(&self, message: ReceivedMessage<'_>, news: &mut News) {
        let text = |json: Option<&RawValue>| serde_json::from_str(json?.get()).ok();
        match message.kind {
            "snapshot" | "change" => {
                let is_snapshot = message.kind == "snapshot";
                let number = message.number.and_then(|number| number.parse().ok());
                if let Some((number, data)) = number.zip(data(&message))
                    && self.follows(&data, number, is_snapshot)
                {
                    news.add(data, is_snapshot);
                }
            }
            "error" => self.0.state.problem.set(text(message.message)),
            "closing" => self.0.state.parting.set(text(message.reason)),
            _ => {}
        }
    }

    /// Whether a message is the next of a channel that is followed. After a gap the channel begins anew;
    /// what comes before its snapshot is of no use.
    fn follows(&self, data: &FeedData, number: u64, is_snapshot: bool) -> bool {
        let mut channels = self.0.channels.borrow_mut();
        let channel = channel(data);
        let Some(old) = channels.iter_mut().find(|old| old.channel == channel) else {
            return false;
        };
        if is_snapshot {
            old.number = Some(number);
            return true;
        }
        let Some(last) = old.number else { return false };
        let is_next = last.checked_add(1) == Some(number);
        old.number = is_next.then_some(number);
        if !is_next {
            self.send(&ClientMessage::Unsubscribe(channel.clone()));
            self.send(&ClientMessage::Subscribe(channel));
        }
        is_next
    }
}

/// Reads the JSON of an account.
type ReadAccount = fn(&str) -> Option<AccountBody>;

thread_local! {
    static READ_ACCOUNT: Cell<Option<ReadAccount>> = const { Cell::new(None) };
}

/// Has accounts read from now on. What reads them comes with the wallet, without which none is followed.
pub fn read_accounts(read: ReadAccount) {
    // Where the optimizer saw that there is one such function only, it would be called by its name, and
    // would be no part of what comes later.
    READ_ACCOUNT.set(Some(std::hint::black_box(read)));
}

/// What a message carries.
fn data(message: &ReceivedMessage<'_>) -> Option<FeedData> {
    let json = message.data?.get();
    match message.channel? {
        "book" => serde_json::from_str(json).ok().map(FeedData::Book),
        "trades" => serde_json::from_str(json).ok().map(FeedData::Trades),
        "account" => READ_ACCOUNT.get()?(json).map(FeedData::Account),
        "status" => serde_json::from_str(json).ok().map(FeedData::Status),
        _ => None,
    }
}

/// The channel that a message is of.
fn channel(data: &FeedData) -> Channel {
    match data {
        FeedData::Book(body) => Channel::Book { market: body.market.clone() },
        FeedData::Trades(body) => Channel::Trades { market: body.market.clone() },
        FeedData::Account(body) => Channel::Account { account: body.account.clone() },
        FeedData::Status(_) => Channel::Status,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a wait that fits by far"
)]
fn jittered(wait_ms: u32) -> u32 {
    wait_ms - (Math::random() * f64::from(wait_ms / 2)) as u32
}

/// What came since the last frame, of the market and account on show.
#[derive(Default)]
struct News {
    is_some: bool,
    books: Vec<(BookBody, bool)>,
    /// Newest first.
    trades: Vec<TradeBody>,
    has_tape: bool,
    account: Option<AccountBody>,
    status: Option<StatusBody>,
}

impl News {
    fn add(&mut self, data: FeedData, is_snapshot: bool) {
        self.is_some = true;
        match data {
            FeedData::Book(body) => {
                if is_snapshot {
                    self.books.clear();
                }
                self.books.push((body, is_snapshot));
            }
            FeedData::Trades(body) => {
                if is_snapshot {
                    self.trades.clear();
                    self.has_tape = true;
                }
                self.trades.splice(0..0, body.trades);
            }
            FeedData::Account(body) => self.account = Some(body),
            FeedData::Status(body) => self.status = Some(body),
        }
    }

    /// One change of each signal, however many messages there were.
    fn show(self, state: State) {
        let listing = state.listing.get_untracked();
        let market = state.market.get_untracked();
        let market = listing.as_ref().and_then(|listing| listing.market(&market));
        if let Some(market) = market.filter(|_| !self.books.is_empty()) {
            state.book.update(|book| {
                for (body, is_snapshot) in &self.books {
                    if body.market == market.name {
                        book.take(body, market, *is_snapshot);
                    }
                }
            });
        }
        if self.has_tape || !self.trades.is_empty() {
            state.add_trades(self.trades, self.has_tape);
        }
        if self.account.is_some() {
            state.account.set(self.account);
        }
        if self.status.is_some() {
            state.status.set(self.status);
        }
    }
}
