//! The authenticated map: a root that commits to every leaf of the state.
//!
//! A binary Merkle tree over the 256-bit paths `SHA-256(key)`, in which a subtree with one leaf is
//! that leaf and a subtree with none is 32 zero bytes (the form of Diem's sparse Merkle tree). Its
//! shape depends on the set of leaves alone, never on the order of changes.
//!
//! ```text
//! leaf   = SHA-256(0x00 || path || SHA-256(value))
//! branch = SHA-256(0x01 || left || right)
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use thiserror::Error;
use zellbook_prefetch::prefetch;

use crate::event::Corrupt;
use crate::leaf::Reader;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The root of a subtree without leaves.
const EMPTY: Hash = [0; 32];
/// Bits of a path: branches are no deeper.
const DEPTH_MAX: usize = 256;

/// A subtree as its parent holds it: a lone leaf needs no memory of its own, and what a branch hashes
/// lies together.
#[derive(Clone, Debug, Default)]
enum Subtree {
    #[default]
    Empty,
    Leaf(Leaf),
    /// Two leaves or more. The hash is forgotten when something below changes.
    Branch {
        children: Box<[Subtree; 2]>,
        hash: Option<Hash>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Leaf {
    path: Hash,
    /// SHA-256 of the value.
    value: Hash,
    hash: Hash,
}

/// The map's tree. It keeps hashes only; the values live with their owners.
#[derive(Clone, Debug, Default)]
pub struct StateTree {
    root: Subtree,
}

impl StateTree {
    /// Sets the value of a key, or removes it.
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.set_at(Sha256::digest(key).into(), value);
    }

    /// The same for many keys, which is faster than one by one.
    pub fn set_all<'a>(
        &mut self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone,
    ) {
        let paths = changes.clone().map(|(key, _)| Sha256::digest(key).into());
        let paths: Vec<Hash> = paths.collect();
        self.look_ahead(&paths);
        for (path, (_, value)) in paths.into_iter().zip(changes) {
            self.set_at(path, value);
        }
    }

    /// Has the branches on the way to many paths brought from memory, a level of all of them at a time,
    /// so that the waits overlap.
    fn look_ahead(&self, paths: &[Hash]) {
        let mut ways: Vec<(&Hash, &Subtree)> =
            paths.iter().map(|path| (path, &self.root)).collect();
        for depth in 0..=u8::MAX {
            ways.retain_mut(|(path, subtree)| {
                let Subtree::Branch { children, .. } = subtree else { return false };
                let [left, right] = &**children;
                *subtree = if bit(path, depth) { right } else { left };
                if let Subtree::Branch { children, .. } = subtree {
                    let [left, right] = &**children;
                    prefetch(left);
                    prefetch(right);
                }
                true
            });
            if ways.is_empty() {
                break;
            }
        }
    }

    fn set_at(&mut self, path: Hash, value: Option<&[u8]>) {
        match value {
            Some(value) => {
                let value: Hash = Sha256::digest(value).into();
                let leaf = Leaf { path, value, hash: leaf_hash(&path, &value) };
                insert(&mut self.root, leaf, 0);
            }
            None => remove(&mut self.root, &path, 0),
        }
    }

    /// Whether a key has a value.
    pub(crate) fn has(&self, key: &[u8], value: &[u8]) -> bool {
        let path: Hash = Sha256::digest(key).into();
        let mut subtree = &self.root;
        for depth in 0..=u8::MAX {
            let Subtree::Branch { children, .. } = subtree else { break };
            let [left, right] = &**children;
            subtree = if bit(&path, depth) { right } else { left };
        }
        let Subtree::Leaf(leaf) = subtree else { return false };
        leaf.path == path && leaf.value == Hash::from(Sha256::digest(value))
    }

    /// The root, computed again where something changed. 32 zero bytes for no leaves.
    pub fn root(&mut self) -> Hash {
        hash(&mut self.root)
    }

