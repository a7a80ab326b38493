//! The record of a run's trades.

/// A count and a checksum of trades, so that two engines can be compared trade by trade without
/// keeping the trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    /// The number of trades.
    pub trades: u64,
    /// The total quantity of all trades, in lots.
    pub quantity: u64,
    /// A checksum over every trade in order.
    pub checksum: u64,
}

impl Tape {
    /// Records a trade: the ids of both orders, the price in ticks and the quantity in lots.
    #[inline]
    pub fn note(&mut self, maker: u64, taker: u64, price: u64, quantity: u64) {
        let trade =
            maker.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (taker << 20) ^ (price << 8) ^ quantity;
        self.trades += 1;
        self.quantity += quantity;
        // The rotation makes the checksum depend on the order of the trades.
        self.checksum = self.checksum.rotate_left(5) ^ trade;
    }
}
