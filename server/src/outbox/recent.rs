//! A map that forgets its oldest keys beyond a maximum size.

use std::collections::{HashMap, VecDeque};

use super::entry::Hash;

#[derive(Debug)]
pub struct RecentMap<T> {
    // Hash maps are banned only from `core`. Nothing here depends on the order of iteration, and each map has
    // a random seed, so that nobody can choose hashes that collide.
    by_hash: HashMap<Hash, T>,
    order: VecDeque<Hash>,
    len_max: usize,
}

impl<T> RecentMap<T> {
    pub fn new(len_max: usize) -> Self {
        Self { by_hash: HashMap::new(), order: VecDeque::new(), len_max }
    }

    pub fn get(&self, hash: &Hash) -> Option<&T> {
        self.by_hash.get(hash)
    }

    pub fn insert(&mut self, hash: Hash, value: T) {
        if self.by_hash.insert(hash, value).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > self.len_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_hash.remove(&oldest);
        }
    }
}
