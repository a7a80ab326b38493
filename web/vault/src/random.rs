//! Randomness without an import: a seed comes with each request, and each use of it is independent.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a seed.
pub const SEED_LENGTH: usize = 32;

/// Random bytes out of one seed: SHA-256 of the seed and a counter.
pub struct Randomness {
    seed: Zeroizing<[u8; SEED_LENGTH]>,
    taken: u64,
}

impl Randomness {
    /// A seed that is used once.
    pub fn new(seed: [u8; SEED_LENGTH]) -> Self {
        Self { seed: Zeroizing::new(seed), taken: 0 }
    }

    /// The next bytes, 32 at most.
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
