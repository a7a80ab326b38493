//! What is to be checked of a signature.

use crate::types::{PublicKey, Signature};

/// A digest, a signature of it, and the key that is said to have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedDigest {
    /// What was signed: see [`Scheme::digest`](crate::types::Scheme::digest).
    pub digest: [u8; 32],
    /// The signature.
    pub signature: Signature,
    /// The key.
    pub signer: PublicKey,
}
