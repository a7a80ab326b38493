//! Keyboard shortcuts of a single key. They do nothing while somebody types or a sheet is open, and can be switched off
//! in the settings.

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;
use zellbook_core::Side;

use crate::features::order::FormState;
use crate::features::settings::{Settings, use_settings};
use crate::platform::focus;
use crate::platform::route::{Route, Router};
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::ui::sheet::sheet;

/// The keys and their effects, as the list shows them.
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

/// Listens for as long as the page lives.
pub fn listen(router: Router, form: FormState, settings: Settings) {
    // The handle is for whoever wants to stop.
    let _ = window_event_listener(leptos::ev::keydown, move |event| {
        if settings.has_shortcuts.get_untracked()
            && is_for_us(&event)
            && dispatch(router, form, settings, &event.key())
        {
            // Otherwise "/" would be typed into the search field, which has the focus by now.
            event.prevent_default();
        }
    });
}

fn is_for_us(event: &KeyboardEvent) -> bool {
    // Shift may be down, because "?" needs it on most keyboards. A key that is held must not act again and again.
    let is_combined = event.ctrl_key() || event.meta_key() || event.alt_key() || event.repeat();
    let has_sheet = focus::exists("dialog[open]");
    !is_combined && !focus::is_typing(event) && !has_sheet && !event.default_prevented()
}

/// Does what a key stands for. Returns whether it stands for anything.
fn dispatch(router: Router, form: FormState, settings: Settings, key: &str) -> bool {
    match key {
        "b" => order(router, form, Side::Buy),
        "s" => order(router, form, Side::Sell),
        "m" => focus::focus(".market-picker > button"),
        "/" => focus::focus("#search"),
        "u" => undo(),
        "t" => settings.toggle_theme(),
        "," => settings.is_open.set(true),
        "?" => settings.help_is_open.set(true),
        // A digit without a tab is left to the browser.
        _ => return key.parse().is_ok_and(show_tab),
    }
    true
}

fn order(router: Router, form: FormState, side: Side) {
    router.go(Route::Trade);
    form.open(side);
    // Two frames later the form is there, and the heading of the view has had the focus.
    request_animation_frame(|| request_animation_frame(|| focus::focus("#field-price")));
}

/// Presses "Undo" of the newest notice that has it. The sheet asks before anything is signed.
fn undo() {
    focus::click(".toast:nth-last-child(1 of :has(.undo)) .undo");
}

/// Shows the tab with this number in the lower panel. Returns whether there is one.
fn show_tab(number: u8) -> bool {
    let tab = format!(".account-panel [role=tab]:nth-of-type({number})");
    // A click by the page does not move the focus.
    let is_there = focus::click(&tab);
    focus::focus(&tab);
    is_there
}

/// The sheet with the list of keys.
#[component]
pub fn ShortcutsSheet() -> impl IntoView {
    let settings = use_settings();
    let body = || view! { <Later part=|| Box::pin(list_part()) /> }.into_any();
    sheet(settings.help_is_open, "Keyboard shortcuts", body)
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
