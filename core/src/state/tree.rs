//! The state tree: an authenticated map whose root commits to every leaf of the state.
//!
//! A binary Merkle tree over the 256-bit paths `SHA-256(key)`. A subtree with one leaf is that
//! leaf, and a subtree without leaves has 32 zero bytes as its hash (the form of Diem's sparse
//! Merkle tree). So a path is only as long as needed to tell the leaves apart: about 20 levels for
//! a million leaves instead of 256.
//!
//! ```text
//! leaf   = SHA-256(0x00 || path || SHA-256(value))
//! branch = SHA-256(0x01 || left || right)
//! ```
//!
//! The different first bytes prevent that a branch is presented as a leaf. The shape depends only
//! on the set of leaves, never on the order of changes: inserting splits a lone leaf at the first
//! bit where two paths differ, and removing merges a branch with one leaf left back into that leaf.
//! Equal states therefore have equal roots (I13).
//!
//! A change only clears the stored hashes on its path. The root hashes what was cleared, once for
//! each batch, so a branch above many changed leaves is hashed once.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use zellbook_prefetch::prefetch;

use super::proof::{EMPTY, Proof, ProofEnd, bit, branch_hash, leaf_hash};
use crate::cores::map_chunks;
use crate::types::Hash;

/// The number of leaves that a thread takes at once.
const TOGETHER: usize = 4096;

/// A subtree, stored in its parent: a lone leaf needs no allocation, and the two hashes that a
/// branch combines are next to each other in memory.
#[derive(Clone, Debug, Default)]
enum Subtree {
    #[default]
    Empty,
    Leaf(Leaf),
    /// Two leaves or more. `hash` is `None` after a change below.
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

impl Leaf {
    fn new(path: Hash, value: &[u8]) -> Self {
        let value: Hash = Sha256::digest(value).into();
        // Hashed once, here. The hash does not depend on the depth, so a leaf that moves up or down keeps it.
        Self { path, value, hash: leaf_hash(&path, &value) }
    }
}

/// The tree. It stores hashes only; the values are in the engine.
#[derive(Clone, Debug, Default)]
pub struct StateTree {
    root: Subtree,
}

impl StateTree {
    /// The tree over all leaves, keys and values, in any order but each key once. Made on all cores.
    pub(crate) fn of(leaves: impl Iterator<Item = (Vec<u8>, Vec<u8>)> + Send) -> Self {
        let hashed = map_chunks(leaves, TOGETHER, |leaves| {
            let hashed =
                leaves.iter().map(|(key, value)| Leaf::new(Sha256::digest(key).into(), value));
            hashed.collect::<Vec<Leaf>>()
        });
        let count = hashed.iter().fold(0_usize, |sum, leaves| sum.wrapping_add(leaves.len()));
        // One subtree for each first byte of a path.
        let mut parts: Vec<Vec<Leaf>> = vec![Vec::new(); 256];
        for leaf in hashed.into_iter().flatten() {
            let [first, ..] = leaf.path;
            if let Some(part) = parts.get_mut(usize::from(first)) {
                part.push(leaf);
            }
        }
        let length = (256 * TOGETHER).checked_div(count).unwrap_or(256).clamp(1, 256);
        let subtrees = map_chunks(parts.into_iter(), length, |parts| {
            let sorted = parts.into_iter().map(|mut leaves| {
                leaves.sort_unstable_by_key(|leaf| leaf.path);
                subtree(&leaves, 8)
            });
            sorted.collect::<Vec<Subtree>>()
        });
        let mut subtrees: Vec<Subtree> = subtrees.into_iter().flatten().collect();
        while subtrees.len() > 1 {
            let mut pairs = subtrees.into_iter();
            let joined = core::iter::from_fn(|| Some(join(pairs.next()?, pairs.next()?)));
            subtrees = joined.collect();
        }
        Self { root: subtrees.pop().unwrap_or_default() }
    }

    /// Sets the value of a key, or removes the key.
    #[cfg(any(test, feature = "bench"))]
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.set_at(Sha256::digest(key).into(), value);
    }

