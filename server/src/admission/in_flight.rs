//! What transactions that are not applied yet could change.

use std::collections::{BTreeSet, HashMap, HashSet};

use zellbook_core::protocol::CheckedTransaction;
use zellbook_core::{Action, Listing, PublicKey, Reject, Side};

/// What the transactions in flight could do to an account.
#[derive(Clone, Debug, Default)]
struct Changes {
    /// The tokens that other accounts send to it.
    funds: BTreeSet<String>,
    /// The markets and sides of the orders that it places. Their trades bring funds, and end other orders.
    orders: BTreeSet<(String, Side)>,
    /// Cancel orders or replace them.
    frees: bool,
    /// End session keys.
    revokes: bool,
}

impl Changes {
    /// Whether trades of its orders could add to the balance that is available of a token: a buy brings the base token,
    /// a sell the quote token. The account's own orders that one of them meets are on the other side and lock the same
    /// token, which it frees if it cancels them. What an order pays, fees included, was available before.
    fn trades_bring(&self, token: &str, listing: &Listing) -> bool {
        let Some((token, _)) = listing.token(token) else { return false };
        self.orders.iter().any(|(market, side)| {
            let market = listing.market(market);
            market.is_some_and(|market| market.cost_token(side.opposite()) == token)
        })
    }
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
            Action::Order(order) | Action::Replace { order, .. } => {
                own.orders.insert((order.market.clone(), order.side));
                own.frees |= matches!(transaction.action, Action::Replace { .. });
            }
            Action::Cancel(_) | Action::CancelAll { .. } | Action::CancelAllAfter { .. } => {
                own.frees = true;
            }
            Action::AuthorizeKey(grant) => {
                self.authorized.insert((transaction.account, grant.key));
            }
            Action::RevokeKey { .. } => own.revokes = true,
            Action::Transfer { token, to, .. } | Action::Deposit { token, to, .. } => {
                self.by_account.entry(*to).or_default().funds.insert(token.clone());
            }
            // These change nothing that a later transaction could need.
            Action::Withdraw { .. } | Action::Attest { .. } => {}
        }
    }

    /// Whether a reject of this transaction would also be one after whatever is in flight. `has_locked` tells
    /// whether open orders of the account lock some of a token.
    pub fn leaves(
        &self,
        reject: &Reject,
        transaction: &CheckedTransaction,
        listing: &Listing,
        has_locked: impl Fn(&str) -> bool,
    ) -> bool {
        let none = Changes::default();
        let of = |key| self.by_account.get(key).unwrap_or(&none);
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
            Reject::UnknownSigner { signer } => of(signer).funds.is_empty() && !authorizes(*signer),
            Reject::KeyNotAuthorized { .. }
            | Reject::KeyNotAllowed { .. }
            | Reject::KeyLimit { .. } => !authorizes(transaction.signer),
            Reject::UnknownKey { .. } => match &transaction.action {
                Action::RevokeKey { key } => !authorizes(*key),
                _ => true,
            },
            Reject::TooManyKeys { .. } => !own.revokes,
            Reject::UnknownOrder { .. } => own.orders.is_empty(),
            Reject::ClientIdUsed { .. } | Reject::TooManyOrders { .. } => {
                own.orders.is_empty() && !own.frees
            }
            // A cancel frees what open orders lock, and nothing else: what an order in flight locks was available.
            Reject::BalanceTooLow { token, .. } => {
                !(own.funds.contains(token)
                    || own.frees && has_locked(token)
                    || own.trades_bring(token, listing))
            }
            // Others decide these: orders of anybody in the book, withdrawals of anybody from the supply, and
            // batches that this replica has not seen.
            Reject::WouldCross { .. }
            | Reject::CannotFill { .. }
            | Reject::TooLarge { .. }
            | Reject::AttestationInFuture { .. } => false,
        }
    }
}
