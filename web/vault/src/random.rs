//! Randomness for a module that can import none: the worker sends a random seed with each request, and SHA-256 expands it.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The length of a seed in bytes.
pub const SEED_LENGTH: usize = 32;

/// Independent random values from one seed: SHA-256 of the seed and a counter.
pub struct Randomness {
    seed: Zeroizing<[u8; SEED_LENGTH]>,
    taken: u64,
}

impl Randomness {
    /// `seed` must be random and used only once.
    pub fn new(seed: [u8; SEED_LENGTH]) -> Self {
        Self { seed: Zeroizing::new(seed), taken: 0 }
    }

    /// The next `N` bytes, at most 32.
    pub fn take<const N: usize>(&mut self) -> Zeroizing<[u8; N]> {
        const { assert!(N <= 32, "one digest") };
        self.taken += 1;
        let digest = Sha256::new()
            .chain_update(b"zellbook vault")
            .chain_update(self.seed.as_slice())
            .chain_update(self.taken.to_le_bytes())
            .finalize();
        let mut bytes = Zeroizing::new([0; N]);
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        bytes
    }
}
