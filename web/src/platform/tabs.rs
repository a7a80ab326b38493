//! What the tabs of this page tell each other: that the keys are locked, that what is stored has changed, that
//! somebody is at work.

use std::cell::RefCell;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{BroadcastChannel, MessageEvent};

/// The name of the channel between tabs.
pub const CHANNEL: &str = "zellbook";

/// News for the other tabs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The keys are locked.
    Locked,
    /// The wallet, as it is stored, has changed.
    Changed,
    /// The user is at work: no tab locks by itself.
    Active,
}

const NEWS: [(News, &str); 3] =
    [(News::Locked, "locked"), (News::Changed, "changed"), (News::Active, "active")];

thread_local! {
    static JOINED: RefCell<Option<BroadcastChannel>> = const { RefCell::new(None) };
}

/// Hears what other tabs tell, for as long as the page lives.
pub fn listen(hear: impl Fn(News) + 'static) {
    let Ok(channel) = BroadcastChannel::new(CHANNEL) else { return };
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        let text = event.data().as_string();
        let news = NEWS.into_iter().find(|(_, name)| text.as_deref() == Some(name));
        if let Some((news, _)) = news {
            hear(news);
        }
    });
    channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    JOINED.set(Some(channel));
}

/// Tells the other tabs.
pub fn tell(news: News) {
    let name = NEWS.into_iter().find(|(known, _)| *known == news).map(|(_, name)| name);
    JOINED.with_borrow(|channel| {
        if let (Some(channel), Some(name)) = (channel, name) {
            // It fails for what cannot be cloned, and a text can.
            let _ = channel.post_message(&name.into());
        }
    });
}
