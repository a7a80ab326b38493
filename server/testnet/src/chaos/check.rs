//! Checks the result of a chaos test.
//!
//! The judge applies the finalized batches once more, directly from the emulated nodes, without pages, proofs
//! or stores. Then every replica must have the same history, roots and outcomes as the judge; no transaction
//! may have been applied twice; and every transaction that an outbox accepted must have an outcome, or a
//! true reason why it cannot have one.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zellbook_core::protocol::{CheckedTransaction, ReplayGuard};
use zellbook_core::wire::Stage;
use zellbook_core::{Action, Batch, Exchange, Hash as Root, Reject, Rules};

use super::ledger::{Hash, Ledger};
use super::replica::TestedReplica;

/// The correct history.
pub struct Judge {
    /// The root after each batch, starting with batch 1.
    pub roots: Vec<Root>,
    /// The outcome of each transaction: the code of its reject, or `None` if it was applied.
    pub outcomes: BTreeMap<Hash, Option<u16>>,
    /// The number of transactions that were sequenced again.
    pub copies: usize,
    /// A hash over all bodies and roots.
    pub digest: String,
    /// The final state.
    exchange: Exchange,
}

impl Judge {
    /// Applies the finalized batches.
    pub fn new(rules: &Arc<Rules>, bodies: &[Arc<str>]) -> Result<Self, String> {
        let mut exchange = Exchange::new(Arc::clone(rules));
        let (mut roots, mut outcomes, mut copies) = (Vec::new(), BTreeMap::new(), 0);
        let mut digest = Sha256::new();
        for (index, body) in (1..).zip(bodies) {
            let batch = Batch::check(rules, index, body.as_bytes());
            let outcome = exchange.apply(&batch).map_err(|error| format!("the judge: {error}"))?;
            for transaction in &outcome.transactions {
                // An element that is no transaction has no hash and no effect.
                let Some(hash) = transaction.hash else { continue };
                let code = transaction.result.as_ref().err().map(|reject| reject.code());
                match outcomes.get(&hash.0) {
                    // An unknown signer does not end a transaction: a copy can be applied once it is funded.
                    None | Some(Some(Reject::UNKNOWN_SIGNER)) => {
                        outcomes.insert(hash.0, code);
                    }
                    // The first outcome counts. A copy is sequenced after it, and its nonce is used by then.
                    Some(_) if code.is_none() => {
                        return Err(format!("{hash} was applied again in batch {index}"));
                    }
                    Some(_) => copies += 1,
                }
            }
            // With the length, so that the same bytes cut into other bodies give another digest.
            digest.update((body.len() as u64).to_be_bytes());
            digest.update(body.as_bytes());
            digest.update(outcome.root);
            roots.push(outcome.root);
        }
        // Once at the end, because a recount reads the whole state.
        exchange.recount().map_err(|error| format!("the judge: {error}"))?;
        let digest = hex::encode(digest.finalize());
        Ok(Self { roots, outcomes, copies, digest, exchange })
    }

    /// Checks that a replica's store has this history with every root and outcome.
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
        // Roots before the number of batches: the first batch that differs says more than a missing one.
        for (index, (ours, theirs)) in (1..).zip(self.roots.iter().zip(&roots)) {
            if theirs.as_ref() != Some(ours) {
                return Err(format!(
                    "{name} and the judge have different roots after batch {index}"
                ));
            }
        }
        if roots.len() != self.roots.len() {
            let (has, all) = (roots.len(), self.roots.len());
            return Err(format!("{name} has {has} batches, but {all} are sequenced"));
        }
        for (hash, code) in &self.outcomes {
            let expected = Some(code.map(|code| code.to_string()));
            if outcomes.get(hash) != Some(&expected) {
                let hash = hex::encode(hash);
                return Err(format!("{name} and the judge have different outcomes of {hash}"));
            }
        }
        Ok(())
    }

    /// Checks that every accepted transaction has an outcome, or was given up for a reason that is true.
    /// Returns the number that were given up.
    pub fn check_accepted(
        &self,
        ledger: &Ledger,
        replicas: &[TestedReplica],
        now_ms: u64,
    ) -> Result<usize, String> {
        let mut given_up = 0;
        for (hash, accepted) in ledger.accepted().iter() {
            if self.outcomes.contains_key(hash) {
                continue;
            }
            given_up += 1;
            let replica = &replicas[accepted.replica];
            let progress = replica.progress(hash);
            let stage = progress.map(|progress| progress.stage);
            // One that was never posted ends by the replica's clock, which is virtual time.
            let was_never_posted = progress.is_some_and(|progress| progress.posts == 0)
                && end_ms(&accepted.checked).is_some_and(|end_ms| end_ms <= now_ms);
            // An outbox may give up only a transaction that cannot take effect any more. The judge's state
            // shows whether that is so.
            let is_true = match stage {
                Some(Stage::Expired) => was_never_posted || self.is_expired(&accepted.checked),
                Some(Stage::Superseded) => self.is_superseded(&accepted.checked),
                _ => false,
            };
            if !is_true {
                let (hash, name) = (hex::encode(hash), replica.name());
                return Err(format!(
                    "{name} accepted {hash}, which has no outcome; its stage there is {stage:?}"
                ));
            }
        }
        Ok(given_up)
    }

    fn is_expired(&self, checked: &CheckedTransaction) -> bool {
        // By the exchange's time, which alone decides whether a transaction has expired. Clocks of replicas do not.
        end_ms(checked).is_some_and(|end_ms| end_ms <= self.exchange.counters().time)
    }

    fn is_superseded(&self, checked: &CheckedTransaction) -> bool {
        let ReplayGuard::Nonce(nonce) = checked.replay_guard else { return false };
        let signer = self.exchange.account(&checked.signer);
        signer.is_some_and(|signer| signer.check_nonce(nonce).is_err())
    }
}

/// From when on the exchange rejects a transaction: it is then past its `valid_until` (5), or the order or session key
/// that it would make has expired (18).
fn end_ms(checked: &CheckedTransaction) -> Option<u64> {
    let expires = match &checked.action {
        Action::Order(order) | Action::Replace { order, .. } => order.expires,
        Action::AuthorizeKey(grant) => Some(grant.expires),
        _ => None,
    };
    [checked.valid_until, expires].into_iter().flatten().min()
}
