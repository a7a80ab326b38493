//! The wallet as it is kept: which accounts there are, and what the user set. No key is in it unencrypted.

use serde::{Deserialize, Serialize};
use zellbook_core::PublicKey;
use zellbook_vault::{Origin, Record, SealedKey, VaultError, WalletFile};

use super::store::{self, Change, RECORDS, WALLET};

/// Names in the store of the wallet.
const LOCK: &str = "lock";
const SETTINGS: &str = "settings";

/// An account of an Ethereum wallet of the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EthereumAccount {
    /// The account: the public key that its first signature gave.
    pub account: PublicKey,
    /// `0x` and 40 lower-case hex digits.
    pub address: String,
    /// The wallet's identifier (EIP-6963 `rdns`).
    pub wallet: String,
    /// The wallet's name.
    pub name: String,
}

/// What the user set, and what is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The account that acts.
    pub selected: Option<PublicKey>,
    /// Whether phrase or file is known to be elsewhere too.
    pub is_backed_up: bool,
    /// Minutes without the user until the keys are locked; 0 for never.
    pub auto_lock_minutes: u32,
    /// Accounts whose keys are in other wallets.
    pub ethereum: Vec<EthereumAccount>,
    /// The network that each account is used on, by its id.
    #[serde(default)]
    pub networks: Vec<(PublicKey, String)>,
}

impl Settings {
    /// The network that an account is used on, once it is known.
    pub fn network(&self, account: &PublicKey) -> Option<&str> {
        self.networks.iter().find(|(known, _)| known == account).map(|(_, id)| id.as_str())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            selected: None,
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
    /// Whether it has been read: before, nothing can be said of it.
    pub is_loaded: bool,
    /// Whether the vault has its keys.
    pub is_unlocked: bool,
    /// Its data key under the passphrase, if it has begun.
    pub lock: Option<SealedKey>,
    /// Its secrets, encrypted.
    pub records: Vec<Record>,
    /// The rest.
    pub settings: Settings,
}

/// An account to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its public key.
    pub key: PublicKey,
    /// For people.
    pub name: String,
    /// Whether an Ethereum wallet signs for it.
    pub is_ethereum: bool,
}

