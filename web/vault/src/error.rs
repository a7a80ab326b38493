//! Why the vault, or the storage of its records, refused a request. The messages are shown to the user.

use serde::{Deserialize, Serialize};

/// The minimum number of characters of a passphrase.
pub const PASSPHRASE_LENGTH_MIN: usize = 8;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VaultError {
    /// The passphrase is too short.
    Short,
    /// The passphrase is wrong, or the encrypted data was modified: AES-GCM cannot tell one from the other.
    Wrong,
    /// The text is not an exported wallet.
    NoFile,
    /// The text is not a secret key.
    NoKey,
    /// A phrase with an invalid number of words.
    WordCount(usize),
    /// A word that is not in the BIP-39 list: its number, from 1, and the word.
    UnknownWord(usize, String),
    /// All words are in the list, but the checksum of the phrase is wrong.
    Checksum,
    /// The random numbers do not give a valid key.
    Random,
    /// The browser does not let this page store data, or its storage is full.
    Storage,
    /// Another tab changed the wallet; storing would overwrite its change.
    Occupied,
    /// The wallet already has this key.
    Known,
    /// The wallet is locked, or has no such key.
    Locked,
    /// The signature is invalid, or of a different account.
    OtherSigner,
    /// The replica serves a different network from the one the account was used on.
    OtherNetwork,
    /// The Ethereum wallet refused, with its reason.
    Ethereum(String),
    /// The vault could not be loaded, or failed.
    Unavailable,
}

impl std::fmt::Display for VaultError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::Short => {
                return write!(
                    f,
                    "The passphrase needs at least {PASSPHRASE_LENGTH_MIN} characters."
                );
            }
            Self::WordCount(count) => {
                return write!(
                    f,
                    "A recovery phrase has 12, 15, 18, 21 or 24 words; this one has {count}."
                );
            }
            Self::UnknownWord(number, word) => {
                return write!(
                    f,
                    "Word {number}, “{word}”, is not in the word list. Check its spelling."
                );
            }
            Self::Ethereum(reason) => return f.write_str(reason),
            Self::Wrong => "Wrong passphrase. Check for typing errors and capital letters.",
            Self::NoFile => "This is not an exported Zellbook wallet.",
            Self::NoKey => "A private key has 64 hex digits, with or without a leading 0x.",
            Self::Checksum => {
                "All words are in the word list, but their checksum is wrong. Check their order, and that none is swapped for a similar one."
            }
            Self::Random => "The browser provided no random numbers, so no key was created.",
            Self::Storage => {
                "The browser does not let this page store data. Allow site data or free some space, then try again."
            }
            Self::Occupied => {
                "Another tab created or changed the wallet in the meantime. Nothing was overwritten. Close this dialog, then try again."
            }
            Self::Known => "This wallet already has this key.",
            Self::Locked => "Your wallet is locked. Unlock it, then try again.",
            Self::OtherSigner => {
                "The wallet signed with a different account. Select this account there, then try again."
            }
            Self::OtherNetwork => {
                "This address serves a different network from the one this account was used on. Nothing was signed."
            }
            Self::Unavailable => {
                "The wallet code could not be loaded. Try again, or reload the page."
            }
        };
        f.write_str(text)
    }
}
