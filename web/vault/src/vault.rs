//! The unlocked keys, and the answer to each request.

use std::collections::BTreeMap;

use zellbook_core::types::Scheme;
use zellbook_core::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::ethereum;
use crate::message::{Answer, Request, Source};
use crate::phrase::Phrase;
use crate::random::Randomness;
use crate::sealed::{DataKey, Origin, Record, SealedKey, WalletFile};

/// The unlocked keys. There is no request to lock: the page ends the worker, and the memory goes with it.
#[derive(Default)]
pub struct Vault {
    data_key: Option<DataKey>,
    keys: BTreeMap<PublicKey, SecretKey>,
    /// Each under the account of its first key.
    phrases: BTreeMap<PublicKey, Phrase>,
}

/// A secret before it is encrypted.
enum Secret {
    Phrase(Phrase),
    Key(SecretKey),
}

type Secrets = Vec<(PublicKey, Origin, Secret)>;

impl Secret {
    fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        Ok(match self {
            Self::Phrase(phrase) => Zeroizing::new(phrase.words().as_bytes().to_vec()),
            Self::Key(key) => {
                // The core gives a secret key out only in hex.
                let bytes = hex::decode(key.to_hex().as_bytes());
                Zeroizing::new(bytes.map_err(|_| VaultError::Unavailable)?)
            }
        })
    }
}

/// Decrypts a record. Fails unless the secret belongs to the public key that the record names.
fn open(record: &Record, data_key: &DataKey) -> Result<Secret, VaultError> {
    let bytes = record.open(data_key)?;
    let (owner, secret) = if record.origin == Origin::Phrase {
        let words = std::str::from_utf8(&bytes).map_err(|_| VaultError::NoFile)?;
        let phrase = Phrase::parse(words)?;
        (phrase.key(0)?.public_key(), Secret::Phrase(phrase))
    } else {
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| VaultError::NoFile)?;
        let key = SecretKey::from_bytes(bytes).map_err(|_| VaultError::NoFile)?;
        (key.public_key(), Secret::Key(key))
    };
    // Encryption binds the secret to the named key, but the author of an imported file can name any key.
    if owner == record.key { Ok(secret) } else { Err(VaultError::Wrong) }
}

/// The phrase and its first key: the first account exists from the beginning.
fn phrase_secrets(phrase: Phrase) -> Result<Secrets, VaultError> {
    let first = phrase.key(0)?;
    let account = first.public_key();
    Ok(vec![
        (account, Origin::Phrase, Secret::Phrase(phrase)),
        (account, Origin::Derived { phrase: account, index: 0 }, Secret::Key(first)),
    ])
}

fn open_all(file: &WalletFile, data_key: &DataKey) -> Result<Secrets, VaultError> {
    let secret = |record: &Record| Ok((record.key, record.origin, open(record, data_key)?));
    file.records.iter().map(secret).collect()
}

fn random_key(random: &mut Randomness) -> Result<SecretKey, VaultError> {
    // Fails for about one number in 2^127, so no second number is tried.
    SecretKey::from_bytes(&random.take()).map_err(|_| VaultError::Random)
}

impl Vault {
    /// Answers a request. `random` must be fresh for each request.
    pub fn answer(&mut self, request: &Request, random: &mut Randomness) -> Answer {
        self.try_answer(request, random).unwrap_or_else(Answer::Refused)
    }

