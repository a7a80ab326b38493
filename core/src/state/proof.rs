//! Inclusion proofs: evidence that a root commits to the value of a key, or to the absence of the
//! key.
//!
//! A proof has the hashes of the subtrees beside the path from the root to the key's position,
//! and what is at that place: the key's own leaf, nothing, or a single other leaf. With the key and
//! the value the verifier computes the hash at that place and then goes up: at each level it
//! combines the running hash with the next sibling, on the side that the bit of the key's path
//! names. If the last hash is the root, the statement holds. Absence can be proved because the tree
//! has exactly one shape for each set of leaves: where a subtree is empty, or holds only another
//! leaf, no leaf of this key can be. See *Inclusion proofs* in `docs/protocol.md`.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::types::{ByteReader, Corrupt, Hash};

/// The hash of a subtree without leaves.
pub(super) const EMPTY: Hash = [0; 32];

/// Bits of a path, and so the maximum depth of a branch.
const DEPTH_MAX: usize = 256;

/// What is at the key's position in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofEnd {
    /// Nothing: the key is absent.
    Empty,
    /// The key's leaf.
    Leaf,
    /// The leaf of another key, which is alone in its subtree: the key is absent.
    OtherLeaf {
        /// The path of the other leaf.
        path: Hash,
        /// SHA-256 of the other leaf's value.
        value: Hash,
    },
}

/// A proof that a root commits to the value of a key, or to its absence. In a state with a million
/// leaves a proof has about 20 siblings and 700 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The hashes of the subtrees beside the path, from the root downwards; at most 256.
    pub siblings: Vec<Hash>,
    /// What is at the end of the path.
    pub end: ProofEnd,
}

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// The bytes are not a proof in its only valid form.
    #[error("these bytes are not an inclusion proof")]
    Form,
    /// The proof is of a value, but absence was to be proved, or the other way round.
    #[error(
        "this proof shows a value where the key should be absent, or absence where it should have a value"
    )]
    Kind,
    /// The proof leads to another root.
    #[error("this proof does not lead to the root")]
    Root,
}

impl Proof {
    /// The proof in bytes, as *Inclusion proofs* in `docs/protocol.md` defines them. Empty siblings
    /// are one bit each.
    pub fn to_bytes(&self) -> Vec<u8> {
        let depth = u16::try_from(self.siblings.len()).unwrap_or(u16::MAX);
        let mut bytes = depth.to_be_bytes().to_vec();
        for eight in self.siblings.chunks(8) {
            let bits = (0_u8..).zip(eight).filter(|(_, sibling)| **sibling != EMPTY);
            bytes.push(bits.fold(0, |byte, (bit, _)| byte | (0x80_u8 >> bit)));
        }
        for sibling in self.siblings.iter().filter(|sibling| **sibling != EMPTY) {
            bytes.extend_from_slice(sibling);
        }
        match &self.end {
            ProofEnd::Empty => bytes.push(0),
            ProofEnd::Leaf => bytes.push(1),
            ProofEnd::OtherLeaf { path, value } => {
                bytes.push(2);
                bytes.extend_from_slice(path);
                bytes.extend_from_slice(value);
            }
        }
        bytes
    }

    /// Reads a proof. A proof has one form, the one that [`Self::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut reader = ByteReader(bytes);
        let proof = Self::read(&mut reader).map_err(|_| ProofError::Form)?;
        // Comparing with what would be written also refuses unused bits that are set, empty
        // siblings that are written out, and trailing bytes.
        if proof.siblings.len() > DEPTH_MAX || proof.to_bytes() != bytes {
            return Err(ProofError::Form);
        }
        Ok(proof)
    }

    fn read(reader: &mut ByteReader<'_>) -> Result<Self, Corrupt> {
        // The bound comes before the allocation. A proof that states a larger depth is refused later, since it
        // would be written with another.
        let depth = usize::from(reader.u16()?).min(DEPTH_MAX);
        let bitmap = reader.bytes(depth.div_ceil(8))?;
        let bits = bitmap.iter().flat_map(|byte| (0..8).map(move |bit| (byte << bit) & 0x80 != 0));
        let mut siblings = Vec::with_capacity(depth);
        for is_there in bits.take(depth) {
            siblings.push(if is_there { reader.array()? } else { EMPTY });
        }
        let end = match reader.u8()? {
            0 => ProofEnd::Empty,
            1 => ProofEnd::Leaf,
            2 => ProofEnd::OtherLeaf { path: reader.array()?, value: reader.array()? },
            _ => return Err(Corrupt("the end of a proof is of an unknown kind")),
        };
        Ok(Self { siblings, end })
    }

    /// Checks that the root commits to this value of the key, or, with `None`, to the absence of
    /// the key.
    ///
    /// # Errors
    ///
    /// [`ProofError::Kind`] if the proof is of the other statement, [`ProofError::Root`] if it
    /// leads to another root.
    pub fn verify(&self, root: &Hash, key: &[u8], value: Option<&[u8]>) -> Result<(), ProofError> {
        let path: Hash = Sha256::digest(key).into();
        let mut hash = match (&self.end, value) {
            (ProofEnd::Leaf, Some(value)) => leaf_hash(&path, &Sha256::digest(value).into()),
            (ProofEnd::Empty, None) => EMPTY,
            // With the key's own path, the leaf of the key could pass as another one, and a key that is there
            // would be proved absent.
            (ProofEnd::OtherLeaf { path: other, value }, None) if *other != path => {
                // The other leaf must be where the key's leaf would be. A leaf elsewhere proves
                // nothing about the key.
                let agrees = (0..=u8::MAX).take(self.siblings.len());
                if agrees.into_iter().any(|depth| bit(other, depth) != bit(&path, depth)) {
                    return Err(ProofError::Root);
                }
                leaf_hash(other, value)
            }
            _ => return Err(ProofError::Kind),
        };
        // The fields are public, so the proof need not come from `from_bytes`. The loop below would silently
        // ignore siblings beyond a path's bits.
        if self.siblings.len() > DEPTH_MAX {
            return Err(ProofError::Form);
        }
        for (depth, sibling) in (0..=u8::MAX).zip(&self.siblings).rev() {
            // Which side the sibling is on follows from the key, and not from the proof: so the proof cannot
            // lead from another position to the root.
            hash = if bit(&path, depth) {
                branch_hash(sibling, &hash)
            } else {
                branch_hash(&hash, sibling)
            };
        }
        if hash == *root { Ok(()) } else { Err(ProofError::Root) }
    }
}

pub(super) fn leaf_hash(path: &Hash, value: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(path);
    hasher.update(value);
    hasher.finalize().into()
}

pub(super) fn branch_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The bit of a path that decides between left (`false`) and right at this depth.
pub(super) fn bit(path: &Hash, depth: u8) -> bool {
    let byte = path.get(usize::from(depth >> 3)).copied().unwrap_or(0);
    (byte << (depth & 7)) & 0x80 != 0
}
