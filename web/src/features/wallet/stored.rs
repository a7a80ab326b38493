//! The wallet as this browser stores it: its accounts and settings. No key in it is unencrypted.

use serde::{Deserialize, Serialize};
use zellbook_core::PublicKey;
use zellbook_vault::{Origin, Record, SealedKey, VaultError, WalletFile};

use crate::platform::database::{self, Change, RECORDS, SENT, WALLET};
use crate::platform::ethereum::EthereumAccount;
use crate::platform::format::short;

/// Names in the wallet's store.
const LOCK: &str = "lock";
const SETTINGS: &str = "settings";

/// The part of the wallet that is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The active account, unless it was removed.
    pub selected: Option<PublicKey>,
    /// Whether the user has the phrase or the exported file somewhere else too.
    pub is_backed_up: bool,
    /// Minutes without activity until the keys are locked; 0 is never.
    pub auto_lock_minutes: u32,
    /// Accounts whose keys are in other wallets.
    pub ethereum: Vec<EthereumAccount>,
    /// The id of the network that each account was first used on. A replica that serves another network cannot make
    /// the user sign for it unnoticed.
    #[serde(default)]
    pub networks: Vec<(PublicKey, String)>,
}

impl Settings {
    /// The id of the network that an account is used on, once it is known.
    pub fn network(&self, account: &PublicKey) -> Option<&str> {
        self.networks.iter().find(|(known, _)| known == account).map(|(_, id)| id.as_str())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            selected: None,
            // Only a new phrase has to be written down. Until there is one, there is nothing to warn of.
            is_backed_up: true,
            auto_lock_minutes: 15,
            ethereum: Vec::new(),
            networks: Vec::new(),
        }
    }
}

/// The wallet of this browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wallet {
    /// Whether it has been read. Before that it looks empty, but may not be.
    pub is_loaded: bool,
    /// Whether the vault has its keys.
    pub is_unlocked: bool,
    /// The wallet's data key, encrypted under the passphrase. None if there is no wallet, or only accounts of Ethereum
    /// wallets.
    pub lock: Option<SealedKey>,
    /// Encrypted secrets: phrases, keys, session keys.
    pub records: Vec<Record>,
    pub settings: Settings,
}

/// An account of the wallet, for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub key: PublicKey,
    pub name: String,
}

impl Wallet {
    /// Reads what is stored. The wallet is locked then.
    pub async fn load() -> Result<Self, VaultError> {
        // Another tab may write between these reads. It sends its message after that, so the wallet is then read
        // again.
        let lock = database::get(WALLET, LOCK).await?;
        let settings = settings().await?;
        let records = database::all(RECORDS).await?;
        let mut records: Vec<Record> =
            records.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        // The database returns them by name. The list of accounts goes by phrase and index.
        records.sort_by_key(|record| match record.origin {
            Origin::Phrase => (0, record.key, 0),
            Origin::Derived { phrase, index } => (1, phrase, index),
            Origin::Imported => (2, record.key, 0),
            Origin::Session { account } => (3, account, 0),
        });
        Ok(Self {
            is_loaded: true,
            is_unlocked: false,
            lock: lock.and_then(|text| serde_json::from_str(&text).ok()),
            records,
            settings,
        })
    }

    /// The accounts in a fixed order.
    pub fn accounts(&self) -> Vec<Account> {
        let several =
            self.records.iter().filter(|record| record.origin == Origin::Phrase).count() > 1;
        let named = |record: &Record| {
            let name = match record.origin {
                Origin::Derived { phrase, index } if several => {
                    let phrase = phrase.to_string();
                    format!("Account {} of {}", index + 1, short(&phrase))
                }
                Origin::Derived { index, .. } => format!("Account {}", index + 1),
                Origin::Imported => "Imported key".into(),
                Origin::Phrase | Origin::Session { .. } => return None,
            };
            Some(Account { key: record.key, name })
        };
        let ethereum = self.settings.ethereum.iter().map(|account| Account {
            key: account.account,
            name: format!("{} {}", account.name, short(&account.address)),
        });
        self.records.iter().filter_map(named).chain(ethereum).collect()
    }

    /// The active account.
    pub fn account(&self) -> Option<PublicKey> {
        // The selected account may have been removed, here or in another tab.
        let keys = || self.accounts().into_iter().map(|account| account.key);
        let selected = self.settings.selected;
        selected.filter(|selected| keys().any(|key| key == *selected)).or_else(|| keys().next())
    }

    /// The active account, if an Ethereum wallet signs for it.
    pub fn ethereum(&self) -> Option<&EthereumAccount> {
        self.ethereum_of(self.account()?)
    }

    pub fn ethereum_of(&self, account: PublicKey) -> Option<&EthereumAccount> {
        self.settings.ethereum.iter().find(|ethereum| ethereum.account == account)
    }

    /// Whether the active account can sign without the passphrase.
    pub fn is_ready(&self) -> bool {
        self.is_unlocked || self.ethereum().is_some()
    }

    /// Whether the active account signs without asking anybody.
    pub fn signs_alone(&self) -> bool {
        self.is_unlocked && self.ethereum().is_none()
    }

