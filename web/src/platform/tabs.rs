//! Messages between the tabs of this page: the keys were locked, the stored wallet changed, the user is active.

use std::cell::RefCell;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{BroadcastChannel, MessageEvent};

const CHANNEL: &str = "zellbook";

/// A message to the other tabs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The keys were locked: every tab forgets them.
    Locked,
    /// The stored wallet changed: every tab reads it again.
    Changed,
    /// The user is active: no tab locks the keys by itself.
    Active,
}

const NAMES: [(Message, &str); 3] =
    [(Message::Locked, "locked"), (Message::Changed, "changed"), (Message::Active, "active")];

thread_local! {
    static JOINED: RefCell<Option<BroadcastChannel>> = const { RefCell::new(None) };
}

/// Receives the messages of other tabs for as long as the page lives.
pub fn listen(on_message: impl Fn(Message) + 'static) {
    let Ok(channel) = BroadcastChannel::new(CHANNEL) else { return };
    let listener = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        // Another tab may run a newer version of the page, with messages that this one does not know. They are
        // ignored.
        let text = event.data().as_string();
        let message = NAMES.into_iter().find(|(_, name)| text.as_deref() == Some(name));
        if let Some((message, _)) = message {
            on_message(message);
        }
    });
    channel.set_onmessage(Some(listener.as_ref().unchecked_ref()));
    listener.forget();
    JOINED.set(Some(channel));
}

/// Calls back at each message of another tab, whatever it says. Unlike [`listen`] this is in the part of the page that
/// is loaded first.
pub fn listen_to_any(on_message: impl Fn() + 'static) {
    // A second channel of this page also receives what the first one sends, so `on_message` must expect messages of
    // this tab.
    if let Ok(channel) = BroadcastChannel::new(CHANNEL) {
        let listener = Closure::<dyn Fn()>::new(on_message).into_js_value();
        channel.set_onmessage(Some(listener.unchecked_ref()));
    }
}

pub fn send(message: Message) {
    let name = NAMES.into_iter().find(|(known, _)| *known == message).map(|(_, name)| name);
    // Without a channel there is nobody to tell: the browser has none, or the wallet is not loaded and cannot change.
    JOINED.with_borrow(|channel| {
        if let (Some(channel), Some(name)) = (channel, name) {
            // The call fails only for values that cannot be cloned, and a text can.
            let _ = channel.post_message(&name.into());
        }
    });
}
