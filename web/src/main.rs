//! The trading page and wallet. Keys never leave it.
//!
//! `app` composes the page from `features`, one folder for each thing that the page does; `ui` has parts that several
//! features share, and `platform` everything that only a browser has. Imports go downwards: app, features, ui, platform.

mod app;
mod features;
mod platform;
mod ui;

fn main() {
    // Without the hook, the browser reports a panic only as an unreachable instruction.
    console_error_panic_hook::set_once();
    // The line is part of index.html, so that something is shown while this module loads. If the module cannot start,
    // `start.js` writes the reason there.
    if let Some(line) = leptos::prelude::document().get_element_by_id("loading") {
        line.remove();
    }
    leptos::mount::mount_to_body(app::App);
}
