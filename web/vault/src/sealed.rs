//! The stored form of a wallet. A random data key encrypts each secret, and the passphrase encrypts the data key.
//!
//! The passphrase gives a key by Argon2id (RFC 9106); everything is encrypted by AES-256-GCM. Two levels of keys let a
//! new passphrase re-encrypt only the data key, and let tabs add records without asking for the passphrase again.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zellbook_core::PublicKey;
use zeroize::Zeroizing;

use crate::error::{PASSPHRASE_LENGTH_MIN, VaultError};
use crate::random::Randomness;

/// OWASP's first recommendation for Argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// Limits for an imported file, whose author could otherwise make the page work for hours.
const MEMORY_KIB_MAX: u32 = 1 << 18;
const PASSES_MAX: u32 = 16;
const SALT_LENGTH: usize = 16;
const NONCE_LENGTH: usize = 12;
/// Associated data of the sealed data key, so that no other ciphertext passes for it.
const LOCK_DOMAIN: &[u8] = b"zellbook wallet 1";

/// The key that encrypts every secret of one wallet.
pub type DataKey = Zeroizing<[u8; 32]>;

/// Bytes encrypted by AES-256-GCM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// Hex, 12 bytes.
    nonce: String,
    /// Hex, including the 16-byte tag.
    ciphertext: String,
}

impl Sealed {
    fn seal(
        secret: &[u8],
        bound_to: &[u8],
        key: &[u8; 32],
        random: &mut Randomness,
    ) -> Result<Self, VaultError> {
        // Random nonces are safe for up to 2^32 secrets under one key, far more than a wallet has.
        let nonce = random.take::<NONCE_LENGTH>();
        let payload = Payload { msg: secret, aad: bound_to };
        let ciphertext = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
            .encrypt(&Nonce::from(*nonce), payload)
            // Fails only for a secret of more than 64 GB.
            .map_err(|_| VaultError::Unavailable)?;
        Ok(Self { nonce: hex::encode(*nonce), ciphertext: hex::encode(ciphertext) })
    }

    fn open(&self, bound_to: &[u8], key: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut nonce = [0; NONCE_LENGTH];
        hex::decode_to_slice(&self.nonce, &mut nonce).map_err(|_| VaultError::NoFile)?;
        let ciphertext = hex::decode(&self.ciphertext).map_err(|_| VaultError::NoFile)?;
        let payload = Payload { msg: &ciphertext, aad: bound_to };
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
            .decrypt(&Nonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| VaultError::Wrong)
    }
}

/// The data key, encrypted under a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedKey {
    kdf: Kdf,
    sealed: Sealed,
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

impl Kdf {
    fn derive(&self, passphrase: &str) -> Result<DataKey, VaultError> {
        let is_bounded = self.name == "argon2id"
            // Argon2 needs at least 8 KiB.
            && (8..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (1..=PASSES_MAX).contains(&self.passes);
        let salt = hex::decode(&self.salt).ok().filter(|salt| salt.len() == SALT_LENGTH);
        let (true, Some(salt)) = (is_bounded, salt) else { return Err(VaultError::NoFile) };
        let params = Params::new(self.memory_kib, self.passes, 1, Some(32))
            .map_err(|_| VaultError::NoFile)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
            .map_err(|_| VaultError::NoFile)?;
        Ok(key)
    }
}

impl SealedKey {
    /// Encrypts a data key under a passphrase. Fails if the passphrase is too short.
    pub fn seal(
        key: &DataKey,
        passphrase: &str,
        random: &mut Randomness,
    ) -> Result<Self, VaultError> {
        if passphrase.chars().count() < PASSPHRASE_LENGTH_MIN {
            return Err(VaultError::Short);
        }
        let kdf = Kdf {
            name: "argon2id".into(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: hex::encode(*random.take::<SALT_LENGTH>()),
        };
        // The parameters need no authentication of their own: changed ones give another key, which decrypts nothing.
        let sealed = Sealed::seal(key.as_slice(), LOCK_DOMAIN, &*kdf.derive(passphrase)?, random)?;
        Ok(Self { kdf, sealed })
    }

    /// Decrypts the data key.
    pub fn open(&self, passphrase: &str) -> Result<DataKey, VaultError> {
        let bytes = self.sealed.open(LOCK_DOMAIN, &*self.kdf.derive(passphrase)?)?;
        bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| VaultError::NoFile)
    }
}

/// The origin of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A phrase. Its record has the public key of its first account.
    Phrase,
    /// The key of a phrase at an index.
    Derived {
        /// The phrase's first account.
        phrase: PublicKey,
        /// From 0.
        index: u32,
    },
    /// An imported key.
    Imported,
    /// A session key, created in this browser.
    Session {
        /// The account that it trades for.
        account: PublicKey,
    },
}

