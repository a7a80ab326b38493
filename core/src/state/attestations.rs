//! What replicas say they have seen: roots, which are certified once enough agree, and clocks, whose
//! weighted median is the state's time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::rules::Rules;
use crate::types::{Hash, ReplicaIndex};

/// The last that a replica said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Index of the batch that it attested to.
    pub batch: u64,
    /// Its clock in Unix milliseconds.
    pub clock: u64,
}

/// All that the state keeps of attestations.
#[derive(Clone, Debug, Default)]
pub struct Attestations {
    pub(crate) latest: BTreeMap<ReplicaIndex, Latest>,
    /// Roots by batch and replica, of batches after the last certified one.
    pub(crate) votes: BTreeMap<(u64, ReplicaIndex), Hash>,
    /// Certified roots by batch, the last 64.
    pub(crate) certified: BTreeMap<u64, Hash>,
}

impl Attestations {
    /// The last that a replica said.
    pub fn latest(&self, replica: ReplicaIndex) -> Option<&Latest> {
        self.latest.get(&replica)
    }

    /// The certified root of a batch.
    pub fn certified(&self, batch: u64) -> Option<&Hash> {
        self.certified.get(&batch)
    }

    /// The last certified batch with its root.
    pub fn last_certified(&self) -> Option<(u64, &Hash)> {
        self.certified.last_key_value().map(|(batch, root)| (*batch, root))
    }

    /// The open votes: batch, who voted, and for which root, in ascending order of batches.
    pub fn votes(&self) -> impl Iterator<Item = (u64, ReplicaIndex, &Hash)> {
        self.votes.iter().map(|((batch, replica), root)| (*batch, *replica, root))
    }

    /// Whether votes of more than two thirds of the weight are for this root of a batch.
    pub(crate) fn decides(&self, rules: &Rules, batch: u64, root: &Hash) -> bool {
        let replicas = &rules.genesis.replicas;
        let total: u64 = replicas.iter().map(|replica| u64::from(replica.weight)).sum();
        let range = (batch, ReplicaIndex(0))..=(batch, ReplicaIndex(u16::MAX));
        let voters = self.votes.range(range).filter(|(_, other)| *other == root);
        let agreeing: u64 = voters
            .filter_map(|((_, voter), _)| replicas.get(usize::from(voter.0)))
            .map(|replica| u64::from(replica.weight))
            .sum();
        agreeing.saturating_mul(3) > total.saturating_mul(2)
    }

    /// The weighted median of the replicas' clocks: the latest time that replicas of more than half of
    /// the weight have reached; 0 while so many have not attested.
    pub(crate) fn time(&self, rules: &Rules) -> u64 {
        let replicas = &rules.genesis.replicas;
        let total: u64 = replicas.iter().map(|replica| u64::from(replica.weight)).sum();
        let mut clocks: Vec<(u64, u64)> = (0..)
            .zip(replicas)
            .filter_map(|(index, replica)| {
                let latest = self.latest(ReplicaIndex(index))?;
                Some((latest.clock, u64::from(replica.weight)))
            })
            .collect();
        clocks.sort_unstable_by(|a, b| b.cmp(a));
        let mut reached = 0_u64;
        for (clock, weight) in clocks {
            reached = reached.saturating_add(weight);
            if reached.saturating_mul(2) > total {
                return clock;
            }
        }
        0
    }
}