    /// A proof of a key's value or absence against the present root.
    pub fn prove(&mut self, key: &[u8]) -> Proof {
        let path: Hash = Sha256::digest(key).into();
        let mut siblings = Vec::new();
        let mut subtree = &mut self.root;
        let mut depth = 0_u8;
        let end = loop {
            match subtree {
                Subtree::Empty => break ProofEnd::Empty,
                Subtree::Leaf(leaf) if leaf.path == path => break ProofEnd::Leaf,
                Subtree::Leaf(Leaf { path, value, .. }) => {
                    break ProofEnd::OtherLeaf { path: *path, value: *value };
                }
                Subtree::Branch { children, .. } => {
                    let [left, right] = &mut **children;
                    let (child, sibling) =
                        if bit(&path, depth) { (right, left) } else { (left, right) };
                    siblings.push(hash(sibling));
                    subtree = child;
                    // Branches are no deeper than paths have bits.
                    depth = depth.wrapping_add(1);
                }
            }
        };
        Proof { siblings, end }
    }
}

/// What stands where the path of a key ends in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofEnd {
    /// Nothing: the key is absent.
    Empty,
    /// The key's leaf.
    Leaf,
    /// The leaf of another key, alone in its subtree: the key is absent.
    OtherLeaf {
        /// Its path.
        path: Hash,
        /// SHA-256 of its value.
        value: Hash,
    },
}

/// A proof that a root commits to a key's value, or to its absence. In a state of a million leaves it
/// has some 20 siblings, 700 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Roots of the subtrees beside the path, from the top; at most 256.
    pub siblings: Vec<Hash>,
    /// Where the path ends.
    pub end: ProofEnd,
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// The bytes are no proof.
    #[error("these bytes are no proof")]
    Form,
    /// It proves the value of a key that is said to be absent, or the other way round.
    #[error("this is a proof of another answer: of a value for absence, or of absence for a value")]
    Kind,
    /// It leads to another root.
    #[error("this proof does not lead to the root")]
    Root,
}

impl Proof {
    /// The proof in bytes: see *Proofs* in `docs/protocol.md`.
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

    /// Reads a proof in the one form that [`Self::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut reader = Reader(bytes);
        let proof = Self::read(&mut reader).map_err(|_| ProofError::Form)?;
        // Bits beyond the depth, siblings that are written though empty, and trailing bytes.
        if proof.siblings.len() > DEPTH_MAX || proof.to_bytes() != bytes {
            return Err(ProofError::Form);
        }
        Ok(proof)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
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
            _ => return Err(Corrupt("a proof ends in an unknown way")),
        };
        Ok(Self { siblings, end })
    }

    /// Whether a root commits to this value of a key, or with `None` to the key's absence.
    pub fn verify(&self, root: &Hash, key: &[u8], value: Option<&[u8]>) -> Result<(), ProofError> {
        let path: Hash = Sha256::digest(key).into();
        let mut hash = match (&self.end, value) {
            (ProofEnd::Leaf, Some(value)) => leaf_hash(&path, &Sha256::digest(value).into()),
            (ProofEnd::Empty, None) => EMPTY,
            (ProofEnd::OtherLeaf { path: other, value }, None) if *other != path => {
                // It must lie where the key would: else it says nothing about the key.
                let agrees = (0..=u8::MAX).take(self.siblings.len());
                if agrees.into_iter().any(|depth| bit(other, depth) != bit(&path, depth)) {
                    return Err(ProofError::Root);
                }
                leaf_hash(other, value)
            }
            _ => return Err(ProofError::Kind),
        };
        if self.siblings.len() > DEPTH_MAX {
            return Err(ProofError::Form);
        }
        for (depth, sibling) in (0..=u8::MAX).zip(&self.siblings).rev() {
            hash = if bit(&path, depth) {
                branch_hash(sibling, &hash)
            } else {
                branch_hash(&hash, sibling)
            };
        }
        if hash == *root { Ok(()) } else { Err(ProofError::Root) }
    }
}

fn leaf_hash(path: &Hash, value: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(path);
    hasher.update(value);
    hasher.finalize().into()
}

