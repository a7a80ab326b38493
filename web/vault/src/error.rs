//! Why the vault, or what keeps its records, does not do what it was asked.

use serde::{Deserialize, Serialize};

/// Characters of a passphrase, at least.
pub const PASSPHRASE_LENGTH_MIN: usize = 8;

/// Why something is not done. The messages are for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VaultError {
    /// The passphrase is too short.
    Short,
    /// The passphrase does not open it, or it was changed.
    Wrong,
    /// No exported file.
    NoFile,
    /// No secret key.
    NoKey,
    /// A phrase of another number of words.
    WordCount(usize),
    /// A word that is not in the list: its number from 1, and the word.
    UnknownWord(usize, String),
    /// Each word is in the list, and they do not belong together.
    Checksum,
    /// Random numbers that make no key.
    Random,
    /// The browser keeps nothing for this page.
    Storage,
    /// Something is there already that would be overwritten.
    Occupied,
    /// This key is there already.
    Known,
    /// The key is not unlocked.
    Locked,
    /// A signature that is none, or another account's.
    OtherSigner,
    /// The replica tells another network than the account is of.
    OtherNetwork,
    /// The browser's Ethereum wallet did not do it, and says why.
    Ethereum(String),
    /// The vault could not be loaded, or broke.
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
                "The browser does not let this page store data. Allow site data, then try again."
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
