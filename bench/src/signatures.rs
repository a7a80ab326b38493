//! Measures checks of signatures, alone and many at once, as multiples of the yardstick *L*.

use std::hint::black_box;
use std::time::Instant;

use zellbook_core::SecretKey;
use zellbook_core::signatures::{SignedDigest, check_all};
use zellbook_core::types::Scheme;

use crate::yardstick::Yardstick;

/// How many signatures of how many keys.
const SIZES: [(u32, u32); 5] = [(16, 16), (128, 128), (1_000, 1_000), (1_024, 256), (4_096, 256)];

/// Prints a row for each number of signatures and keys.
pub fn measure(yardstick: &Yardstick) {
    println!("| signatures, keys | alone | together | one in 1,000 wrong | all wrong |");
    println!("| --- | --- | --- | --- | --- |");
    for (count, keys) in SIZES {
        let right: Vec<SignedDigest> =
            (0..count).map(|number| sign(number, number % keys)).collect();
        let wrong = |every: usize| {
            let mut signed = right.clone();
            signed.iter_mut().step_by(every).for_each(|signed| signed.digest[0] ^= 1);
            signed
        };
        let (few, all) = (wrong(1_000), wrong(1));
        let alone = |signed: &[SignedDigest]| -> Vec<bool> {
            let is_valid = |one: &SignedDigest| one.signature.is_valid(&one.digest, &one.signer);
            signed.iter().map(is_valid).collect()
        };
        assert_eq!(alone(&few), check_all(&few), "the verdicts are the same");
        let row = [
            least(count, || alone(&right)),
            least(count, || check_all(&right)),
            least(count, || check_all(&few)),
            least(count, || check_all(&all)),
        ];
        let unit = yardstick.seconds();
        let [alone, together, few, all] = row.map(|seconds| format!("{:.2} L", seconds / unit));
        println!("| {count}, {keys} | {alone} | {together} | {few} | {all} |");
    }
}

/// The seconds of one signature: the least of five averages, because other load only adds to them.
fn least(count: u32, mut check: impl FnMut() -> Vec<bool>) -> f64 {
    let mut average = || {
        let start = Instant::now();
        black_box(check());
        start.elapsed().as_secs_f64() / f64::from(count)
    };
    (0..5).map(|_| average()).fold(f64::MAX, f64::min)
}

fn sign(number: u32, key: u32) -> SignedDigest {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&key.to_be_bytes());
    let key = SecretKey::from_bytes(&bytes).expect("this number is a key");
    let text = number.to_string();
    SignedDigest {
        digest: Scheme::Raw.digest(&text),
        signature: key.sign(Scheme::Raw, &text),
        signer: key.public_key(),
    }
}
