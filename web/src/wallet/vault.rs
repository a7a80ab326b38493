//! The vault as the page has it: a wasm module without imports, loaded when a key is first needed.

use std::cell::RefCell;

use gloo_net::http;
use js_sys::{Function, Object, Reflect, Uint8Array, WebAssembly};
use leptos::prelude::document;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use zellbook_vault::{Answer, KeystoreError, Request};
use zeroize::Zeroizing;

/// The module with what it exports.
#[derive(Clone)]
struct Vault {
    memory: WebAssembly::Memory,
    input: Function,
    call: Function,
    output: Function,
}

thread_local! {
    static VAULT: RefCell<Option<Vault>> = const { RefCell::new(None) };
}

/// Has the vault do something, and loads it first where it is not there yet.
pub async fn ask(request: Request) -> Answer {
    let vault = match VAULT.with_borrow(Clone::clone) {
        Some(vault) => Some(vault),
        None => load().await,
    };
    answer(vault, &request)
}

/// Has the vault do something, if it is there.
pub fn ask_loaded(request: &Request) -> Answer {
    answer(VAULT.with_borrow(Clone::clone), request)
}

/// Has it forget all keys. A vault that is not loaded, or broke, has none that it could use.
pub fn lock() {
    if ask_loaded(&Request::Lock) != Answer::Done {
        VAULT.set(None);
    }
}

fn answer(vault: Option<Vault>, request: &Request) -> Answer {
    let answer = vault.and_then(|vault| vault.answer(request));
    answer.unwrap_or(Answer::Refused(KeystoreError::Unavailable))
}

/// Loads the module that index.html names, with the digest that stands there.
async fn load() -> Option<Vault> {
    let place = document().query_selector("meta[name=vault]").ok()??;
    let (path, integrity) =
        (place.get_attribute("content")?, place.get_attribute("data-integrity")?);
    let response = http::Request::get(&path).integrity(&integrity).send().await.ok()?;
    let bytes = response.binary().await.ok()?;
    let made =
        JsFuture::from(WebAssembly::instantiate_buffer(&bytes, &Object::new())).await.ok()?;
    let field = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).ok();
    let exports = field(&field(&made, "instance")?, "exports")?;
    let function = |name: &str| field(&exports, name)?.dyn_into::<Function>().ok();
    let vault = Vault {
        memory: field(&exports, "memory")?.dyn_into().ok()?,
        input: function("vault_input")?,
        call: function("vault_call")?,
        output: function("vault_output")?,
    };
    // Where two loaded it at once, the first stays: it may have a key already.
    Some(VAULT.with_borrow_mut(|slot| slot.get_or_insert(vault).clone()))
}

impl Vault {
    fn answer(&self, request: &Request) -> Option<Answer> {
        let bytes = Zeroizing::new(serde_json::to_vec(request).ok()?);
        let length = u32::try_from(bytes.len()).ok()?;
        let at = self.input.call1(&JsValue::NULL, &JsValue::from(length)).ok()?;
        self.memory_at(&at, length)?.copy_from(&bytes);
        let length = number(&self.call.call0(&JsValue::NULL).ok()?)?;
        let at = self.output.call0(&JsValue::NULL).ok()?;
        serde_json::from_slice(&self.memory_at(&at, length)?.to_vec()).ok()
    }

    /// A call may let the memory grow, which ends all views of it: so each is made anew.
    fn memory_at(&self, at: &JsValue, length: u32) -> Option<Uint8Array> {
        let memory = self.memory.buffer();
        Some(Uint8Array::new_with_byte_offset_and_length(&memory, number(at)?, length))
    }
}

/// An address or length of 32 bits, which JavaScript has as a signed number.
fn number(value: &JsValue) -> Option<u32> {
    // A double from wasm's i32 is whole, and in the range of an i64.
    value.as_f64().map(|value| value as i64 as u32)
}
