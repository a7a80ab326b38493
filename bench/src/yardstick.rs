//! The yardstick of signatures: one `verify` of libsecp256k1 with a decompressed key, on one core.

use std::hint::black_box;
use std::time::Instant;

use secp256k1::ecdsa::Signature;
use secp256k1::{Message, PublicKey, SECP256K1};
use zellbook_core::SecretKey;
use zellbook_core::types::Scheme;

/// Signatures to verify again and again.
pub struct Yardstick(Vec<(Message, Signature, PublicKey)>);

impl Yardstick {
    /// Makes 1,000 signatures of 16 keys.
    pub fn new() -> Self {
        let signed = (0..1000_u32).map(|number| {
            let mut bytes = [1; 32];
            bytes[31] = (number % 16) as u8;
            let key = SecretKey::from_bytes(&bytes).expect("this number is a key");
            let text = number.to_string();
            let signature = key.sign(Scheme::Raw, &text);
            let message = Message::from_digest(Scheme::Raw.digest(&text));
            let signature = Signature::from_compact(&signature.0[..64]).expect("a signature");
            let key = PublicKey::from_slice(key.public_key().as_bytes()).expect("a key");
            (message, signature, key)
        });
        Self(signed.collect())
    }

    /// The seconds of one `verify`: the least of five averages, because other load only adds to them.
    pub fn seconds(&self) -> f64 {
        let average = || {
            let start = Instant::now();
            for (message, signature, key) in &self.0 {
                let verdict = SECP256K1.verify_ecdsa(black_box(*message), signature, key);
                verdict.expect("the signature is valid");
            }
            start.elapsed().as_secs_f64() / self.0.len() as f64
        };
        (0..5).map(|_| average()).fold(f64::MAX, f64::min)
    }
}

impl Default for Yardstick {
    fn default() -> Self {
        Self::new()
    }
}
