//! Which nonces of each signing key may be posted now.
//!
//! The exchange remembers the 64 highest nonces of a key and rejects a lower one for good. Nothing orders
//! transactions that are in flight: a batch can be lost and posted again after later ones. So a nonce may be posted
//! only while fewer than 64 nonces above the lowest one that waits have been handed to a gateway. This also bounds
//! what one key has in flight.

use std::collections::{BTreeSet, HashMap};

use zellbook_core::PublicKey;
use zellbook_core::types::limits::NONCES_KEPT;

/// The most nonces that may be handed over above the lowest one that waits.
const ABOVE_LOWEST_MAX: usize = NONCES_KEPT - 1;
/// How many urgent transactions of a key may overtake its others. If they took the whole window, the others
/// could then be posted only one at a time.
const OVERTAKE_MAX: usize = 16;
/// The nonces that are remembered. More than a window is never compared.
const REMEMBERED_MAX: usize = 2 * NONCES_KEPT;

#[derive(Debug, Default)]
pub struct Windows {
    by_key: HashMap<PublicKey, Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// The number of transactions that wait here, and of those that were handed over.
    waiting: usize,
    in_flight: usize,
    /// The nonces of the transactions that wait, with their sequence numbers.
    open: BTreeSet<(u64, u64)>,
    /// Those of them that are not urgent and not handed over.
    ordinary: BTreeSet<(u64, u64)>,
    /// Nonces that were handed to a gateway, or seen in a batch.
    handed_over: BTreeSet<u64>,
}

/// A transaction as a window sees it.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    pub key: PublicKey,
    /// `None` for an order in the guide's format.
    pub nonce: Option<u64>,
    pub sequence: u64,
    pub is_urgent: bool,
}

impl Windows {
    pub fn enter(&mut self, of: &Numbered) {
        let window = self.by_key.entry(of.key).or_default();
        window.waiting += 1;
        if let Some(nonce) = of.nonce {
            window.open.insert((nonce, of.sequence));
            if !of.is_urgent {
                window.ordinary.insert((nonce, of.sequence));
            }
        }
    }

    /// The transaction with a key's lowest nonce.
    pub fn lowest(&self, key: &PublicKey) -> Option<u64> {
        self.by_key.get(key)?.open.first().map(|(_, sequence)| *sequence)
    }

    pub fn allows(&self, of: &Numbered) -> bool {
        let Some(window) = self.by_key.get(&of.key) else { return false };
        // Some room is left for urgent transactions, or a key's own orders could keep its cancels waiting.
        let room = if of.is_urgent { 0 } else { OVERTAKE_MAX };
        if window.in_flight >= NONCES_KEPT - room {
            return false;
        }
        let Some(nonce) = of.nonce else { return true };
        let Some((lowest, _)) = window.open.first() else { return true };
        // One that was handed over before is counted already, and the lowest one is above nothing.
        if nonce <= *lowest || window.handed_over.contains(&nonce) {
            return true;
        }
        let above = |lowest: u64| window.handed_over.range(lowest.saturating_add(1)..).count();
        let overtaken = window.ordinary.first().filter(|(ordinary, _)| *ordinary < nonce);
        above(*lowest) < ABOVE_LOWEST_MAX - room
            && (!of.is_urgent
                || overtaken.is_none_or(|(ordinary, _)| above(*ordinary) < OVERTAKE_MAX))
    }

    pub fn hand_over(&mut self, of: &Numbered) {
        let Some(window) = self.by_key.get_mut(&of.key) else { return };
        window.in_flight += 1;
        if let Some(nonce) = of.nonce {
            window.ordinary.remove(&(nonce, of.sequence));
            window.remember(nonce);
        }
    }

    /// Records that no gateway accepted a transaction. Its nonce stays remembered, since an answer can have been
    /// lost.
    pub fn take_back(&mut self, of: &Numbered) {
        let Some(window) = self.by_key.get_mut(&of.key) else { return };
        window.in_flight -= 1;
        if let Some(nonce) = of.nonce.filter(|_| !of.is_urgent) {
            window.ordinary.insert((nonce, of.sequence));
        }
    }

    /// Records that a transaction is not waiting any more. `is_used` says that it is in a batch.
    pub fn leave(&mut self, of: &Numbered, is_in_flight: bool, is_used: bool) {
        let Some(window) = self.by_key.get_mut(&of.key) else { return };
        window.waiting -= 1;
        window.in_flight -= usize::from(is_in_flight);
        if let Some(nonce) = of.nonce {
            window.open.remove(&(nonce, of.sequence));
            window.ordinary.remove(&(nonce, of.sequence));
            if is_used {
                window.remember(nonce);
            }
        }
        if window.waiting == 0 {
            self.by_key.remove(&of.key);
        }
    }
}

impl Window {
    fn remember(&mut self, nonce: u64) {
        self.handed_over.insert(nonce);
        if self.handed_over.len() > REMEMBERED_MAX {
            self.handed_over.pop_first();
        }
    }
}
