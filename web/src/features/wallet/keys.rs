//! Everything that can be done with the wallet: adding, unlocking, signing, locking, removing.
//!
//! Each change is stored before the page shows it, and announced to the other tabs. Locking ends the vault's worker.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::PublicKey;
use zellbook_core::types::{Scheme, Signature};
use zellbook_vault::{Answer, Origin, Request, Source, VaultError};
use zeroize::Zeroizing;

use super::idle;
use super::session::Session;
use super::stored::{self, Settings, Wallet};
use crate::platform::tabs::{self, Message};
use crate::platform::{database, ethereum, vault_worker as vault};

/// Reads what is stored, and follows what other tabs do, for as long as the page lives.
pub fn start(session: Session) {
    spawn_local(async move { reload(session).await });
    tabs::listen(move |message| match message {
        Message::Locked => forget(session),
        Message::Changed => spawn_local(async move { reload(session).await }),
        Message::Active => idle::note_activity(),
    });
    idle::start(
        move || {
            session
                .wallet
                .with_untracked(|wallet| (wallet.is_unlocked, wallet.settings.auto_lock_minutes))
        },
        move || lock(session),
    );
    ethereum::discover();
}

/// Reads what is stored. An unlocked wallet stays unlocked, with the keys that another tab added.
async fn reload(session: Session) {
    let Ok(mut stored) = Wallet::load().await else {
        // Without storage there is no wallet, and creating one fails with a message.
        session.write_wallet.update(|wallet| wallet.is_loaded = true);
        return;
    };
    if session.wallet.with_untracked(|wallet| wallet.is_unlocked) {
        // If another tab has put a new wallet in the place of this one, its records do not decrypt under the data key
        // here. Then the old keys are forgotten.
        let load = vault::ask_loaded(Request::Load(stored.records.clone())).await;
        stored.is_unlocked = stored.lock.is_some() && load == Answer::Done;
        if !stored.is_unlocked {
            vault::lock();
        }
    }
    // Each change in any tab leads here, and most change nothing in this one. Its forms must not be made anew.
    if session.wallet.with_untracked(|wallet| *wallet != stored) {
        session.write_wallet.set(stored);
    }
}

async fn changed(session: Session) {
    tabs::send(Message::Changed);
    reload(session).await;
}

pub struct Added {
    /// The first new key.
    pub key: PublicKey,
    /// The recovery phrase, if a new one was made.
    pub phrase: Option<Zeroizing<String>>,
}

/// Adds a key. If there is no wallet yet, creates one under the passphrase.
pub async fn add(
    session: Session,
    source: Source,
    passphrase: String,
) -> Result<Added, VaultError> {
    // A locked vault has no keys, so it would take this one for the first key of a new wallet.
    if session.wallet.with_untracked(Wallet::is_locked) {
        return Err(VaultError::Locked);
    }
    let is_new_phrase = matches!(source, Source::NewPhrase);
    let is_session = matches!(source, Source::Session { .. });
    let mut answer = vault::ask(Request::Add { source, passphrase }).await;
    let Answer::Stored { lock, records, phrase } = &mut answer else {
        return Err(refusal(&answer));
    };
    let phrase = phrase.take().map(Zeroizing::new);
    // A phrase whose first account is in the wallet already, as an imported key, comes alone. It has that account's key.
    let own = records.iter().find(|record| record.origin != Origin::Phrase);
    let key = own.or(records.first()).map(|record| record.key).ok_or(VaultError::Known)?;
    let set = move |settings: &mut Settings| {
        // A session key acts for an account and is not an account itself.
        if !is_session {
            settings.selected = Some(key);
        }
        // A new phrase exists only here. What was imported, the user has somewhere else.
        if is_new_phrase {
            settings.is_backed_up = false;
        }
    };
    if let Err(error) = stored::add(lock.as_ref(), records, set).await {
        // The vault now has a key that is not stored: what the user sees must be what a reload brings back.
        forget(session);
        reload(session).await;
        return Err(error);
    }
    // Before `changed`, which reads the wallet as locked unless this one is unlocked.
    session.write_wallet.update(|wallet| wallet.is_unlocked = true);
    changed(session).await;
    // Asked now and not earlier, because only now there is something to lose, and a browser may ask the user.
    database::persist().await;
    Ok(Added { key, phrase })
}

fn refusal(answer: &Answer) -> VaultError {
    match answer {
        Answer::Refused(error) => error.clone(),
        _ => VaultError::Unavailable,
    }
}

