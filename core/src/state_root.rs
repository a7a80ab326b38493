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

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

const EMPTY: Hash = [0; 32];

type Subtree = Option<Box<Node>>;

#[derive(Clone, Debug)]
enum Node {
    Leaf {
        path: Hash,
        hash: Hash,
    },
    /// Two leaves or more. The hash is forgotten when something below changes.
    Branch {
        left: Subtree,
        right: Subtree,
        hash: Option<Hash>,
    },
}

/// The map's tree. It keeps hashes only; the values live with their owners.
#[derive(Clone, Debug, Default)]
pub struct StateTree {
    root: Subtree,
}

impl StateTree {
    /// Sets the value of a key, or removes it.
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let path: Hash = Sha256::digest(key).into();
        let root = self.root.take();
        self.root = match value {
            Some(value) => {
                let mut hasher = Sha256::new();
                hasher.update([0]);
                hasher.update(path);
                hasher.update(Sha256::digest(value));
                let leaf = Node::Leaf { path, hash: hasher.finalize().into() };
                Some(insert(root, leaf, path, 0))
            }
            None => remove(root, &path, 0),
        };
    }

    /// The root, computed again where something changed. 32 zero bytes for no leaves.
    pub fn root(&mut self) -> Hash {
        hash(&mut self.root)
    }
}

/// The bit of a path that decides at a depth; `false` is left.
fn bit(path: &Hash, depth: u8) -> bool {
    let byte = path.get(usize::from(depth >> 3)).copied().unwrap_or(0);
    (byte << (depth & 7)) & 0x80 != 0
}

fn insert(subtree: Subtree, leaf: Node, path: Hash, depth: u8) -> Box<Node> {
    let Some(mut node) = subtree else { return Box::new(leaf) };
    match &mut *node {
        Node::Leaf { path: other, .. } if *other == path => {
            *node = leaf;
            node
        }
        Node::Leaf { path: other, .. } => {
            // Two leaves: a branch with the old one below, then the new one into it.
            let goes_right = bit(other, depth);
            let old = Some(node);
            let (left, right) = if goes_right { (None, old) } else { (old, None) };
            let branch = Box::new(Node::Branch { left, right, hash: None });
            insert(Some(branch), leaf, path, depth)
        }
        Node::Branch { left, right, hash } => {
            *hash = None;
            let child = if bit(&path, depth) { right } else { left };
            // Paths of 256 bits part before the depth overflows, or they are equal.
            *child = Some(insert(child.take(), leaf, path, depth.wrapping_add(1)));
            node
        }
    }
}

fn remove(subtree: Subtree, path: &Hash, depth: u8) -> Subtree {
    let mut node = subtree?;
    match &mut *node {
        Node::Leaf { path: other, .. } => (other != path).then_some(node),
        Node::Branch { left, right, hash } => {
            *hash = None;
            let child = if bit(path, depth) { &mut *right } else { &mut *left };
            *child = remove(child.take(), path, depth.wrapping_add(1));
            // A branch that is left with one leaf becomes that leaf.
            match (left.as_deref(), right.as_deref()) {
                (Some(Node::Leaf { .. }), None) => left.take(),
                (None, Some(Node::Leaf { .. })) => right.take(),
                (None, None) => None,
                _ => Some(node),
            }
        }
    }
}

fn hash(subtree: &mut Subtree) -> Hash {
    match subtree.as_deref_mut() {
        None => EMPTY,
        Some(Node::Leaf { hash, .. }) => *hash,
        Some(Node::Branch { left, right, hash: known }) => *known.get_or_insert_with(|| {
            let mut hasher = Sha256::new();
            hasher.update([1]);
            hasher.update(hash(left));
            hasher.update(hash(right));
            hasher.finalize().into()
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