fn branch_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The bit of a path that decides at a depth; `false` is left.
fn bit(path: &Hash, depth: u8) -> bool {
    let byte = path.get(usize::from(depth >> 3)).copied().unwrap_or(0);
    (byte << (depth & 7)) & 0x80 != 0
}

fn insert(subtree: &mut Subtree, leaf: Leaf, depth: u8) {
    match subtree {
        Subtree::Empty => *subtree = Subtree::Leaf(leaf),
        Subtree::Leaf(other) if other.path == leaf.path => *other = leaf,
        Subtree::Leaf(other) => {
            // Two leaves: a branch with the old one below, then the new one into it.
            let old = Subtree::Leaf(*other);
            let children =
                if bit(&other.path, depth) { [Subtree::Empty, old] } else { [old, Subtree::Empty] };
            *subtree = Subtree::Branch { children: Box::new(children), hash: None };
            insert(subtree, leaf, depth);
        }
        Subtree::Branch { children, hash } => {
            *hash = None;
            let [left, right] = &mut **children;
            let child = if bit(&leaf.path, depth) { right } else { left };
            // Paths of 256 bits part before the depth overflows, or they are equal.
            insert(child, leaf, depth.wrapping_add(1));
        }
    }
}

fn remove(subtree: &mut Subtree, path: &Hash, depth: u8) {
    match subtree {
        Subtree::Empty => {}
        Subtree::Leaf(leaf) if leaf.path == *path => *subtree = Subtree::Empty,
        Subtree::Leaf(_) => {}
        Subtree::Branch { children, hash } => {
            *hash = None;
            let [left, right] = &mut **children;
            remove(if bit(path, depth) { right } else { left }, path, depth.wrapping_add(1));
            // A branch that is left with one leaf becomes that leaf.
            let [left, right] = &**children;
            match (left, right) {
                (Subtree::Leaf(leaf), Subtree::Empty) | (Subtree::Empty, Subtree::Leaf(leaf)) => {
                    *subtree = Subtree::Leaf(*leaf);
                }
                (Subtree::Empty, Subtree::Empty) => *subtree = Subtree::Empty,
                _ => {}
            }
        }
    }
}

fn hash(subtree: &mut Subtree) -> Hash {
    match subtree {
        Subtree::Empty => EMPTY,
        Subtree::Leaf(leaf) => leaf.hash,
        Subtree::Branch { children, hash: known } => *known.get_or_insert_with(|| {
            let [left, right] = &mut **children;
            branch_hash(&hash(left), &hash(right))
        }),
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use super::*;

    /// The root by the definition, from sorted (path, leaf hash) pairs.
    fn naive(leaves: &[(Hash, Hash)], depth: u8) -> Hash {
        match leaves {
            [] => EMPTY,
            [(_, hash)] => *hash,
            _ => {
                let (left, right): (Vec<_>, Vec<_>) =
                    leaves.iter().partition(|(path, _)| !bit(path, depth));
                let mut hasher = Sha256::new();
                hasher.update([1]);
                hasher.update(naive(&left, depth + 1));
                hasher.update(naive(&right, depth + 1));
                hasher.finalize().into()
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition_after_every_change() {
        let mut tree = StateTree::default();
        let mut map: BTreeMap<u8, u8> = BTreeMap::new();
        assert_eq!(tree.root(), EMPTY);
        for step in 0_u32..400 {
            let key = (step.wrapping_mul(2_654_435_761) >> 24) as u8 % 40;
            let value = (!step.is_multiple_of(3)).then_some(step as u8);
            tree.set(&[key], value.as_ref().map(core::slice::from_ref));
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
            let leaves: Vec<_> = map
                .iter()
                .map(|(key, value)| {
                    let path: Hash = Sha256::digest([*key]).into();
                    let leaf = [&[0][..], &path, &Sha256::digest([*value])].concat();
                    (path, Sha256::digest(leaf).into())
                })
                .collect();
            assert_eq!(tree.root(), naive(&leaves, 0), "step {step}");
        }
        for key in 0..40 {
            tree.set(&[key], None);
        }
        assert_eq!(tree.root(), EMPTY);
    }
}
