//! Transactions that this page sent, as this browser remembers them.

use serde::{Deserialize, Serialize};
use zellbook_core::wire::{Stage, TransactionStatus};
use zellbook_vault::VaultError;

use crate::platform::clock;
use crate::platform::database::{self, Change, SENT};

/// The most transactions that are remembered once they are done.
pub const SENT_MAX: usize = 50;

/// A transaction that this page signed, or follows for somebody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// What it does, in words.
    pub title: String,
    pub hash: String,
    /// The text that was signed. Empty if somebody else signed it.
    pub text: String,
    /// When it was signed, Unix milliseconds.
    pub signed_ms: String,
    /// The signed transaction as the replica takes it. None if somebody else signed it.
    pub json: Option<String>,
    /// Whether no further step comes.
    pub is_over: bool,
    /// Whether it was signed since the page was opened.
    #[serde(skip)]
    pub is_new: bool,
    /// The status that the replica reports, once it has the transaction.
    pub status: Option<TransactionStatus>,
    /// Why the replica did not accept the transaction, or why its status is unknown now.
    pub problem: Option<String>,
}

impl Sent {
    pub fn new(title: String, hash: String, text: String, json: Option<String>) -> Self {
        Self {
            title,
            hash,
            text,
            signed_ms: clock::now().to_string(),
            json,
            is_over: false,
            is_new: true,
            status: None,
            problem: None,
        }
    }

    pub fn stage(&self) -> Option<Stage> {
        self.status.as_ref().map(|status| status.status)
    }

    pub async fn store(&self) -> Result<(), VaultError> {
        let json = serde_json::to_string(self).map_err(|_| VaultError::Storage)?;
        database::write(vec![Change::Put(SENT, self.hash.clone(), json)]).await
    }

    /// Everything that is stored, newest first. Removes from storage what is done and too old to show.
    pub async fn load_all() -> Vec<Self> {
        let Ok(texts) = database::all(SENT).await else { return Vec::new() };
        let mut all: Vec<Self> =
            // A text that cannot be read may be of a newer version of the page. It stays in storage.
            texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        // The database returns them by hash.
        all.sort_by_key(|sent| std::cmp::Reverse(sent.signed_ms.parse::<u64>().unwrap_or(0)));
        // An unfinished one stays, however old it is: it may still take effect.
        let old = all.iter().skip(SENT_MAX).filter(|sent| sent.is_over);
        let old: Vec<_> = old.map(|sent| Change::Delete(SENT, sent.hash.clone())).collect();
        if !old.is_empty() {
            // What cannot be removed now is removed next time.
            let _ = database::write(old).await;
        }
        all
    }
}
