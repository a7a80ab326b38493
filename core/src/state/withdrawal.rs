//! Withdrawals.

use alloc::string::String;

use crate::types::{Atoms, PublicKey, TokenIndex};

/// An amount that left the exchange, which the issuer pays outside. It stays in the state for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Whose it was.
    pub account: PublicKey,
    /// Of what.
    pub token: TokenIndex,
    /// How much.
    pub amount: Atoms,
    /// Where the issuer pays it.
    pub destination: String,
}
