//! Which transactions of an account wait in the outbox.
//!
//! A rule of the exchange that one of them could still change must not be used to refuse another transaction of
//! the account. So the index also has the transfers and deposits that bring funds to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use zellbook_core::protocol::CheckedTransaction;
use zellbook_core::{Action, PublicKey};

#[derive(Debug, Default)]
pub struct Pending {
    /// By account, then by order of arrival.
    by_account: HashMap<PublicKey, BTreeMap<u64, Arc<CheckedTransaction>>>,
}

impl Pending {
    pub fn add(&mut self, sequence: u64, checked: &Arc<CheckedTransaction>) {
        for account in accounts(checked) {
            self.by_account.entry(account).or_default().insert(sequence, Arc::clone(checked));
        }
    }

    pub fn remove(&mut self, sequence: u64, checked: &CheckedTransaction) {
        for account in accounts(checked) {
            if let Some(of_account) = self.by_account.get_mut(&account) {
                of_account.remove(&sequence);
                // The map would otherwise grow with every account that ever had a transaction here.
                if of_account.is_empty() {
                    self.by_account.remove(&account);
                }
            }
        }
    }

    /// The transactions that act for an account or bring funds to it, in order of arrival.
    pub fn of(
        &self,
        account: &PublicKey,
    ) -> impl DoubleEndedIterator<Item = (u64, &Arc<CheckedTransaction>)> {
        let of_account = self.by_account.get(account);
        of_account.into_iter().flatten().map(|(sequence, checked)| (*sequence, checked))
    }
}

/// The accounts that a transaction acts for or brings funds to.
fn accounts(checked: &CheckedTransaction) -> impl Iterator<Item = PublicKey> + use<> {
    let to = match &checked.action {
        Action::Transfer { to, .. } | Action::Deposit { to, .. } => Some(*to),
        _ => None,
    };
    [Some(checked.account), to.filter(|to| *to != checked.account)].into_iter().flatten()
}
