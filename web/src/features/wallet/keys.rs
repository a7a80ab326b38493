//! The wallet: accounts of this browser, encrypted at rest, and in the vault's memory while they are unlocked.

pub mod ethereum;
mod idle;
mod kept;
pub mod nonce;
pub mod store;
mod tabs;
mod vault;

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::PublicKey;
use zellbook_core::types::{Scheme, Signature};
use zellbook_vault::{Answer, Origin, Request};
pub use zellbook_vault::{PASSPHRASE_LENGTH_MIN, Source, VaultError, WalletFile};
use zeroize::Zeroizing;

pub use kept::{Account, EthereumAccount, Settings, Wallet};
pub use store::DATABASE;
pub use tabs::CHANNEL;
use tabs::News;

/// Reads what is stored, and follows what other tabs do.
pub fn start(wallet: RwSignal<Wallet>) {
    spawn_local(async move { reload(wallet).await });
    tabs::listen(move |news| match news {
        News::Locked => forget(wallet),
        News::Changed => spawn_local(async move { reload(wallet).await }),
        News::Active => idle::note(),
    });
    idle::start(wallet);
    ethereum::discover();
}

/// Reads what is stored. Where the wallet is unlocked it stays so, with what is new in it.
async fn reload(wallet: RwSignal<Wallet>) {
    let Ok(mut stored) = Wallet::load().await else {
        // Without storage there is no wallet; who makes one is told.
        wallet.update(|wallet| wallet.is_loaded = true);
        return;
    };
    if wallet.with_untracked(|wallet| wallet.is_unlocked) {
        let load = vault::ask_loaded(Request::Load(stored.records.clone())).await;
        stored.is_unlocked = stored.lock.is_some() && load == Answer::Done;
        if !stored.is_unlocked {
            vault::lock();
        }
    }
    if wallet.with_untracked(|wallet| *wallet != stored) {
        wallet.set(stored);
    }
}

async fn changed(wallet: RwSignal<Wallet>) {
    tabs::tell(News::Changed);
    reload(wallet).await;
}

/// What was added.
pub struct Added {
    /// The first new key.
    pub key: PublicKey,
    /// A phrase that was made now.
    pub phrase: Option<Zeroizing<String>>,
}

/// Adds a key. Where there is no wallet yet, one begins under the passphrase.
pub async fn add(
    wallet: RwSignal<Wallet>,
    source: Source,
    passphrase: String,
) -> Result<Added, VaultError> {
    if wallet.with_untracked(Wallet::is_locked) {
        return Err(VaultError::Locked);
    }
    let is_new_phrase = matches!(source, Source::NewPhrase);
    let is_session = matches!(source, Source::Session { .. });
    let mut answer = vault::ask(Request::Add { source, passphrase }).await;
    let Answer::Stored { lock, records, phrase } = &mut answer else {
        return Err(refusal(&answer));
    };
    let phrase = phrase.take().map(Zeroizing::new);
    let mut keys = records.iter().filter(|record| record.origin != Origin::Phrase);
    let key = keys.next().map(|record| record.key).ok_or(VaultError::Known)?;
    let set = move |settings: &mut Settings| {
        if !is_session {
            settings.selected = Some(key);
        }
        if is_new_phrase {
            settings.is_backed_up = false;
        }
    };
    if let Err(error) = kept::add(lock.as_ref(), records, set).await {
        // The vault has what is not stored.
        forget(wallet);
        reload(wallet).await;
        return Err(error);
    }
    wallet.update(|wallet| wallet.is_unlocked = true);
    changed(wallet).await;
    store::persist().await;
    Ok(Added { key, phrase })
}

/// Why the vault did not do it.
fn refusal(answer: &Answer) -> VaultError {
    match answer {
        Answer::Refused(error) => error.clone(),
        _ => VaultError::Unavailable,
    }
}

/// Unlocks the wallet.
pub async fn unlock(wallet: RwSignal<Wallet>, passphrase: String) -> Result<(), VaultError> {
    let Some(file) = wallet.with_untracked(Wallet::whole) else { return Ok(()) };
    let lock = file.lock.clone();
    match vault::ask(Request::Unlock { file, passphrase }).await {
        Answer::Done => {}
        answer => return Err(refusal(&answer)),
    }
    // Another tab may have removed it, or put another in its place, meanwhile.
    if wallet.with_untracked(|wallet| wallet.lock.as_ref() == Some(&lock)) {
        idle::note();
        wallet.update(|wallet| wallet.is_unlocked = true);
    } else {
        forget(wallet);
    }
    Ok(())
}

