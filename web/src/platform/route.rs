//! Which view the page shows: the address bar says it, and links, back and forward change it.

use std::cell::Cell;

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use zellbook_core::types::limits::SYMBOL_LENGTH_MAX;

/// Id of the heading of each view, which takes the focus when the view changes.
pub const HEADING: &str = "heading";

/// A view, with what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Trading: the start page.
    Trade,
    /// The last batches.
    Batches,
    /// A batch, by its index.
    Batch(u64),
    /// A transaction, by its hash.
    Transaction(String),
    /// An account, by its public key.
    Account(String),
    /// All markets.
    Markets,
    /// A market, by its name (`ETH/USDT`).
    Market(String),
    /// The replicas.
    Replicas,
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `ETH/USDT`, from that or from `eth-usdt`.
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
    /// The view at a path; none at others than the replica serves the page at.
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

    /// Its path.
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

    /// What the window is called.
    fn title(&self) -> String {
        let short = crate::format::short;
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

    /// What somebody looks for: a hash, an index, a public key or a market.
    pub fn search(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits: String = text.chars().filter(|c| !matches!(c, ',' | ' ' | '#')).collect();
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

    /// The view that the address bar names.
    pub fn of_window() -> Self {
        let path = web_sys::window().and_then(|window| window.location().pathname().ok());
        path.and_then(|path| Self::parse(&path)).unwrap_or(Self::Trade)
    }
}

/// Goes to a view, so that "back" leads to the one before.
pub fn go(route: RwSignal<Route>, to: Route) {
    if route.with_untracked(|now| *now == to) {
        return;
    }
    let history = web_sys::window().and_then(|window| window.history().ok());
    if let Some(history) = history {
        let _ = history.push_state_with_url(&JsValue::NULL, "", Some(&to.path()));
    }
    show(route, to);
}

thread_local! {
    /// Whether a view was gone to whose heading has not had the focus yet.
    static IS_NEW: Cell<bool> = const { Cell::new(false) };
}

fn show(route: RwSignal<Route>, to: Route) {
    route.set(to);
    IS_NEW.set(true);
    // Once the view is there, unless it has to be loaded.
    request_animation_frame(|| {
        window().scroll_to_with_x_and_y(0.0, 0.0);
        focus_heading();
    });
}

/// Gives the heading of a view that was gone to the focus, once. Who shows a heading later than at once
/// calls this then.
pub fn focus_heading() {
    let heading = document().get_element_by_id(HEADING);
    let heading = heading.and_then(|it| it.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(heading) = heading.filter(|_| IS_NEW.replace(false)) {
        let _ = heading.focus();
    }
}

/// Follows links within the page, back and forward, and names the window.
pub fn follow(route: RwSignal<Route>) {
    Effect::new(move || document().set_title(&route.with(Route::title)));
    let _ = window_event_listener(ev::popstate, move |_| show(route, Route::of_window()));
    let _ = window_event_listener(ev::click, move |event| {
        let has_modifier =
            event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
        if has_modifier || event.button() != 0 || event.default_prevented() {
            return;
        }
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let link = target.and_then(|target| target.closest("a[href]:not([target])").ok().flatten());
        let to = link.and_then(|link| Route::parse(&link.get_attribute("href")?));
        if let Some(to) = to {
            event.prevent_default();
            go(route, to);
        }
    });
}
