//! Small choices of the reader that this browser remembers (Web Storage), one text per name.

use leptos::prelude::window;

fn storage() -> Option<web_sys::Storage> {
    // Where the reader blocks storage, even asking for it throws.
    window().local_storage().ok()?
}

pub fn get(name: &str) -> Option<String> {
    storage()?.get_item(name).ok()?
}

/// Stores a value, or removes the name if the value is `None`. It is not an error if the browser stores nothing for
/// this page (a private window, a policy): the choice then lasts until the page is closed.
pub fn set(name: &str, value: Option<&str>) {
    if let Some(storage) = storage() {
        let _ = match value {
            Some(value) => storage.set_item(name, value),
            None => storage.remove_item(name),
        };
    }
}
