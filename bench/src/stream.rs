//! The stream of operations that every engine runs, generated from a seed.

use std::fmt;
use std::io::{self, Write};

use crate::operation::{Kind, Operation, RECORD_BYTES, Side};
use crate::random::Random;
use crate::reference::ReferenceBook;
use crate::tape::Tape;

/// The first 8 bytes of a stream's file.
const MAGIC: u64 = u64::from_le_bytes(*b"LOB1\0\0\0\0");
/// The start of the mid price and its range, in ticks.
const MID_START: u64 = 100_000;
const MID_MIN: u64 = 50_000;
const MID_MAX: u64 = 150_000;
/// Limit prices of market orders in ticks, beyond every price that a resting order can have.
const MARKET_BID: u64 = 250_000;
const MARKET_ASK: u64 = 1;
const USERS: u64 = 10_000;

/// Operations and their expected result.
///
/// The preload consists of limit orders on their own side of the mid price, so they never trade. After it, the
/// mid price moves in a random walk. Of the timed operations, 60 % are limit orders (3 % of them priced to
/// trade), 30 % cancel a resting order, 5 % are immediate-or-cancel orders and 5 % are market orders.
pub struct Stream {
    /// The operations that fill the book before timing starts.
    pub preload: Vec<Operation>,
    /// The timed operations.
    pub operations: Vec<Operation>,
    /// The result of the reference book.
    pub expectation: Expectation,
}

/// The expected result of a stream. `Display` writes it as the line of an `.expect` file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The count and the checksum of the trades.
    pub tape: Tape,
    /// The number of resting orders at the end.
    pub live: u64,
    /// The number of bid levels at the end.
    pub bid_levels: u64,
    /// The number of ask levels at the end.
    pub ask_levels: u64,
    /// The number of timed operations of each kind, in the order of the kinds.
    pub count: [u64; 4],
    /// The number of limit orders that were priced to trade.
    pub crossing: u64,
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tape, live, bid_levels, ask_levels, count, crossing } = self;
        write!(f, "trades={} cksum={:016x} live={live} ", tape.trades, tape.checksum)?;
        write!(f, "bidlv={bid_levels} asklv={ask_levels} ")?;
        write!(f, "adds={} cancels={} ioc={} mkt={} ", count[0], count[1], count[2], count[3])?;
        write!(f, "crossing_adds={crossing} traded_qty={}", tape.quantity)
    }
}

impl Stream {
    /// Generates a stream. `mean_distance` is the mean distance of limit orders from the mid price in ticks.
    /// The same arguments always give the same stream.
    pub fn generate(preload: u64, operations: u64, seed: u64, mean_distance: f64) -> Self {
        let mut market = Market::new(seed, mean_distance);
        let preload = (0..preload).map(|_| market.preload()).collect();
        let operations = (0..operations).map(|_| market.operation()).collect();
        Self { preload, operations, expectation: market.expectation() }
    }

    /// Writes the stream as a file: a header of four numbers (magic, length of the preload, number of
    /// operations, 0), then the encoded operations of both.
    pub fn write_to(&self, writer: &mut impl Write) -> io::Result<()> {
        let header = [MAGIC, self.preload.len() as u64, self.operations.len() as u64, 0];
        for number in header {
            writer.write_all(&number.to_le_bytes())?;
        }
        for operation in self.preload.iter().chain(&self.operations) {
            writer.write_all(&operation.to_bytes())?;
        }
        Ok(())
    }

    /// Returns the bytes that [`write_to`](Self::write_to) writes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let records = 1 + self.preload.len() + self.operations.len();
        let mut bytes = Vec::with_capacity(records * RECORD_BYTES);
        self.write_to(&mut bytes).expect("a vector takes every byte");
        bytes
    }
}

/// The generator of the operations. The order in which it draws random numbers defines the stream, so it must
/// not be changed.
struct Market {
    random: Random,
    mean_distance: f64,
    mid: u64,
    /// Id of the newest order.
    newest: u64,
    book: ReferenceBook,
    live: Live,
    expectation: Expectation,
}

impl Market {
    fn new(seed: u64, mean_distance: f64) -> Self {
        Self {
            random: Random::new(seed),
            mean_distance,
            mid: MID_START,
            newest: 0,
            book: ReferenceBook::default(),
            live: Live::default(),
            expectation: Expectation::default(),
        }
    }

    fn preload(&mut self) -> Operation {
        let (side, user) = self.draw_side_and_user();
        let quantity = self.draw_quantity(100);
        let distance = self.random.exponential(self.mean_distance);
        self.place(Kind::Limit, side, user, quantity, self.outside(side, distance))
    }

    fn operation(&mut self) -> Operation {
        self.walk();
        let kind = self.draw_kind();
        // Drawn for cancels too, which do not use them, because the published generator does so.
        let (side, user) = self.draw_side_and_user();
        self.expectation.count[kind as usize] += 1;
        if kind == Kind::Cancel {
            let id = self.live.draw(&mut self.random);
            self.book.cancel(id);
            self.live.remove(id);
            return Operation { id, price: 0, quantity: 0, user, kind, side };
        }
        let (quantity, price) = match kind {
            Kind::Limit => (self.draw_quantity(100), self.draw_limit_price(side)),
            Kind::ImmediateOrCancel => {
                let quantity = self.draw_quantity(300);
                let reach = 1 + self.random.below(50);
                (quantity, self.outside(side.opposite(), reach))
            }
            _ => {
                let price = if side == Side::Bid { MARKET_BID } else { MARKET_ASK };
                (self.draw_quantity(300), price)
            }
        };
        self.place(kind, side, user, quantity, price)
    }

