//! A withdrawal: the record that tells the issuer of a token what to pay outside the exchange.

use alloc::string::String;

use crate::types::{Atoms, ByteReader, Corrupt, NO_POINT, PublicKey, TokenIndex};

/// An amount that left the exchange. The record is never deleted: the issuer may pay it at any
/// later time, and must be able to prove that it was requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The account that withdrew.
    pub account: PublicKey,
    /// The token that was withdrawn.
    pub token: TokenIndex,
    /// The amount in atoms of that token; more than zero.
    pub amount: Atoms,
    /// Where the issuer pays it, in the issuer's own format: 1 to 128 of `A-Za-z0-9._:/@+-`.
    pub destination: String,
}

impl Withdrawal {
    /// Reads the value of a withdrawal's leaf.
    pub fn read(value: &[u8]) -> Result<Self, Corrupt> {
        let withdrawal = Self::read_unchecked(value)?;
        if withdrawal.account.is_on_curve() { Ok(withdrawal) } else { Err(NO_POINT) }
    }

    /// Reads a withdrawal of an account whose key may be no point of the curve.
    pub(crate) fn read_unchecked(value: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = ByteReader(value);
        Ok(Self {
            account: reader.unchecked_key()?,
            token: TokenIndex(reader.u16()?),
            amount: reader.atoms()?,
            // The rest of the value, so nothing can follow it.
            destination: reader.text()?,
        })
    }
}
