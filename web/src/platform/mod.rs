//! The browser behind functions and types of this page: the replica's API and feed, storage, the clock, the address
//! bar, focus, files, the reader's formats. No other folder names `web_sys`, `js_sys`, `gloo_*` or `wasm_bindgen`,
//! so the rest of the page can be read without knowing them.
//!
//! Nothing here knows a feature of the page.

pub mod api;
pub mod chart_library;
pub mod clock;
pub mod database;
pub mod dom;
pub mod ethereum;
pub mod feed;
pub mod files;
pub mod focus;
pub mod format;
pub mod local_storage;
pub mod pointer;
pub mod random;
pub mod route;
pub mod style;
pub mod tabs;
pub mod user_activity;
pub mod vault_worker;
