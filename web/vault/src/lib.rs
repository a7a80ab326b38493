//! The vault: the page's keys, in a wasm module of its own that the page loads when a key is first needed.
//!
//! The module (`module/`) imports nothing. It has no clock, no randomness, no network and no document: it turns the
//! bytes of a [`Request`] into those of an [`Answer`]. An unlocked key is in its memory and nowhere else,
//! and no answer has a key in it but encrypted.

mod keystore;
mod vault;

use serde::{Deserialize, Serialize};
use zellbook_core::key::PublicKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use keystore::{Keystore, KeystoreError, PASSPHRASE_LENGTH_MIN};
pub use vault::Vault;

/// Random bytes of the page's, of which each is used once.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Randomness {
    /// A secret key.
    pub key: [u8; 32],
    /// The salt of the passphrase.
    pub salt: [u8; 16],
    /// The nonce of the encryption.
    pub nonce: [u8; 12],
}

/// What the page asks.
#[derive(Serialize, Deserialize)]
pub enum Request {
    /// Make a key, unlocked; answered by [`Answer::Kept`].
    Make {
        /// What it is to be encrypted under.
        passphrase: String,
        /// The key, salt and nonce.
        random: Randomness,
    },
    /// Take a secret key of 64 hex digits, unlocked; answered by [`Answer::Kept`].
    Import {
        /// The digits.
        secret: String,
        /// What it is to be encrypted under.
        passphrase: String,
        /// Salt and nonce.
        random: Randomness,
    },
    /// Decrypt a key; answered by [`Answer::Done`].
    Unlock {
        /// The encrypted key.
        keystore: Keystore,
        /// What it was encrypted under.
        passphrase: String,
    },
    /// Forget all keys; answered by [`Answer::Done`].
    Lock,
    /// Sign the text of a transaction; answered by [`Answer::Signature`].
    Sign {
        /// Whose key is to sign.
        account: PublicKey,
        /// The text.
        text: String,
    },
}

impl Drop for Request {
    fn drop(&mut self) {
        match self {
            Self::Make { passphrase, .. } | Self::Unlock { passphrase, .. } => passphrase.zeroize(),
            Self::Import { secret, passphrase, .. } => {
                secret.zeroize();
                passphrase.zeroize();
            }
            Self::Lock | Self::Sign { .. } => {}
        }
    }
}

/// What the vault says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// The key is unlocked, and this is what may be stored.
    Kept(Keystore),
    /// 130 hex digits, by the `raw` scheme.
    Signature(String),
    /// It is not done.
    Refused(KeystoreError),
}