    fn try_answer(
        &mut self,
        request: &Request,
        random: &mut Randomness,
    ) -> Result<Answer, VaultError> {
        match request {
            Request::Add { source, passphrase } => self.add(source, passphrase, random),
            Request::Unlock { file, passphrase } => {
                let data_key = file.lock.open(passphrase)?;
                // All records are opened before anything changes: a wallet that does not open leaves the present keys in place.
                let secrets = open_all(file, &data_key)?;
                *self = Self { data_key: Some(data_key), ..Self::default() };
                self.take(secrets);
                Ok(Answer::Done)
            }
            Request::Load(records) => {
                let data_key = self.data_key.as_ref().ok_or(VaultError::Locked)?;
                let secret =
                    |record: &Record| Ok((record.key, record.origin, open(record, data_key)?));
                let secrets = records.iter().map(secret).collect::<Result<_, VaultError>>()?;
                // What is not among the records was removed, here or in another tab. Its key must not sign any more.
                *self = Self { data_key: Some(data_key.clone()), ..Self::default() };
                self.take(secrets);
                Ok(Answer::Done)
            }
            Request::Sign { key, text } => {
                // A key that this wallet does not have counts as locked: another tab may have added it.
                let key = self.keys.get(key).ok_or(VaultError::Locked)?;
                Ok(Answer::Signature(key.sign(Scheme::Raw, text).to_string()))
            }
            Request::Reveal { record, lock, passphrase } => {
                // With the passphrase and not with the data key in memory: a script that can ask an unlocked vault to sign
                // must not be able to take the secrets away.
                let secret = open(record, &lock.open(passphrase)?)?;
                Ok(Answer::Secret(match secret {
                    Secret::Phrase(phrase) => phrase.words().to_string(),
                    Secret::Key(key) => key.to_hex().to_string(),
                }))
            }
            Request::Rewrap { lock, passphrase, new_passphrase } => {
                // The records stay as they are, because only the data key is under the passphrase.
                let data_key = lock.open(passphrase)?;
                let lock = SealedKey::seal(&data_key, new_passphrase, random)?;
                Ok(Answer::Stored { lock: Some(lock), records: Vec::new(), phrase: None })
            }
            Request::Recover { text, signature } => {
                let recovered = ethereum::recover(text, signature)?;
                Ok(Answer::Recovered {
                    account: recovered.account,
                    address: recovered.address,
                    signature: recovered.signature.to_string(),
                })
            }
        }
    }

    /// The secrets of a source, and the words of the phrase if the source creates one.
    fn secrets(
        &self,
        source: &Source,
        passphrase: &str,
        random: &mut Randomness,
    ) -> Result<(Secrets, Option<String>), VaultError> {
        let secrets = match source {
            Source::NewPhrase => {
                let phrase = Phrase::from_random(&random.take())?;
                let words = phrase.words().to_string();
                return Ok((phrase_secrets(phrase)?, Some(words)));
            }
            Source::Phrase(text) => phrase_secrets(Phrase::parse(text)?)?,
            Source::Key(digits) => {
                let key = SecretKey::from_hex(digits.trim()).map_err(|_| VaultError::NoKey)?;
                vec![(key.public_key(), Origin::Imported, Secret::Key(key))]
            }
            // Under the file's own data key. `add` encrypts the secrets again under that of this wallet.
            Source::File(file) => open_all(file, &file.lock.open(passphrase)?)?,
            Source::Next { phrase, index } => {
                let key = self.phrases.get(phrase).ok_or(VaultError::Locked)?.key(*index)?;
                let origin = Origin::Derived { phrase: *phrase, index: *index };
                vec![(key.public_key(), origin, Secret::Key(key))]
            }
            Source::Session { account } => {
                let key = random_key(random)?;
                vec![(key.public_key(), Origin::Session { account: *account }, Secret::Key(key))]
            }
        };
        Ok((secrets, None))
    }

    fn add(
        &mut self,
        source: &Source,
        passphrase: &str,
        random: &mut Randomness,
    ) -> Result<Answer, VaultError> {
        let (mut secrets, phrase) = self.secrets(source, passphrase, random)?;
        // An imported file can contain keys that are already here; only the others are added.
        secrets.retain(|(key, origin, _)| match origin {
            Origin::Phrase => !self.phrases.contains_key(key),
            _ => !self.keys.contains_key(key),
        });
        if secrets.is_empty() {
            return Err(VaultError::Known);
        }
        let (data_key, lock) = match &self.data_key {
            Some(data_key) => (data_key.clone(), None),
            // The first key creates the wallet.
            None => {
                let data_key = random.take();
                let lock = SealedKey::seal(&data_key, passphrase, random)?;
                (data_key, Some(lock))
            }
        };
        let seal = |(key, origin, secret): &(PublicKey, Origin, Secret)| {
            Record::seal(*key, *origin, &secret.bytes()?, &data_key, random)
        };
        let records = secrets.iter().map(seal).collect::<Result<_, VaultError>>()?;
        // Only now: if encrypting failed, there is no new wallet, and no key is usable that could not be stored.
        self.data_key = Some(data_key);
        self.take(secrets);
        Ok(Answer::Stored { lock, records, phrase })
    }

