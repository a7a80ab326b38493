//! Which batch to vote for, so that replicas which see the sequence at different times still come to
//! vote for one batch.
//!
//! A replica proposes the last batch that it applied, but only while no vote is open: a vote is open
//! until its batch or a later one is certified. Each replica's *first* open vote counts as its
//! proposal, and all vote for the highest proposal. That batch changes only when a proposal comes in
//! that was on its way, so at most once for each replica, and however slow the network is, replicas
//! meet after two rounds. A replica with more open votes than there are replicas keeps to no such rule;
//! its votes call for no answer, so that it cannot make the others chase it.
//!
//! What this cannot settle (votes that were given up, replicas that came back with another mind) ends
//! by patience: who saw nothing certified for long votes for the highest open vote, or proposes anew.

use zellbook_core::attestation::Attestations;
use zellbook_core::exchange::Exchange;
use zellbook_core::genesis::{ReplicaIndex, Rules};
use zellbook_core::key::SecretKey;
use zellbook_core::state_root::Hash;

/// A batch with the state root after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The batch.
    pub batch: u64,
    /// The root, as this replica has it.
    pub root: Hash,
}

/// What there is to attest to after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attestable {
    /// The last batch.
    pub tip: Vote,
    /// The last that the state has of us, if we know its root.
    pub own: Option<Vote>,
    /// What all are to vote for, if our vote for it is missing.
    pub answer: Option<Vote>,
    /// The highest open vote, if it is above our last.
    pub highest: Option<Vote>,
    /// Whether votes are open: then nothing new is proposed.
    pub is_open: bool,
    /// The last certified batch; 0 if there is none.
    pub certified: u64,
    /// The highest nonce that the state has of our key; 0 if there is none.
    pub nonce: u64,
    /// When something is due and waits for a clock to say so, Unix milliseconds.
    pub due_ms: Option<u64>,
}

impl Attestable {
    /// After the last batch of a state, with that batch's root. `root_of` knows the root of a batch
    /// that this replica applied.
    pub fn new<E>(
        exchange: &Exchange,
        root: Hash,
        index: Option<ReplicaIndex>,
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
            nonce: 0,
            due_ms,
        };
        let Some(index) = index else { return Ok(silent) };
        let vote = |batch: u64| -> Result<Option<Vote>, E> {
            Ok(root_of(batch)?.map(|root| Vote { batch, root }))
        };
        let above = |batch: Option<u64>, last: u64| batch.filter(|batch| *batch > last);
        let last = attestations.latest(index).map_or(0, |latest| latest.batch);
        let answer = above(agreed(attestations, rules), last).map(vote).transpose()?.flatten();
        let highest = attestations.votes().map(|(batch, ..)| batch).max();
        let highest = above(highest, last).map(vote).transpose()?.flatten();
        let own = if last > 0 { vote(last)? } else { None };
        let replica = rules.genesis.replicas.get(usize::from(index.0));
        let nonces = replica.and_then(|replica| exchange.account(&replica.public_key));
        let nonce = nonces.and_then(|account| account.nonces().last().copied()).unwrap_or(0);
        Ok(Self { own, answer, highest, nonce, ..silent })
    }
}

/// The highest of the replicas' proposals: of their first open votes.
fn agreed(attestations: &Attestations, rules: &Rules) -> Option<u64> {
    let replicas = &rules.genesis.replicas;
    let mut first: Vec<Option<u64>> = vec![None; replicas.len()];
    let mut open: Vec<usize> = vec![0; replicas.len()];
    // In ascending order of batches.
    for (batch, voter, _) in attestations.votes() {
        let index = usize::from(voter.0);
        if let (Some(first), Some(open)) = (first.get_mut(index), open.get_mut(index)) {
            first.get_or_insert(batch);
            *open += 1;
        }
    }
    let within = open.iter().map(|open| *open <= replicas.len());
    first.into_iter().zip(within).filter_map(|(first, within)| first.filter(|_| within)).max()
}

/// The index of a key among the replicas of genesis.
pub fn replica_index(rules: &Rules, key: &SecretKey) -> Option<ReplicaIndex> {
    let key = key.public_key();
    let index = rules.genesis.replicas.iter().position(|replica| replica.public_key == key)?;
    u16::try_from(index).ok().map(ReplicaIndex)
}
