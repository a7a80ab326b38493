//! Which view the page shows. The address bar names it; links and the browser's back and forward change it.

use std::cell::Cell;

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use zellbook_core::types::limits::SYMBOL_LENGTH_MAX;

/// Id of the heading of each view, which takes the focus when the view changes.
pub const HEADING: &str = "heading";

/// A view of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The trading page, which is also the start page.
    Trade,
    Batches,
    /// A batch by its index.
    Batch(u64),
    /// A transaction by its hash.
    Transaction(String),
    /// An account by its public key.
    Account(String),
    Markets,
    /// A market by its name (`ETH/USDT`).
    Market(String),
    Replicas,
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns `ETH/USDT` for that or for `eth-usdt`: a slash in a name would end the part of a path.
fn market_name(text: &str) -> Option<String> {
    let name = text.replacen('-', "/", 1).to_ascii_uppercase();
    let (base, quote) = name.split_once('/')?;
    let is_symbol = |symbol: &str| {
        (1..=SYMBOL_LENGTH_MAX).contains(&symbol.len())
            && symbol.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (is_symbol(base) && is_symbol(quote)).then_some(name)
}

impl Route {
    /// The view at a path. None for all paths at which the replica does not serve the page.
    pub fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let Some((kind, name)) = path.split_once('/') else {
            return match path {
                "" | "index.html" => Some(Self::Trade),
                "batches" => Some(Self::Batches),
                "markets" => Some(Self::Markets),
                "replicas" => Some(Self::Replicas),
                _ => None,
            };
        };
        match kind {
            "batches" => name.parse().ok().map(Self::Batch),
            "transactions" => is_hex(name, 64).then(|| Self::Transaction(name.into())),
            "accounts" => is_hex(name, 66).then(|| Self::Account(name.into())),
            "markets" => market_name(name).map(Self::Market),
            _ => None,
        }
    }

    pub fn path(&self) -> String {
        match self {
            Self::Trade => "/".into(),
            Self::Batches => "/batches".into(),
            Self::Batch(index) => format!("/batches/{index}"),
            Self::Transaction(hash) => format!("/transactions/{hash}"),
            Self::Account(key) => format!("/accounts/{key}"),
            Self::Markets => "/markets".into(),
            Self::Market(name) => format!("/markets/{}", name.replacen('/', "-", 1)),
            Self::Replicas => "/replicas".into(),
        }
    }

    /// The window's title.
    fn title(&self) -> String {
        let short = super::format::short;
        let name = match self {
            Self::Trade => return "Zellbook".into(),
            Self::Batches => "Batches".into(),
            Self::Batch(index) => format!("Batch {index}"),
            Self::Transaction(hash) => format!("Transaction {}", short(hash)),
            Self::Account(key) => format!("Account {}", short(key)),
            Self::Markets => "Markets".into(),
            Self::Market(name) => format!("Market {name}"),
            Self::Replicas => "Replicas".into(),
        };
        format!("{name} · Zellbook")
    }

    /// The view of what the reader searches for: a hash, an index, a public key or a market.
    pub fn search(text: &str) -> Option<Self> {
        let text = text.trim();
        // The page shows indexes with `#` and the separators of the reader's locale, and people paste what they see.
        // Nothing else that can be searched for is without letters, except a hash, which is longer.
        let has_letters = text.contains(|c: char| c.is_ascii_alphabetic());
        let digits: String = text.chars().filter(|c| c.is_ascii_digit() && !has_letters).collect();
        // A hash can consist of digits alone, and if it begins with enough zeros it parses as a number. An index has
        // at most 20 digits.
        if let Some(index) = digits.parse().ok().filter(|index| *index > 0 && digits.len() <= 20) {
            return Some(Self::Batch(index));
        }
        let hex = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
        if is_hex(&hex, 64) {
            return Some(Self::Transaction(hex));
        }
        if is_hex(&hex, 66) && (hex.starts_with("02") || hex.starts_with("03")) {
            return Some(Self::Account(hex));
        }
        market_name(text).map(Self::Market)
    }

    /// The view that the address bar names, or the trading page if it names none.
    fn of_window() -> Self {
        let path = window().location().pathname().ok();
        path.and_then(|path| Self::parse(&path)).unwrap_or(Self::Trade)
    }
}

thread_local! {
    /// Whether a new view was opened whose heading has not had the focus yet.
    static IS_NEW: Cell<bool> = const { Cell::new(false) };
}

/// The view shown. Only this module writes it, so that it is always the one in the address bar.
#[derive(Clone, Copy)]
pub struct Router {
    pub route: ReadSignal<Route>,
    set_route: WriteSignal<Route>,
}

impl Router {
    /// A router that follows links within the page, back and forward, and sets the window's title, for as long as the
    /// page lives.
    pub fn start() -> Self {
        let (route, set_route) = signal(Route::of_window());
        let router = Self { route, set_route };
        Effect::new(move || document().set_title(&route.with(Route::title)));
        // The handles are for callers who want to stop listening. Back and forward have changed the browser's history
        // already, so this only shows the view: `go` would add to the history.
        let _ = window_event_listener(ev::popstate, move |_| router.show(Route::of_window()));
        // One listener serves all links. So views use plain `a` elements, which also open in a new tab.
        let _ = window_event_listener(ev::click, move |event| {
            let has_modifier =
                event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
            // Such a click opens a tab, a window or a menu, or a component has handled it.
            if has_modifier || event.button() != 0 || event.default_prevented() {
                return;
            }
            let target = event.target().and_then(|it| it.dyn_into::<web_sys::Element>().ok());
            let link = target.and_then(|it| it.closest("a[href]:not([target])").ok().flatten());
            let to = link.and_then(|link| Route::parse(&link.get_attribute("href")?));
            // Links to the API, to files and to other sites are left to the browser.
            if let Some(to) = to {
                event.prevent_default();
                router.go(to);
            }
        });
        router
    }

    /// Opens a view, so that "back" leads to the one before.
    pub fn go(self, to: Route) {
        // A second click on the same link must not need a second step back.
        if self.route.with_untracked(|now| *now == to) {
            return;
        }
        if let Ok(history) = window().history() {
            // Browsers refuse this if it comes too often. The view changes all the same.
            let _ = history.push_state_with_url(&JsValue::NULL, "", Some(&to.path()));
        }
        self.show(to);
    }

    fn show(self, to: Route) {
        self.set_route.set(to);
        IS_NEW.set(true);
        // By the next frame the view is there, unless its part of the page has to be loaded first.
        request_animation_frame(|| {
            window().scroll_to_with_x_and_y(0.0, 0.0);
            focus_heading();
        });
    }
}

pub fn use_router() -> Router {
    expect_context()
}

/// Gives the heading of a newly opened view the focus, once, so that a screen reader reads it. A view that shows its
/// heading later than in the next frame calls this when it does.
pub fn focus_heading() {
    let heading = document().get_element_by_id(HEADING);
    let heading = heading.and_then(|it| it.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(heading) = heading.filter(|_| IS_NEW.replace(false)) {
        let _ = heading.focus();
    }
}
