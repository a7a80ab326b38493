//! The wallet: one key of this browser, encrypted at rest, in memory only while it is unlocked.

mod keystore;
mod storage;

use leptos::prelude::*;
use zellbook_core::key::{PublicKey, SecretKey};
use zeroize::Zeroizing;

pub use keystore::{Keystore, KeystoreError, PASSPHRASE_LENGTH_MIN};

/// What the browser holds.
#[derive(Clone, Debug)]
pub enum Wallet {
    /// No key.
    Empty,
    /// A key that needs its passphrase.
    Locked(Keystore),
    /// A key that can sign.
    Unlocked(Keystore, SecretKey),
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
            Self::Locked(keystore) | Self::Unlocked(keystore, _) => Some(keystore.account()),
        }
    }

    /// The encrypted key, for export.
    pub const fn keystore(&self) -> Option<&Keystore> {
        match self {
            Self::Empty => None,
            Self::Locked(keystore) | Self::Unlocked(keystore, _) => Some(keystore),
        }
    }

    /// The key, if it is unlocked.
    pub fn key(&self) -> Option<SecretKey> {
        match self {
            Self::Unlocked(_, key) => Some(key.clone()),
            Self::Empty | Self::Locked(_) => None,
        }
    }
}

/// Makes a key, keeps it encrypted and unlocks it.
pub fn create(wallet: RwSignal<Wallet>, passphrase: &str) -> Result<(), KeystoreError> {
    let key = loop {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeystoreError::Random)?;
        // One draw in 2^128 is out of range.
        if let Ok(key) = SecretKey::from_bytes(&bytes) {
            break key;
        }
    };
    adopt(wallet, key, passphrase)
}

/// Imports an exported file with its passphrase, or a secret key of 64 hex digits, which is
/// encrypted under the passphrase.
pub fn import(wallet: RwSignal<Wallet>, text: &str, passphrase: &str) -> Result<(), KeystoreError> {
    let text = text.trim();
    if text.starts_with('{') {
        let keystore = Keystore::from_json(text)?;
        let key = keystore.open(passphrase)?;
        return keep(wallet, keystore, key);
    }
    let key = SecretKey::from_hex(text).map_err(|_| KeystoreError::Form)?;
    adopt(wallet, key, passphrase)
}

fn adopt(wallet: RwSignal<Wallet>, key: SecretKey, passphrase: &str) -> Result<(), KeystoreError> {
    let keystore = Keystore::seal(&key, passphrase)?;
    keep(wallet, keystore, key)
}

/// A key that is there already is never overwritten.
fn keep(wallet: RwSignal<Wallet>, keystore: Keystore, key: SecretKey) -> Result<(), KeystoreError> {
    if storage::load().is_some_and(|kept| kept.account() != keystore.account()) {
        return Err(KeystoreError::Occupied);
    }
    storage::save(&keystore)?;
    wallet.set(Wallet::Unlocked(keystore, key));
    Ok(())
}

/// Unlocks the kept key.
pub fn unlock(wallet: RwSignal<Wallet>, passphrase: &str) -> Result<(), KeystoreError> {
    let Some(keystore) = wallet.with_untracked(|wallet| wallet.keystore().cloned()) else {
        return Ok(());
    };
    let key = keystore.open(passphrase)?;
    wallet.set(Wallet::Unlocked(keystore, key));
    Ok(())
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
    wallet.update(|wallet| {
        if let Wallet::Unlocked(keystore, _) = wallet {
            *wallet = Wallet::Locked(keystore.clone());
        }
    });
}

/// Removes the key from the browser for good.
pub fn remove(wallet: RwSignal<Wallet>) {
    storage::remove();
    wallet.set(Wallet::Empty);
}
