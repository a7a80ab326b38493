//! The root element of the page, where the style sheets read the theme and the sizes that the reader chose.

use leptos::prelude::{document, window};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::HtmlElement;

const PREFERS_LIGHT: &str = "(prefers-color-scheme: light)";

/// Sets an attribute of the root, by which a style sheet chooses its colours.
pub fn set_attribute(name: &str, value: &str) {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute(name, value);
    }
}

/// Sets a CSS property of the root, or removes it.
pub fn set_property(name: &str, value: Option<&str>) {
    let root = document().document_element().and_then(|it| it.dyn_into::<HtmlElement>().ok());
    let Some(style) = root.map(|root| root.style()) else { return };
    let _ = match value {
        Some(value) => style.set_property(name, value),
        None => style.remove_property(name).map(drop),
    };
}

/// Whether the system prefers light colours. `changed` is called whenever that changes, for as long as the page lives.
pub fn prefers_light(changed: impl Fn(bool) + 'static) -> bool {
    let Some(query) = window().match_media(PREFERS_LIGHT).ok().flatten() else { return false };
    let now = query.clone();
    let listener = Closure::<dyn Fn()>::new(move || changed(now.matches())).into_js_value();
    // If the browser refuses the listener, a change of the system shows after the next start.
    let _ = query.add_event_listener_with_callback("change", listener.unchecked_ref());
    query.matches()
}
