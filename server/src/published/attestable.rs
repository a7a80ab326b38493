//! Chooses the batch to vote for. A root is certified only if enough replicas attest to the same batch,
//! although each sees another batch as the last one at any moment.
//!
//! A vote is open until its batch or a later one is certified. While no vote is open, a replica proposes
//! the last batch that it applied. The *first* open vote of each replica counts as its proposal, and all
//! replicas vote for the highest proposal. That batch changes only when a proposal arrives that was still
//! on its way, so at most once per replica: however slow the network is, replicas agree after two rounds.
//! A replica with more open votes than there are replicas does not follow this rule; its proposal is
//! ignored, so that it cannot make the others chase it.
//!
//! In the remaining cases (lost votes, or replicas that restarted and vote differently) a timeout decides:
//! a replica that has seen nothing certified for long votes for the highest open vote, or proposes again.

use zellbook_core::state::Attestations;
use zellbook_core::types::ReplicaIndex;
use zellbook_core::{Exchange, Hash, Rules};

/// A batch and this replica's state root after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    pub batch: u64,
    pub root: Hash,
}

/// The votes that a replica can cast after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attestable {
    /// For the last batch.
    pub tip: Vote,
    /// This replica's last vote in the state, if the root is known.
    pub own: Option<Vote>,
    /// For the agreed proposal, if this replica has not voted for it yet.
    pub answer: Option<Vote>,
    /// The highest open vote, if it is above this replica's last vote.
    pub highest: Option<Vote>,
    /// Whether votes are open, so that nothing new is proposed.
    pub is_open: bool,
    /// The last certified batch; 0 if there is none.
    pub certified: u64,
    /// This replica's clock in the state, in Unix milliseconds; 0 if there is none.
    pub clock_ms: u64,
    /// The highest nonce of this replica's key in the state; 0 if there is none.
    pub nonce: u64,
    /// When the next timer of the exchange is due, in Unix milliseconds. It fires only once attestations
    /// have moved the exchange's time that far.
    pub due_ms: Option<u64>,
}

impl Attestable {
    /// `root` is the root after the exchange's last batch; `root_of` returns those of earlier batches.
    pub fn new<E>(
        exchange: &Exchange,
        root: Hash,
        replica_index: Option<ReplicaIndex>,
        root_of: impl Fn(u64) -> Result<Option<Hash>, E>,
    ) -> Result<Self, E> {
        let engine = exchange.engine();
        let (rules, attestations) = (exchange.rules(), engine.attestations());
        let certified = attestations.last_certified().map_or(0, |(batch, _)| batch);
        let tip = Vote { batch: exchange.counters().batch, root };
        let due_ms = engine.next_due();
        let is_open = attestations.votes().next().is_some();
        let silent = Self {
            tip,
            own: None,
            answer: None,
            highest: None,
            is_open,
            certified,
            clock_ms: 0,
            nonce: 0,
            due_ms,
        };
        let Some(replica_index) = replica_index else { return Ok(silent) };
        let vote = |batch: u64| -> Result<Option<Vote>, E> {
            // Roots of batches before the snapshot that the state started from are unknown, so this replica
            // cannot vote on them.
            Ok(root_of(batch)?.map(|root| Vote { batch, root }))
        };
        let above = |batch: Option<u64>, last: u64| batch.filter(|batch| *batch > last);
        let latest = attestations.latest(replica_index);
        let (last, clock_ms) = latest.map_or((0, 0), |latest| (latest.batch, latest.clock));
        // Below its last attested batch, an attestation of this replica is rejected (24). To that batch
        // itself it would change no vote.
        let answer = above(agreed(attestations, rules), last).map(vote).transpose()?.flatten();
        let highest = attestations.votes().map(|(batch, ..)| batch).max();
        let highest = above(highest, last).map(vote).transpose()?.flatten();
        let own = if last > 0 { vote(last)? } else { None };
        let replica = rules.genesis.replicas.get(usize::from(replica_index.0));
        let nonces = replica.and_then(|replica| exchange.account(&replica.public_key));
        let nonce = nonces.and_then(|account| account.nonces().last().copied()).unwrap_or(0);
        Ok(Self { own, answer, highest, clock_ms, nonce, ..silent })
    }
}

/// The highest proposal, where a replica's proposal is its first open vote.
fn agreed(attestations: &Attestations, rules: &Rules) -> Option<u64> {
    let replicas = &rules.genesis.replicas;
    let mut first: Vec<Option<u64>> = vec![None; replicas.len()];
    let mut open: Vec<usize> = vec![0; replicas.len()];
    // Votes are iterated in ascending order of batches.
    for (batch, voter, _) in attestations.votes() {
        let voter = usize::from(voter.0);
        if let (Some(first), Some(open)) = (first.get_mut(voter), open.get_mut(voter)) {
            first.get_or_insert(batch);
            *open += 1;
        }
    }
    let within = open.iter().map(|open| *open <= replicas.len());
    first.into_iter().zip(within).filter_map(|(first, within)| first.filter(|_| within)).max()
}