impl Wallet {
    /// What is stored.
    pub async fn load() -> Result<Self, VaultError> {
        let lock = store::get(WALLET, LOCK).await?;
        let settings = settings().await?;
        let records = store::all(RECORDS).await?;
        let mut records: Vec<Record> =
            records.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
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

    /// The accounts, in a fixed order.
    pub fn accounts(&self) -> Vec<Account> {
        let several =
            self.records.iter().filter(|record| record.origin == Origin::Phrase).count() > 1;
        let named = |record: &Record| {
            let name = match record.origin {
                Origin::Derived { phrase, index } if several => {
                    let phrase = phrase.to_string();
                    format!("Account {} of {}", index + 1, crate::format::short(&phrase))
                }
                Origin::Derived { index, .. } => format!("Account {}", index + 1),
                Origin::Imported => "Imported key".into(),
                Origin::Phrase | Origin::Session { .. } => return None,
            };
            Some(Account { key: record.key, name, is_ethereum: false })
        };
        let ethereum = self.settings.ethereum.iter().map(|account| Account {
            key: account.account,
            name: format!("{} {}", account.name, crate::format::short(&account.address)),
            is_ethereum: true,
        });
        self.records.iter().filter_map(named).chain(ethereum).collect()
    }

    /// The account that acts.
    pub fn account(&self) -> Option<PublicKey> {
        let keys = || self.accounts().into_iter().map(|account| account.key);
        let selected = self.settings.selected;
        selected.filter(|selected| keys().any(|key| key == *selected)).or_else(|| keys().next())
    }

    /// The account that acts, if an Ethereum wallet signs for it.
    pub fn ethereum(&self) -> Option<&EthereumAccount> {
        self.ethereum_of(self.account()?)
    }

    /// An account, if an Ethereum wallet signs for it.
    pub fn ethereum_of(&self, account: PublicKey) -> Option<&EthereumAccount> {
        self.settings.ethereum.iter().find(|ethereum| ethereum.account == account)
    }

    /// Whether the account that acts can sign without the passphrase.
    pub fn is_ready(&self) -> bool {
        self.is_unlocked || self.ethereum().is_some()
    }

    /// Whether the account that acts signs without asking anybody.
    pub fn signs_alone(&self) -> bool {
        self.is_unlocked && self.ethereum().is_none()
    }

    /// Whether a passphrase would open something.
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

    /// The record of an account, or of its phrase.
    pub fn record(&self, account: PublicKey, is_phrase: bool) -> Option<&Record> {
        let own = |record: &&Record| record.key == account && record.origin != Origin::Phrase;
        let own = self.records.iter().find(own)?;
        match own.origin {
            Origin::Derived { phrase, .. } if is_phrase => self
                .records
                .iter()
                .find(|record| record.key == phrase && record.origin == Origin::Phrase),
            _ => Some(own).filter(|_| !is_phrase),
        }
    }

    /// The phrase that further accounts come of, and the next index.
    pub fn next(&self) -> Option<(PublicKey, u32)> {
        let account = self.account();
        let phrase_of = |record: &Record| match record.origin {
            Origin::Derived { phrase, index } => Some((phrase, index, Some(record.key) == account)),
            _ => None,
        };
        let derived: Vec<_> = self.records.iter().filter_map(phrase_of).collect();
        let (phrase, ..) = derived.iter().find(|(.., acts)| *acts).or_else(|| derived.first())?;
        let used = derived.iter().filter(|(other, ..)| other == phrase).map(|(_, index, _)| index);
        Some((*phrase, used.max()? + 1))
    }

    /// What is exported: session keys stay where they are.
    pub fn file(&self) -> Option<WalletFile> {
        let is_kept = |record: &&Record| !matches!(record.origin, Origin::Session { .. });
        let records = self.records.iter().filter(is_kept).cloned().collect();
        Some(WalletFile::new(self.lock.clone()?, records))
    }

    /// All of it, to be unlocked.
    pub fn whole(&self) -> Option<WalletFile> {
        Some(WalletFile::new(self.lock.clone()?, self.records.clone()))
    }
}

fn json(value: &impl Serialize) -> Result<String, VaultError> {
    serde_json::to_string(value).map_err(|_| VaultError::Storage)
}

/// What the user set.
async fn settings() -> Result<Settings, VaultError> {
    let text = store::get(WALLET, SETTINGS).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Changes the settings as they are stored, with all other changes or not at all, while no other tab does.
async fn change(
    mut changes: Vec<Change>,
    set: impl FnOnce(&mut Settings) + 'static,
) -> Result<(), VaultError> {
    store::alone("zellbook wallet", async move {
        let mut settings = settings().await?;
        set(&mut settings);
        changes.push(Change::Put(WALLET, SETTINGS.into(), json(&settings)?));
        store::write(changes).await
    })
    .await
}

/// Adds secrets, and the lock of a wallet that begins, and changes the settings with them. What is there is never
/// overwritten: then nothing is changed.
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

/// Puts the lock under another passphrase in the place of the one that is known here.
pub async fn relock(before: &SealedKey, lock: &SealedKey) -> Result<(), VaultError> {
    let (before, lock) = (json(before)?, json(lock)?);
    store::alone("zellbook wallet", async move {
        if store::get(WALLET, LOCK).await? != Some(before) {
            return Err(VaultError::Occupied);
        }
        store::write(vec![Change::Put(WALLET, LOCK.into(), lock)]).await
    })
    .await
}

/// Changes the settings.
pub async fn set(set: impl FnOnce(&mut Settings) + 'static) -> Result<(), VaultError> {
    change(Vec::new(), set).await
}

/// Removes one secret.
pub async fn remove(record: &Record) -> Result<(), VaultError> {
    store::write(vec![Change::Delete(RECORDS, record.id())]).await
}

/// Removes everything but the nonces: a key that is imported again goes on where it was.
pub async fn clear() -> Result<(), VaultError> {
    store::write(vec![Change::Clear(WALLET), Change::Clear(RECORDS)]).await
}
