//! Functions of the page's cryptography that `time.mjs` calls and times. The argument is the number of
//! repetitions. The result says whether all of them were correct.

use std::sync::OnceLock;

use zellbook_core::SecretKey;
use zellbook_core::signatures::{SignedDigest, check_all};
use zellbook_core::types::{Scheme, Signature};

/// A text as long as that of an order.
const TEXT: &str = "Zellbook 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
kind: order
account: 020000000000000000000000000000000000000000000000000000000000000001
market: ETH/USDT
side: buy
quantity: 1.5
price: 2000.01
time_in_force: gtc
self_trade: cancel_newest
nonce: 1790000000000";

/// The signatures that are checked together, and the keys that made them.
const TOGETHER: u32 = 1024;
const KEYS: u32 = 256;

fn secret() -> SecretKey {
    SecretKey::from_bytes(&[7; 32]).expect("this is a key")
}

/// One signature of a scheme, made once.
fn signature(scheme: Scheme) -> &'static Signature {
    static RAW: OnceLock<Signature> = OnceLock::new();
    static EIP191: OnceLock<Signature> = OnceLock::new();
    let made = if scheme == Scheme::Raw { &RAW } else { &EIP191 };
    made.get_or_init(|| secret().sign(scheme, TEXT))
}

fn sign(scheme: Scheme, count: u32) -> bool {
    let key = secret();
    (0..count).all(|_| key.sign(scheme, TEXT) == *signature(scheme))
}

fn check(scheme: Scheme, count: u32) -> bool {
    let (account, signature) = (secret().public_key(), signature(scheme));
    (0..count).all(|_| signature.is_valid(&scheme.digest(TEXT), &account))
}

/// Signs the text in the scheme `raw`.
#[unsafe(no_mangle)]
pub extern "C" fn sign_raw(count: u32) -> bool {
    sign(Scheme::Raw, count)
}

/// Signs the text in the scheme `eip191`.
#[unsafe(no_mangle)]
pub extern "C" fn sign_eip191(count: u32) -> bool {
    sign(Scheme::Eip191, count)
}

/// Checks a signature of the text in the scheme `raw`.
#[unsafe(no_mangle)]
pub extern "C" fn check_raw(count: u32) -> bool {
    check(Scheme::Raw, count)
}

/// Checks a signature of the text in the scheme `eip191`.
#[unsafe(no_mangle)]
pub extern "C" fn check_eip191(count: u32) -> bool {
    check(Scheme::Eip191, count)
}

/// Signatures of different texts by some keys, made once.
fn many() -> &'static [SignedDigest] {
    static MANY: OnceLock<Vec<SignedDigest>> = OnceLock::new();
    MANY.get_or_init(|| {
        let sign = |number: u32| {
            let mut bytes = [7; 32];
            bytes[28..].copy_from_slice(&(number % KEYS).to_be_bytes());
            let key = SecretKey::from_bytes(&bytes).expect("this is a key");
            let text = format!("{TEXT}{number}");
            let (digest, signature) = (Scheme::Raw.digest(&text), key.sign(Scheme::Raw, &text));
            SignedDigest { digest, signature, signer: key.public_key() }
        };
        (0..TOGETHER).map(sign).collect()
    })
}

/// Checks 1,024 signatures of 256 keys together.
#[unsafe(no_mangle)]
pub extern "C" fn check_1024_together(count: u32) -> bool {
    (0..count).all(|_| check_all(many()).iter().all(|is_valid| *is_valid))
}
