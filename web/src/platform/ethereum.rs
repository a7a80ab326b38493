//! Ethereum wallets of the browser: found as they announce themselves (EIP-6963), asked by EIP-1193.
//!
//! Everything that they say is another program's word: addresses are read strictly, and a signature counts only
//! once the vault has recovered whose it is.

use std::cell::{Cell, RefCell};

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use zellbook_core::PublicKey;
use zellbook_vault::VaultError;

use super::kept::EthereumAccount;

/// What the user signs once, so that the account's key is known.
const CONNECT_TEXT: &str = "Zellbook: show my public key\n\nThis signature tells the page which public key this account has. It moves no funds and grants no permissions.";
/// Events of EIP-1193 that say something of the accounts. Which chain a wallet is on does not matter: it signs texts.
const ACCOUNTS_CHANGED: &str = "accountsChanged";
const DISCONNECTED_EVENT: &str = "disconnect";
/// Error codes of EIP-1193.
const REJECTED: f64 = 4001.0;
const UNAUTHORIZED: f64 = 4100.0;
const DISCONNECTED: [f64; 2] = [4900.0, 4901.0];
/// Characters of a name and an identifier that are shown and kept.
const NAME_LENGTH_MAX: usize = 40;
/// Wallets that are taken note of.
const WALLETS_MAX: usize = 16;

/// A wallet that announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its identifier, a domain name backwards (`rdns`).
    pub id: String,
    /// For people.
    pub name: String,
    /// A `data:` image, if it has one.
    pub icon: Option<String>,
}

/// A wallet as this page has it.
struct Provider {
    announced: Announced,
    object: JsValue,
    /// Whether its events are heard.
    is_watched: bool,
}

/// What components follow.
#[derive(Clone, Copy)]
struct Seen {
    announced: RwSignal<Vec<Announced>>,
    /// The addresses that a wallet showed last, with its identifier.
    shown: RwSignal<Option<(String, Vec<String>)>>,
}

thread_local! {
    static PROVIDERS: RefCell<Vec<Provider>> = const { RefCell::new(Vec::new()) };
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
}

fn field(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok().filter(|value| !value.is_undefined())
}

fn text_field(object: &JsValue, name: &str) -> Option<String> {
    let text = field(object, name)?.as_string()?;
    (!text.is_empty()).then_some(text)
}

/// Notes whoever announces itself from now on, and asks all to do so.
pub fn discover() {
    SEEN.set(Some(Seen { announced: RwSignal::new(Vec::new()), shown: RwSignal::new(None) }));
    let on_announce = Closure::<dyn Fn(JsValue)>::new(|event: JsValue| note(&event));
    let listener = on_announce.as_ref().unchecked_ref();
    // It fails for no event and no function that there are.
    let _ = window().add_event_listener_with_callback("eip6963:announceProvider", listener);
    on_announce.forget();
    if let Ok(event) = web_sys::Event::new("eip6963:requestProvider") {
        let _ = window().dispatch_event(&event);
    }
}

fn note(event: &JsValue) {
    let read = || {
        let detail = field(event, "detail")?;
        let (info, provider) = (field(&detail, "info")?, field(&detail, "provider")?);
        let short = |text: String| text.chars().take(NAME_LENGTH_MAX).collect::<String>();
        let icon = text_field(&info, "icon").filter(|icon| icon.starts_with("data:image/"));
        let (id, name) = (short(text_field(&info, "rdns")?), short(text_field(&info, "name")?));
        Some((Announced { id, name, icon }, provider))
    };
    let Some((announced, object)) = read() else { return };
    let list = PROVIDERS.with_borrow_mut(|providers| {
        // Who announces itself again is the same one.
        let is_watched = providers.iter().any(|known| known.is_watched && known.object == object);
        providers.retain(|known| known.announced.id != announced.id);
        if providers.len() < WALLETS_MAX {
            providers.push(Provider { announced, object, is_watched });
        }
        providers.iter().map(|provider| provider.announced.clone()).collect::<Vec<_>>()
    });
    if let Some(seen) = SEEN.get() {
        seen.announced.set(list);
    }
}

/// The wallets that are there.
pub fn announced() -> Vec<Announced> {
    SEEN.get().map(|seen| seen.announced.get()).unwrap_or_default()
}

/// Hears an event of a wallet, for as long as the page lives.
fn listen(provider: &JsValue, event: &str, hear: impl Fn(JsValue) + 'static) {
    let Some(on) = field(provider, "on").and_then(|on| on.dyn_into::<Function>().ok()) else {
        return;
    };
    let hear = Closure::<dyn Fn(JsValue)>::new(hear).into_js_value();
    // Who does not take it tells nothing, and is asked before each signature anyway.
    let _ = on.call2(provider, &event.into(), &hear);
}

/// Notes which addresses a wallet shows.
fn note_shown(id: &str, addresses: Vec<String>) {
    if let Some(seen) = SEEN.get() {
        seen.shown.set(Some((id.into(), addresses)));
    }
}

