//! Ethereum wallets of the browser. They announce themselves by EIP-6963 and answer requests by EIP-1193.
//!
//! They are other programs, so nothing that they answer is trusted: addresses are read strictly, and a signature
//! counts only once the vault has recovered the key that made it.

use std::cell::{Cell, RefCell};

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use zellbook_core::PublicKey;
use zellbook_vault::VaultError;

/// The text that the user signs once. The account's public key is recovered from the signature.
const CONNECT_TEXT: &str = "Zellbook: show my public key\n\nThis signature tells the page which public key this account has. It moves no funds and grants no permissions.";
/// Events of EIP-1193 about the accounts. The chain that a wallet is on does not matter, because it only signs texts.
const ACCOUNTS_CHANGED: &str = "accountsChanged";
const DISCONNECTED_EVENT: &str = "disconnect";
/// Error codes of EIP-1193.
const REJECTED: f64 = 4001.0;
const UNAUTHORIZED: f64 = 4100.0;
const DISCONNECTED: [f64; 2] = [4900.0, 4901.0];
/// The most characters of a wallet's name and identifier that are shown and stored.
const NAME_LENGTH_MAX: usize = 40;
/// The most wallets that are listed. A page cannot know how many extensions announce themselves.
const WALLETS_MAX: usize = 16;

/// An account whose key is in an Ethereum wallet of the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EthereumAccount {
    /// The public key that was recovered from the account's first signature.
    pub account: PublicKey,
    /// `0x` and 40 lower-case hex digits.
    pub address: String,
    /// The wallet's identifier (EIP-6963 `rdns`).
    pub wallet: String,
    /// The wallet's name.
    pub name: String,
}

/// A wallet that announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The wallet's identifier: a domain name backwards (`rdns`).
    pub id: String,
    pub name: String,
    /// A `data:` URL of an image.
    pub icon: Option<String>,
}

struct Provider {
    announced: Announced,
    object: JsValue,
    /// Whether this page listens to its events.
    is_watched: bool,
}

/// Signals that components follow.
#[derive(Clone, Copy)]
struct Seen {
    announced: RwSignal<Vec<Announced>>,
    /// A wallet's identifier and the addresses that it showed last.
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

/// Lists every wallet that announces itself from now on, and asks all wallets to do so.
pub fn discover() {
    SEEN.set(Some(Seen { announced: RwSignal::new(Vec::new()), shown: RwSignal::new(None) }));
    // The listener comes before the request, because wallets answer while the event of the request is dispatched.
    let on_announce = Closure::<dyn Fn(JsValue)>::new(|event: JsValue| note(&event));
    let listener = on_announce.as_ref().unchecked_ref();
    // The call fails only for invalid arguments, which these are not.
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
        // An image from another server would tell that server about the reader, and the content security policy
        // blocks it.
        let icon = text_field(&info, "icon").filter(|icon| icon.starts_with("data:image/"));
        let (id, name) = (short(text_field(&info, "rdns")?), short(text_field(&info, "name")?));
        Some((Announced { id, name, icon }, provider))
    };
    let Some((announced, object)) = read() else { return };
    let list = PROVIDERS.with_borrow_mut(|providers| {
        // A wallet may announce itself again. Its listeners are there already.
        let is_watched = providers.iter().any(|known| known.is_watched && known.object == object);
        // The last announcement under an identifier counts. An extension that borrows another one's identifier gains
        // nothing, because it cannot sign with the account's key.
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

/// The wallets that have announced themselves.
pub fn announced() -> Vec<Announced> {
    SEEN.get().map(|seen| seen.announced.get()).unwrap_or_default()
}

/// Listens to an event of a wallet for as long as the page lives.
fn listen(provider: &JsValue, event: &str, on_event: impl Fn(JsValue) + 'static) {
    let Some(on) = field(provider, "on").and_then(|on| on.dyn_into::<Function>().ok()) else {
        return;
    };
    let on_event = Closure::<dyn Fn(JsValue)>::new(on_event).into_js_value();
    // A wallet that refuses the listener is still asked for its accounts before each signature.
    let _ = on.call2(provider, &event.into(), &on_event);
}

/// Stores which addresses a wallet shows.
fn note_shown(id: &str, addresses: Vec<String>) {
    if let Some(seen) = SEEN.get() {
        seen.shown.set(Some((id.into(), addresses)));
    }
}

/// Follows, from now on, which accounts a wallet shows to this page.
pub fn watch(id: &str) {
    // The caller is an effect that runs at each announcement, and listeners must not accumulate. The object leaves
    // the list before it is called: its code may announce the wallet again, which changes the list.
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
        // `eth_accounts` opens no window of the wallet, unlike `eth_requestAccounts`. An empty list means that the
        // wallet is locked, which is no problem until something has to be signed.
        let list = request(&wallet, "eth_accounts", &Array::new()).await;
        let list = list.map(|list| read_addresses(&list)).unwrap_or_default();
        if !list.is_empty() {
            note_shown(&wallet, list);
        }
    });
}

/// The addresses that an account's wallet shows, if they are known and the account's own is not among them.
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
        // The message comes from another program and may have any length.
        let message = text_field(error, "message").unwrap_or_default();
        let message: String = message.chars().take(200).collect();
        format!("{wallet} returned an error: {message}")
    })
}

