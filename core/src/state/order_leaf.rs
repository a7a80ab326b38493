//! The value of an open order's leaf, for those who hold it against a proof.

use alloc::string::String;

use super::book::HashPrefix;
use crate::types::{ByteReader, Corrupt, Lots, MarketIndex, Side, Ticks};

/// An open order, as its leaf has it. Whose it is and its id stand in the leaf's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLeaf {
    /// In which market.
    pub market: MarketIndex,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: Ticks,
    /// All that it was accepted with, less what a `replace` took off.
    pub quantity: Lots,
    /// What of the quantity came to rest.
    pub rested: Lots,
    /// What is left of it.
    pub remaining: Lots,
    /// Of the transaction that placed it.
    pub hash: HashPrefix,
    /// When it is cancelled, Unix milliseconds; never, if there is none.
    pub expires: Option<u64>,
    /// The name that its owner gave it.
    pub client_id: Option<String>,
}

impl OrderLeaf {
    /// Reads a leaf's value.
    pub fn read(value: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = ByteReader(value);
        Ok(Self {
            market: MarketIndex(reader.u16()?),
            side: match reader.u8()? {
                0 => Side::Buy,
                1 => Side::Sell,
                _ => return Err(Corrupt("a stored order has an unknown side")),
            },
            price: Ticks(reader.u64()?),
            quantity: Lots(reader.u64()?),
            rested: Lots(reader.u64()?),
            remaining: Lots(reader.u64()?),
            hash: reader.array()?,
            expires: Some(reader.u64()?).filter(|time| *time > 0),
            client_id: Some(reader.text()?).filter(|client_id| !client_id.is_empty()),
        })
    }
}
