//! Keyboard shortcuts: single keys, never while somebody types or a sheet is open, and not at all where
//! the settings say so.

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};
use zellbook_core::Side;

use super::settings::{Settings, sheet, use_settings};
use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::route::{self, Route};
use crate::state::State;

/// Keys and what they do, as the list shows them.
const KEYS: [(&str, &str); 10] = [
    ("b", "Buy: go to the price field"),
    ("s", "Sell: go to the price field"),
    ("m", "Choose market"),
    ("/", "Search for a batch, transaction, account or market"),
    ("1 – 9", "Lower panel tabs, left to right"),
    ("u", "Undo: cancel the order in the latest notice"),
    ("t", "Switch between light and dark theme"),
    (",", "Settings"),
    ("?", "Show this list"),
    ("Esc", "Close a dialog and change nothing"),
];

/// Where a key means a letter.
const TYPING: &str = "input, select, textarea, [contenteditable]";

/// Listens for as long as the page lives.
pub fn listen(state: State, settings: Settings) {
    // The handle is for who wants to stop.
    let _ = window_event_listener(leptos::ev::keydown, move |event| {
        if settings.has_shortcuts.get_untracked()
            && is_for_us(&event)
            && act(state, settings, &event.key())
        {
            event.prevent_default();
        }
    });
}

fn is_for_us(event: &KeyboardEvent) -> bool {
    let is_combined = event.ctrl_key() || event.meta_key() || event.alt_key() || event.repeat();
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let is_typing = target.is_some_and(|target| target.closest(TYPING).ok().flatten().is_some());
    let has_sheet = document().query_selector("dialog[open]").ok().flatten().is_some();
    !is_combined && !is_typing && !has_sheet && !event.default_prevented()
}

/// Whether the key was one of ours.
fn act(state: State, settings: Settings, key: &str) -> bool {
    match key {
        "b" => order(state, Side::Buy),
        "s" => order(state, Side::Sell),
        "m" => focus(".market-picker > button"),
        "/" => focus("#search"),
        "u" => undo(),
        "t" => settings.toggle_theme(),
        "," => settings.is_open.set(true),
        "?" => settings.help_open.set(true),
        _ => return key.parse().is_ok_and(show_tab),
    }
    true
}

fn find(selector: &str) -> Option<HtmlElement> {
    document().query_selector(selector).ok()??.dyn_into().ok()
}

fn focus(selector: &str) {
    if let Some(element) = find(selector) {
        // What cannot be seen takes no focus.
        let _ = element.focus();
    }
}

fn order(state: State, side: Side) {
    route::go(state.route, Route::Trade);
    state.side.set(side);
    state.form_open.set(true);
    // Once the form is there, and the view's heading had the focus.
    request_animation_frame(|| request_animation_frame(|| focus("#field-price")));
}

/// The sheet asks before anything is signed.
fn undo() {
    let buttons = ".toast:nth-last-child(1 of :has(.undo)) .undo";
    if let Some(button) = find(buttons) {
        button.click();
    }
}

/// Whether the lower panel has so many tabs.
fn show_tab(number: u8) -> bool {
    let tab = find(&format!(".account-panel [role=tab]:nth-of-type({number})"));
    if let Some(tab) = &tab {
        tab.click();
        let _ = tab.focus();
    }
    tab.is_some()
}

/// The sheet with the list of keys.
#[component]
pub fn ShortcutsSheet() -> impl IntoView {
    let settings = use_settings();
    let body = || view! { <Later part=|| Box::pin(list_part()) /> }.into_any();
    sheet(settings.help_open, "Keyboard shortcuts", body)
}

#[wasm_split(more, wasm_split_path = ::leptos::wasm_split, fallible)]
fn list_part() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <List /> }.into_any())
}

#[component]
fn List() -> impl IntoView {
    let settings = use_settings();
    let row = |(key, what)| view! { <tr><th scope="row"><kbd>{key}</kbd></th><td>{what}</td></tr> };
    view! {
        <table class="keys">
            <thead><tr><th scope="col">"Key"</th><th scope="col">"Action"</th></tr></thead>
            <tbody>{KEYS.map(row).collect_view()}</tbody>
        </table>
        <p class="note">
            {move || {
                if settings.has_shortcuts.get() {
                    "Shortcuts work while no field has focus and no dialog is open. You can turn them off in Settings."
                } else {
                    "Shortcuts are off. You can turn them on in Settings."
                }
            }}
        </p>
    }
}
