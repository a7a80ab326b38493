//! The vault as a wasm module without imports: bytes in, bytes out. Its worker writes a random seed and a request to the
//! buffer of `vault_input`, calls `vault_call`, and reads the answer from the buffer of `vault_output`. The buffers move, so
//! the worker keeps no pointer across calls.

// `no_mangle` counts as unsafe, because two symbols could have the same name. There is no unsafe block here.
#![allow(unsafe_code)]

use std::cell::RefCell;

use zellbook_vault::{Answer, Randomness, Request, SEED_LENGTH, Vault, VaultError};
use zeroize::Zeroize;

/// The vault with its input and output buffers.
#[derive(Default)]
struct Module {
    vault: Vault,
    input: Vec<u8>,
    output: Vec<u8>,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
}

/// Allocates the input buffer for a seed and a request, `length` bytes together, and returns its address.
#[unsafe(no_mangle)]
pub extern "C" fn vault_input(length: usize) -> *const u8 {
    MODULE.with_borrow_mut(|module| {
        module.input = vec![0; length];
        module.input.as_ptr()
    })
}

/// Answers the request in the input buffer, and returns the length of the answer.
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
        // The previous answer may contain a secret.
        module.output.zeroize();
        // Every answer has a JSON form, so this does not fail.
        module.output = serde_json::to_vec(&answer).unwrap_or_default();
        module.output.len()
    })
}

/// The address of the answer.
#[unsafe(no_mangle)]
pub extern "C" fn vault_output() -> *const u8 {
    MODULE.with_borrow(|module| module.output.as_ptr())
}
