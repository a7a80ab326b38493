//! The vault as a wasm module: bytes in, bytes out. Its worker writes a seed of random bytes and then a request
//! where `vault_input` says, calls `vault_call`, and reads the answer where `vault_output` says. Nobody holds a
//! pointer across calls.

// A name that the linker keeps counts as unsafe, since two could be one. There is no unsafe block here.
#![allow(unsafe_code)]

use std::cell::RefCell;

use zellbook_vault::{Answer, Randomness, Request, SEED_LENGTH, Vault, VaultError};
use zeroize::Zeroize;

/// The vault with the bytes that go in and out.
#[derive(Default)]
struct Module {
    vault: Vault,
    input: Vec<u8>,
    output: Vec<u8>,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
}

/// Makes room for a seed and a request, of so many bytes together, and says where.
#[unsafe(no_mangle)]
pub extern "C" fn vault_input(length: usize) -> *const u8 {
    MODULE.with_borrow_mut(|module| {
        module.input = vec![0; length];
        module.input.as_ptr()
    })
}

/// Answers the request, and says how many bytes the answer has.
#[unsafe(no_mangle)]
pub extern "C" fn vault_call() -> usize {
    MODULE.with_borrow_mut(|module| {
        let parts = module.input.split_first_chunk::<SEED_LENGTH>();
        let read = parts.and_then(|(seed, request)| {
            let request = serde_json::from_slice::<Request>(request).ok()?;
            Some((Randomness::new(*seed), request))
        });
        module.input.zeroize();
        let answer = match read {
            Some((mut random, request)) => module.vault.answer(&request, &mut random),
            None => Answer::Refused(VaultError::Unavailable),
        };
        // An answer may have had a secret in it.
        module.output.zeroize();
        // Its shapes all have a JSON form.
        module.output = serde_json::to_vec(&answer).unwrap_or_default();
        module.output.len()
    })
}

/// Where the answer is.
#[unsafe(no_mangle)]
pub extern "C" fn vault_output() -> *const u8 {
    MODULE.with_borrow(|module| module.output.as_ptr())
}
