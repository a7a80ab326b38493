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
use zellbook_prefetch::prefetch;

use super::proof::{EMPTY, Proof, ProofEnd, bit, branch_hash, leaf_hash};
use crate::types::Hash;

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
        self.prefetch_paths(&paths);
        for (path, (_, value)) in paths.into_iter().zip(changes) {
            self.set_at(path, value);
        }
    }

    /// Has the branches on the way to many paths brought from memory, a level of all of them at a time,
    /// so that the waits overlap.
    fn prefetch_paths(&self, paths: &[Hash]) {
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
