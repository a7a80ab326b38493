//! On which lane into the network an account's transactions go.
//!
//! A gateway keeps the order in which it was handed batches; two gateways keep none between them. So all
//! that an account has under way goes by one lane, which leads to one gateway. A backlog of several
//! batches takes several lanes; less goes by the first, since a lane of its own would cost a batch.

use std::collections::HashMap;

use zellbook_core::key::PublicKey;

use crate::sequencer::LANES_MAX;

/// The lanes of accounts that have transactions under way: handed to a gateway, and neither seen final
/// nor late.
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
    /// The lane that an account's next transaction takes, while so many are in use.
    pub fn of(&self, account: &PublicKey, used: usize) -> usize {
        if let Some(under_way) = self.under_way.get(account) {
            return under_way.lane;
        }
        let (_, end) = account.as_bytes().split_last_chunk().unwrap_or((&[], &[0; 8]));
        let place = u64::from_be_bytes(*end) % u64::try_from(used.max(1)).unwrap_or(u64::MAX);
        usize::try_from(place).unwrap_or_default()
    }

    /// Notes that a transaction of an account is under way on its lane.
    pub fn enter(&mut self, account: PublicKey, lane: usize) {
        self.under_way.entry(account).or_insert(UnderWay { lane, count: 0 }).count += 1;
    }

    /// Notes that a transaction of an account is under way no more.
    pub fn leave(&mut self, account: &PublicKey) {
        if let Some(under_way) = self.under_way.get_mut(account) {
            under_way.count -= 1;
            if under_way.count == 0 {
                self.under_way.remove(account);
            }
        }
    }
}

/// How many lanes a backlog of so many bytes takes where there are so many: one for each full body.
pub fn used(backlog: usize, bytes_max: usize, lanes: usize) -> usize {
    (backlog / bytes_max.max(1)).clamp(1, lanes.clamp(1, LANES_MAX))
}
