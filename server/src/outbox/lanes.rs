//! Chooses the lane, thus the gateway, by which an account's transactions are posted.
//!
//! A gateway keeps the order of the batches that it receives, but nothing orders the batches of two
//! gateways. An account's transactions must stay in order (a cancel after its order), so all that an
//! account has under way use one lane, and a lane leads to one gateway. Several lanes are used only for a
//! backlog of several full batches: otherwise each lane would post a small batch of its own.

use std::collections::HashMap;

use zellbook_core::PublicKey;

use zellular::client::LANES_MAX;

/// The lanes of the accounts that have transactions under way: handed to a gateway, and neither seen in a
/// finalized batch nor due again.
#[derive(Debug, Default)]
pub struct Lanes {
    under_way: HashMap<PublicKey, UnderWay>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    lane: usize,
    count: usize,
}

impl Lanes {
    /// The lane of an account's next transaction, while `used` lanes are in use.
    pub fn of(&self, account: &PublicKey, used: usize) -> usize {
        if let Some(under_way) = self.under_way.get(account) {
            return under_way.lane;
        }
        // The end of a public key is as evenly spread as a hash. Someone who chooses keys that all use one
        // lane slows only that lane.
        let (_, end) = account.as_bytes().split_last_chunk().unwrap_or((&[], &[0; 8]));
        let lane = u64::from_be_bytes(*end) % u64::try_from(used.max(1)).unwrap_or(u64::MAX);
        usize::try_from(lane).unwrap_or_default()
    }

    /// Records that a transaction of the account is under way on the lane.
    pub fn enter(&mut self, account: PublicKey, lane: usize) {
        self.under_way.entry(account).or_insert(UnderWay { lane, count: 0 }).count += 1;
    }

    /// Records that a transaction of the account is no longer under way. An account with none under way
    /// is free to use another lane.
    pub fn leave(&mut self, account: &PublicKey) {
        if let Some(under_way) = self.under_way.get_mut(account) {
            under_way.count -= 1;
            // Removed, not left at zero: the map would otherwise grow with every account that ever posted.
            if under_way.count == 0 {
                self.under_way.remove(account);
            }
        }
    }
}

/// The number of lanes to use for a backlog of this many bytes: one for each full body, up to `lanes`.
pub fn used(backlog: usize, bytes_max: usize, lanes: usize) -> usize {
    (backlog / bytes_max.max(1)).clamp(1, lanes.clamp(1, LANES_MAX))
}
