//! The explorer: views of batches, transactions, accounts, markets and replicas, each at a path.

mod account;
mod batch;
mod batches;
mod dom;
mod load;
mod market;
mod nodes;
mod parts;
mod replicas;
mod transaction;

use leptos::html::Main;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::later::{MakeView, NotLoaded, wasm_split};
use crate::route::{self, Route};
use crate::state::{State, use_state};
use dom::Node;

/// What makes a view; it is called again when a signal that it read has changed.
type View = Box<dyn Fn() -> Vec<Node>>;

fn view(state: State, route: Route) -> View {
    match route {
        Route::Trade => Box::new(Vec::new),
        Route::Batches => batches::batches(state),
        Route::Batch(index) => batch::batch(state, index),
        Route::Transaction(hash) => transaction::transaction(state, hash),
        Route::Account(key) => account::account(state, key),
        Route::Markets => market::markets(state),
        Route::Market(name) => market::market(state, name),
        Route::Replicas => replicas::replicas(state),
    }
}

/// The explorer, which is loaded when it is first opened.
#[wasm_split(explorer, wasm_split_path = ::leptos::wasm_split, fallible)]
pub fn explorer() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <Explorer /> }.into_any())
}

/// The view that the address bar names, unless that is the trading page.
#[component]
fn Explorer() -> impl IntoView {
    let state = use_state();
    let place = NodeRef::<Main>::new();
    Effect::new(move || {
        let route = state.route.get();
        let Some(place) = place.get() else { return };
        let place: Node = place.unchecked_into();
        // Another view begins from nothing.
        place.set_text_content(None);
        let view = view(state, route);
        // It ends with this one.
        Effect::new(move || {
            dom::put(&place, view());
            route::focus_heading();
        });
    });
    view! { <main class="explorer" id="content" class:stale=move || state.is_stale() node_ref=place></main> }
}