/// An encrypted secret. Key and origin are associated data, so nobody can exchange the secrets of two records unnoticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The public key of the secret; for a phrase, that of its first account.
    pub key: PublicKey,
    /// The origin of the secret.
    pub origin: Origin,
    sealed: Sealed,
}

impl Record {
    fn bound_to(key: &PublicKey, origin: &Origin) -> Vec<u8> {
        // JSON separates the parts, so no other key and origin give the same bytes. Both have a JSON form, so this does not fail.
        serde_json::to_vec(&("zellbook record 1", key, origin)).unwrap_or_default()
    }

    /// Encrypts a secret.
    pub fn seal(
        key: PublicKey,
        origin: Origin,
        secret: &[u8],
        data_key: &DataKey,
        random: &mut Randomness,
    ) -> Result<Self, VaultError> {
        let sealed = Sealed::seal(secret, &Self::bound_to(&key, &origin), data_key, random)?;
        Ok(Self { key, origin, sealed })
    }

    /// Decrypts the secret.
    pub fn open(&self, data_key: &DataKey) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.sealed.open(&Self::bound_to(&self.key, &self.origin), data_key)
    }

    /// The unique name of the record in its wallet. A phrase and its first key have the same public key.
    pub fn id(&self) -> String {
        match self.origin {
            Origin::Phrase => format!("phrase {}", self.key),
            _ => self.key.to_string(),
        }
    }
}

/// A wallet as it is stored and exported. All secrets in it are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletFile {
    zellbook_wallet: u32,
    /// The encrypted data key of the records.
    pub lock: SealedKey,
    /// The encrypted secrets.
    pub records: Vec<Record>,
}

impl WalletFile {
    /// A wallet of the current file version.
    pub const fn new(lock: SealedKey, records: Vec<Record>) -> Self {
        Self { zellbook_wallet: 1, lock, records }
    }

    /// The exported file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Parses an exported file.
    pub fn from_json(json: &str) -> Result<Self, VaultError> {
        let file: Self = serde_json::from_str(json).map_err(|_| VaultError::NoFile)?;
        if file.zellbook_wallet == 1 { Ok(file) } else { Err(VaultError::NoFile) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        zellbook_core::SecretKey::from_bytes(&[7; 32]).unwrap().public_key()
    }

    #[test]
    fn only_its_passphrase_opens_a_data_key() {
        let mut random = Randomness::new([1; 32]);
        let data_key = random.take::<32>();
        let lock = SealedKey::seal(&data_key, "correct horse", &mut random).unwrap();
        assert_eq!(lock.open("correct horse").unwrap(), data_key);
        assert_eq!(lock.open("correct horsE").unwrap_err(), VaultError::Wrong);
        let short = SealedKey::seal(&data_key, "short", &mut random);
        assert_eq!(short.unwrap_err(), VaultError::Short);
        let again = SealedKey::seal(&data_key, "correct horse", &mut random).unwrap();
        assert_ne!(again.kdf.salt, lock.kdf.salt);
        assert_ne!(again.sealed.nonce, lock.sealed.nonce);
    }

    #[test]
    fn a_record_is_bound_to_its_key_and_origin() {
        let mut random = Randomness::new([1; 32]);
        let data_key = random.take::<32>();
        let seal = |random: &mut Randomness| {
            Record::seal(key(), Origin::Imported, b"secret", &data_key, random).unwrap()
        };
        let record = seal(&mut random);
        assert_eq!(record.open(&data_key).unwrap().as_slice(), b"secret");
        assert_ne!(seal(&mut random).sealed, record.sealed);
        let session = Record { origin: Origin::Session { account: key() }, ..record.clone() };
        assert_eq!(session.open(&data_key).unwrap_err(), VaultError::Wrong);
        let other = zellbook_core::SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
        let other = Record { key: other, ..record.clone() };
        assert_eq!(other.open(&data_key).unwrap_err(), VaultError::Wrong);
        assert_eq!(record.open(&random.take()).unwrap_err(), VaultError::Wrong);
    }

    #[test]
    fn a_file_that_demands_too_much_work_is_refused() {
        let mut random = Randomness::new([1; 32]);
        let lock = SealedKey::seal(&random.take(), "correct horse", &mut random).unwrap();
        let file = WalletFile::new(lock, Vec::new());
        assert_eq!(WalletFile::from_json(&file.to_json()).unwrap(), file);
        let mut heavy = file.lock.clone();
        heavy.kdf.memory_kib = MEMORY_KIB_MAX + 1;
        assert_eq!(heavy.open("correct horse").unwrap_err(), VaultError::NoFile);
        let mut long = file.lock;
        long.kdf.passes = PASSES_MAX + 1;
        assert_eq!(long.open("correct horse").unwrap_err(), VaultError::NoFile);
        assert_eq!(WalletFile::from_json("{}").unwrap_err(), VaultError::NoFile);
    }
}
