//! Signatures of every kind, right and forged. Checked together, they get the verdicts of the library's key recovery.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zellbook_core::signatures::check_all;
use zellbook_fuzz::input::Input;

use crate::adversary::{Adversary, recovers};

#[path = "../../core/tests/signatures/adversary.rs"]
mod adversary;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut choices = || u64::from(input.byte()) << 8 | u64::from(input.byte());
    let (signed, _) = Adversary::new(&mut choices).signatures(&[1, 15, 16, 40]);
    for (signed, verdict) in signed.iter().zip(check_all(&signed)) {
        assert_eq!(verdict, recovers(signed));
    }
});
