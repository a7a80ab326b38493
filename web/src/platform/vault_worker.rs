//! The worker in which the vault runs. It is a wasm module without imports, loaded when a key is first needed.
//!
//! The worker's script and module are checked against the digests in index.html before the worker starts. Locking ends
//! the worker, and with it the memory that held the keys.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use gloo_net::http;
use js_sys::{Array, Function, Promise, Uint8Array, WebAssembly};
use leptos::prelude::document;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use zellbook_vault::{Answer, Request, VaultError};
use zeroize::Zeroizing;

/// The function that settles the promise of each request without an answer, by the request's number.
type Waiting = Rc<RefCell<BTreeMap<u32, Function>>>;

struct Worker {
    worker: web_sys::Worker,
    waiting: Waiting,
    /// Receives the answers. The browser only borrows it.
    _on_message: Closure<dyn FnMut(web_sys::MessageEvent)>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.worker.terminate();
        // What waits for a promise runs after this function, so nothing uses `WORKER` while it is being replaced.
        for settle in std::mem::take(&mut *self.waiting.borrow_mut()).into_values() {
            // A function that settles a promise does not throw.
            let _ = settle.call1(&JsValue::NULL, &JsValue::NULL);
        }
    }
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
    static REQUESTS: Cell<u32> = const { Cell::new(0) };
}

/// Sends a request to the vault, which is loaded first if need be.
pub async fn ask(request: Request) -> Answer {
    if WORKER.with_borrow(Option::is_none) {
        let Some(worker) = Worker::start().await else {
            return Answer::Refused(VaultError::Unavailable);
        };
        // If two callers started a worker at once, the first one stays: it may hold a key already.
        WORKER.with_borrow_mut(|slot| {
            slot.get_or_insert(worker);
        });
    }
    answer(request).await.unwrap_or(Answer::Refused(VaultError::Unavailable))
}

/// Sends a request to the vault if it is loaded. One that is not loaded has no keys, so it counts as locked.
pub async fn ask_loaded(request: Request) -> Answer {
    if WORKER.with_borrow(Option::is_none) {
        return Answer::Refused(VaultError::Locked);
    }
    answer(request).await.unwrap_or(Answer::Refused(VaultError::Unavailable))
}

/// Ends the worker and with it all keys in its memory. Pending requests fail.
pub fn lock() {
    WORKER.set(None);
}

async fn answer(request: Request) -> Option<Answer> {
    let promise = WORKER.with_borrow(|worker| worker.as_ref()?.post(&request))?;
    let Ok(bytes) = JsFuture::from(promise).await.ok()?.dyn_into::<Uint8Array>() else {
        // The worker failed or was ended, so it holds no keys any more. This runs directly after the end of the
        // worker, and a new one takes at least a fetch to start, so `lock` cannot end a new worker by mistake.
        lock();
        return None;
    };
    let copy = Zeroizing::new(bytes.to_vec());
    bytes.fill(0, 0, bytes.length());
    serde_json::from_slice(&copy).ok()
}

/// Fetches a file that a meta element of index.html names, and checks it against the digest given there.
async fn fetch(name: &str) -> Option<(String, Vec<u8>)> {
    let meta = document().query_selector(&format!("meta[name={name}]")).ok()??;
    let (path, integrity) = (meta.get_attribute("content")?, meta.get_attribute("data-integrity")?);
    let response = http::Request::get(&path).integrity(&integrity).send().await.ok()?;
    let bytes = response.binary().await.ok()?;
    Some((path, bytes))
}

impl Worker {
    async fn start() -> Option<Self> {
        let (_, wasm) = fetch("vault").await?;
        // A browser checks no digest of a worker's script. So the script is fetched and checked here, and the worker
        // then gets it from the cache.
        let (script, _) = fetch("vault-worker").await?;
        let module =
            JsFuture::from(WebAssembly::compile(&Uint8Array::from(&wasm[..]))).await.ok()?;
        let worker = web_sys::Worker::new(&script).ok()?;
        let waiting = Waiting::default();
        let settles = waiting.clone();
        let on_message = Closure::new(move |event: web_sys::MessageEvent| {
            let data = Array::from(&event.data());
            // Request numbers are small whole numbers.
            let Some(number) = data.get(0).as_f64().map(|number| number as u32) else { return };
            let settle = settles.borrow_mut().remove(&number);
            if let Some(settle) = settle {
                // A function that settles a promise does not throw.
                let _ = settle.call1(&JsValue::NULL, &data.get(1));
            }
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        // The worker's script did not load or failed. Without this, its requests would wait for ever. The browser owns
        // the function, because it runs while the worker is dropped.
        let on_error = Closure::<dyn Fn()>::new(lock).into_js_value();
        worker.set_onerror(Some(on_error.unchecked_ref()));
        worker.post_message(&module).ok()?;
        Some(Self { worker, waiting, _on_message: on_message })
    }

    fn post(&self, request: &Request) -> Option<Promise> {
        let number = REQUESTS.get();
        REQUESTS.set(number.wrapping_add(1));
        let bytes = Zeroizing::new(serde_json::to_vec(request).ok()?);
        let bytes = Uint8Array::from(&bytes[..]);
        let message = Array::of2(&JsValue::from(number), &bytes);
        let promise = Promise::new(&mut |settle, _| {
            self.waiting.borrow_mut().insert(number, settle);
        });
        // The bytes move to the worker, so that no copy with a secret stays in the memory of this page.
        let transfer = Array::of1(&bytes.buffer());
        self.worker.post_message_with_transfer(&message, &transfer).ok()?;
        Some(promise)
    }
}
