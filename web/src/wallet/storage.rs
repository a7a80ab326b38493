//! What the browser keeps for this page: the encrypted key, and nothing secret else.

use super::{Keystore, KeystoreError};

const NAME: &str = "zellbook.key";

fn local() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

/// Changes whenever a tab locks, so that the others are told.
const LOCK_NAME: &str = "zellbook.locked";

/// Tells the other tabs to lock.
pub fn tell_lock() {
    if let Some(storage) = local() {
        // Without storage there is no key in other tabs.
        let _ = storage.set_item(LOCK_NAME, &js_sys::Date::now().to_string());
    }
}

/// Whether a change of this item means that a tab has locked.
pub fn is_lock(name: Option<&str>) -> bool {
    name == Some(LOCK_NAME)
}

pub fn load() -> Option<Keystore> {
    let json = local()?.get_item(NAME).ok()??;
    Keystore::from_json(&json).ok()
}

pub fn save(keystore: &Keystore) -> Result<(), KeystoreError> {
    let storage = local().ok_or(KeystoreError::Storage)?;
    storage.set_item(NAME, &keystore.to_json()).map_err(|_| KeystoreError::Storage)
}

pub fn remove() {
    if let Some(storage) = local() {
        // Without storage there is nothing to remove.
        let _ = storage.remove_item(NAME);
    }
}
