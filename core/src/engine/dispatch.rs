//! Applies one transaction: checks that its signing key is known, uses up its nonce, checks what the
//! key may do, and dispatches by kind.

use alloc::vec::Vec;

use super::engine::Engine;
use super::failure::Failure;
use super::placing::Placing;
use crate::protocol::{Action, CheckedTransaction, Event, Reject, ReplayGuard};
use crate::rules::Rules;
use crate::state::{Account, LeafKey};
use crate::types::Corrupt;

impl Engine {
    /// Applies one transaction, whose signature was checked. The inner result is its outcome; the
    /// outer one fails only if this replica is broken.
    pub(crate) fn transact(
        &mut self,
        rules: &Rules,
        transaction: &CheckedTransaction,
    ) -> Result<Result<Vec<Event>, Reject>, Corrupt> {
        if let Err(reject) = self.check_sender(rules, transaction) {
            return Ok(Err(reject));
        }
        // From here on the nonce is used up, even if the transaction is then rejected. Otherwise
        // anyone could post the same bytes again later, when they would succeed (I9, I11).
        self.use_up(transaction)?;
        match self.dispatch(rules, transaction) {
            Ok(()) => Ok(Ok(self.take_events()?)),
            // An action notes what it changes, so a reject with notes would be half applied (I11).
            Err(Failure::Reject(reject)) if self.notes.is_empty() => Ok(Err(*reject)),
            Err(Failure::Reject(_)) => {
                Err(Corrupt("a transaction was rejected after it had changed the state"))
            }
            Err(Failure::Corrupt(corrupt)) => Err(corrupt),
        }
    }

    /// Rejects 3, 4 and 8: the nonce must be unused, and the signing key known. Neither changes
    /// anything, so the key is looked up and not added (I11).
    fn check_sender(&self, rules: &Rules, transaction: &CheckedTransaction) -> Result<(), Reject> {
        let CheckedTransaction { account, signer, .. } = transaction;
        let known = self.ledger.find(signer);
        match (transaction.replay_guard, known) {
            (ReplayGuard::Nonce(nonce), Some(known)) => known.check_nonce(nonce)?,
            (ReplayGuard::Signature, _) if self.guide_signatures.contains(&transaction.hash) => {
                return Err(Reject::NonceUsed);
            }
            _ => {}
        }
        // Before the nonce becomes a leaf, which stays for ever: keys cost nothing, so whoever
        // makes them could otherwise fill the memory of every replica.
        let is_known = known.is_some_and(Account::has_leaf)
            || self.session_key(account, signer).is_some()
            || rules.has_role(signer);
        if is_known { Ok(()) } else { Err(Reject::UnknownSigner { signer: *signer }) }
    }

    fn use_up(&mut self, transaction: &CheckedTransaction) -> Result<(), Corrupt> {
        match transaction.replay_guard {
            ReplayGuard::Nonce(nonce) => {
                let signer = self.ledger.intern(&transaction.signer)?;
                self.ledger.account_mut(signer)?.use_nonce(nonce);
                self.touched.nonces.push(signer);
            }
            ReplayGuard::Signature => {
                // Stays for ever. Signatures have no sequence, so there is no bound below which old
                // ones could be refused instead.
                self.guide_signatures.insert(transaction.hash);
                self.touch(LeafKey::GuideSignature(transaction.hash));
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, rules: &Rules, transaction: &CheckedTransaction) -> Result<(), Failure> {
        // The first check that fails decides the reject code, so the checks are in the sequence of
        // the codes (section 8 of the protocol): 5, then 6 and 7, then those of the action.
        if let Some(valid_until) = transaction.valid_until
            && self.counters.time >= valid_until
        {
            return Err(Reject::Expired { valid_until, time: self.counters.time }.into());
        }
        let session_market = self.check_signer(rules, transaction)?;
        // Only now: a transaction of a stranger must not add the account that it names.
        let account = self.ledger.intern(&transaction.account)?;
        match &transaction.action {
            Action::Order(order) => {
                let terms = rules.listing.terms(order)?;
                self.check_in_future("expires", order.expires)?;
                let placing = Placing {
                    account,
                    session_key: transaction.session_key(),
                    hash: transaction.hash,
                    client_id: order.client_id.as_deref(),
                    replaces: None,
                };
                self.place(rules, &terms, &placing)
            }
            Action::Replace { target, order } => self.replace(rules, transaction, target, order),
            Action::Cancel(target) => self.cancel(rules, account, target, session_market),
            Action::CancelAll { market } => self.cancel_all(rules, account, market.as_deref()),
            Action::CancelAllAfter { time } => self.cancel_all_after(account, *time),
            Action::Transfer { token, to, amount } => {
                self.transfer(rules, account, token, to, *amount)
            }
            Action::Withdraw { token, amount, destination } => {
                self.withdraw(rules, account, token, *amount, destination)
            }
            Action::Deposit { token, to, amount, reference } => {
                self.deposit(rules, account, token, to, *amount, reference)
            }
            Action::AuthorizeKey(grant) => self.authorize_key(rules, transaction.account, grant),
            Action::RevokeKey { key } => self.revoke_key(transaction.account, *key),
            Action::Attest { batch, root, clock } => {
                self.attest(rules, &transaction.account, *batch, *root, *clock)
            }
        }
    }
}
