//! Session keys: keys that trade for an account, within bounds, and never move its funds.

use alloc::vec::Vec;

use crate::types::limits::NO_INDEX;
use crate::types::{Atoms, ByteReader, Corrupt, MarketIndex, TokenIndex};

/// What a session key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey {
    /// When it ends, in Unix milliseconds.
    pub expires: u64,
    /// The one market that it may trade in, or all.
    pub market: Option<MarketIndex>,
    /// The bound on what its orders give away.
    pub spending: Option<Spending>,
}

/// A bound on what a session key's orders give away, all told, so on what it can lose. It may spend
/// one token only: buying, it spends quote; selling, base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// The one token that it may spend.
    pub token: TokenIndex,
    /// The most that its orders may give away, fees apart.
    pub limit: Atoms,
    /// What they gave away so far, less what was cancelled at once; at most `limit`.
    pub spent: Atoms,
}

impl SessionKey {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let market = self.market.map_or(NO_INDEX, |market| market.0);
        let (token, limit, spent) =
            self.spending.map_or((NO_INDEX, Atoms::ZERO, Atoms::ZERO), |spending| {
                (spending.token.0, spending.limit, spending.spent)
            });
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
        let (limit, spent) = (reader.atoms()?, reader.atoms()?);
        let spending = token.map(|token| Spending { token, limit, spent });
        Ok(Self { expires, market, spending })
    }
}