pub async fn unlock(session: Session, passphrase: String) -> Result<(), VaultError> {
    let Some(file) = session.wallet.with_untracked(Wallet::whole) else { return Ok(()) };
    let lock = file.lock.clone();
    match vault::ask(Request::Unlock { file, passphrase }).await {
        Answer::Done => {}
        answer => return Err(refusal(&answer)),
    }
    // Meanwhile another tab may have removed the wallet, put another one in its place or changed its passphrase.
    if session.wallet.with_untracked(|wallet| wallet.lock.as_ref() == Some(&lock)) {
        idle::note_activity();
        session.write_wallet.update(|wallet| wallet.is_unlocked = true);
        // The vault has the records from before the passphrase was checked, which takes a second. Another tab may have
        // added some since.
        reload(session).await;
    } else {
        forget(session);
    }
    Ok(())
}

/// Signs a text with the key of an account or with a session key. Never returns another key's signature.
pub async fn sign(
    session: Session,
    key: PublicKey,
    text: &str,
) -> Result<(Scheme, Signature), VaultError> {
    let external = session.wallet.with_untracked(|wallet| wallet.ethereum_of(key).cloned());
    let (scheme, answer) = match external {
        Some(external) => {
            let signature = ethereum::sign(&external, text).await?;
            // Recovering a key takes none, so this also works while the wallet is locked.
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
    let signature = signature.parse().map_err(|_| VaultError::Unavailable)?;
    Ok((scheme, signature))
}

/// Connects an account of an Ethereum wallet. Its public key is recovered from a signature.
pub async fn connect(session: Session, provider: &str) -> Result<(), VaultError> {
    let (connected, text, signature) = ethereum::connect(provider).await?;
    let account = match &vault::ask(Request::Recover { text, signature }).await {
        // With the key of another address, the page would wait for an account that the wallet never shows.
        Answer::Recovered { account, address, .. } if *address == connected.address => {
            connected.with_key(*account)
        }
        Answer::Recovered { .. } => return Err(VaultError::OtherSigner),
        answer => return Err(refusal(answer)),
    };
    set(session, move |settings| {
        settings.selected = Some(account.account);
        settings.ethereum.retain(|known| known.account != account.account);
        settings.ethereum.push(account);
    })
    .await
}

/// Changes the settings, in every tab.
pub async fn set(
    session: Session,
    change: impl FnOnce(&mut Settings) + 'static,
) -> Result<(), VaultError> {
    stored::set(change).await?;
    changed(session).await;
    Ok(())
}

/// Returns a secret for the user to see: an account's secret key, or its recovery phrase.
pub async fn reveal(
    session: Session,
    account: PublicKey,
    is_phrase: bool,
    passphrase: String,
) -> Result<Zeroizing<String>, VaultError> {
    let known = session.wallet.with_untracked(|wallet| {
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
    session: Session,
    passphrase: String,
    new_passphrase: String,
) -> Result<(), VaultError> {
    let lock =
        session.wallet.with_untracked(|wallet| wallet.lock.clone()).ok_or(VaultError::Locked)?;
    let before = lock.clone();
    let answer = vault::ask(Request::Rewrap { lock, passphrase, new_passphrase }).await;
    let Answer::Stored { lock: Some(lock), .. } = &answer else { return Err(refusal(&answer)) };
    stored::relock(&before, lock).await?;
    changed(session).await;
    Ok(())
}

/// Locks the wallet in every tab. It stays in the browser, encrypted.
pub fn lock(session: Session) {
    tabs::send(Message::Locked);
    forget(session);
}

/// Forgets the keys that this tab holds in memory.
fn forget(session: Session) {
    vault::lock();
    if session.wallet.with_untracked(|wallet| wallet.is_unlocked) {
        session.write_wallet.update(|wallet| wallet.is_unlocked = false);
    }
}

/// Removes one account, or a session key.
pub async fn remove(session: Session, key: PublicKey) -> Result<(), VaultError> {
    // An account of an Ethereum wallet has no record, only its entry in the settings.
    if let Some(record) = session.wallet.with_untracked(|wallet| wallet.record(key, false).cloned())
    {
        stored::remove(&record).await?;
    }
    set(session, move |settings| settings.ethereum.retain(|account| account.account != key)).await
}

/// Removes the whole wallet from this browser.
pub async fn clear(session: Session) -> Result<(), VaultError> {
    // Keys that are no longer stored must not stay in the memory of any tab.
    lock(session);
    stored::clear().await?;
    changed(session).await;
    Ok(())
}
