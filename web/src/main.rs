//! The trading page and wallet. Keys never leave it.

mod account;
mod api;
mod app;
mod candles;
mod clock;
mod components;
mod draft;
mod edit;
mod evidence;
mod fault;
mod feed;
mod format;
mod genesis;
mod later;
mod notices;
mod pages;
mod route;
mod sending;
mod state;
mod trading_key;
mod wallet;

fn main() {
    console_error_panic_hook::set_once();
    if let Some(line) = leptos::prelude::document().get_element_by_id("loading") {
        line.remove();
    }
    leptos::mount::mount_to_body(app::App);
}
