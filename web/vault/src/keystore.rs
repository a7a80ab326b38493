//! A secret key under a passphrase: Argon2id (RFC 9106) and AES-256-GCM, as JSON.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zellbook_core::key::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::Randomness;

/// Characters of a passphrase, at least.
pub const PASSPHRASE_LENGTH_MIN: usize = 8;
/// OWASP's first choice for Argon2id with little memory: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// What a file may ask of us, at most.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 16;
const SALT_LENGTH: usize = 16;
const NONCE_LENGTH: usize = 12;

/// An encrypted secret key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keystore {
    /// The format; 1.
    zellbook_key: u32,
    /// Whose key it is. Bound to the ciphertext as associated data.
    account: PublicKey,
    kdf: Kdf,
    /// Hex, 12 bytes.
    nonce: String,
    /// Hex: 32 bytes and a tag of 16.
    ciphertext: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    /// `argon2id`, version 0x13, one lane.
    name: String,
    memory_kib: u32,
    passes: u32,
    /// Hex, 16 bytes.
    salt: String,
}

/// Why a key cannot be made, opened or kept. The messages are for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeystoreError {
    /// The passphrase is too short.
    Short,
    /// The passphrase does not open it, or it was changed.
    Wrong,
    /// Neither an exported file nor a secret key.
    Form,
    /// The browser gives no random numbers.
    Random,
    /// The browser keeps nothing for this page.
    Storage,
    /// Another key is there.
    Occupied,
    /// The key is not unlocked.
    Locked,
    /// The vault could not be loaded, or broke.
    Unavailable,
}

impl std::fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => {
                write!(f, "The passphrase needs at least {PASSPHRASE_LENGTH_MIN} characters.")
            }
            Self::Wrong => f.write_str("This passphrase does not open the key. Check for typing errors and capital letters."),
            Self::Form => f.write_str("This is neither an exported Zellbook key file nor a secret key of 64 hex digits."),
            Self::Random => f.write_str("The browser gave no random numbers, so no key was made."),
            Self::Storage => f.write_str("The browser does not let this page keep anything. Allow site data, then try again."),
            Self::Occupied => f.write_str("This browser holds another key. Export and remove that one first; it is never overwritten."),
            Self::Locked => f.write_str("Your key is locked. Unlock it, then try again."),
            Self::Unavailable => f.write_str("The part of the page that keeps keys could not be loaded. Try again; if that does not help, reload the page."),
        }
    }
}

fn derive(passphrase: &str, kdf: &Kdf) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let is_bounded = kdf.name == "argon2id"
        && (8..=MEMORY_KIB_MAX).contains(&kdf.memory_kib)
        && (1..=PASSES_MAX).contains(&kdf.passes);
    let salt = hex::decode(&kdf.salt).ok().filter(|salt| salt.len() == SALT_LENGTH);
    let (true, Some(salt)) = (is_bounded, salt) else { return Err(KeystoreError::Form) };
    let params =
        Params::new(kdf.memory_kib, kdf.passes, 1, Some(32)).map_err(|_| KeystoreError::Form)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
        .map_err(|_| KeystoreError::Form)?;
    Ok(key)
}

impl Keystore {
    /// Encrypts a key under a passphrase.
    pub fn seal(
        secret: &SecretKey,
        passphrase: &str,
        random: &Randomness,
    ) -> Result<Self, KeystoreError> {
        if passphrase.chars().count() < PASSPHRASE_LENGTH_MIN {
            return Err(KeystoreError::Short);
        }
        let kdf = Kdf {
            name: "argon2id".into(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: hex::encode(random.salt),
        };
        let key = derive(passphrase, &kdf)?;
        let nonce = random.nonce;
        let account = secret.public_key();
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(secret.to_hex().as_bytes(), bytes.as_mut_slice())
            .map_err(|_| KeystoreError::Form)?;
        let payload = Payload { msg: bytes.as_slice(), aad: account.as_bytes() };
        let ciphertext = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| KeystoreError::Form)?;
        Ok(Self {
            zellbook_key: 1,
            account,
            kdf,
            nonce: hex::encode(nonce),
            ciphertext: hex::encode(ciphertext),
        })
    }

    /// Decrypts the key.
    pub fn open(&self, passphrase: &str) -> Result<SecretKey, KeystoreError> {
        let key = derive(passphrase, &self.kdf)?;
        let mut nonce = [0; NONCE_LENGTH];
        hex::decode_to_slice(&self.nonce, &mut nonce).map_err(|_| KeystoreError::Form)?;
        let ciphertext = hex::decode(&self.ciphertext).map_err(|_| KeystoreError::Form)?;
        let payload = Payload { msg: &ciphertext, aad: self.account.as_bytes() };
        let bytes = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
            .decrypt(&Nonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| KeystoreError::Wrong)?;
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| KeystoreError::Form)?;
        let secret = SecretKey::from_bytes(bytes).map_err(|_| KeystoreError::Form)?;
        if secret.public_key() == self.account { Ok(secret) } else { Err(KeystoreError::Wrong) }
    }

    /// Whose key it is.
    pub const fn account(&self) -> PublicKey {
        self.account
    }

    /// The file for export.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads an exported file.
    pub fn from_json(json: &str) -> Result<Self, KeystoreError> {
        let keystore: Self = serde_json::from_str(json).map_err(|_| KeystoreError::Form)?;
        if keystore.zellbook_key == 1 { Ok(keystore) } else { Err(KeystoreError::Form) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    fn seal(passphrase: &str, salt: u8) -> Result<Keystore, KeystoreError> {
        let random = Randomness { key: [0; 32], salt: [salt; 16], nonce: [salt; 12] };
        Keystore::seal(&secret(), passphrase, &random)
    }

    #[test]
    fn a_key_opens_with_its_passphrase_only_also_after_export() {
        let keystore = seal("correct horse", 1).unwrap();
        let read = Keystore::from_json(&keystore.to_json()).unwrap();
        assert_eq!(read, keystore);
        assert_eq!(*read.open("correct horse").unwrap().to_hex(), *secret().to_hex());
        assert_eq!(read.open("correct horsE").unwrap_err(), KeystoreError::Wrong);
        assert_eq!(seal("short", 1).unwrap_err(), KeystoreError::Short);
    }

    #[test]
    fn the_secret_is_not_in_the_file_and_two_files_of_one_key_differ() {
        let first = seal("correct horse", 1).unwrap();
        let second = seal("correct horse", 2).unwrap();
        assert!(!first.to_json().contains(secret().to_hex().as_str()));
        assert_ne!(first.ciphertext, second.ciphertext);
        assert_ne!(first.kdf.salt, second.kdf.salt);
    }

    #[test]
    fn a_changed_file_is_refused() {
        let keystore = seal("correct horse", 1).unwrap();
        let mut other = keystore.clone();
        other.account = SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
        assert_eq!(other.open("correct horse").unwrap_err(), KeystoreError::Wrong);
        let mut heavy = keystore.clone();
        heavy.kdf.memory_kib = u32::MAX;
        assert_eq!(heavy.open("correct horse").unwrap_err(), KeystoreError::Form);
        assert_eq!(Keystore::from_json("{}").unwrap_err(), KeystoreError::Form);
    }
}
