//! The replica's WebSocket feed. It subscribes to the channels that the page needs now, and reconnects when the
//! connection breaks.
//!
//! Messages are stored until the browser draws its next frame and are then handed over together, so that a busy market
//! costs one update of the page per frame. Each channel's messages are numbered. After a gap the feed subscribes to the
//! channel again, whose first message is a full one (a channel snapshot).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{Function, Math};
use leptos::prelude::{document, request_animation_frame, window};
use serde::Deserialize;
use serde_json::value::RawValue;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, WebSocket};
use zellbook_core::wire::{
    AccountBody, BookBody, Channel, ClientMessage, ReceivedMessage, ReplicaState, TradeBody,
    TradesResponse,
};

/// The shortest and the longest wait before connecting again. It doubles from one to the other and is shortened at
/// random by up to half, so that not all pages of a replica that was away come back in one moment.
const RECONNECT_MS: (u32, u32) = (300, 10_000);

/// What the feed tells the page.
pub trait Listener {
    /// The channels that the page needs now.
    fn wanted(&self) -> Vec<Channel>;
    /// Whether messages of the replica arrive.
    fn set_connected(&self, is_connected: bool);
    /// Why the replica is about to close the connection, in words for the reader.
    fn closing(&self, reason: Option<String>);
    /// An error that the replica reported, in words for the reader.
    fn failed(&self, problem: Option<String>);
    fn show(&self, news: News);
}

/// What arrived since the last frame.
#[derive(Default)]
pub struct News {
    is_some: bool,
    /// Books and changes of books in the order in which they came. True marks a channel snapshot.
    pub books: Vec<(BookBody, bool)>,
    /// Newest first.
    pub trades: Vec<TradeBody>,
    /// Whether `trades` are all recent trades, and not only those that are new.
    pub has_tape: bool,
    /// In the order in which they came.
    pub account: Vec<Box<dyn AccountMessage>>,
    pub status: Option<Status>,
}

/// A message of the account channel. The code behind it is loaded with the wallet: it is large, and without a
/// wallet no account is subscribed to.
pub trait AccountMessage {
    fn account(&self) -> &str;
    /// The account after this message, given the one before it. There is none if a change has nothing to start from.
    fn apply(self: Box<Self>, account: Option<AccountBody>) -> Option<AccountBody>;
}

/// What most of the page reads of a replica's status (docs/api.md). The code that parses all of it is large, so it is
/// in the part with the view that shows all of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    pub network: String,
    pub state: ReplicaState,
    pub reason: Option<String>,
    pub batch: String,
    pub root: String,
    pub time_ms: String,
    pub now_ms: String,
    pub certified_batch: Option<String>,
    pub start: String,
    pub lag_batches: String,
    pub lag_ms: String,
    pub faucet: bool,
    /// All of it.
    #[serde(skip)]
    pub json: String,
}

/// The data of a message.
enum Data {
    Book(BookBody),
    Trades(TradesResponse),
    Account(Box<dyn AccountMessage>),
    Status(Status),
}

impl News {
    fn add(&mut self, data: Data, is_snapshot: bool) {
        self.is_some = true;
        match data {
            Data::Book(body) => {
                // Only one book is subscribed to at a time, so its snapshot makes everything before it obsolete.
                if is_snapshot {
                    self.books.clear();
                }
                self.books.push((body, is_snapshot));
            }
            Data::Trades(body) => {
                if is_snapshot {
                    self.trades.clear();
                    self.has_tape = true;
                }
                self.trades.splice(0..0, body.trades);
            }
            Data::Account(message) => self.account.push(message),
            // Each message has the complete status, so the last one of a frame is enough.
            Data::Status(body) => self.status = Some(body),
        }
    }
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
    listener: Box<dyn Listener>,
    socket: RefCell<Option<WebSocket>>,
    channels: RefCell<Vec<Subscription>>,
    /// Messages since the last frame.
    unread: RefCell<Vec<String>>,
    /// Whether the browser was asked to call before its next frame.
    has_frame: Cell<bool>,
    wait_ms: Cell<u32>,
    /// The timer of the next attempt to connect.
    reconnect: RefCell<Option<Timeout>>,
}

/// The connection to the feed, shared by everything that calls back into it.
#[derive(Clone)]
pub struct Feed(Rc<Connection>);

impl Feed {
    /// Connects, and stays connected for as long as the page lives.
    pub fn start(listener: impl Listener + 'static) -> Self {
        let feed = Self(Rc::new(Connection {
            listener: Box::new(listener),
            socket: RefCell::new(None),
            channels: RefCell::default(),
            unread: RefCell::default(),
            has_frame: Cell::new(false),
            wait_ms: Cell::new(RECONNECT_MS.0),
            reconnect: RefCell::new(None),
        }));
        feed.connect();
        // The browser knows at once when its network is gone or back. The socket alone may take minutes to notice.
        for (event, is_online) in [("online", true), ("offline", false)] {
            let feed = feed.clone();
            let listener = move || if is_online { feed.connect() } else { feed.lost() };
            let listener: Function =
                Closure::<dyn Fn()>::new(listener).into_js_value().unchecked_into();
            // Without it, only the wait for the next connection is longer.
            let _ = window().add_event_listener_with_callback(event, &listener);
        }
        feed
    }