/// Follows which accounts a wallet shows to this page, from now on.
pub fn watch(id: &str) {
    let object = PROVIDERS.with_borrow_mut(|providers| {
        let provider = providers.iter_mut().find(|provider| provider.announced.id == id)?;
        (!std::mem::replace(&mut provider.is_watched, true)).then(|| provider.object.clone())
    });
    let Some(object) = object else { return };
    let wallet = id.to_string();
    listen(&object, ACCOUNTS_CHANGED, move |list| note_shown(&wallet, read_addresses(&list)));
    let wallet = id.to_string();
    listen(&object, DISCONNECTED_EVENT, move |_| note_shown(&wallet, Vec::new()));
    let wallet = id.to_string();
    spawn_local(async move {
        // A wallet that is locked while nobody needs it is no news.
        let list = request(&wallet, "eth_accounts", &Array::new()).await;
        let list = list.map(|list| read_addresses(&list)).unwrap_or_default();
        if !list.is_empty() {
            note_shown(&wallet, list);
        }
    });
}

/// The addresses that the wallet of an account shows, where that is known and the account's is not among them.
pub fn shown_instead(account: &EthereumAccount) -> Option<Vec<String>> {
    let (wallet, addresses) = SEEN.get()?.shown.get()?;
    (wallet == account.wallet && !addresses.contains(&account.address)).then_some(addresses)
}

fn failed(wallet: &str, error: &JsValue) -> VaultError {
    let code = field(error, "code").and_then(|code| code.as_f64()).unwrap_or(0.0);
    VaultError::Ethereum(if code == REJECTED {
        format!("You rejected the request in {wallet}. Nothing was signed.")
    } else if code == UNAUTHORIZED {
        format!("{wallet} does not let this page use the account. Reconnect it, then try again.")
    } else if DISCONNECTED.contains(&code) {
        format!("{wallet} is not connected. Open it, then try again.")
    } else {
        let message = text_field(error, "message").unwrap_or_default();
        let message: String = message.chars().take(200).collect();
        format!("{wallet} returned an error: {message}")
    })
}

/// Asks a wallet something.
async fn request(id: &str, method: &str, params: &Array) -> Result<JsValue, VaultError> {
    let found = PROVIDERS.with_borrow(|providers| {
        let provider = providers.iter().find(|provider| provider.announced.id == id)?;
        Some((provider.announced.name.clone(), provider.object.clone()))
    });
    let absent = || {
        VaultError::Ethereum(format!(
            "The wallet of this account ({id}) is not available in this browser. Enable it, then reload the page."
        ))
    };
    let (name, provider) = found.ok_or_else(absent)?;
    let ask = || {
        let function: Function = field(&provider, "request")?.dyn_into().ok()?;
        let arguments = Object::new();
        Reflect::set(&arguments, &"method".into(), &method.into()).ok()?;
        Reflect::set(&arguments, &"params".into(), params).ok()?;
        function.call1(&provider, &arguments).ok()
    };
    let promise = Promise::resolve(&ask().ok_or_else(absent)?);
    JsFuture::from(promise).await.map_err(|error| failed(&name, &error))
}

/// A list of addresses, in lower case.
fn read_addresses(list: &JsValue) -> Vec<String> {
    let is_address = |text: &String| {
        let digits = text.strip_prefix("0x").unwrap_or_default();
        digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if !Array::is_array(list) {
        return Vec::new();
    }
    let texts = Array::from(list).iter().filter_map(|text| text.as_string()).collect::<Vec<_>>();
    texts.iter().map(|text| text.to_ascii_lowercase()).filter(is_address).collect()
}

/// The accounts that a wallet shows to this page, which it may ask its user for.
pub async fn addresses(id: &str) -> Result<Vec<String>, VaultError> {
    let list = read_addresses(&request(id, "eth_requestAccounts", &Array::new()).await?);
    note_shown(id, list.clone());
    Ok(list)
}

async fn personal_sign(id: &str, text: &str, address: &str) -> Result<String, VaultError> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let params = Array::of2(&format!("0x{hex}").into(), &address.into());
    let signature = request(id, "personal_sign", &params).await?;
    signature.as_string().ok_or(VaultError::OtherSigner)
}

/// An account before its key is known.
pub struct Connected {
    /// What the wallet says its address is.
    pub address: String,
    /// The wallet.
    pub wallet: Announced,
}

/// Has a wallet show an account and sign the connect text with it. Returns text and signature with it.
pub async fn connect(id: &str) -> Result<(Connected, String, String), VaultError> {
    let wallet = announced().into_iter().find(|announced| announced.id == id);
    let wallet = wallet.ok_or(VaultError::Unavailable)?;
    let address = addresses(id).await?.into_iter().next();
    let address = address.ok_or_else(|| {
        VaultError::Ethereum(format!(
            "{} gives this page access to no account. Select one there, then try again.",
            wallet.name
        ))
    })?;
    let signature = personal_sign(id, CONNECT_TEXT, &address).await?;
    Ok((Connected { address, wallet }, CONNECT_TEXT.into(), signature))
}

impl Connected {
    /// The account, once its key is known.
    pub fn with_key(self, account: PublicKey) -> EthereumAccount {
        let Announced { id: wallet, name, .. } = self.wallet;
        EthereumAccount { account, address: self.address, wallet, name }
    }
}

/// Has the wallet of an account sign a text. Returns what it gives, unchecked.
pub async fn sign(account: &EthereumAccount, text: &str) -> Result<String, VaultError> {
    if !addresses(&account.wallet).await?.contains(&account.address) {
        return Err(VaultError::Ethereum(format!(
            "{} no longer gives this page access to the account {}. Select it there, then try again.",
            account.name, account.address
        )));
    }
    personal_sign(&account.wallet, text, &account.address).await
}
