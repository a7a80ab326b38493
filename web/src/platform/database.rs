//! What this browser stores for the page, in IndexedDB: texts by name, in four stores. Nothing in it is secret
//! without the wallet's passphrase.
//!
//! Web Locks keep two tabs from changing the same thing at once. IndexedDB's own transactions do not suffice, because
//! they end at the first `await` on anything else.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{IdbDatabase, IdbTransactionMode};
use zellbook_vault::VaultError;

const DATABASE: &str = "zellbook";
const VERSION: u32 = 1;
/// The store of the wallet's sealed data key and settings.
pub const WALLET: &str = "wallet";
/// The store of the wallet's encrypted secrets.
pub const RECORDS: &str = "records";
/// The store of the last nonce of each signing key.
pub const NONCES: &str = "nonces";
/// The store of transactions that this browser signed, by hash.
pub const SENT: &str = "sent";

/// A change of a store: the store, then a name and a text where it takes them.
pub enum Change {
    /// Adds a text. The whole write fails if the name is taken.
    Add(&'static str, String, String),
    /// Adds or overwrites a text.
    Put(&'static str, String, String),
    /// Removes a name, if it is there.
    Delete(&'static str, String),
    /// Removes everything in a store.
    Clear(&'static str),
}

impl Change {
    const fn store(&self) -> &'static str {
        match self {
            Self::Add(store, ..)
            | Self::Put(store, ..)
            | Self::Delete(store, _)
            | Self::Clear(store) => store,
        }
    }
}

fn unavailable<E>(_: E) -> VaultError {
    VaultError::Storage
}

/// Waits for one of the events. Returns whether it was the good one.
async fn settled(target: &web_sys::EventTarget, good: &str, bad: [&str; 2]) -> bool {
    let promise = Promise::new(&mut |resolve, reject| {
        for (name, listener) in [(good, &resolve), (bad[0], &reject), (bad[1], &reject)] {
            // The call fails only for invalid arguments, which these are not.
            let _ = target.add_event_listener_with_callback(name, listener);
        }
    });
    JsFuture::from(promise).await.is_ok()
}

async fn open() -> Result<IdbDatabase, VaultError> {
    let factory = web_sys::window().and_then(|window| window.indexed_db().ok()?);
    let factory = factory.ok_or(VaultError::Storage)?;
    let request = factory.open_with_u32(DATABASE, VERSION).map_err(unavailable)?;
    let opened = request.clone();
    let upgrade = Closure::<dyn FnMut()>::new(move || {
        let Ok(database) = opened.result().and_then(|result| result.dyn_into::<IdbDatabase>())
        else {
            return;
        };
        for store in [WALLET, RECORDS, NONCES, SENT] {
            // A new database has none of them, so this cannot fail for a name that is taken.
            let _ = database.create_object_store(store);
        }
    });
    request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    // An upgrade comes before `success`, so its closure lives long enough. `blocked` means that another tab keeps an
    // older version open. Nobody knows for how long, so it counts as a failure.
    if !settled(&request, "success", ["error", "blocked"]).await {
        return Err(VaultError::Storage);
    }
    request.result().and_then(|result| result.dyn_into()).map_err(unavailable)
}

#[wasm_bindgen]
extern "C" {
    /// Names and versions of this page's databases (Indexed Database API 3.0).
    #[wasm_bindgen(js_namespace = indexedDB, catch)]
    async fn databases() -> Result<JsValue, JsValue>;
}

/// Whether this browser may have stored something for the page. Browsers that do not list their databases may have.
/// Opening the database instead would create it.
pub async fn may_exist() -> bool {
    let Ok(found) = databases().await else { return true };
    Array::from(&found)
        .iter()
        .any(|database| Reflect::get(&database, &"name".into()).is_ok_and(|name| name == DATABASE))
}

pub async fn get(store: &str, name: &str) -> Result<Option<String>, VaultError> {
    // Each call opens the database and closes it again. A connection that stays open would block a newer version of
    // the page, in another tab, from changing the stores.
    let database = open().await?;
    let transaction = database.transaction_with_str(store).map_err(unavailable)?;
    let store = transaction.object_store(store).map_err(unavailable)?;
    let request = store.get(&name.into()).map_err(unavailable)?;
    let is_done = settled(&request, "success", ["error", "abort"]).await;
    database.close();
    if is_done {
        // The result for an absent name is `undefined`, which is no string.
        Ok(request.result().map_err(unavailable)?.as_string())
    } else {
        Err(VaultError::Storage)
    }
}

pub async fn all(store: &str) -> Result<Vec<String>, VaultError> {
    let database = open().await?;
    let transaction = database.transaction_with_str(store).map_err(unavailable)?;
    let store = transaction.object_store(store).map_err(unavailable)?;
    let request = store.get_all().map_err(unavailable)?;
    let is_done = settled(&request, "success", ["error", "abort"]).await;
    database.close();
    if !is_done {
        return Err(VaultError::Storage);
    }
    let texts = Array::from(&request.result().map_err(unavailable)?);
    Ok(texts.iter().filter_map(|text| text.as_string()).collect())
}

/// Makes all changes in one transaction, or none of them. Fails with [`VaultError::Occupied`] if one adds a name that
/// is taken.
pub async fn write(changes: Vec<Change>) -> Result<(), VaultError> {
    let database = open().await?;
    // A store that is named twice counts once.
    let stores: Array = changes.iter().map(|change| JsValue::from(change.store())).collect();
    let mode = IdbTransactionMode::Readwrite;
    let transaction =
        database.transaction_with_str_sequence_and_mode(&stores, mode).map_err(unavailable)?;
    for change in &changes {
        let store = transaction.object_store(change.store()).map_err(unavailable)?;
        match change {
            Change::Add(_, name, text) => store.add_with_key(&text.into(), &name.into()),
            Change::Put(_, name, text) => store.put_with_key(&text.into(), &name.into()),
            Change::Delete(_, name) => store.delete(&name.into()),
            Change::Clear(_) => store.clear(),
        }
        .map_err(unavailable)?;
    }
    // Waits for the transaction and not for its requests, because it can still fail for lack of space when they have
    // succeeded. A request that fails undoes the other changes and aborts the transaction, which then has the reason.
    let is_done = settled(&transaction, "complete", ["abort", "abort"]).await;
    database.close();
    if is_done {
        return Ok(());
    }
    let is_taken = transaction.error().is_some_and(|error| error.name() == "ConstraintError");
    Err(if is_taken { VaultError::Occupied } else { VaultError::Storage })
}

fn field(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok().filter(|value| !value.is_undefined())
}

/// Does some work while no other tab does work under the same name (Web Locks). A page that comes over plain HTTP from
/// another machine has no locks, and does the work at once.
pub async fn alone<T: 'static>(
    name: &str,
    work: impl Future<Output = Result<T, VaultError>> + 'static,
) -> Result<T, VaultError> {
    let locks = web_sys::window().and_then(|window| field(&window.navigator(), "locks"));
    let Some(locks) = locks else { return work.await };
    let request: Function = field(&locks, "request")
        .and_then(|request| request.dyn_into().ok())
        .ok_or(VaultError::Storage)?;
    // A promise carries only JavaScript values, so the result leaves through a cell. The lock ends with the promise
    // or with the tab, so a tab that crashes blocks no other.
    let result = Rc::new(Cell::new(None));
    let slot = result.clone();
    let work = Closure::once(move |_lock: JsValue| {
        future_to_promise(async move {
            slot.set(Some(work.await));
            Ok(JsValue::UNDEFINED)
        })
    });
    let held: Promise = request
        .call2(&locks, &name.into(), work.as_ref())
        .and_then(|held| held.dyn_into())
        .map_err(unavailable)?;
    JsFuture::from(held).await.map_err(unavailable)?;
    result.take().unwrap_or(Err(VaultError::Storage))
}

/// Asks the browser not to delete the database when space is scarce. It may refuse, which changes nothing here.
pub async fn persist() {
    let promise = web_sys::window().and_then(|window| window.navigator().storage().persist().ok());
    if let Some(promise) = promise {
        let _ = JsFuture::from(promise).await;
    }
}
