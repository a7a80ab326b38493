//! What few open orders have.

use alloc::string::String;

/// What few orders have, and is therefore not in the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderDetails {
    /// When it is cancelled, in Unix milliseconds.
    pub expires: Option<u64>,
    /// The trader's own name for it.
    pub client_id: Option<String>,
}
