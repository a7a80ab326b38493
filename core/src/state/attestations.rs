//! Attestations of the replicas: votes on state roots, and clocks.
//!
//! Each replica of genesis regularly signs the root after a batch together with its own clock.
//!
//! - **Roots.** The first vote of a replica on a batch counts. A root is certified once replicas with more than two thirds
//!   of the weight voted for it: fewer than a third can be dishonest, so two different roots of one batch are never
//!   both certified. Votes on a certified batch and on earlier ones are then dropped. The newest certified roots are kept
//!   in the state, so that a root also proves the roots certified before it.
//! - **Time.** The exchange's time is the weighted median of the last clocks: the latest time that replicas with more than half
//!   of the weight have reached. Less than half of the weight can neither hold it back nor push it ahead of every honest
//!   clock.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::rules::Rules;
use crate::types::{Hash, ReplicaIndex};

/// The last attestation of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Index of the batch whose root it attested to.
    pub batch: u64,
    /// The replica's clock in Unix milliseconds.
    pub clock: u64,
}

/// The attestations that the state stores.
#[derive(Clone, Debug, Default)]
pub struct Attestations {
    pub(crate) latest: BTreeMap<ReplicaIndex, Latest>,
    /// Votes: the root by batch and replica, for batches after the last certified one. At most 32
    /// of each replica.
    pub(crate) votes: BTreeMap<(u64, ReplicaIndex), Hash>,
    /// The last 64 certified roots, by batch.
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

    /// The last certified batch and its root.
    pub fn last_certified(&self) -> Option<(u64, &Hash)> {
        self.certified.last_key_value().map(|(batch, root)| (*batch, root))
    }

    /// The open votes in ascending order of batches: batch, replica and root.
    pub fn votes(&self) -> impl Iterator<Item = (u64, ReplicaIndex, &Hash)> {
        self.votes.iter().map(|((batch, replica), root)| (*batch, *replica, root))
    }

    /// Whether replicas with more than two thirds of the weight voted for this root of a batch.
    pub(crate) fn decides(&self, rules: &Rules, batch: u64, root: &Hash) -> bool {
        let replicas = &rules.genesis.replicas;
        let total: u64 = replicas.iter().map(|replica| u64::from(replica.weight)).sum();
        // The batch comes first in the key, so the votes on one batch are adjacent, and so are those that a
        // certified root settles.
        let range = (batch, ReplicaIndex(0))..=(batch, ReplicaIndex(u16::MAX));
        let voters = self.votes.range(range).filter(|(_, other)| *other == root);
        let agreeing: u64 = voters
            .filter_map(|((_, voter), _)| replicas.get(usize::from(voter.0)))
            .map(|replica| u64::from(replica.weight))
            .sum();
        // More than two thirds, and not at least: two groups of that weight have more than a third in common,
        // so even a dishonest third cannot certify two roots of one batch. Nothing saturates, since 64 weights
        // of 32 bits are below 2^38.
        agreeing.saturating_mul(3) > total.saturating_mul(2)
    }

    /// The weighted median of the replicas' clocks; 0 until replicas with more than half of the
    /// weight have attested.
    pub(crate) fn time(&self, rules: &Rules) -> u64 {
        let replicas = &rules.genesis.replicas;
        let total: u64 = replicas.iter().map(|replica| u64::from(replica.weight)).sum();
        let mut clocks: Vec<(u64, u64)> = (0..)
            .zip(replicas)
            .filter_map(|(index, replica)| {
                // A replica that never attested has the clock 0 (section 14). It may be left out here, but its
                // weight is in the total.
                let latest = self.latest(ReplicaIndex(index))?;
                Some((latest.clock, u64::from(replica.weight)))
            })
            .collect();
        // The latest clock first: go down until more than half of the weight has reached this time.
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
