//! Which element has the keyboard's focus, and which one gets it.

use leptos::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, EventTarget, HtmlElement};

/// Fields in which a key types a letter, or chooses an option that begins with it.
const TYPING: &str = "input, select, textarea, [contenteditable]";

/// The first element that matches a CSS selector.
fn find(selector: &str) -> Option<HtmlElement> {
    document().query_selector(selector).ok()??.dyn_into().ok()
}

pub fn exists(selector: &str) -> bool {
    document().query_selector(selector).ok().flatten().is_some()
}

/// Gives an element the focus. One that cannot be seen does not take it.
pub fn focus(selector: &str) {
    if let Some(element) = find(selector) {
        let _ = element.focus();
    }
}

/// Clicks an element. Returns whether there is one.
pub fn click(selector: &str) -> bool {
    let element = find(selector);
    if let Some(element) = &element {
        element.click();
    }
    element.is_some()
}

/// Gives the focus in an open sheet to its `autofocus` element, or to its first field or button. The browser does so
/// itself when a dialog opens, but a sheet whose content is loaded later is empty then. A field in which the reader
/// already types keeps the focus.
pub fn focus_open_sheet() {
    let active = document().active_element().map(|active| active.tag_name()).unwrap_or_default();
    let field = match active.as_str() {
        // Nothing inside the sheet has the focus.
        "" | "BODY" | "DIALOG" => find("dialog[open] [autofocus]")
            .or_else(|| find("dialog[open] :is(input, select, button, a[href])")),
        // A button that the browser chose.
        "BUTTON" => find("dialog[open] [autofocus]"),
        _ => None,
    };
    if let Some(field) = field {
        let _ = field.focus();
    }
}

fn closest(target: Option<EventTarget>, selector: &str) -> Option<Element> {
    target?.dyn_into::<Element>().ok()?.closest(selector).ok()?
}

/// Whether an event happened in a field in which a key types a letter.
pub fn is_typing(event: &Event) -> bool {
    closest(event.target(), TYPING).is_some()
}

/// Whether an element, or one around it, matches a CSS selector.
pub fn is_within(target: Option<EventTarget>, selector: &str) -> bool {
    closest(target, selector).is_some()
}

/// Gives the focus to the submit button of the form in which an event happened.
pub fn focus_submit_of(event: &Event) {
    let button = closest(event.target(), "form")
        .and_then(|form| form.query_selector("button[type=submit]").ok()?)
        .and_then(|button| button.dyn_into::<HtmlElement>().ok());
    if let Some(button) = button {
        let _ = button.focus();
    }
}
