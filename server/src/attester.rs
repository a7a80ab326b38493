//! Attesting: a replica that genesis names signs what it has seen (the root after a batch) and its
//! clock, from which roots are certified and the exchange's time is made. An attestation is made when
//! it is posted and is not kept: the next one says more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use zellbook_core::attestation::Attestations;
use zellbook_core::genesis::{ReplicaIndex, Rules};
use zellbook_core::key::SecretKey;
use zellbook_core::state_root::Hash;
use zellbook_core::transaction::{Action, Transaction};
use zellbook_core::wire::ReplicaState;

use crate::clock::now_ms;
use crate::replica::Watch;

/// The least time between two attestations.
const EVERY: Duration = Duration::from_secs(1);

/// What there is to attest to after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attestable {
    /// A batch that is committed.
    pub batch: u64,
    /// The state root after it.
    pub root: Hash,
    /// When something waits for an attestation, so that it is posted though nothing else is: Unix
    /// milliseconds from which on it does.
    pub awaited_from: Option<u64>,
}

/// A batch that other replicas attested to and we did not, if it is not certified and our vote for it
/// would count. Without such votes replicas that attest in turn would each attest to a batch of its
/// own, and none would ever be certified. It ends: one vote calls forth at most one of each other.
pub fn unanswered(attestations: &Attestations, rules: &Rules, own: ReplicaIndex) -> Option<u64> {
    let last = |replica| attestations.latest(replica).map_or(0, |latest| latest.batch);
    let others = (0..).map(ReplicaIndex).zip(&rules.genesis.replicas).map(|(replica, _)| replica);
    let latest = others.filter(|replica| *replica != own).map(last).max()?;
    let certified = attestations.last_certified().map_or(0, |(batch, _)| batch);
    (latest > last(own).max(certified)).then_some(latest)
}

/// The place of a key among the replicas of genesis.
pub fn place_of(rules: &Rules, key: &SecretKey) -> Option<ReplicaIndex> {
    let key = key.public_key();
    let place = rules.genesis.replicas.iter().position(|replica| replica.public_key == key)?;
    u16::try_from(place).ok().map(ReplicaIndex)
}

/// Signs attestations, at most one a second.
pub struct Attester {
    rules: Arc<Rules>,
    key: SecretKey,
    watch: Watch,
    nonce: u64,
    last: Option<Instant>,
}

impl Attester {
    /// Of a replica that genesis names by this key.
    pub fn new(rules: Arc<Rules>, key: SecretKey, watch: Watch) -> Self {
        Self { rules, key, watch, nonce: 0, last: None }
    }

    /// The next attestation, if it is time for one, as an element of a batch. `goes_along` says that a
    /// batch is posted anyway; alone it goes only when it is awaited.
    pub fn next(&mut self, goes_along: bool) -> Option<String> {
        let is_early = self.last.is_some_and(|last| last.elapsed() < EVERY);
        // One that is behind has nothing to say that others do not know.
        if is_early || self.watch.health.borrow().state != ReplicaState::Following {
            return None;
        }
        let Attestable { batch, root, awaited_from } = self.watch.published.borrow().attestable;
        let clock = now_ms();
        if !goes_along && awaited_from.is_none_or(|time| clock < time) {
            return None;
        }
        self.last = Some(Instant::now());
        self.nonce = clock.max(self.nonce.saturating_add(1));
        let transaction = Transaction {
            account: self.key.public_key(),
            signer: None,
            nonce: self.nonce,
            valid_until: None,
            action: Action::Attest { batch, root, clock },
        };
        Some(transaction.sign(&self.rules.network, &self.key).to_json())
    }
}
