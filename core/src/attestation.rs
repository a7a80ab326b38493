//! What replicas say they have seen: roots, which are certified once enough agree, and clocks, whose
//! weighted median is the state's time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::engine::{Engine, Failure};
use crate::event::{Corrupt, Event};
use crate::genesis::{ReplicaIndex, Rules};
use crate::key::PublicKey;
use crate::leaf::LeafKey;
use crate::limits::{CERTIFIED_KEPT, VOTES_KEPT};
use crate::reject::Reject;
use crate::state_root::Hash;

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

impl Engine {
    /// What the state keeps of attestations.
    pub const fn attestations(&self) -> &Attestations {
        &self.attestations
    }

    pub(crate) fn attest(
        &mut self,
        rules: &Rules,
        account: &PublicKey,
        batch: u64,
        root: Hash,
        clock: u64,
    ) -> Result<(), Failure> {
        let replicas = &rules.genesis.replicas;
        let position = replicas.iter().position(|replica| replica.public_key == *account);
        let replica = position
            .and_then(|position| u16::try_from(position).ok())
            .map(ReplicaIndex)
            .ok_or(Reject::NotReplica)?;
        let last = self.attestations.latest(replica).map_or(0, |latest| latest.batch);
        if batch < last {
            return Err(Reject::AttestationStale { batch, last }.into());
        }
        let index = self.counters.batch;
        if batch >= index {
            return Err(Reject::AttestationAhead { batch, index }.into());
        }
        self.attestations.latest.insert(replica, Latest { batch, clock });
        self.touch(LeafKey::Replica(replica));
        self.note(Event::Attested { replica, batch, root, clock });
        let certified = self.attestations.last_certified().map_or(0, |(batch, _)| batch);
        if batch > certified {
            self.vote(rules, batch, replica, root)?;
        }
        Ok(())
    }

    /// Counts a vote, if it is the replica's first on the batch, and certifies the root if it decides.
    fn vote(
        &mut self,
        rules: &Rules,
        batch: u64,
        replica: ReplicaIndex,
        root: Hash,
    ) -> Result<(), Corrupt> {
        if self.attestations.votes.contains_key(&(batch, replica)) {
            return Ok(());
        }
        self.attestations.votes.insert((batch, replica), root);
        self.touch(LeafKey::Vote(batch, replica));
        let votes = &self.attestations.votes;
        let own = votes.keys().filter(|(_, voter)| *voter == replica);
        if own.clone().count() > VOTES_KEPT
            && let Some(oldest) = own.min().copied()
        {
            self.drop_vote(oldest);
        }
        if self.attestations.decides(rules, batch, &root) {
            self.certify(batch, root);
        }
        Ok(())
    }

    fn certify(&mut self, batch: u64, root: Hash) {
        let settled: Vec<(u64, ReplicaIndex)> = self
            .attestations
            .votes
            .range(..=(batch, ReplicaIndex(u16::MAX)))
            .map(|(vote, _)| *vote)
            .collect();
        for vote in settled {
            self.drop_vote(vote);
        }
        self.attestations.certified.insert(batch, root);
        self.touch(LeafKey::Certified(batch));
        if self.attestations.certified.len() > CERTIFIED_KEPT
            && let Some((oldest, _)) = self.attestations.certified.pop_first()
        {
            self.touch(LeafKey::Certified(oldest));
        }
        self.note(Event::Certified { batch, root });
    }

    fn drop_vote(&mut self, (batch, replica): (u64, ReplicaIndex)) {
        self.attestations.votes.remove(&(batch, replica));
        self.touch(LeafKey::Vote(batch, replica));
    }
}
