//! Light or dark: by the reader's preference, or by a switch that is remembered.

use leptos::prelude::*;

const NAME: &str = "zellbook.theme";

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

fn prefers_light() -> bool {
    let query = web_sys::window()
        .and_then(|window| window.match_media("(prefers-color-scheme: light)").ok()?);
    query.is_some_and(|query| query.matches())
}

/// A button that changes between light and dark.
#[component]
pub fn ThemeSwitch() -> impl IntoView {
    let stored = storage().and_then(|storage| storage.get_item(NAME).ok()?);
    let is_light = RwSignal::new(stored.map_or_else(prefers_light, |theme| theme == "light"));
    Effect::new(move || {
        let theme = if is_light.get() { "light" } else { "dark" };
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-theme", theme);
        }
    });
    let change = move |_| {
        is_light.update(|light| *light = !*light);
        if let Some(storage) = storage() {
            let theme = if is_light.get_untracked() { "light" } else { "dark" };
            // A browser that keeps nothing forgets the choice.
            let _ = storage.set_item(NAME, theme);
        }
    };
    view! {
        <button type="button" class="quiet" on:click=change>
            {move || if is_light.get() { "Dark" } else { "Light" }}
        </button>
    }
}