/// Sends a request to a wallet.
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
        // A wallet's function may need the wallet as its `this`.
        function.call1(&provider, &arguments).ok()
    };
    // A wallet may return a value that is no promise. Here it becomes one.
    let promise = Promise::resolve(&ask().ok_or_else(absent)?);
    JsFuture::from(promise).await.map_err(|error| failed(&name, &error))
}

/// Reads a wallet's list of addresses and returns them in lower case. Everything else in the list is dropped.
fn read_addresses(list: &JsValue) -> Vec<String> {
    let is_address = |text: &String| {
        let digits = text.strip_prefix("0x").unwrap_or_default();
        digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    // A wallet may answer with anything, and `Array::from` throws if that is `null`.
    if !Array::is_array(list) {
        return Vec::new();
    }
    let texts = Array::from(list).iter().filter_map(|text| text.as_string()).collect::<Vec<_>>();
    // Wallets mix upper and lower case, as a checksum (EIP-55). Addresses are compared in one form.
    texts.iter().map(|text| text.to_ascii_lowercase()).filter(is_address).collect()
}

/// The addresses that a wallet shows to this page. The wallet may ask its user for permission.
pub async fn addresses(id: &str) -> Result<Vec<String>, VaultError> {
    let list = read_addresses(&request(id, "eth_requestAccounts", &Array::new()).await?);
    note_shown(id, list.clone());
    Ok(list)
}

async fn personal_sign(id: &str, text: &str, address: &str) -> Result<String, VaultError> {
    // `personal_sign` takes the bytes in hex. A wallet would read a plain text as hex if it began with `0x`.
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let params = Array::of2(&format!("0x{hex}").into(), &address.into());
    let signature = request(id, "personal_sign", &params).await?;
    signature.as_string().ok_or(VaultError::OtherSigner)
}

/// An account whose public key is not known yet.
pub struct Connected {
    /// The address that the wallet names, unchecked.
    pub address: String,
    wallet: Announced,
}

/// Asks a wallet for an account and for its signature of the connect text. Returns the account, the text and the
/// signature, all unchecked.
pub async fn connect(id: &str) -> Result<(Connected, String, String), VaultError> {
    let wallet = announced().into_iter().find(|announced| announced.id == id);
    let wallet = wallet.ok_or(VaultError::Unavailable)?;
    // Wallets list the selected account first.
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
    /// The account with the key that was recovered from its signature.
    pub fn with_key(self, account: PublicKey) -> EthereumAccount {
        let Announced { id: wallet, name, .. } = self.wallet;
        EthereumAccount { account, address: self.address, wallet, name }
    }
}

/// Asks an account's wallet to sign a text. Returns the signature, unchecked.
pub async fn sign(account: &EthereumAccount, text: &str) -> Result<String, VaultError> {
    // A wallet that has another account selected may sign with that one. The vault refuses such a signature, but only
    // after the user has confirmed it.
    if !addresses(&account.wallet).await?.contains(&account.address) {
        return Err(VaultError::Ethereum(format!(
            "{} no longer gives this page access to the account {}. Select it there, then try again.",
            account.name, account.address
        )));
    }
    personal_sign(&account.wallet, text, &account.address).await
}
