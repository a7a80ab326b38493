//! Whose transaction is posted next: the signing keys take turns, with one transaction at each turn.
//!
//! There are two rotations, one for urgent transactions and one for all others. A key's transactions are in
//! order of arrival in each. So a key with thousands of transactions delays another key's first one by a single
//! transaction, and its own cancels not at all.

use std::collections::{BTreeSet, HashMap, VecDeque};

use zellbook_core::PublicKey;

#[derive(Debug, Default)]
pub struct Turns {
    queues: HashMap<PublicKey, [Queue; 2]>,
    /// The keys in the order of their turns. A key stays until its turn finds nothing.
    rotations: [VecDeque<PublicKey>; 2],
    bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    sequences: BTreeSet<u64>,
    is_in_rotation: bool,
}

impl Turns {
    /// The bytes of all transactions here.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of keys in a rotation.
    pub fn keys(&self, is_urgent: bool) -> usize {
        self.rotations[usize::from(is_urgent)].len()
    }

    pub fn insert(&mut self, key: PublicKey, sequence: u64, is_urgent: bool, bytes: usize) {
        let kind = usize::from(is_urgent);
        let queue = &mut self.queues.entry(key).or_default()[kind];
        if !queue.sequences.insert(sequence) {
            return;
        }
        self.bytes += bytes;
        if !std::mem::replace(&mut queue.is_in_rotation, true) {
            self.rotations[kind].push_back(key);
        }
    }

    pub fn remove(&mut self, key: &PublicKey, sequence: u64, is_urgent: bool, bytes: usize) {
        let queues = self.queues.get_mut(key);
        if queues.is_some_and(|queues| queues[usize::from(is_urgent)].sequences.remove(&sequence)) {
            self.bytes -= bytes;
        }
    }

    /// A key's transactions in order of arrival.
    pub fn waiting(&self, key: &PublicKey, is_urgent: bool) -> impl Iterator<Item = u64> {
        let queue = self.queues.get(key).map(|queues| &queues[usize::from(is_urgent)]);
        queue.into_iter().flat_map(|queue| queue.sequences.iter().copied())
    }

    /// The key whose turn it is. It must be put back, or it gets no further turn.
    pub fn next(&mut self, is_urgent: bool) -> Option<PublicKey> {
        let kind = usize::from(is_urgent);
        while let Some(key) = self.rotations[kind].pop_front() {
            let Some(queues) = self.queues.get_mut(&key) else { continue };
            if !queues[kind].sequences.is_empty() {
                return Some(key);
            }
            queues[kind].is_in_rotation = false;
            if queues.iter().all(|queue| queue.sequences.is_empty() && !queue.is_in_rotation) {
                self.queues.remove(&key);
            }
        }
        None
    }

    /// Gives a key its next turn after all others.
    pub fn put_back(&mut self, key: PublicKey, is_urgent: bool) {
        self.rotations[usize::from(is_urgent)].push_back(key);
    }

    /// Leaves it this key's turn.
    pub fn put_first(&mut self, key: PublicKey, is_urgent: bool) {
        self.rotations[usize::from(is_urgent)].push_front(key);
    }
}