    /// Sets or removes many keys, which is faster than one after the other.
    pub fn set_all<'a>(
        &mut self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone,
    ) {
        // All paths are known before the first change, so the memory on all of them can be requested at once.
        let paths = changes.clone().map(|(key, _)| Sha256::digest(key).into());
        let paths: Vec<Hash> = paths.collect();
        self.prefetch_paths(&paths);
        for (path, (_, value)) in paths.into_iter().zip(changes) {
            self.set_at(path, value);
        }
    }

    /// Prefetches the branches on many paths, level by level, so that the waits for memory overlap.
    fn prefetch_paths(&self, paths: &[Hash]) {
        let mut ways: Vec<(&Hash, &Subtree)> =
            paths.iter().map(|path| (path, &self.root)).collect();
        // Ends with the last branch, after about 20 levels for a million leaves.
        for depth in 0..=u8::MAX {
            ways.retain_mut(|(path, subtree)| {
                let Subtree::Branch { children, .. } = subtree else { return false };
                let [left, right] = &**children;
                *subtree = if bit(path, depth) { right } else { left };
                if let Subtree::Branch { children, .. } = subtree {
                    let [left, right] = &**children;
                    // Both children: the way goes on through one, and the hash of their branch needs the other.
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
            Some(value) => insert(&mut self.root, Leaf::new(path, value), 0),
            None => remove(&mut self.root, &path, 0),
        }
    }

    /// The root; 32 zero bytes if there are no leaves. Hashes again what changed.
    pub fn root(&mut self) -> Hash {
        hash(&mut self.root)
    }

    /// A proof of the value of a key, or of its absence, against the current root.
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
                    // Cannot overflow: branches are no deeper than paths have bits.
                    depth = depth.wrapping_add(1);
                }
            }
        };
        Proof { siblings, end }
    }
}

/// The subtree of leaves that are sorted by their paths, which share their first bits up to this depth.
fn subtree(leaves: &[Leaf], depth: u8) -> Subtree {
    match leaves {
        [] => Subtree::Empty,
        [leaf] => Subtree::Leaf(*leaf),
        // Two keys with one path would be a collision of SHA-256.
        [leaf, .., last] if leaf.path == last.path => Subtree::Leaf(*last),
        _ => {
            let middle = leaves.partition_point(|leaf| !bit(&leaf.path, depth));
            let (left, right) = leaves.split_at(middle);
            let depth = depth.wrapping_add(1);
            join(subtree(left, depth), subtree(right, depth))
        }
    }
}

/// The subtree that has these two below it.
fn join(left: Subtree, right: Subtree) -> Subtree {
    match (left, right) {
        (Subtree::Empty, lone @ (Subtree::Empty | Subtree::Leaf(_)))
        | (lone @ Subtree::Leaf(_), Subtree::Empty) => lone,
        (mut left, mut right) => {
            let hash = branch_hash(&hash(&mut left), &hash(&mut right));
            Subtree::Branch { children: Box::new([left, right]), hash: Some(hash) }
        }
    }
}

fn insert(subtree: &mut Subtree, leaf: Leaf, depth: u8) {
    match subtree {
        // The recursion is at most 256 deep. To get near that, somebody would have to find keys whose paths
        // share as many bits, at twice the work for each bit.
        Subtree::Empty => *subtree = Subtree::Leaf(leaf),
        Subtree::Leaf(other) if other.path == leaf.path => *other = leaf,
        Subtree::Leaf(other) => {
            // Two leaves in one place: make a branch that holds the old one, then insert the new
            // one into it.
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
            // Cannot overflow: two different paths of 256 bits differ at some depth up to 255.
            insert(child, leaf, depth.wrapping_add(1));
        }
    }
}

fn remove(subtree: &mut Subtree, path: &Hash, depth: u8) {
    match subtree {
        // No such key: a leaf that was added and removed within one batch never reached the tree.
        Subtree::Empty => {}
        Subtree::Leaf(leaf) if leaf.path == *path => *subtree = Subtree::Empty,
        Subtree::Leaf(_) => {}
        Subtree::Branch { children, hash } => {
            *hash = None;
            let [left, right] = &mut **children;
            remove(if bit(path, depth) { right } else { left }, path, depth.wrapping_add(1));
            // A branch with only one leaf left becomes that leaf, or the shape would depend on
            // history.
            let [left, right] = &**children;
            match (left, right) {
                (Subtree::Leaf(leaf), Subtree::Empty) | (Subtree::Empty, Subtree::Leaf(leaf)) => {
                    *subtree = Subtree::Leaf(*leaf);
                }
                // Cannot happen: a branch has two leaves or more, and one was removed.
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
        // Only what a change cleared is computed again. That is why asking for the root needs `&mut`.
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

    /// The root by definition, from sorted pairs of path and leaf hash.
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
    fn a_tree_made_at_once_is_the_one_made_leaf_by_leaf() {
        for count in [0_u32, 1, 2, 3, 500, 20_000] {
            let leaves = (0..count).map(|key| (key.to_be_bytes().to_vec(), vec![7; 3]));
            let mut at_once = StateTree::of(leaves.clone());
            let mut one_by_one = StateTree::default();
            leaves.for_each(|(key, value)| one_by_one.set(&key, Some(&value)));
            assert_eq!(at_once.root(), one_by_one.root(), "{count} leaves");
            // Equal shapes: removing everything again goes through every branch.
            for key in 0..count {
                at_once.set(&key.to_be_bytes(), None);
                one_by_one.set(&key.to_be_bytes(), None);
                if key % 997 == 0 {
                    assert_eq!(
                        at_once.root(),
                        one_by_one.root(),
                        "without the first {key} of {count}"
                    );
                }
            }
            assert_eq!(at_once.root(), EMPTY);
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
