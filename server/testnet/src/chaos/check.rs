//! What must hold when all is over. The judge is another pass over what the network finalized, which
//! shares no page, proof or store with the replicas.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zellbook_core::batch::{Batch, CheckedTransaction, Once};
use zellbook_core::exchange::Exchange;
use zellbook_core::genesis::Rules;
use zellbook_core::state_root::Hash as Root;
use zellbook_core::wire::Stage;

use super::ledger::{Hash, Ledger};
use super::replica::TestedReplica;

/// The history as it must be.
pub struct Judge {
    /// The root after each batch, from the first on.
    pub roots: Vec<Root>,
    /// What became of each transaction: the code of its reject, or none.
    pub outcomes: BTreeMap<Hash, Option<u16>>,
    /// Transactions that were in the sequence again.
    pub copies: usize,
    /// All bodies and roots in one hash.
    pub digest: String,
    /// The state at the end.
    exchange: Exchange,
}

impl Judge {
    /// Applies all that is final.
    pub fn new(rules: &Arc<Rules>, bodies: &[Arc<str>]) -> Result<Self, String> {
        let mut exchange = Exchange::new(Arc::clone(rules));
        let (mut roots, mut outcomes, mut copies) = (Vec::new(), BTreeMap::new(), 0);
        let mut digest = Sha256::new();
        for (index, body) in (1..).zip(bodies) {
            let batch = Batch::check(rules, index, body.as_bytes());
            let outcome = exchange.apply(&batch).map_err(|error| format!("the judge: {error}"))?;
            for transaction in &outcome.transactions {
                let Some(hash) = transaction.hash else { continue };
                let code = transaction.result.as_ref().err().map(|reject| reject.code());
                match outcomes.get(&hash.0) {
                    None => {
                        outcomes.insert(hash.0, code);
                    }
                    Some(_) if code.is_none() => {
                        return Err(format!("{hash} was applied again in batch {index}"));
                    }
                    Some(_) => copies += 1,
                }
            }
            digest.update((body.len() as u64).to_be_bytes());
            digest.update(body.as_bytes());
            digest.update(outcome.root);
            roots.push(outcome.root);
        }
        exchange.recount().map_err(|error| format!("the judge: {error}"))?;
        let digest = hex::encode(digest.finalize());
        Ok(Self { roots, outcomes, copies, digest, exchange })
    }

    /// Whether a replica's store has this history, every root and every outcome.
    pub fn check(&self, replica: &TestedReplica, rules: &Arc<Rules>) -> Result<(), String> {
        let name = replica.name();
        let view = replica.reader(rules).read_now(|view| {
            let last = view.last_batch()?;
            let mut roots = Vec::new();
            for index in 1..=last {
                roots.push(view.root(index)?);
            }
            let mut outcomes = BTreeMap::new();
            for hash in self.outcomes.keys() {
                let status = view.transaction(hash)?;
                let code = status.map(|status| status.reject.map(|reject| reject.code));
                outcomes.insert(*hash, code);
            }
            Ok((roots, outcomes))
        });
        let (roots, outcomes) = view.map_err(|error| format!("{name}: {error}"))?;
        for (index, (ours, theirs)) in (1..).zip(self.roots.iter().zip(&roots)) {
            if theirs.as_ref() != Some(ours) {
                return Err(format!("{name} has another root than the judge after batch {index}"));
            }
        }
        if roots.len() != self.roots.len() {
            let (has, all) = (roots.len(), self.roots.len());
            return Err(format!("{name} has {has} batches, and {all} are final"));
        }
        for (hash, code) in &self.outcomes {
            let expected = Some(code.map(|code| code.to_string()));
            if outcomes.get(hash) != Some(&expected) {
                let hash = hex::encode(hash);
                return Err(format!("{name} has another outcome of {hash} than the judge"));
            }
        }
        Ok(())
    }

    /// Whether all that clients were told is accepted has an outcome, or can have none any more and its
    /// outbox says why. Returns how many have none.
    pub fn check_accepted(
        &self,
        ledger: &Ledger,
        replicas: &[TestedReplica],
    ) -> Result<usize, String> {
        let mut given_up = 0;
        for (hash, accepted) in ledger.accepted().iter() {
            if self.outcomes.contains_key(hash) {
                continue;
            }
            given_up += 1;
            let replica = &replicas[accepted.replica];
            let stage = replica.progress(hash).map(|progress| progress.stage);
            let is_true = match stage {
                Some(Stage::Expired) => self.is_expired(&accepted.checked),
                Some(Stage::Superseded) => self.is_superseded(&accepted.checked),
                _ => false,
            };
            if !is_true {
                let (hash, name) = (hex::encode(hash), replica.name());
                return Err(format!("{hash}, accepted by {name}, is lost; it says {stage:?}"));
            }
        }
        Ok(given_up)
    }

    fn is_expired(&self, checked: &CheckedTransaction) -> bool {
        checked.valid_until.is_some_and(|until| until <= self.exchange.counters().time)
    }

    fn is_superseded(&self, checked: &CheckedTransaction) -> bool {
        let Once::Nonce(nonce) = checked.once else { return false };
        let signer = self.exchange.account(&checked.signer);
        signer.is_some_and(|signer| signer.check_nonce(nonce).is_err())
    }
}
