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
//! Parts of one name are one module: `account` has what only somebody with a key sees, `chart` what draws candles, `more`
//! what a button of the trading page opens. A further name costs a small module for each set of parts that share
//! something. Where a view stands, `<Later part=|| Box::pin(help()) />` loads it.

use std::pin::Pin;

use leptos::prelude::*;
use leptos::task::{spawn_local, tick};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

pub use leptos::wasm_split::{SplitLoaderError as NotLoaded, wasm_split};

/// Makes the view of a part that is there.
pub type MakeView = fn() -> AnyView;

/// A part that is being loaded.
pub type Loading = Pin<Box<dyn Future<Output = Result<MakeView, NotLoaded>>>>;

/// Gives the focus in an open sheet to what is to have it, or comes first: when the sheet opened, nothing was
/// there. What somebody types into keeps it, and a button that the browser chose gives way to what is to have it.
pub fn take_focus() {
    let document = document();
    let active = document.active_element().map(|active| active.tag_name()).unwrap_or_default();
    let find = |selectors| document.query_selector(selectors).ok().flatten();
    let field = match active.as_str() {
        "" | "BODY" | "DIALOG" => find("dialog[open] [autofocus]")
            .or_else(|| find("dialog[open] :is(input, select, button, a[href])")),
        "BUTTON" => find("dialog[open] [autofocus]"),
        _ => None,
    };
    if let Some(field) = field.and_then(|it| it.dyn_into::<HtmlElement>().ok()) {
        let _ = field.focus();
    }
}

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
            tick().await;
            take_focus();
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
