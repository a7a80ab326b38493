//! The line between the market and the panel below it. Pointer and keys move it.

use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::prelude::*;

use crate::platform::{local_storage, pointer, style};

const NAME: &str = "zellbook.lower-panel";
/// The CSS property from which the grid of the trading page takes the panel's height.
const PROPERTY: &str = "--lower-panel";
/// The minimum and maximum height of the panel, in percent of the window's height.
const RANGE: (i32, i32) = (15, 70);
/// The height until the user moves the divider.
const DEFAULT: i32 = 32;
/// How far a key moves the line.
const STEP: i32 = 2;

fn show(height: Option<i32>) {
    // Header and market keep the room that they need.
    let height = height.map(|height| format!("min({height}vh, 100vh - 360px)"));
    style::set_property(PROPERTY, height.as_deref());
}

/// The line. A double click puts it back where it was at first.
#[component]
pub fn Splitter() -> impl IntoView {
    let in_range = |height: i32| height.clamp(RANGE.0, RANGE.1);
    // In range whatever is stored: the line must stay where the reader can reach it.
    let stored = local_storage::get(NAME).and_then(|text| text.parse().ok()).map(in_range);
    let height = RwSignal::new(stored);
    Effect::new(move || show(height.get()));
    let set = move |to: Option<i32>| {
        let to = to.map(in_range);
        local_storage::set(NAME, to.map(|height| height.to_string()).as_deref());
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
        // The browser would scroll.
        event.prevent_default();
        set(Some(to));
    };
    let drag = move |event: PointerEvent| {
        // The pointer also moves over the line without a press.
        if event.buttons() == 1 {
            set(pointer::percent_from_bottom(&event));
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
            on:pointerdown=|event| pointer::capture(&event)
            on:pointermove=drag
            on:dblclick=move |_| set(None)
        ></div>
    }
}
