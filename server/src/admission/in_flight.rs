//! What transactions that are not applied yet could change.

use std::collections::{HashMap, HashSet};

use zellbook_core::protocol::CheckedTransaction;
use zellbook_core::{Action, PublicKey, Reject};

/// What the transactions in flight could do to an account.
#[derive(Clone, Copy, Debug, Default)]
struct Changes {
    /// Bring funds from another account.
    funds: bool,
    /// Place orders, whose trades bring funds and end other orders.
    orders: bool,
    /// Cancel orders.
    cancels: bool,
    /// End session keys.
    revokes: bool,
}

/// What the transactions in flight could change, by account.
#[derive(Debug, Default)]
pub struct InFlight {
    by_account: HashMap<PublicKey, Changes>,
    /// The session keys that are being authorized, with their accounts. Not just whether an account authorizes any:
    /// otherwise everybody could send transactions for it meanwhile, and use up its room in the outbox.
    authorized: HashSet<(PublicKey, PublicKey)>,
}

impl InFlight {
    pub fn add(&mut self, transaction: &CheckedTransaction) {
        let own = self.by_account.entry(transaction.account).or_default();
        match &transaction.action {
            Action::Order(_) | Action::Replace { .. } => own.orders = true,
            Action::Cancel(_) | Action::CancelAll { .. } | Action::CancelAllAfter { .. } => {
                own.cancels = true;
            }
            Action::AuthorizeKey(grant) => {
                self.authorized.insert((transaction.account, grant.key));
            }
            Action::RevokeKey { .. } => own.revokes = true,
            Action::Transfer { to, .. } | Action::Deposit { to, .. } => {
                self.by_account.entry(*to).or_default().funds = true;
            }
            // These change nothing that a later transaction could need.
            Action::Withdraw { .. } | Action::Attest { .. } => {}
        }
    }

    /// Whether a reject of this transaction would also be one after whatever is in flight. `has_locked` tells
    /// whether an open order of the account locks anything.
    pub fn leaves(
        &self,
        reject: &Reject,
        transaction: &CheckedTransaction,
        has_locked: bool,
    ) -> bool {
        let of = |key| self.by_account.get(key).copied().unwrap_or_default();
        let own = of(&transaction.account);
        let authorizes = |key| self.authorized.contains(&(transaction.account, key));
        match reject {
            // A used nonce, reference or signature stays used, time only advances, a later attestation stays, and
            // the rest follows from genesis.
            Reject::Malformed(_)
            | Reject::BadSignature { .. }
            | Reject::NonceUsed
            | Reject::NonceTooOld { .. }
            | Reject::Expired { .. }
            | Reject::UnknownMarket { .. }
            | Reject::UnknownToken { .. }
            | Reject::NotPositive { .. }
            | Reject::PriceOffTick { .. }
            | Reject::QuantityOffLot { .. }
            | Reject::AmountOffAtom { .. }
            | Reject::NotionalTooSmall { .. }
            | Reject::TimePassed { .. }
            | Reject::NotIssuer { .. }
            | Reject::ReferenceUsed { .. }
            | Reject::TransferToSelf
            | Reject::NotReplica
            | Reject::AttestationStale { .. } => true,
            Reject::UnknownSigner { signer } => !of(signer).funds && !authorizes(*signer),
            Reject::KeyNotAuthorized { .. }
            | Reject::KeyNotAllowed { .. }
            | Reject::KeyLimit { .. } => !authorizes(transaction.signer),
            Reject::UnknownKey { .. } => match &transaction.action {
                Action::RevokeKey { key } => !authorizes(*key),
                _ => true,
            },
            Reject::TooManyKeys { .. } => !own.revokes,
            Reject::UnknownOrder { .. } => !own.orders,
            Reject::ClientIdUsed { .. } | Reject::TooManyOrders { .. } => {
                !own.orders && !own.cancels
            }
            // A cancel frees what open orders lock, and nothing else.
            Reject::BalanceTooLow { .. } => !(own.funds || own.orders || own.cancels && has_locked),
            // Others decide these: orders of anybody in the book, withdrawals of anybody from the supply, and
            // batches that this replica has not seen.
            Reject::WouldCross { .. }
            | Reject::CannotFill { .. }
            | Reject::TooLarge { .. }
            | Reject::AttestationInFuture { .. } => false,
        }
    }
}
