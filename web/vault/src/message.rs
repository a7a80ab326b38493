//! What the page asks of the vault, and what the vault answers. Both are zeroized when they are dropped, because they can
//! contain passphrases and secrets.

use serde::{Deserialize, Serialize};
use zellbook_core::PublicKey;
use zeroize::Zeroize;

use crate::error::VaultError;
use crate::sealed::{Record, SealedKey, WalletFile};

/// The source of a new key.
#[derive(Serialize, Deserialize)]
pub enum Source {
    /// Creates a phrase; adds it and its first key.
    NewPhrase,
    /// Imports the user's phrase; adds it and its first key.
    Phrase(String),
    /// Imports a secret key of 64 hex digits.
    Key(String),
    /// Imports an exported wallet. The passphrase of the request opens it.
    File(WalletFile),
    /// Derives the next key of a phrase that is already in the wallet.
    Next {
        /// The first account of the phrase, which names it.
        phrase: PublicKey,
        /// The index in the derivation path. 0 is the first key, so this is 1 or more.
        index: u32,
    },
    /// Creates a session key.
    Session {
        /// The account that the key may trade for.
        account: PublicKey,
    },
}

/// A request of the page.
#[derive(Serialize, Deserialize)]
pub enum Request {
    /// Adds keys and unlocks them; answered by [`Answer::Stored`]. In an empty vault this creates the wallet.
    Add {
        /// The source of the keys.
        source: Source,
        /// The passphrase of a new wallet, or of an imported file. Unused otherwise.
        passphrase: String,
    },
    /// Decrypts a wallet; answered by [`Answer::Done`].
    Unlock {
        /// The stored wallet.
        file: WalletFile,
        /// Its passphrase.
        passphrase: String,
    },
    /// Decrypts all records of the unlocked wallet, after this or another tab changed them, and forgets every other key;
    /// answered by [`Answer::Done`].
    Load(Vec<Record>),
    /// Signs the text of a transaction; answered by [`Answer::Signature`].
    Sign {
        /// The public key of the signing key.
        key: PublicKey,
        /// The text that the signature covers.
        text: String,
    },
    /// Returns a secret to show to the user; answered by [`Answer::Secret`].
    Reveal {
        /// The record of the secret.
        record: Record,
        /// The wallet's sealed data key.
        lock: SealedKey,
        /// The wallet's passphrase: an unlocked wallet alone does not reveal secrets.
        passphrase: String,
    },
    /// Encrypts the data key under a new passphrase; answered by [`Answer::Stored`].
    Rewrap {
        /// The sealed data key under the current passphrase.
        lock: SealedKey,
        /// The current passphrase.
        passphrase: String,
        /// The new passphrase.
        new_passphrase: String,
    },
    /// Finds the account that signed with an Ethereum wallet; answered by [`Answer::Recovered`].
    Recover {
        /// The text that `personal_sign` signed.
        text: String,
        /// The signature: 65 bytes in hex.
        signature: String,
    },
}

impl Drop for Source {
    fn drop(&mut self) {
        // The other sources hold no secret: a file is encrypted.
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

/// The vault's answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Done, with nothing to store.
    Done,
    /// Done; the page must store this.
    Stored {
        /// The sealed data key, if the wallet is new or its passphrase changed.
        lock: Option<SealedKey>,
        /// The records of new secrets.
        records: Vec<Record>,
        /// The words of a phrase that was just created, for the user to write down.
        phrase: Option<String>,
    },
    /// A signature by the `raw` scheme: 130 hex digits.
    Signature(String),
    /// The words of a phrase, or a key of 64 hex digits.
    Secret(String),
    /// The signer of an Ethereum wallet's signature.
    Recovered {
        /// The public key of the signer.
        account: PublicKey,
        /// The Ethereum address of that key: `0x` and 40 lowercase hex digits.
        address: String,
        /// The same signature by the `eip191` scheme: 130 hex digits.
        signature: String,
    },
    /// Nothing was done.
    Refused(VaultError),
}

impl Drop for Answer {
    fn drop(&mut self) {
        match self {
            Self::Secret(text) | Self::Stored { phrase: Some(text), .. } => text.zeroize(),
            _ => {}
        }
    }
}