    fn take(&mut self, secrets: Secrets) {
        for (owner, _, secret) in secrets {
            match secret {
                Secret::Phrase(phrase) => drop(self.phrases.insert(owner, phrase)),
                Secret::Key(key) => drop(self.keys.insert(owner, key)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use zellbook_core::types::Signature;

    use super::*;

    const PASSPHRASE: &str = "correct horse";

    fn add(vault: &mut Vault, source: Source, seed: u8) -> Answer {
        let request = Request::Add { source, passphrase: PASSPHRASE.into() };
        vault.answer(&request, &mut Randomness::new([seed; 32]))
    }

    fn ask(vault: &mut Vault, request: Request) -> Answer {
        vault.answer(&request, &mut Randomness::new([200; 32]))
    }

    fn stored(answer: &Answer) -> (Option<SealedKey>, Vec<Record>, Option<String>) {
        match answer {
            Answer::Stored { lock, records, phrase } => {
                (lock.clone(), records.clone(), phrase.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    fn signs(vault: &mut Vault, key: PublicKey) -> Result<(), VaultError> {
        match &ask(vault, Request::Sign { key, text: "text".into() }) {
            Answer::Signature(signature) => {
                let signature: Signature = signature.parse().unwrap();
                assert!(signature.is_valid(&Scheme::Raw.digest("text"), &key));
                Ok(())
            }
            Answer::Refused(error) => Err(error.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// A wallet with a phrase, two of its accounts and an imported key.
    fn wallet() -> (Vault, WalletFile, String) {
        let mut vault = Vault::default();
        let (lock, mut records, phrase) = stored(&add(&mut vault, Source::NewPhrase, 1));
        let first = records[0].key;
        for (seed, source) in
            [(2, Source::Next { phrase: first, index: 1 }), (3, Source::Key("11".repeat(32)))]
        {
            let (lock, more, phrase) = stored(&add(&mut vault, source, seed));
            assert_eq!((lock, phrase), (None, None), "the wallet exists already");
            records.extend(more);
        }
        (vault, WalletFile::new(lock.unwrap(), records), phrase.unwrap())
    }

    #[test]
    fn a_wallet_opens_with_its_passphrase_and_then_signs_with_every_key() {
        let (_, file, _) = wallet();
        let mut vault = Vault::default();
        let unlock = |passphrase: &str| Request::Unlock {
            file: file.clone(),
            passphrase: passphrase.into(),
        };
        let keys: Vec<_> = file.records[1..].iter().map(|record| record.key).collect();
        assert_eq!(keys.len(), 3);
        assert_eq!(signs(&mut vault, keys[0]), Err(VaultError::Locked));
        let wrong = ask(&mut vault, unlock("correct horsE"));
        assert_eq!(wrong, Answer::Refused(VaultError::Wrong));
        assert_eq!(signs(&mut vault, keys[0]), Err(VaultError::Locked));
        assert_eq!(ask(&mut vault, unlock(PASSPHRASE)), Answer::Done);
        for key in keys {
            assert_eq!(signs(&mut vault, key), Ok(()));
        }
    }

    #[test]
    fn the_same_phrase_gives_the_same_accounts_and_no_key_is_added_twice() {
        let (mut first, file, phrase) = wallet();
        let mut second = Vault::default();
        let (_, records, _) = stored(&add(&mut second, Source::Phrase(phrase.clone()), 9));
        assert_eq!(records[1].key, file.records[1].key);
        assert_eq!(add(&mut first, Source::Phrase(phrase), 9), Answer::Refused(VaultError::Known));
        let again = add(&mut first, Source::Key(format!("0x{}", "11".repeat(32))), 9);
        assert_eq!(again, Answer::Refused(VaultError::Known));
        assert_eq!(
            add(&mut first, Source::Key("11".into()), 9),
            Answer::Refused(VaultError::NoKey)
        );
    }

    #[test]
    fn an_exported_wallet_can_be_imported_into_another_wallet_with_its_own_passphrase() {
        let (_, file, _) = wallet();
        let mut other = Vault::default();
        stored(&add(&mut other, Source::Key("22".repeat(32)), 7));
        let wrong = Request::Add { source: Source::File(file.clone()), passphrase: "no".into() };
        assert_eq!(ask(&mut other, wrong), Answer::Refused(VaultError::Wrong));
        let (lock, records, _) = stored(&add(&mut other, Source::File(file.clone()), 8));
        assert_eq!((lock, records.len()), (None, 4));
        assert_ne!(records, file.records, "encrypted again, with fresh nonces");
        assert_eq!(signs(&mut other, file.records[1].key), Ok(()));
    }

    #[test]
    fn revealing_a_secret_needs_the_passphrase() {
        let (mut vault, file, phrase) = wallet();
        let reveal = |record: usize, passphrase: &str| Request::Reveal {
            record: file.records[record].clone(),
            lock: file.lock.clone(),
            passphrase: passphrase.into(),
        };
        assert_eq!(ask(&mut vault, reveal(0, PASSPHRASE)), Answer::Secret(phrase));
        assert_eq!(ask(&mut vault, reveal(3, PASSPHRASE)), Answer::Secret("11".repeat(32)));
        let wrong = ask(&mut vault, reveal(3, "correct horsE"));
        assert_eq!(wrong, Answer::Refused(VaultError::Wrong));
        let json = file.to_json();
        assert!(!json.contains(&"11".repeat(32)));
        let session = Source::Session { account: file.records[1].key };
        let (_, session, _) = stored(&add(&mut vault, session, 5));
        assert_eq!(signs(&mut vault, session[0].key), Ok(()));
    }

    #[test]
    fn a_new_passphrase_opens_the_same_records() {
        let (mut vault, file, _) = wallet();
        let rewrap = |passphrase: &str, new: &str| Request::Rewrap {
            lock: file.lock.clone(),
            passphrase: passphrase.into(),
            new_passphrase: new.into(),
        };
        let refused = |error| Answer::Refused(error);
        assert_eq!(
            ask(&mut vault, rewrap("wrong one", "battery staple")),
            refused(VaultError::Wrong)
        );
        assert_eq!(ask(&mut vault, rewrap(PASSPHRASE, "short")), refused(VaultError::Short));
        let (lock, records, _) = stored(&ask(&mut vault, rewrap(PASSPHRASE, "battery staple")));
        assert!(records.is_empty());
        let file = WalletFile::new(lock.unwrap(), file.records);
        let unlock = |passphrase: &str| Request::Unlock {
            file: file.clone(),
            passphrase: passphrase.into(),
        };
        let mut vault = Vault::default();
        assert_eq!(ask(&mut vault, unlock(PASSPHRASE)), refused(VaultError::Wrong));
        assert_eq!(ask(&mut vault, unlock("battery staple")), Answer::Done);
    }

    #[test]
    fn records_of_another_tab_load_only_with_the_data_key_of_the_wallet() {
        let (mut vault, file, _) = wallet();
        let mut other = Vault::default();
        let unlock = Request::Unlock { file: file.clone(), passphrase: PASSPHRASE.into() };
        assert_eq!(ask(&mut other, unlock), Answer::Done);
        let (_, added, _) = stored(&add(&mut vault, Source::Key("33".repeat(32)), 4));
        assert_eq!(signs(&mut other, added[0].key), Err(VaultError::Locked));
        let records: Vec<_> = file.records.iter().chain(&added).cloned().collect();
        assert_eq!(ask(&mut other, Request::Load(records.clone())), Answer::Done);
        assert_eq!(signs(&mut other, added[0].key), Ok(()));
        let mut unrelated = Vault::default();
        stored(&add(&mut unrelated, Source::Key("44".repeat(32)), 6));
        let load = ask(&mut unrelated, Request::Load(records));
        assert_eq!(load, Answer::Refused(VaultError::Wrong));
    }

    #[test]
    fn a_key_whose_record_was_removed_signs_no_more_and_can_be_added_again() {
        let (mut vault, file, _) = wallet();
        let (removed, stays) = (file.records[3].key, file.records[2].key);
        assert_eq!(ask(&mut vault, Request::Load(file.records[..3].to_vec())), Answer::Done);
        assert_eq!(signs(&mut vault, removed), Err(VaultError::Locked));
        assert_eq!(signs(&mut vault, stays), Ok(()));
        let (lock, again, _) = stored(&add(&mut vault, Source::Key("11".repeat(32)), 5));
        assert_eq!((lock, again[0].key), (None, removed), "in the same wallet");
        assert_eq!(signs(&mut vault, removed), Ok(()));
    }

    #[test]
    fn a_phrase_whose_first_key_was_imported_before_is_added_alone_and_gives_further_accounts() {
        let mut vault = Vault::default();
        let words = "test test test test test test test test test test test junk";
        let first = Phrase::parse(words).unwrap().key(0).unwrap();
        stored(&add(&mut vault, Source::Key(first.to_hex().to_string()), 1));
        let (_, records, _) = stored(&add(&mut vault, Source::Phrase(words.into()), 2));
        let added: Vec<_> = records.iter().map(|record| (record.key, record.origin)).collect();
        assert_eq!(added, [(first.public_key(), Origin::Phrase)]);
        let next = Source::Next { phrase: first.public_key(), index: 1 };
        let (_, records, _) = stored(&add(&mut vault, next, 3));
        assert_eq!(signs(&mut vault, records[0].key), Ok(()));
    }
}
