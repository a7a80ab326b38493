//! Signatures that are checked together get the verdicts of the library's key recovery, whatever their bytes are. This test
//! runs natively and in wasm.
//!
//! `ZELLBOOK_SIGNATURE_CASES` sets the number of signatures.

mod adversary;

use zellbook_core::SecretKey;
use zellbook_core::signatures::{SignedDigest, check_all};

use adversary::{Adversary, Kind, recovers};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// SplitMix64. Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014.
fn random(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

fn cases() -> usize {
    // A browser has no environment, so there the compiler's counts.
    let number = std::env::var("ZELLBOOK_SIGNATURE_CASES").ok();
    let number = number.as_deref().or(option_env!("ZELLBOOK_SIGNATURE_CASES"));
    number.map_or(2_000, |number| number.parse().expect("a number of signatures"))
}

#[test]
fn whatever_is_forged_gets_the_verdict_of_the_librarys_recovery() {
    let mut random = random(20_261_130);
    let mut adversary = Adversary::new(&mut random);
    let (mut checked, mut valid) = (0, 0);
    let mut of_kind = [0; Kind::ALL.len()];
    while checked < cases() {
        let (signed, kinds) = adversary.signatures(&[1, 7, 15, 16, 30, 100, 300]);
        let together = check_all(&signed);
        assert_eq!(together.len(), signed.len());
        for ((signed, kind), verdict) in signed.iter().zip(kinds).zip(together) {
            let expected = recovers(signed);
            assert_eq!(verdict, expected, "{kind:?}, together: {signed:?}");
            let alone = signed.signature.is_valid(&signed.digest, &signed.signer);
            assert_eq!(alone, expected, "{kind:?}, alone: {signed:?}");
            of_kind[kind as usize] += 1;
            checked += 1;
            valid += usize::from(expected);
        }
    }
    // Each kind occurs, and neither verdict is rare.
    assert!(of_kind.iter().all(|count| *count > 0), "{of_kind:?}");
    assert!(valid > checked / 10 && valid < checked * 9 / 10, "{valid} of {checked}");
}

#[test]
fn one_wrong_signature_is_found_at_each_place() {
    let mut random = random(7);
    let mut adversary = Adversary::new(&mut random);
    let right: Vec<SignedDigest> = (1..=40)
        .map(|number| adversary.sign(&SecretKey::from_bytes(&[number; 32]).unwrap()))
        .collect();
    assert!(check_all(&right).iter().all(|verdict| *verdict));
    for wrong in 0..right.len() {
        let mut signed = right.clone();
        signed[wrong].digest[31] ^= 1;
        let verdicts = check_all(&signed);
        for (at, verdict) in verdicts.iter().enumerate() {
            assert_eq!(*verdict, at != wrong, "{at} with {wrong} wrong");
        }
    }
}

/// More than are checked together at once, with a wrong one in each part, and more wrong ones than are searched for
/// together.
#[test]
fn many_signatures_of_many_keys_get_their_verdicts_whether_few_or_most_are_wrong() {
    let mut random = random(9);
    let mut adversary = Adversary::new(&mut random);
    for (count, wrong) in [(8_200, 4_096), (4_100, 1_000), (300, 1), (300, 2), (300, 7)] {
        let signed: Vec<SignedDigest> = (1..=count)
            .map(|at: u64| {
                let mut key = [1; 32];
                key[..8].copy_from_slice(&at.to_be_bytes());
                let mut signed = adversary.sign(&SecretKey::from_bytes(&key).unwrap());
                signed.digest[0] ^= u8::from(at.is_multiple_of(wrong));
                signed
            })
            .collect();
        let expected: Vec<bool> = (1..=count).map(|at: u64| !at.is_multiple_of(wrong)).collect();
        assert_eq!(check_all(&signed), expected, "{count} with each {wrong}th wrong");
    }
}

#[test]
fn no_signatures_have_no_verdicts() {
    assert!(check_all(&[]).is_empty());
}
