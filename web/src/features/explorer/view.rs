//! The view at the path in the address bar.

use leptos::html::Main;
use leptos::prelude::*;

use super::context::{Context, View};
use super::{account, batch, batches, market, replicas, transaction};
use crate::platform::dom::{self, Node};
use crate::platform::route::{self, Route};
use crate::ui::later::{MakeView, NotLoaded, wasm_split};

fn view(context: Context, route: Route) -> View {
    match route {
        Route::Trade => Box::new(Vec::new),
        Route::Batches => batches::batches(context),
        Route::Batch(index) => batch::batch(context, index),
        Route::Transaction(hash) => transaction::transaction(context, hash),
        Route::Account(key) => account::account(context, key),
        Route::Markets => market::markets(context),
        Route::Market(name) => market::market(context, name),
        Route::Replicas => replicas::replicas(context),
    }
}

#[wasm_split(explorer, wasm_split_path = ::leptos::wasm_split, fallible)]
pub fn explorer() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <Explorer /> }.into_any())
}

#[component]
fn Explorer() -> impl IntoView {
    let context = Context::of_page();
    let main = NodeRef::<Main>::new();
    Effect::new(move || {
        let route = context.router.route.get();
        let Some(main) = main.get() else { return };
        let main: Node = main.into();
        // Each view starts empty. Within a view, elements that stay the same are left in place.
        main.clear();
        let view = view(context, route);
        // This effect is owned by the outer one, so it ends with the view.
        Effect::new(move || {
            dom::put(&main, view());
            route::focus_heading();
        });
    });
    view! { <main class="explorer" id="content" class:stale=move || context.connection.is_stale() node_ref=main></main> }
}
