//! The wallet: one key of this browser, encrypted at rest, and in the vault's memory while it is unlocked.

mod storage;
mod vault;

use leptos::prelude::*;
use zellbook_core::key::{PublicKey, Signature};
use zellbook_vault::{Answer, Randomness, Request};
pub use zellbook_vault::{Keystore, KeystoreError, PASSPHRASE_LENGTH_MIN};

/// What the browser holds.
#[derive(Clone, Debug)]
pub enum Wallet {
    /// No key.
    Empty,
    /// A key that needs its passphrase.
    Locked(Keystore),
    /// A key that can sign: the vault has it.
    Unlocked(Keystore),
}

impl Wallet {
    /// What this browser kept.
    pub fn load() -> Self {
        storage::load().map_or(Self::Empty, Self::Locked)
    }

    /// Whose key it is.
    pub const fn account(&self) -> Option<PublicKey> {
        match self {
            Self::Empty => None,
            Self::Locked(keystore) | Self::Unlocked(keystore) => Some(keystore.account()),
        }
    }

    /// The encrypted key, for export.
    pub const fn keystore(&self) -> Option<&Keystore> {
        match self {
            Self::Empty => None,
            Self::Locked(keystore) | Self::Unlocked(keystore) => Some(keystore),
        }
    }
}

fn random() -> Result<Randomness, KeystoreError> {
    let mut random = Randomness { key: [0; 32], salt: [0; 16], nonce: [0; 12] };
    for part in [&mut random.key[..], &mut random.salt, &mut random.nonce] {
        getrandom::fill(part).map_err(|_| KeystoreError::Random)?;
    }
    Ok(random)
}

/// Makes a key, keeps it encrypted and unlocks it.
pub async fn create(wallet: RwSignal<Wallet>, passphrase: String) -> Result<(), KeystoreError> {
    let answer = vault::ask(Request::Make { passphrase, random: random()? }).await;
    kept(wallet, answer)
}

/// Imports an exported file with its passphrase, or a secret key of 64 hex digits, which is
/// encrypted under the passphrase.
pub async fn import(
    wallet: RwSignal<Wallet>,
    text: String,
    passphrase: String,
) -> Result<(), KeystoreError> {
    let text = text.trim();
    if text.starts_with('{') {
        let keystore = Keystore::from_json(text)?;
        let unlock = Request::Unlock { keystore: keystore.clone(), passphrase };
        return done(vault::ask(unlock).await).and_then(|()| keep(wallet, keystore));
    }
    let import = Request::Import { secret: text.into(), passphrase, random: random()? };
    kept(wallet, vault::ask(import).await)
}

fn done(answer: Answer) -> Result<(), KeystoreError> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Refused(error) => Err(error),
        Answer::Kept(_) | Answer::Signature(_) => Err(KeystoreError::Unavailable),
    }
}

fn kept(wallet: RwSignal<Wallet>, answer: Answer) -> Result<(), KeystoreError> {
    match answer {
        Answer::Kept(keystore) => keep(wallet, keystore),
        other => done(other).and(Err(KeystoreError::Unavailable)),
    }
}

/// Stores what is unlocked now. A key that is there already is never overwritten.
fn keep(wallet: RwSignal<Wallet>, keystore: Keystore) -> Result<(), KeystoreError> {
    let stored = match storage::load().filter(|kept| kept.account() != keystore.account()) {
        Some(_) => Err(KeystoreError::Occupied),
        None => storage::save(&keystore),
    };
    if stored.is_err() {
        forget(wallet);
        return stored;
    }
    wallet.set(Wallet::Unlocked(keystore));
    Ok(())
}

/// Unlocks the kept key.
pub async fn unlock(wallet: RwSignal<Wallet>, passphrase: String) -> Result<(), KeystoreError> {
    let Some(keystore) = wallet.with_untracked(|wallet| wallet.keystore().cloned()) else {
        return Ok(());
    };
    done(vault::ask(Request::Unlock { keystore: keystore.clone(), passphrase }).await)?;
    // Another tab may have removed it, or put another in its place, meanwhile.
    if wallet.with_untracked(Wallet::account) == Some(keystore.account()) {
        wallet.set(Wallet::Unlocked(keystore));
    } else {
        forget(wallet);
    }
    Ok(())
}

/// Signs a text with the unlocked key.
pub fn sign(wallet: RwSignal<Wallet>, text: &str) -> Result<Signature, KeystoreError> {
    let account = wallet.with_untracked(|wallet| match wallet {
        Wallet::Unlocked(keystore) => Some(keystore.account()),
        Wallet::Empty | Wallet::Locked(_) => None,
    });
    let account = account.ok_or(KeystoreError::Locked)?;
    match vault::ask_loaded(&Request::Sign { account, text: text.into() }) {
        Answer::Signature(signature) => signature.parse().map_err(|()| KeystoreError::Unavailable),
        Answer::Refused(error) => Err(error),
        Answer::Done | Answer::Kept(_) => Err(KeystoreError::Unavailable),
    }
}

/// Follows what other tabs do: lock, remove, or keep another key.
pub fn follow_other_tabs(wallet: RwSignal<Wallet>) {
    let handle = window_event_listener(leptos::ev::storage, move |event| {
        if storage::is_lock(event.key().as_deref()) {
            forget(wallet);
            return;
        }
        let kept = storage::load().map(|keystore| keystore.account());
        if kept != wallet.with_untracked(Wallet::account) {
            forget(wallet);
            wallet.set(Wallet::load());
        }
    });
    on_cleanup(move || handle.remove());
}

/// Locks the key in every tab; it stays, encrypted, in the browser.
pub fn lock(wallet: RwSignal<Wallet>) {
    storage::tell_lock();
    forget(wallet);
}

/// Forgets the key in the memory of this tab.
fn forget(wallet: RwSignal<Wallet>) {
    vault::lock();
    wallet.update(|wallet| {
        if let Wallet::Unlocked(keystore) = wallet {
            *wallet = Wallet::Locked(keystore.clone());
        }
    });
}

/// Removes the key from the browser for good.
pub fn remove(wallet: RwSignal<Wallet>) {
    storage::remove();
    vault::lock();
    wallet.set(Wallet::Empty);
}
