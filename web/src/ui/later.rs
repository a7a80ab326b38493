//! Parts of the page that are loaded when they are first shown. `cargo xtask web` moves the code that only they use
//! into wasm modules of their own; docs/decisions/0010-split-page.md describes how.
//!
//! A part is a function that returns the function that makes its view, and is marked like this:
//!
//! ```ignore
//! #[wasm_split(help, wasm_split_path = ::leptos::wasm_split, fallible)]
//! pub fn help() -> Result<MakeView, NotLoaded> {
//!     Ok(|| view! { <HelpSheet /> }.into_any())
//! }
//! ```
//!
//! Parts of one name are one module: `account` is for people with a wallet, `chart` draws candles, `more` is opened by
//! buttons of the trading page. Each further name also costs a small module for every set of parts that share code.
//! `<Later part=|| Box::pin(help()) />` loads the part and shows its view in that place.

use std::pin::Pin;

use leptos::prelude::*;
use leptos::task::{spawn_local, tick};

use crate::platform::focus::focus_open_sheet;

pub use leptos::wasm_split::{SplitLoaderError as NotLoaded, wasm_split};

/// Makes the view of a part that is loaded.
pub type MakeView = fn() -> AnyView;

/// A part that is being loaded.
pub type Loading = Pin<Box<dyn Future<Output = Result<MakeView, NotLoaded>>>>;

/// Shows a part of the page. It is loaded when it is first shown anywhere, and shown at once from then on.
#[component]
pub fn Later(part: fn() -> Loading) -> impl IntoView {
    let loaded = RwSignal::new(None);
    let load = move || {
        loaded.set(None);
        spawn_local(async move {
            let made = part().await.map_err(drop);
            // The component may have been removed meanwhile.
            let _ = loaded.try_set(Some(made));
            // After the next tick the view is in the document.
            tick().await;
            focus_open_sheet();
        });
    };
    load();
    move || {
        match loaded.get() {
        Some(Ok(make)) => make(),
        Some(Err(())) => view! {
            <div class="panel problem" role="alert">
                <p>
                    "This part of the page could not be loaded: the replica does not answer, or it now serves a different version of the page. Try again, or reload the page."
                </p>
                <p class="actions">
                    <button type="button" on:click=move |_| load()>"Try again"</button>
                </p>
            </div>
        }
        .into_any(),
        None => view! { <p class="visually-hidden" role="status">"Loading"</p> }.into_any(),
    }
    }
}
