//! Which keys are unlocked, and what they do.

use std::collections::BTreeMap;

use zellbook_core::key::{PublicKey, Scheme, SecretKey};

use crate::{Answer, Keystore, KeystoreError, Randomness, Request};

/// The unlocked keys.
#[derive(Default)]
pub struct Vault {
    keys: BTreeMap<PublicKey, SecretKey>,
}

impl Vault {
    /// Does what is asked.
    pub fn answer(&mut self, request: &Request) -> Answer {
        let answer = match request {
            Request::Make { passphrase, random } => SecretKey::from_bytes(&random.key)
                .map_err(|_| KeystoreError::Random)
                .and_then(|key| self.keep(key, passphrase, random)),
            Request::Import { secret, passphrase, random } => SecretKey::from_hex(secret)
                .map_err(|_| KeystoreError::Form)
                .and_then(|key| self.keep(key, passphrase, random)),
            Request::Unlock { keystore, passphrase } => keystore.open(passphrase).map(|key| {
                self.keys.insert(keystore.account(), key);
                Answer::Done
            }),
            Request::Lock => {
                self.keys.clear();
                Ok(Answer::Done)
            }
            Request::Sign { account, text } => self
                .keys
                .get(account)
                .map(|key| Answer::Signature(key.sign(Scheme::Raw, text).to_string()))
                .ok_or(KeystoreError::Locked),
        };
        answer.unwrap_or_else(Answer::Refused)
    }

    fn keep(
        &mut self,
        key: SecretKey,
        passphrase: &str,
        random: &Randomness,
    ) -> Result<Answer, KeystoreError> {
        let keystore = Keystore::seal(&key, passphrase, random)?;
        self.keys.insert(keystore.account(), key);
        Ok(Answer::Kept(keystore))
    }
}

#[cfg(test)]
mod tests {
    use zellbook_core::key::Signature;

    use super::*;

    fn random() -> Randomness {
        Randomness { key: [7; 32], salt: [1; 16], nonce: [2; 12] }
    }

    fn sign(account: PublicKey) -> Request {
        Request::Sign { account, text: "text".into() }
    }

    #[test]
    fn a_key_signs_while_it_is_unlocked_and_only_then() {
        let mut vault = Vault::default();
        let passphrase = || "correct horse".to_string();
        let make = Request::Make { passphrase: passphrase(), random: random() };
        let Answer::Kept(keystore) = vault.answer(&make) else { panic!("no key was made") };
        let account = keystore.account();
        let signature = |answer| match answer {
            Answer::Signature(text) => text.parse::<Signature>().unwrap(),
            other => panic!("{other:?}"),
        };
        let digest = Scheme::Raw.digest("text");
        assert!(signature(vault.answer(&sign(account))).is_valid(&digest, &account));
        assert_eq!(vault.answer(&Request::Lock), Answer::Done);
        assert_eq!(vault.answer(&sign(account)), Answer::Refused(KeystoreError::Locked));
        let unlock = |passphrase| Request::Unlock { keystore: keystore.clone(), passphrase };
        let wrong = vault.answer(&unlock("correct horsE".into()));
        assert_eq!(wrong, Answer::Refused(KeystoreError::Wrong));
        assert_eq!(vault.answer(&sign(account)), Answer::Refused(KeystoreError::Locked));
        assert_eq!(vault.answer(&unlock(passphrase())), Answer::Done);
        assert!(signature(vault.answer(&sign(account))).is_valid(&digest, &account));
    }

    #[test]
    fn no_answer_has_the_secret_in_it() {
        let mut vault = Vault::default();
        let secret = "11".repeat(32);
        let import = Request::Import {
            secret: secret.clone(),
            passphrase: "correct horse".into(),
            random: random(),
        };
        let Answer::Kept(keystore) = vault.answer(&import) else { panic!("no key was kept") };
        let answers = [Answer::Kept(keystore.clone()), vault.answer(&sign(keystore.account()))];
        for answer in answers {
            assert!(!serde_json::to_string(&answer).unwrap().contains(&secret));
        }
    }
}
