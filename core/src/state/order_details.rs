//! Optional properties of an open order. Few orders have any, so they are stored apart from the
//! book, whose memory is what matching waits for.

use alloc::string::String;

/// Optional properties of an open order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderDetails {
    /// The exchange's time at which the order is cancelled, in Unix milliseconds.
    pub expires: Option<u64>,
    /// The trader's own name for the order, unique among the account's open orders.
    pub client_id: Option<String>,
}
