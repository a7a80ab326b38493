//! Attestations: takes the votes and clocks of the replicas, and certifies roots.

use alloc::vec::Vec;

use super::engine::Engine;
use super::failure::Failure;
use crate::protocol::{Event, Reject};
use crate::rules::Rules;
use crate::state::{Latest, LeafKey};
use crate::types::limits::{CERTIFIED_KEPT, VOTES_KEPT};
use crate::types::{Corrupt, Hash, PublicKey, ReplicaIndex};

impl Engine {
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
        // The batch of the last attestation is allowed again: a replica posts an attestation again
        // when it does not see it applied. An older batch is refused: attestations can arrive out
        // of order, and an older clock must not replace a newer one.
        if batch < last {
            return Err(Reject::AttestationStale { batch, last }.into());
        }
        let index = self.counters.batch;
        // The root of the batch that holds this transaction is known only when the batch is done.
        if batch >= index {
            return Err(Reject::AttestationInFuture { batch, index }.into());
        }
        // The clock counts even if the batch was certified long ago.
        self.attestations.latest.insert(replica, Latest { batch, clock });
        self.touch(LeafKey::Replica(replica));
        self.note(Event::Attested { replica, batch, root, clock });
        let certified = self.attestations.last_certified().map_or(0, |(batch, _)| batch);
        if batch > certified {
            self.vote(rules, batch, replica, root)?;
        }
        Ok(())
    }

    /// Counts a vote if it is the replica's first on this batch, and certifies the root if the
    /// votes suffice. Each replica has a bounded number of open votes, the newest ones, so that a
    /// replica whose roots are never certified cannot grow the state.
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
        // A scan of at most 64 replicas × 32 votes, so there is no index by replica. The vote that
        // goes is never the one just added: a replica's batches only go up (reject 24), so the new
        // one is its newest.
        let own = votes.keys().filter(|(_, voter)| *voter == replica);
        if own.clone().count() > VOTES_KEPT
            && let Some(oldest) = own.min().copied()
        {
            self.drop_vote(oldest);
        }
        // Only this root gained a vote, so no other can have reached two thirds.
        if self.attestations.decides(rules, batch, &root) {
            self.certify(batch, root);
        }
        Ok(())
    }

    fn certify(&mut self, batch: u64, root: Hash) {
        // Votes on earlier batches go too. A batch that was skipped is never certified later
        // (section 15 of the protocol), so its votes would only fill the state.
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
