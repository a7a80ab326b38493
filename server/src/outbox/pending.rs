//! Which transactions of an account wait in the outbox.
//!
//! A rule of the exchange that one of them could still change must not be used to refuse another transaction of
//! the account. So the index also has the transfers and deposits that bring funds to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use zellbook_core::protocol::{CheckedTransaction, OrderRef};
use zellbook_core::{Action, PublicKey, TransactionHash};

#[derive(Debug, Default)]
pub struct Pending {
    /// By account, then by order of arrival.
    by_account: HashMap<PublicKey, BTreeMap<u64, Arc<CheckedTransaction>>>,
    /// The transactions that another one may refer to, by account and name.
    named: HashMap<(PublicKey, Name), BTreeSet<u64>>,
}

/// What a later transaction of the account may refer to. Client ids, and orders without a name, are those of one
/// signing key: anybody can name the account in an order, and could so delay its cancels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    /// Any order that this key signed.
    OrderOf(PublicKey),
    ClientId(PublicKey, String),
    Transaction(TransactionHash),
    /// The permission of a session key.
    SessionKey(PublicKey),
}

impl Pending {
    pub fn add(&mut self, sequence: u64, checked: &Arc<CheckedTransaction>) {
        for account in accounts(checked) {
            self.by_account.entry(account).or_default().insert(sequence, Arc::clone(checked));
        }
        for name in names(checked) {
            self.named.entry((checked.account, name)).or_default().insert(sequence);
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
        for name in names(checked) {
            let name = (checked.account, name);
            if let Some(orders) = self.named.get_mut(&name) {
                orders.remove(&sequence);
                if orders.is_empty() {
                    self.named.remove(&name);
                }
            }
        }
    }

    /// The last earlier transaction that this one refers to, and so must not overtake: the order that a cancel is
    /// meant for, or the permission of the session key that signed. A cancel by order id is meant for an order that
    /// is in the book already, and a switch acts at its time and not when it arrives.
    pub fn before(&self, sequence: u64, checked: &CheckedTransaction) -> Option<u64> {
        let CheckedTransaction { account, signer, action, .. } = checked;
        let mut names = Vec::new();
        for signer in BTreeSet::from([account, signer]) {
            match action {
                Action::CancelAll { .. } => names.push(Name::OrderOf(*signer)),
                Action::Cancel(OrderRef::ClientId(id)) => {
                    names.push(Name::ClientId(*signer, id.clone()));
                }
                _ => {}
            }
        }
        if let Action::Cancel(OrderRef::Transaction(hash)) = action {
            names.push(Name::Transaction(*hash));
        }
        names.extend(checked.session_key().map(Name::SessionKey));
        let before = names.into_iter().filter_map(|name| {
            self.named.get(&(*account, name))?.range(..sequence).next_back().copied()
        });
        before.max()
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

/// The names by which later transactions may refer to this one.
fn names(checked: &CheckedTransaction) -> Vec<Name> {
    match &checked.action {
        Action::Order(order) | Action::Replace { order, .. } => {
            let client_id = order.client_id.clone();
            let client_id = client_id.map(|id| Name::ClientId(checked.signer, id));
            let others = [Name::OrderOf(checked.signer), Name::Transaction(checked.hash)];
            client_id.into_iter().chain(others).collect()
        }
        // Only the account itself can give a permission.
        Action::AuthorizeKey(grant) if checked.session_key().is_none() => {
            vec![Name::SessionKey(grant.key)]
        }
        _ => Vec::new(),
    }
}
