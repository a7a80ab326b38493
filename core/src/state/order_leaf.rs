//! The value of an open order's leaf, for readers who check it against an inclusion proof.

use alloc::string::String;
use alloc::vec::Vec;

use super::book::HashPrefix;
use crate::types::{ByteReader, Corrupt, Lots, MarketIndex, Side, Ticks};

/// An open order as its leaf stores it. The account and the order id are in the leaf's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLeaf {
    /// The market, as an index into the markets of genesis.
    pub market: MarketIndex,
    /// Buy or sell.
    pub side: Side,
    /// The limit price.
    pub price: Ticks,
    /// The quantity of the order: what it was accepted with, less what a `replace` took off.
    pub quantity: Lots,
    /// Quantity when the order entered the book.
    pub rested: Lots,
    /// The unfilled part of `rested`.
    pub remaining: Lots,
    /// The first bytes of the hash of the transaction that placed the order.
    pub hash: HashPrefix,
    /// The exchange's time at which the order is cancelled, in Unix milliseconds; `None` if it does not
    /// expire.
    pub expires: Option<u64>,
    /// The trader's own name for the order.
    pub client_id: Option<String>,
}

impl OrderLeaf {
    /// The value of the leaf in bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let side = match self.side {
            Side::Buy => 0,
            Side::Sell => 1,
        };
        let numbers = [self.price.0, self.quantity.0, self.rested.0, self.remaining.0];
        [
            &self.market.0.to_be_bytes()[..],
            &[side],
            numbers.map(u64::to_be_bytes).as_flattened(),
            &self.hash,
            // Zero stands for no expiry. No order expires at 0, because `expires` must be later
            // than the exchange's time (reject 18).
            &self.expires.unwrap_or(0).to_be_bytes(),
            self.client_id.as_deref().unwrap_or_default().as_bytes(),
        ]
        .concat()
    }

    /// Reads the value of an order's leaf.
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
            // A client id has at least one character, so the empty text is free to mean none.
            client_id: Some(reader.text()?).filter(|client_id| !client_id.is_empty()),
        })
    }
}
