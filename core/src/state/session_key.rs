//! Session keys: keys that trade for an account within limits and can never move its funds.
//!
//! A session key is meant for a browser or a bot, where it can be stolen. What a thief could take
//! is limited by what the key may do: it only places and cancels orders, in one market if it is
//! bound to one, until it expires, and with a spending limit its orders cannot give away more than
//! that.

use alloc::vec::Vec;

use crate::types::limits::NO_INDEX;
use crate::types::{Atoms, ByteReader, Corrupt, MarketIndex, TokenIndex};

/// The limits of a session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey {
    /// The exchange's time at which the key ends, in Unix milliseconds.
    pub expires: u64,
    /// The only market that the key may trade in; `None` for all markets.
    pub market: Option<MarketIndex>,
    /// The spending limit, if the key has one.
    pub spending: Option<Spending>,
}

/// A limit on what the orders of a session key give away in total, and so on what the account can lose. Such
/// a key may spend one token only: a buy spends the quote token, a sell the base token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// The only token that the key may spend.
    pub token: TokenIndex,
    /// The maximum that its orders may give away in total, without fees.
    pub limit: Atoms,
    /// What its orders spent so far; at most `limit`. An order counts in full when it is
    /// accepted, less the part that is cancelled immediately. A later cancellation gives nothing
    /// back: the state does not record which key placed an open order.
    pub spent: Atoms,
}

impl SessionKey {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let market = self.market.map_or(NO_INDEX, |market| market.0);
        let (token, limit, spent) =
            self.spending.map_or((NO_INDEX, Atoms::ZERO, Atoms::ZERO), |spending| {
                (spending.token.0, spending.limit, spending.spent)
            });
        // Every part is always there, with a mark for absence, so that the value has one length.
        [
            &self.expires.to_be_bytes()[..],
            &market.to_be_bytes(),
            &token.to_be_bytes(),
            &limit.0.to_be_bytes(),
            &spent.0.to_be_bytes(),
        ]
        .concat()
    }

    pub(crate) fn read(reader: &mut ByteReader<'_>) -> Result<Self, Corrupt> {
        let expires = reader.u64()?;
        let market = Some(reader.u16()?).filter(|market| *market != NO_INDEX).map(MarketIndex);
        let token = Some(reader.u16()?).filter(|token| *token != NO_INDEX).map(TokenIndex);
        // Without a token both must be zero. If they are not, they are dropped here, and the restore notices
        // that the leaf is not written as it was read.
        let (limit, spent) = (reader.atoms()?, reader.atoms()?);
        let spending = token.map(|token| Spending { token, limit, spent });
        Ok(Self { expires, market, spending })
    }
}