/// Signs a text with a session key or an account.
pub async fn sign(
    wallet: RwSignal<Wallet>,
    key: PublicKey,
    text: &str,
) -> Result<(Scheme, Signature), VaultError> {
    let external = wallet.with_untracked(|wallet| wallet.ethereum_of(key).cloned());
    let (scheme, answer) = match external {
        Some(external) => {
            let signature = ethereum::sign(&external, text).await?;
            let recover = Request::Recover { text: text.into(), signature };
            (Scheme::Eip191, vault::ask(recover).await)
        }
        None => (Scheme::Raw, vault::ask_loaded(Request::Sign { key, text: text.into() }).await),
    };
    let signature = match &answer {
        Answer::Signature(signature) => signature,
        Answer::Recovered { account, signature, .. } if *account == key => signature,
        Answer::Recovered { .. } => return Err(VaultError::OtherSigner),
        answer => return Err(refusal(answer)),
    };
    let signature = signature.parse().map_err(|()| VaultError::Unavailable)?;
    Ok((scheme, signature))
}

/// Connects an account of an Ethereum wallet: its key is the one that its signature gives.
pub async fn connect(wallet: RwSignal<Wallet>, provider: &str) -> Result<(), VaultError> {
    let (connected, text, signature) = ethereum::connect(provider).await?;
    let account = match &vault::ask(Request::Recover { text, signature }).await {
        Answer::Recovered { account, address, .. } if *address == connected.address => {
            connected.with_key(*account)
        }
        Answer::Recovered { .. } => return Err(VaultError::OtherSigner),
        answer => return Err(refusal(answer)),
    };
    set(wallet, move |settings| {
        settings.selected = Some(account.account);
        settings.ethereum.retain(|known| known.account != account.account);
        settings.ethereum.push(account);
    })
    .await
}

/// Changes the settings, in every tab.
pub async fn set(
    wallet: RwSignal<Wallet>,
    change: impl FnOnce(&mut Settings) + 'static,
) -> Result<(), VaultError> {
    kept::set(change).await?;
    changed(wallet).await;
    Ok(())
}

/// A secret for the user to see: an account's key, or its phrase.
pub async fn reveal(
    wallet: RwSignal<Wallet>,
    account: PublicKey,
    is_phrase: bool,
    passphrase: String,
) -> Result<Zeroizing<String>, VaultError> {
    let known = wallet.with_untracked(|wallet| {
        Some((wallet.record(account, is_phrase)?.clone(), wallet.lock.clone()?))
    });
    let (record, lock) = known.ok_or(VaultError::Locked)?;
    let mut answer = vault::ask(Request::Reveal { record, lock, passphrase }).await;
    match &mut answer {
        Answer::Secret(secret) => Ok(Zeroizing::new(std::mem::take(secret))),
        answer => Err(refusal(answer)),
    }
}

/// Puts the wallet under another passphrase.
pub async fn change_passphrase(
    wallet: RwSignal<Wallet>,
    passphrase: String,
    new_passphrase: String,
) -> Result<(), VaultError> {
    let lock = wallet.with_untracked(|wallet| wallet.lock.clone()).ok_or(VaultError::Locked)?;
    let before = lock.clone();
    let answer = vault::ask(Request::Rewrap { lock, passphrase, new_passphrase }).await;
    let Answer::Stored { lock: Some(lock), .. } = &answer else { return Err(refusal(&answer)) };
    kept::relock(&before, lock).await?;
    changed(wallet).await;
    Ok(())
}

/// Locks the wallet in every tab; it stays, encrypted, in the browser.
pub fn lock(wallet: RwSignal<Wallet>) {
    tabs::tell(News::Locked);
    forget(wallet);
}

/// Forgets the keys in the memory of this tab.
fn forget(wallet: RwSignal<Wallet>) {
    vault::lock();
    if wallet.with_untracked(|wallet| wallet.is_unlocked) {
        wallet.update(|wallet| wallet.is_unlocked = false);
    }
}

/// Removes one account, or a session key.
pub async fn remove(wallet: RwSignal<Wallet>, key: PublicKey) -> Result<(), VaultError> {
    if let Some(record) = wallet.with_untracked(|wallet| wallet.record(key, false).cloned()) {
        kept::remove(&record).await?;
    }
    set(wallet, move |settings| settings.ethereum.retain(|account| account.account != key)).await
}

/// Removes the whole wallet from the browser for good.
pub async fn clear(wallet: RwSignal<Wallet>) -> Result<(), VaultError> {
    lock(wallet);
    kept::clear().await?;
    changed(wallet).await;
    Ok(())
}
