//! The vault: the page's keys, in a wasm module of their own that a worker loads when a key is first needed.
//!
//! The module (`module/`) imports nothing. It has no clock, no randomness, no network and no document: it turns the
//! bytes of a [`Request`] into those of an [`Answer`]. Unlocked keys are in its memory, which is the worker's
//! and not the page's. An answer has a secret in it only where the user asked to see one: a phrase that was just
//! made, or what [`Request::Reveal`] names, behind the passphrase.

mod error;
mod ethereum;
mod phrase;
mod random;
mod sealed;
mod vault;

use serde::{Deserialize, Serialize};
use zellbook_core::key::PublicKey;
use zeroize::Zeroize;

pub use error::{PASSPHRASE_LENGTH_MIN, VaultError};
pub use random::{Randomness, SEED_LENGTH};
pub use sealed::{Origin, Record, SealedKey, WalletFile};
pub use vault::Vault;

/// Where a new key comes from.
#[derive(Serialize, Deserialize)]
pub enum Source {
    /// A phrase that is made now, and its first key.
    NewPhrase,
    /// A phrase that the user has, and its first key.
    Phrase(String),
    /// 64 hex digits.
    Key(String),
    /// An exported wallet, which the request's passphrase opens.
    File(WalletFile),
    /// Another key of a phrase that is here.
    Next {
        /// The phrase's first account.
        phrase: PublicKey,
        /// From 1.
        index: u32,
    },
    /// A key that is made now, to trade for an account.
    Session {
        /// The account.
        account: PublicKey,
    },
}

/// What the page asks.
#[derive(Serialize, Deserialize)]
pub enum Request {
    /// Take keys, unlocked; answered by [`Answer::Kept`]. In an empty vault a wallet begins, under the passphrase.
    Add {
        /// Which.
        source: Source,
        /// Of a wallet that begins, or of a file.
        passphrase: String,
    },
    /// Decrypt a wallet; answered by [`Answer::Done`].
    Unlock {
        /// The wallet.
        file: WalletFile,
        /// What it was encrypted under.
        passphrase: String,
    },
    /// Decrypt what another tab added to the unlocked wallet; answered by [`Answer::Done`].
    Load(Vec<Record>),
    /// Sign the text of a transaction; answered by [`Answer::Signature`].
    Sign {
        /// Whose key is to sign.
        key: PublicKey,
        /// The text.
        text: String,
    },
    /// Show a secret to the user; answered by [`Answer::Secret`].
    Reveal {
        /// Which.
        record: Record,
        /// The wallet's data key.
        lock: SealedKey,
        /// What that was encrypted under.
        passphrase: String,
    },
    /// Encrypt the data key under another passphrase; answered by [`Answer::Kept`].
    Rewrap {
        /// As it is now.
        lock: SealedKey,
        /// The passphrase now.
        passphrase: String,
        /// The one from now on.
        new_passphrase: String,
    },
    /// Whose signature by an Ethereum wallet it is; answered by [`Answer::Recovered`].
    Recover {
        /// What was signed by `personal_sign`.
        text: String,
        /// Hex, 65 bytes.
        signature: String,
    },
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Self::Phrase(text) | Self::Key(text) = self {
            text.zeroize();
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        match self {
            Self::Add { passphrase, .. }
            | Self::Unlock { passphrase, .. }
            | Self::Reveal { passphrase, .. } => passphrase.zeroize(),
            Self::Rewrap { passphrase, new_passphrase, .. } => {
                passphrase.zeroize();
                new_passphrase.zeroize();
            }
            Self::Load(_) | Self::Sign { .. } | Self::Recover { .. } => {}
        }
    }
}

/// What the vault says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is done, and this is to be stored.
    Kept {
        /// The data key of a wallet that begins, or under its new passphrase.
        lock: Option<SealedKey>,
        /// New secrets.
        records: Vec<Record>,
        /// A phrase that was made now, for the user to write down.
        phrase: Option<String>,
    },
    /// 130 hex digits, by the `raw` scheme.
    Signature(String),
    /// A phrase, or a key of 64 hex digits.
    Secret(String),
    /// An Ethereum wallet's signature.
    Recovered {
        /// Whose it is.
        account: PublicKey,
        /// The Ethereum address of that key, `0x` and 40 lower-case hex digits.
        address: String,
        /// 130 hex digits, by the `eip191` scheme.
        signature: String,
    },
    /// It is not done.
    Refused(VaultError),
}

impl Drop for Answer {
    fn drop(&mut self) {
        match self {
            Self::Secret(text) | Self::Kept { phrase: Some(text), .. } => text.zeroize(),
            _ => {}
        }
    }
}
