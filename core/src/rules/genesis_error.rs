//! Why a genesis is refused.

use alloc::string::{String, ToString};
use core::fmt;

use thiserror::Error;

use crate::types::Decimal;
use crate::types::limits::GENESIS_BYTES_MAX;

/// Why a genesis is refused. Each message names the place in the file, what was found and what would be valid.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GenesisError {
    /// The file is not JSON of the expected shape. The text is the parser's message.
    #[error("genesis is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// The file is larger than 1 MiB. The number is its size in bytes.
    #[error("genesis has {0} bytes; at most {GENESIS_BYTES_MAX} are read")]
    TooLarge(usize),
    /// The file has a format version that this program does not know.
    #[error("version: genesis has version {0}; this program reads version 1")]
    Version(u32),
    /// A value is out of its range.
    #[error("{place}: {found} is out of range; {valid}")]
    Range {
        /// Where in the file, like `tokens[1].decimals`.
        place: String,
        /// The invalid value.
        found: String,
        /// The valid values, as an instruction.
        valid: &'static str,
    },
    /// Two entries have the same name or key.
    #[error("{place}: {found} is listed a second time")]
    Duplicate {
        /// Where in the file the second entry is.
        place: String,
        /// The repeated name or key.
        found: String,
    },
    /// A market names a token that genesis does not have.
    #[error("{place}: there is no token {found}; add it to tokens or name another")]
    UnknownToken {
        /// Where in the file the symbol is.
        place: String,
        /// The unknown symbol.
        found: String,
    },
    /// One lot is not a whole number of base atoms.
    #[error(
        "markets[{market}].lot_size: {lot} is not a whole number of atoms of {base}, which has {decimals} decimals"
    )]
    LotNotWhole {
        /// Index of the market in genesis.
        market: usize,
        /// The lot size of the market.
        lot: Decimal,
        /// Symbol of the base token.
        base: String,
        /// Decimals of the base token.
        decimals: u8,
    },
    /// One tick times one lot is not a whole number of quote atoms. The value of a trade would have to be
    /// rounded, and one side would gain what the other loses.
    #[error(
        "markets[{market}]: one tick ({tick}) times one lot ({lot}) is not a whole number of atoms of {quote}, which has {decimals} decimals; use a larger tick_size or lot_size"
    )]
    TickTimesLot {
        /// Index of the market in genesis.
        market: usize,
        /// The tick size of the market.
        tick: Decimal,
        /// The lot size of the market.
        lot: Decimal,
        /// Symbol of the quote token.
        quote: String,
        /// Decimals of the quote token.
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
