//! The line between the market and the panel below it, which pointer and keys move.

use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::settings::{kept, remember};

const NAME: &str = "zellbook.lower-panel";
/// The property that the grid of the trading view takes the panel's height from.
const PROPERTY: &str = "--lower-panel";
/// Least and greatest height of the panel, in hundredths of the window's.
const RANGE: (i32, i32) = (15, 70);
/// What it has where nobody moved it.
const DEFAULT: i32 = 32;
/// What a key moves it by.
const STEP: i32 = 2;

fn show(height: Option<i32>) {
    let root = document().document_element().and_then(|it| it.dyn_into::<HtmlElement>().ok());
    let Some(style) = root.map(|root| root.style()) else { return };
    // The browser takes both.
    let _ = match height {
        // Header and market keep what they need.
        Some(height) => style.set_property(PROPERTY, &format!("min({height}vh, 100vh - 360px)")),
        None => style.remove_property(PROPERTY).map(drop),
    };
}

/// How far from the window's foot the pointer is, in hundredths of its height.
fn height_at(event: &PointerEvent) -> Option<i32> {
    let window = document().document_element()?.client_height();
    ((window - event.client_y()) * 100).checked_div(window)
}

/// The line; a double click puts it back where it was at first.
#[component]
pub fn Splitter() -> impl IntoView {
    let in_range = |height: i32| height.clamp(RANGE.0, RANGE.1);
    let stored = kept(NAME).and_then(|text| text.parse().ok()).map(in_range);
    let height = RwSignal::new(stored);
    Effect::new(move || show(height.get()));
    let set = move |to: Option<i32>| {
        let to = to.map(in_range);
        remember(NAME, to.map(|height| height.to_string()).as_deref());
        height.set(to);
    };
    let now = move || height.get().unwrap_or(DEFAULT);
    let press = move |event: KeyboardEvent| {
        let now = height.get_untracked().unwrap_or(DEFAULT);
        let to = match event.key().as_str() {
            "ArrowUp" => now + STEP,
            "ArrowDown" => now - STEP,
            "Home" => RANGE.0,
            "End" => RANGE.1,
            _ => return,
        };
        event.prevent_default();
        set(Some(to));
    };
    let grab = move |event: PointerEvent| {
        if let Some(line) = event.target().and_then(|it| it.dyn_into::<Element>().ok()) {
            // Without it the pointer must stay on the line.
            let _ = line.set_pointer_capture(event.pointer_id());
        }
    };
    let drag = move |event: PointerEvent| {
        if event.buttons() == 1 {
            set(height_at(&event));
        }
    };
    view! {
        <div
            class="splitter"
            role="separator"
            tabindex="0"
            aria-label="Height of the lower panel"
            aria-orientation="horizontal"
            aria-valuemin=RANGE.0
            aria-valuemax=RANGE.1
            aria-valuenow=move || now().to_string()
            on:keydown=press
            on:pointerdown=grab
            on:pointermove=drag
            on:dblclick=move |_| set(None)
        ></div>
    }
}
