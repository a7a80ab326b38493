//! Who places an order.

use crate::state::RestingOrder;
use crate::types::{AccountIndex, Atoms, PublicKey, TransactionHash};

/// Who places an order, and how it is known.
pub struct Placing<'a> {
    /// Whose it is.
    pub account: AccountIndex,
    /// The session key that signed, if it was not the account's own.
    pub session_key: Option<PublicKey>,
    /// Of the transaction.
    pub hash: TransactionHash,
    /// The trader's own name for it.
    pub client_id: Option<&'a str>,
    /// The open order that goes when this one is placed, and what it locks.
    pub replaces: Option<(RestingOrder, Atoms)>,
}
