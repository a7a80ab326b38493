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
                    "A phrase has 12 words (or 15, 18, 21 or 24), and here are {count}."
                );
            }
            Self::UnknownWord(number, word) => {
                return write!(
                    f,
                    "Word {number}, “{word}”, is not in the list of words. Check its spelling."
                );
            }
            Self::Ethereum(reason) => return f.write_str(reason),
            Self::Wrong => {
                "This passphrase does not open it. Check for typing errors and capital letters."
            }
            Self::NoFile => "This is no exported Zellbook wallet.",
            Self::NoKey => "A secret key has 64 hex digits, with or without 0x before them.",
            Self::Checksum => {
                "All words are in the list, but they do not make a phrase together. Check their order, and that none is mistaken for another."
            }
            Self::Random => "The browser gave no random numbers, so no key was made.",
            Self::Storage => {
                "The browser does not let this page keep anything. Allow site data, then try again."
            }
            Self::Occupied => {
                "Another tab made or changed the wallet meanwhile. Close this and look again; nothing was overwritten."
            }
            Self::Known => "This key is here already.",
            Self::Locked => "Your key is locked. Unlock it, then try again.",
            Self::OtherSigner => {
                "The wallet signed with another account than this one. Choose this account there, then try again."
            }
            Self::OtherNetwork => {
                "This address serves another network than the one that this account is used on. Nothing was signed."
            }
            Self::Unavailable => {
                "The part of the page that keeps keys could not be loaded. Try again; if that does not help, reload the page."
            }
        };
        f.write_str(text)
    }
}
