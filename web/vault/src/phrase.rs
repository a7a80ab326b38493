//! Recovery phrases (BIP-39) and the keys derived from them (BIP-32), at `m/44'/60'/0'/0/index` as in Ethereum wallets. So a
//! phrase gives the same keys here and there.

use bip32::{ChildNumber, XPrv};
use bip39::{Error, Language, Mnemonic};
use zellbook_core::SecretKey;
use zeroize::{Zeroize, Zeroizing};

use crate::error::VaultError;

/// The derivation path without the index: numbers, and whether each is hardened.
const PATH: [(u32, bool); 4] = [(44, true), (60, true), (0, true), (0, false)];

/// A recovery phrase. Its words are zeroized when it is dropped.
pub struct Phrase(Mnemonic);

impl Phrase {
    /// Creates a phrase of 12 words from 16 random bytes.
    pub fn from_random(entropy: &[u8; 16]) -> Result<Self, VaultError> {
        Mnemonic::from_entropy(entropy).map(Self).map_err(|_| VaultError::Random)
    }

    /// Parses a phrase in upper or lower case, with any white space between its words.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let words = Zeroizing::new(text.to_lowercase());
        let words: Vec<&str> = words.split_whitespace().collect();
        let text = Zeroizing::new(words.join(" "));
        Mnemonic::parse_in_normalized(Language::English, &text).map(Self).map_err(|error| {
            match error {
                Error::UnknownWord(at) => {
                    let word = words.get(at).copied().unwrap_or_default();
                    // Cut, because the user may have pasted a text of any length.
                    VaultError::UnknownWord(at + 1, word.chars().take(20).collect())
                }
                Error::InvalidChecksum => VaultError::Checksum,
                // The parser gives the other errors only for entropy, or for an unknown language.
                _ => VaultError::WordCount(words.len()),
            }
        })
    }

    /// The words, separated by single spaces.
    pub fn words(&self) -> Zeroizing<String> {
        // Room for 24 words of 8 letters with their spaces: a string that grows leaves copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(24 * 9));
        for (at, word) in self.0.words().enumerate() {
            if at > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// Derives the key at an index.
    pub fn key(&self, index: u32) -> Result<SecretKey, VaultError> {
        // Without the optional passphrase of BIP-39, like Ethereum wallets by default. With one, the keys would differ.
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        let derive = || {
            let mut key = XPrv::new(seed.as_slice())?;
            for (number, is_hardened) in PATH.into_iter().chain([(index, false)]) {
                key = key.derive_child(ChildNumber::new(number, is_hardened)?)?;
            }
            Ok(Zeroizing::new(<[u8; 32]>::from(key.private_key().to_bytes())))
        };
        // About one index in 2^127 has no valid key.
        let bytes = derive().map_err(|_: bip32::Error| VaultError::Random)?;
        SecretKey::from_bytes(&bytes).map_err(|_| VaultError::Random)
    }
}

impl Drop for Phrase {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of BIP-39 with 12 words (github.com/trezor/python-mnemonic, vectors.json): entropy and words.
    const VECTORS: [(&str, &str); 4] = [
        (
            "00000000000000000000000000000000",
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
        ),
        (
            "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
        ),
        (
            "80808080808080808080808080808080",
            "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
        ),
        ("ffffffffffffffffffffffffffffffff", "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong"),
    ];

    #[test]
    fn entropy_and_words_match_the_published_vectors() {
        for (entropy, words) in VECTORS {
            let mut bytes = [0; 16];
            hex::decode_to_slice(entropy, &mut bytes).unwrap();
            assert_eq!(*Phrase::from_random(&bytes).unwrap().words(), words);
            let read = Phrase::parse(&format!("  {}\n", words.to_uppercase().replace(' ', "\n  ")));
            assert_eq!(*read.unwrap().words(), words);
        }
    }

    #[test]
    fn the_seed_matches_the_published_vector() {
        // BIP-39's own vectors use the passphrase TREZOR.
        let phrase = Phrase::parse(VECTORS[0].1).unwrap();
        assert_eq!(
            hex::encode(phrase.0.to_seed_normalized("TREZOR")),
            "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04"
        );
    }

    #[test]
    fn child_keys_match_the_vectors_of_bip_32() {
        // Test vector 1 of BIP-32: m and m/0'/1.
        let mut seed = [0; 16];
        hex::decode_to_slice("000102030405060708090a0b0c0d0e0f", &mut seed).unwrap();
        let master = XPrv::new(&seed[..]).unwrap();
        assert_eq!(
            hex::encode(master.private_key().to_bytes()),
            "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"
        );
        let child = master.derive_child(ChildNumber::new(0, true).unwrap()).unwrap();
        let child = child.derive_child(ChildNumber::new(1, false).unwrap()).unwrap();
        assert_eq!(
            hex::encode(child.private_key().to_bytes()),
            "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"
        );
    }

    #[test]
    fn keys_match_those_of_ethereum_wallets() {
        // The phrase and keys that Hardhat and Foundry publish for their test networks.
        let phrase =
            Phrase::parse("test test test test test test test test test test test junk").unwrap();
        let keys = [
            "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
            "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
            "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
        ];
        for (index, key) in (0..).zip(keys) {
            assert_eq!(*phrase.key(index).unwrap().to_hex(), key);
        }
    }

    #[test]
    fn an_invalid_phrase_is_refused_with_the_reason() {
        let refused = |text: &str| Phrase::parse(text).err().unwrap();
        let twelve = "legal winner thank year wave sausage worth useful legal winner thank";
        assert_eq!(refused(twelve), VaultError::WordCount(11));
        assert_eq!(refused(""), VaultError::WordCount(0));
        assert_eq!(refused(&["abandon"; 12].join(" ")), VaultError::Checksum);
        let unknown = refused(&format!("{twelve} yelow"));
        assert_eq!(unknown, VaultError::UnknownWord(12, "yelow".into()));
        assert!(unknown.to_string().starts_with("Word 12, “yelow”, is not in the word list"));
    }
}