    /// Moves the mid price up or down, or half of the time not at all.
    fn walk(&mut self) {
        self.mid = match self.random.below(4) {
            0 => MID_MAX.min(self.mid + 1),
            1 => MID_MIN.max(self.mid - 1),
            _ => self.mid,
        };
    }

    fn draw_kind(&mut self) -> Kind {
        match self.random.below(100) {
            // With nothing to cancel, a limit order takes its place.
            60..90 if !self.live.is_empty() => Kind::Cancel,
            0..90 => Kind::Limit,
            90..95 => Kind::ImmediateOrCancel,
            _ => Kind::Market,
        }
    }

    fn draw_side_and_user(&mut self) -> (Side, u32) {
        let side = if self.random.number() & 1 == 0 { Side::Bid } else { Side::Ask };
        (side, self.random.below(USERS) as u32)
    }

    fn draw_quantity(&mut self, most: u64) -> u32 {
        1 + self.random.below(most) as u32
    }

    fn draw_limit_price(&mut self, side: Side) -> u64 {
        let distance = self.random.exponential(self.mean_distance);
        if self.random.below(100) >= 3 {
            return self.outside(side, distance);
        }
        self.expectation.crossing += 1;
        self.outside(side.opposite(), 1 + distance.min(20))
    }

    /// The price at `distance` from the mid price on a side, at least 1.
    fn outside(&self, side: Side, distance: u64) -> u64 {
        match side {
            Side::Bid => self.mid.saturating_sub(distance).max(1),
            Side::Ask => self.mid + distance,
        }
    }

    fn place(&mut self, kind: Kind, side: Side, user: u32, quantity: u32, price: u64) -> Operation {
        self.newest += 1;
        let order = Operation { id: self.newest, price, quantity, user, kind, side };
        let live = &mut self.live;
        let rests = self.book.place(&order, &mut self.expectation.tape, |maker| live.remove(maker));
        self.live.track(order.id, rests > 0);
        order
    }

    fn expectation(self) -> Expectation {
        let (bids, bid_levels) = self.book.depth(Side::Bid);
        let (asks, ask_levels) = self.book.depth(Side::Ask);
        Expectation { live: bids + asks, bid_levels, ask_levels, ..self.expectation }
    }
}

/// The resting orders in arbitrary order, so that a random one can be drawn in constant time.
#[derive(Default)]
struct Live {
    ids: Vec<u32>,
    /// By id minus 1: the position of the order in `ids` while it rests.
    positions: Vec<u32>,
}

impl Live {
    fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn draw(&self, random: &mut Random) -> u64 {
        self.ids[random.below(self.ids.len() as u64) as usize].into()
    }

    /// Adds the next order.
    fn track(&mut self, id: u64, rests: bool) {
        self.positions.push(self.ids.len() as u32);
        if rests {
            self.ids.push(id as u32);
        }
    }

    /// Removes an order by moving the last one to its position.
    fn remove(&mut self, id: u64) {
        let position = self.positions[id as usize - 1];
        self.ids.swap_remove(position as usize);
        if let Some(&moved) = self.ids.get(position as usize) {
            self.positions[moved as usize - 1] = position;
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::catalogue::Recipe;

    fn digest(stream: &Stream) -> String {
        Sha256::digest(stream.to_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn named(name: &str) -> Stream {
        Recipe::named(name).expect("the name is in the catalogue").generate()
    }

    // Source: the files of the benchmark's published generator (digests) and its `.expect` files (lines).

    #[test]
    fn a_small_stream_has_the_published_bytes() {
        let stream = Stream::generate(100, 1000, 7, 50.0);
        assert_eq!(
            digest(&stream),
            "cde5691914bf3f06838d245f09aafc1bf8d59a0ea1061c52e2a770e0c99581e8"
        );
        assert_eq!(
            stream.expectation.to_string(),
            "trades=371 cksum=1ba5344f7c1bac7d live=113 bidlv=53 asklv=38 adds=595 cancels=296 ioc=53 \
             mkt=56 crossing_adds=7 traded_qty=14594"
        );
    }

    #[test]
    fn mix0_has_the_published_bytes_and_trades() {
        let stream = named("mix0");
        assert_eq!(
            digest(&stream),
            "793ca50cace2f6bd3c8ab8b0b6a0b29ee2e33b8310d1fb8f4933abfed15d41bb"
        );
        assert_eq!(
            stream.expectation.to_string(),
            "trades=255280 cksum=b3eaac8197e321ec live=101907 bidlv=2950 asklv=2548 adds=600403 \
             cancels=300388 ioc=49649 mkt=49560 crossing_adds=17926 traded_qty=9587839"
        );
    }

    #[test]
    fn mix10k_has_the_published_bytes_and_trades() {
        let stream = named("mix10k");
        assert_eq!(
            digest(&stream),
            "781149aebaf72a264b12f73b7a7d4585d938fce79d03abae8df15431c935d714"
        );
        assert_eq!(
            stream.expectation.to_string(),
            "trades=259424 cksum=72e31e536c9414ab live=108466 bidlv=3054 asklv=2570 adds=600412 \
             cancels=300422 ioc=49616 mkt=49550 crossing_adds=17940 traded_qty=9725431"
        );
    }

    #[test]
    fn mix1m_has_the_published_bytes_and_trades() {
        let stream = named("mix1m");
        assert_eq!(
            digest(&stream),
            "ecdf29a8e6ea5c5f7e03d04fd0743b183038d98eca9972098c56dbce981a8332"
        );
        assert_eq!(
            stream.expectation.to_string(),
            "trades=418373 cksum=5af94e5b134942eb live=949359 bidlv=3794 asklv=3766 adds=599425 \
             cancels=301299 ioc=49752 mkt=49524 crossing_adds=17796 traded_qty=14302588"
        );
    }
}
