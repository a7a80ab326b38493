//! Parts of the page that are loaded when they are first shown. `cargo xtask web` puts what only they use
//! into modules of their own; docs/decisions/0010-split-page.md says how.
//!
//! A part is a function that hands out how its view is made, and is marked so:
//!
//! ```ignore
//! #[wasm_split(help, wasm_split_path = ::leptos::wasm_split, fallible)]
//! pub fn help() -> Result<MakeView, NotLoaded> {
//!     Ok(|| view! { <HelpSheet /> }.into_any())
//! }
//! ```
//!
//! Parts of one name are one module. Where it stands, `<Later part=|| Box::pin(help()) />` loads it.

use std::pin::Pin;

use leptos::prelude::*;
use leptos::task::spawn_local;

pub use leptos::wasm_split::{SplitLoaderError as NotLoaded, wasm_split};

/// Makes the view of a part that is there.
pub type MakeView = fn() -> AnyView;

/// A part that is being loaded.
pub type Loading = Pin<Box<dyn Future<Output = Result<MakeView, NotLoaded>>>>;

/// The view of a part: it is loaded when this is first shown, and there at once from then on.
#[component]
pub fn Later(part: fn() -> Loading) -> impl IntoView {
    let loaded = RwSignal::new(None);
    let load = move || {
        loaded.set(None);
        spawn_local(async move {
            let made = part().await.map_err(drop);
            // It may be gone by now.
            let _ = loaded.try_set(Some(made));
        });
    };
    load();
    move || {
        match loaded.get() {
        Some(Ok(make)) => make(),
        Some(Err(())) => view! {
            <div class="panel problem" role="alert">
                <p>
                    "This part of the page could not be loaded: the replica does not answer, or it has another version of the page by now. If trying again does not help, reload."
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
