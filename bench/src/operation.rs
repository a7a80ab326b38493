//! One operation of a stream, and its encoding in 32 bytes.

/// The size of an encoded operation, and of the header before them, in bytes.
pub const RECORD_BYTES: usize = 32;

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Trades up to a limit price; the rest enters the book.
    Limit = 0,
    /// Removes a resting order from the book.
    Cancel = 1,
    /// Trades up to a limit price; the rest is cancelled.
    ImmediateOrCancel = 2,
    /// Trades at any price; the rest is cancelled.
    Market = 3,
}

/// The side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Buy side.
    Bid = 0,
    /// Sell side.
    Ask = 1,
}

impl Side {
    /// The opposite side, with which this one trades.
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
/// A cancel uses only `id`. Its price and quantity are 0, and its side and user are random: they are not those
/// of the order that it cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Id of the new order, or of the order to cancel. Ids of new orders count up from 1 without gaps.
    pub id: u64,
    /// Limit price in ticks, at least 1. A market order has one beyond every resting order.
    pub price: u64,
    /// Quantity in lots, from 1 to 300.
    pub quantity: u32,
    /// The user, below 10,000.
    pub user: u32,
    /// The kind of the operation.
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