    /// Opens a connection, unless there is one.
    fn connect(&self) {
        // Dropping the timer cancels it: the event `online` may call this before the wait is over.
        self.0.reconnect.take();
        if self.0.socket.borrow().is_some() {
            return;
        }
        let Some(socket) = address().and_then(|address| WebSocket::new(&address).ok()) else {
            return self.lost();
        };
        let feed = self.clone();
        let opened = Closure::once_into_js(move || feed.subscribe());
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

    /// The connection broke or could not be made: tries again after a while.
    fn lost(&self) {
        // What had arrived by then is still valid. It is read before the subscriptions are forgotten, because
        // messages without one are ignored, and before the connection counts as lost, because reading a message marks
        // it as connected.
        self.show();
        self.0.channels.borrow_mut().clear();
        if let Some(socket) = self.0.socket.take() {
            // Events of this socket may still be due. Its `close` event would call this function again, for the next
            // connection.
            socket.set_onopen(None);
            socket.set_onclose(None);
            socket.set_onmessage(None);
            // It may be closed already.
            let _ = socket.close();
        }
        self.0.listener.set_connected(false);
        let wait = self.0.wait_ms.get();
        self.0.wait_ms.set((wait * 2).min(RECONNECT_MS.1));
        let feed = self.clone();
        let reconnect = Timeout::new(jittered(wait), move || feed.connect());
        self.0.reconnect.replace(Some(reconnect));
    }

    fn send(&self, message: &ClientMessage) {
        if let (Some(socket), Ok(json)) = (&*self.0.socket.borrow(), serde_json::to_string(message))
        {
            // It fails on a socket that is closing, and then the socket's close event follows.
            let _ = socket.send_with_str(&json);
        }
    }

    /// Subscribes to the channels that the page needs now, and unsubscribes from all others.
    pub fn subscribe(&self) {
        let is_open = |socket: &WebSocket| socket.ready_state() == WebSocket::OPEN;
        // A socket that is not open yet calls this again once it is.
        if !self.0.socket.borrow().as_ref().is_some_and(is_open) {
            return;
        }
        let wanted = self.0.listener.wanted();
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

    /// Stores a message for the next frame. A hidden page draws no frames and reads the message at once.
    fn take(&self, text: String) {
        self.0.unread.borrow_mut().push(text);
        // Without this case, messages would accumulate for as long as the page is hidden.
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
            // A message that cannot be read is of a version that this page does not know.
            if let Ok(message) = serde_json::from_str(&text) {
                self.read(message, &mut news);
            }
        }
        if news.is_some {
            // A connection counts only when a message arrives. A replica that accepts connections and closes them at
            // once is not shown as connected, and not called every 300 ms.
            self.0.wait_ms.set(RECONNECT_MS.0);
            self.0.listener.set_connected(true);
            self.0.listener.show(news);
        }
    }

    fn read(&self, message: ReceivedMessage<'_>, news: &mut News) {
        let text = |json: Option<&RawValue>| serde_json::from_str(json?.get()).ok();
        match message.kind {
            "snapshot" | "change" => {
                let is_snapshot = message.kind == "snapshot";
                let number = message.number.and_then(|number| number.parse().ok());
                if let Some((number, data)) = number.zip(data(&message, is_snapshot))
                    && self.follows(&data, number, is_snapshot)
                {
                    news.add(data, is_snapshot);
                }
            }
            "error" => self.0.listener.failed(text(message.message)),
            "closing" => self.0.listener.closing(text(message.reason)),
            _ => {}
        }
    }

    /// Whether a message is the next one of a channel that is subscribed to. After a gap, subscribes to the channel
    /// again; changes are useless until its snapshot comes.
    fn follows(&self, data: &Data, number: u64, is_snapshot: bool) -> bool {
        let mut channels = self.0.channels.borrow_mut();
        let channel = channel(data);
        // The replica sent it before it read that this page had unsubscribed.
        let Some(old) = channels.iter_mut().find(|old| old.channel == channel) else {
            return false;
        };
        if is_snapshot {
            old.number = Some(number);
            return true;
        }
        // It belongs to an earlier subscription, or it comes after a gap. The snapshot is on its way.
        let Some(last) = old.number else { return false };
        let is_next = last.checked_add(1) == Some(number);
        old.number = is_next.then_some(number);
        if !is_next {
            // A new connection would give a snapshot too, but it would interrupt the other channels.
            self.send(&ClientMessage::Unsubscribe(channel.clone()));
            self.send(&ClientMessage::Subscribe(channel));
        }
        is_next
    }
}

type ReadAccount = fn(&str, bool) -> Option<Box<dyn AccountMessage>>;

thread_local! {
    static READ_ACCOUNT: Cell<Option<ReadAccount>> = const { Cell::new(None) };
}

/// Sets the function that reads messages of the account channel. It also gets whether the message is a snapshot.
pub fn read_accounts(read: ReadAccount) {
    // Otherwise the optimizer sees that there is only one such function and calls it by name, which brings it back
    // into the part of the page that is loaded first.
    READ_ACCOUNT.set(Some(std::hint::black_box(read)));
}

fn data(message: &ReceivedMessage<'_>, is_snapshot: bool) -> Option<Data> {
    let json = message.data?.get();
    match message.channel? {
        "book" => serde_json::from_str(json).ok().map(Data::Book),
        "trades" => serde_json::from_str(json).ok().map(Data::Trades),
        "account" => READ_ACCOUNT.get()?(json, is_snapshot).map(Data::Account),
        "status" => {
            let status: Status = serde_json::from_str(json).ok()?;
            Some(Data::Status(Status { json: json.into(), ..status }))
        }
        _ => None,
    }
}

fn channel(data: &Data) -> Channel {
    match data {
        Data::Book(body) => Channel::Book { market: body.market.clone() },
        Data::Trades(body) => Channel::Trades { market: body.market.clone() },
        Data::Account(message) => Channel::Account { account: message.account().into() },
        Data::Status(_) => Channel::Status,
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
