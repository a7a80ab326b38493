//! Why a genesis is refused.

use alloc::string::{String, ToString};
use core::fmt;

use thiserror::Error;

use crate::types::Decimal;
use crate::types::limits::GENESIS_BYTES_MAX;

/// Why a genesis is refused. Each names the place and what would be right.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GenesisError {
    /// Not JSON of the expected shape.
    #[error("genesis is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// Larger than a genesis can be.
    #[error("genesis has {0} bytes; at most {GENESIS_BYTES_MAX} are read")]
    TooLarge(usize),
    /// A version that this program does not know.
    #[error("version: genesis has version {0}; this program reads version 1")]
    Version(u32),
    /// A value out of its range.
    #[error("{place}: {found} is out of range; {valid}")]
    Range {
        /// Where in the file, like `tokens[1].decimals`.
        place: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        valid: &'static str,
    },
    /// Two entries with one name or key.
    #[error("{place}: {found} stands there a second time")]
    Duplicate {
        /// Where in the file.
        place: String,
        /// What is repeated.
        found: String,
    },
    /// A market names a token that does not exist.
    #[error("{place}: there is no token {found}; add it to tokens or name another")]
    UnknownToken {
        /// Where in the file.
        place: String,
        /// The symbol.
        found: String,
    },
    /// A lot is no whole number of base atoms.
    #[error(
        "markets[{market}].lot_size: {lot} is not a whole number of atoms of {base}, which has {decimals} decimals"
    )]
    LotNotWhole {
        /// Index of the market.
        market: usize,
        /// Its lot size.
        lot: Decimal,
        /// Its base.
        base: String,
        /// Decimals of the base.
        decimals: u8,
    },
    /// One tick times one lot is no whole number of quote atoms, so trades would round.
    #[error(
        "markets[{market}]: one tick ({tick}) times one lot ({lot}) is not a whole number of atoms of {quote}, which has {decimals} decimals; use a larger tick_size or lot_size"
    )]
    TickTimesLot {
        /// Index of the market.
        market: usize,
        /// Its tick size.
        tick: Decimal,
        /// Its lot size.
        lot: Decimal,
        /// Its quote.
        quote: String,
        /// Decimals of the quote.
        decimals: u8,
    },
}

pub(super) fn range(place: &str, found: &dyn fmt::Display, valid: &'static str) -> GenesisError {
    GenesisError::Range { place: place.to_string(), found: found.to_string(), valid }
}

pub(super) fn in_range(
    found: usize,
    least: usize,
    most: usize,
    place: &str,
    valid: &'static str,
) -> Result<(), GenesisError> {
    if found < least || found > most { Err(range(place, &found, valid)) } else { Ok(()) }
}
