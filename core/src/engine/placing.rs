//! The context of an order that is placed.

use crate::state::RestingOrder;
use crate::types::{AccountIndex, Atoms, PublicKey, TransactionHash};

/// Who places an order, and how it will be known.
pub struct Placing<'a> {
    /// The account that places the order.
    pub account: AccountIndex,
    /// The session key that signed; `None` if the account itself signed.
    pub session_key: Option<PublicKey>,
    /// The hash of the transaction.
    pub hash: TransactionHash,
    /// The trader's own name for the order.
    pub client_id: Option<&'a str>,
    /// For `replace`: the open order that is cancelled when this one is placed, and the amount that
    /// it locks.
    pub replaces: Option<(RestingOrder, Atoms)>,
}
