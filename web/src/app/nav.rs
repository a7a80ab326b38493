//! Links to the views, and the field that finds a batch, transaction, account or market.

use leptos::prelude::*;

use crate::platform::focus;
use crate::platform::route::{Route, use_router};

const FIELD: &str = "search";
const ERROR: &str = "search-error";

/// A view's path and name, and whether a route is that view or belongs to it.
type View = (&'static str, &'static str, fn(&Route) -> bool);

// Transactions and accounts belong to none of these views: a search or a link leads to them.
const VIEWS: [View; 4] = [
    ("/", "Trade", |route| matches!(route, Route::Trade)),
    ("/batches", "Batches", |route| matches!(route, Route::Batches | Route::Batch(_))),
    ("/markets", "Markets", |route| matches!(route, Route::Markets | Route::Market(_))),
    ("/replicas", "Replicas", |route| matches!(route, Route::Replicas)),
];

/// Links and search. A narrow page hides them behind a button.
#[component]
pub fn Nav() -> impl IntoView {
    let router = use_router();
    let is_open = RwSignal::new(false);
    // The menu closes when a view was chosen.
    Effect::new(move || {
        router.route.track();
        is_open.set(false);
    });
    let view = move |(path, name, is_at): View| {
        let current = move || router.route.with(is_at).then_some("page");
        view! { <a href=path aria-current=current>{name}</a> }
    };
    let close = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" {
            is_open.set(false);
        }
    };
    view! {
        <div class="explore" class:open=move || is_open.get() on:keydown=close>
            <button
                type="button"
                class="quiet menu"
                aria-expanded=move || is_open.get().to_string()
                aria-controls="views"
                on:click=move |_| is_open.update(|open| *open = !*open)
            >
                "Explore"
            </button>
            <nav id="views" aria-label="Views">{VIEWS.map(view).collect_view()}</nav>
            <Search />
        </div>
    }
}

#[component]
fn Search() -> impl IntoView {
    let router = use_router();
    let message = RwSignal::new(None::<String>);
    let field = NodeRef::<leptos::html::Input>::new();
    let find = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(field) = field.get_untracked() else { return };
        let text = field.value();
        match Route::search(&text) {
            Some(to) => {
                message.set(None);
                field.set_value("");
                router.go(to);
            }
            None if text.trim().is_empty() => {
                message.set(Some("Enter something to search for.".into()));
            }
            None => {
                let text: String = text.trim().chars().take(24).collect();
                message.set(Some(format!(
                    "“{text}” cannot be searched for. Enter a batch number (12), a transaction hash (64 hex digits), an account’s public key (66 hex digits that start with 02 or 03) or a market (ETH/USDT)."
                )));
            }
        }
    };
    let leave = move |event: leptos::ev::FocusEvent| {
        if !focus::is_within(event.related_target(), ".search") {
            message.set(None);
        }
    };
    view! {
        <form class="search" role="search" on:submit=find on:focusout=leave>
            <label class="visually-hidden" for=FIELD>"Search for a batch, transaction, account or market"</label>
            <input
                id=FIELD
                type="text"
                enterkeyhint="search"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                placeholder="Search"
                aria-describedby=ERROR
                aria-invalid=move || message.with(Option::is_some).to_string()
                node_ref=field
            />
            <p class="search-error" id=ERROR role="alert">{move || message.get()}</p>
        </form>
    }
}