    /// Whether a passphrase would unlock something.
    pub const fn is_locked(&self) -> bool {
        self.lock.is_some() && !self.is_unlocked
    }

    /// Whether this browser has the secret of a session key of an account.
    pub fn has_session_key(&self, account: PublicKey, key: &PublicKey) -> bool {
        self.session_keys(account).any(|known| known == *key)
    }

    /// The session keys of an account whose secrets this browser has.
    pub fn session_keys(&self, account: PublicKey) -> impl Iterator<Item = PublicKey> {
        let origin = Origin::Session { account };
        self.records.iter().filter(move |record| record.origin == origin).map(|record| record.key)
    }

    /// The record of an account's key, or of the phrase that the key was derived from.
    pub fn record(&self, account: PublicKey, is_phrase: bool) -> Option<&Record> {
        let own = |record: &&Record| record.key == account && record.origin != Origin::Phrase;
        let own = self.records.iter().find(own)?;
        if !is_phrase {
            return Some(own);
        }
        let phrase = match own.origin {
            Origin::Derived { phrase, .. } => phrase,
            // A phrase has the key of its first account, which may have been imported before the phrase was.
            _ => own.key,
        };
        let is_it = |record: &&Record| record.key == phrase && record.origin == Origin::Phrase;
        self.records.iter().find(is_it)
    }

    /// The phrase from which further accounts are derived, and the next index.
    pub fn next(&self) -> Option<(PublicKey, u32)> {
        let account = self.account();
        let derived = |record: &Record| match record.origin {
            Origin::Derived { phrase, index } => Some((phrase, index, Some(record.key) == account)),
            // Its first account, which may be in the wallet as an imported key.
            Origin::Phrase => Some((record.key, 0, Some(record.key) == account)),
            _ => None,
        };
        let derived: Vec<_> = self.records.iter().filter_map(derived).collect();
        let (phrase, ..) = derived.iter().find(|(.., acts)| *acts).or_else(|| derived.first())?;
        let used = derived.iter().filter(|(other, ..)| other == phrase).map(|(_, index, _)| index);
        Some((*phrase, used.max()? + 1))
    }

    /// The file to export. Session keys stay in this browser: a file that trades without a prompt is a risk.
    pub fn file(&self) -> Option<WalletFile> {
        let is_kept = |record: &&Record| !matches!(record.origin, Origin::Session { .. });
        let records = self.records.iter().filter(is_kept).cloned().collect();
        Some(WalletFile::new(self.lock.clone()?, records))
    }

    /// All records, to be unlocked.
    pub fn whole(&self) -> Option<WalletFile> {
        Some(WalletFile::new(self.lock.clone()?, self.records.clone()))
    }
}

fn json(value: &impl Serialize) -> Result<String, VaultError> {
    serde_json::to_string(value).map_err(|_| VaultError::Storage)
}

async fn settings() -> Result<Settings, VaultError> {
    let text = database::get(WALLET, SETTINGS).await?;
    // Settings that cannot be read must not keep the user from the keys.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Changes the stored settings together with other changes, or nothing, while no other tab does.
async fn change(
    mut changes: Vec<Change>,
    set: impl FnOnce(&mut Settings) + 'static,
) -> Result<(), VaultError> {
    // All settings are one text. Without the lock, two tabs that change different settings would lose one of them.
    database::alone("zellbook wallet", async move {
        let mut settings = settings().await?;
        set(&mut settings);
        changes.push(Change::Put(WALLET, SETTINGS.into(), json(&settings)?));
        database::write(changes).await
    })
    .await
}

/// Adds secrets, and the lock of a new wallet, and changes the settings with them. Never overwrites: if a lock or
/// secret is there already, nothing changes.
pub async fn add(
    lock: Option<&SealedKey>,
    records: &[Record],
    set: impl FnOnce(&mut Settings) + 'static,
) -> Result<(), VaultError> {
    let mut changes = Vec::new();
    if let Some(lock) = lock {
        changes.push(Change::Add(WALLET, LOCK.into(), json(lock)?));
    }
    for record in records {
        changes.push(Change::Add(RECORDS, record.id(), json(record)?));
    }
    change(changes, set).await
}

/// Replaces the lock by one under another passphrase, unless another tab has replaced it already.
pub async fn relock(before: &SealedKey, lock: &SealedKey) -> Result<(), VaultError> {
    let (before, lock) = (json(before)?, json(lock)?);
    database::alone("zellbook wallet", async move {
        if database::get(WALLET, LOCK).await? != Some(before) {
            return Err(VaultError::Occupied);
        }
        database::write(vec![Change::Put(WALLET, LOCK.into(), lock)]).await
    })
    .await
}

pub async fn set(set: impl FnOnce(&mut Settings) + 'static) -> Result<(), VaultError> {
    change(Vec::new(), set).await
}

pub async fn remove(record: &Record) -> Result<(), VaultError> {
    database::write(vec![Change::Delete(RECORDS, record.id())]).await
}

/// Removes the wallet, and what it sent: the next owner of a wallet here is not to see it. The nonces stay, because a
/// key that is imported again must not reuse one.
pub async fn clear() -> Result<(), VaultError> {
    let stores = [WALLET, RECORDS, SENT];
    database::write(stores.into_iter().map(Change::Clear).collect()).await
}
