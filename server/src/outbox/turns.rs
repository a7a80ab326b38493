//! Whose transaction is posted next: the accounts take turns, with one transaction at each turn, and at the turn of an
//! account its signing keys do. So more session keys bring an account no more turns.
//!
//! There are two rotations, one for urgent transactions and one for all others. A key's transactions are in
//! order of arrival in each. So an account with thousands of transactions delays another account's first one by a
//! single transaction, and its own cancels not at all.

use std::collections::{BTreeSet, HashMap, VecDeque};

use zellbook_core::PublicKey;

#[derive(Debug, Default)]
pub struct Turns {
    /// What waits of each account: others, and urgent ones.
    accounts: HashMap<PublicKey, [Queues; 2]>,
    /// The accounts in the order of their turns. An account stays until its turn finds nothing.
    rotations: [VecDeque<PublicKey>; 2],
    bytes: usize,
}

#[derive(Debug, Default)]
struct Queues {
    /// By signing key; none is empty.
    of_keys: HashMap<PublicKey, BTreeSet<u64>>,
    /// These keys in the order of their turns.
    order: VecDeque<PublicKey>,
    is_in_rotation: bool,
}

impl Turns {
    /// The bytes of all transactions here.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of accounts in a rotation.
    pub fn accounts(&self, is_urgent: bool) -> usize {
        self.rotations[usize::from(is_urgent)].len()
    }

    pub fn insert(
        &mut self,
        (account, key): (PublicKey, PublicKey),
        sequence: u64,
        is_urgent: bool,
        bytes: usize,
    ) {
        let kind = usize::from(is_urgent);
        let queues = &mut self.accounts.entry(account).or_default()[kind];
        let queue = queues.of_keys.entry(key).or_default();
        if queue.is_empty() {
            queues.order.push_back(key);
        }
        if !queue.insert(sequence) {
            return;
        }
        self.bytes += bytes;
        if !std::mem::replace(&mut queues.is_in_rotation, true) {
            self.rotations[kind].push_back(account);
        }
    }

    pub fn remove(
        &mut self,
        (account, key): (PublicKey, PublicKey),
        sequence: u64,
        is_urgent: bool,
        bytes: usize,
    ) {
        let Some(queues) = self.accounts.get_mut(&account) else { return };
        let queues = &mut queues[usize::from(is_urgent)];
        let Some(queue) = queues.of_keys.get_mut(&key) else { return };
        if !queue.remove(&sequence) {
            return;
        }
        self.bytes -= bytes;
        if queue.is_empty() {
            queues.of_keys.remove(&key);
            queues.order.retain(|other| *other != key);
        }
    }

    fn queues(&self, account: &PublicKey, is_urgent: bool) -> Option<&Queues> {
        self.accounts.get(account).map(|queues| &queues[usize::from(is_urgent)])
    }

    /// The transactions of an account's key in order of arrival.
    pub fn waiting(
        &self,
        account: &PublicKey,
        key: &PublicKey,
        is_urgent: bool,
    ) -> impl Iterator<Item = u64> {
        let queue = self.queues(account, is_urgent).and_then(|queues| queues.of_keys.get(key));
        queue.into_iter().flatten().copied()
    }

    /// The account whose turn it is. It must be put back, or it gets no further turn.
    pub fn next(&mut self, is_urgent: bool) -> Option<PublicKey> {
        let kind = usize::from(is_urgent);
        while let Some(account) = self.rotations[kind].pop_front() {
            let Some(queues) = self.accounts.get_mut(&account) else { continue };
            if !queues[kind].order.is_empty() {
                return Some(account);
            }
            queues[kind].is_in_rotation = false;
            if queues.iter().all(|queues| queues.order.is_empty() && !queues.is_in_rotation) {
                self.accounts.remove(&account);
            }
        }
        None
    }

    /// Gives an account its next turn after all others.
    pub fn put_back(&mut self, account: PublicKey, is_urgent: bool) {
        self.rotations[usize::from(is_urgent)].push_back(account);
    }

    /// Leaves it this account's turn.
    pub fn put_first(&mut self, account: PublicKey, is_urgent: bool) {
        self.rotations[usize::from(is_urgent)].push_front(account);
    }

    /// The number of an account's keys that have transactions here.
    pub fn keys(&self, account: &PublicKey, is_urgent: bool) -> usize {
        self.queues(account, is_urgent).map_or(0, |queues| queues.order.len())
    }

    /// The key of an account whose turn it is. Its next turn comes after the account's other keys.
    pub fn next_key(&mut self, account: &PublicKey, is_urgent: bool) -> Option<PublicKey> {
        let queues = &mut self.accounts.get_mut(account)?[usize::from(is_urgent)];
        let key = queues.order.pop_front()?;
        queues.order.push_back(key);
        Some(key)
    }
}
