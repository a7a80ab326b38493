//! One operation of a stream, and its 32 bytes in a file.

/// Bytes of an operation in a file, and of the header before them.
pub const RECORD_BYTES: usize = 32;

/// What an operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Trade up to a limit price and let the rest lie in the book.
    Limit = 0,
    /// Take a resting order out of the book.
    Cancel = 1,
    /// Trade up to a limit price and drop the rest.
    ImmediateOrCancel = 2,
    /// Trade at any price and drop the rest.
    Market = 3,
}

/// The side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Buys.
    Bid = 0,
    /// Sells.
    Ask = 1,
}

impl Side {
    /// The side that this one trades with.
    #[inline]
    pub fn opposite(self) -> Side {
        match self {
            Side::Bid => Side::Ask,
            Side::Ask => Side::Bid,
        }
    }
}

/// One operation of a stream.
///
/// Of a cancel only `id` has a meaning. Its price and quantity are 0, and its side and user are drawn
/// at random: they are not those of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The new order's id, or the id of the order to cancel. New orders count up from 1 without gaps.
    pub id: u64,
    /// Limit price in ticks, at least 1. A market order has an extreme one that it does not need.
    pub price: u64,
    /// Quantity in lots, from 1 to 300.
    pub quantity: u32,
    /// Whose, below 10,000.
    pub user: u32,
    /// What it asks for.
    pub kind: Kind,
    /// Side.
    pub side: Side,
}

impl Operation {
    /// The record in a file, little-endian: kind, side, two zero bytes, quantity, price, id, user, four
    /// zero bytes.
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = self.side as u8;
        bytes[4..8].copy_from_slice(&self.quantity.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.price.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.user.to_le_bytes());
        bytes
    }
}
