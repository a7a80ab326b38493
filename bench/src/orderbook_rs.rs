//! The engine for comparison: the order book of the crate `orderbook-rs`.

use std::sync::Arc;

use orderbook_rs::{Id, OrderBook, OrderBookError, StubClock, TimeInForce};
use pricelevel::{Hash32, Trade};

use crate::engine::Engine;
use crate::operation::{Kind, Operation, Side};
use crate::tape::Tape;

/// `orderbook-rs` on one thread, used in the way that is fastest for it:
///
/// - No listener, risk limit, fee schedule, order tracker or self-trade prevention is installed, as in
///   its own benchmarks.
/// - Trades are read from the result of the call, which avoids a listener's queue. Immediate-or-cancel orders use
///   `match_limit_order`, which returns trades without a copy. `add_order` would report an unfilled rest as an error.
/// - Its clock is a counter, which avoids a system call for each order.
/// - Ids are plain numbers, so the ids of the stream can be used without a table.
pub struct Yardstick {
    book: OrderBook<()>,
}

/// An operation with its values in the types of the book's functions.
pub struct Call {
    kind: Kind,
    id: Id,
    price: u128,
    quantity: u64,
    side: orderbook_rs::Side,
    user: Hash32,
}

impl Engine for Yardstick {
    const NAME: &'static str = "orderbook-rs";
    /// It needs almost a kilobyte for each resting order, so ten million do not fit the memory of a small
    /// machine.
    const PRELOAD_MAX: u64 = 1_000_000;
    type Input = Call;

    fn new() -> Self {
        Self { book: OrderBook::with_clock("BENCH", Arc::new(StubClock::new())) }
    }

    fn prepare(&mut self, operation: &Operation) -> Call {
        // User 0 must not become the null owner, which means no owner.
        let mut user = [0; 32];
        user[..4].copy_from_slice(&(operation.user + 1).to_le_bytes());
        Call {
            kind: operation.kind,
            id: Id::sequential(operation.id),
            price: operation.price.into(),
            quantity: operation.quantity.into(),
            side: match operation.side {
                Side::Bid => orderbook_rs::Side::Buy,
                Side::Ask => orderbook_rs::Side::Sell,
            },
            user: Hash32::new(user),
        }
    }

    #[inline]
    fn apply(&mut self, call: &Call, tape: &mut Tape) {
        let &Call { kind, id, price, quantity, side, user } = call;
        let book = &self.book;
        match kind {
            Kind::Limit => {
                let (_, result) = book
                    .add_limit_order_with_user_and_result(
                        id,
                        price,
                        quantity,
                        side,
                        TimeInForce::Gtc,
                        user,
                        None,
                    )
                    .expect("every limit order is taken");
                if let Some(result) = result {
                    note(result.match_result.trades().as_vec(), tape);
                }
            }
            Kind::Cancel => {
                let order = book.cancel_order(id).expect("every cancel is taken");
                assert!(order.is_some(), "the stream cancels only orders that rest");
            }
            Kind::ImmediateOrCancel | Kind::Market => {
                let result = match kind {
                    Kind::Market => book.submit_market_order_with_user(id, quantity, side, user),
                    _ => book.match_limit_order_with_user(id, quantity, side, price, user),
                };
                match result {
                    Ok(result) => note(result.trades().as_vec(), tape),
                    // The other side is empty.
                    Err(OrderBookError::InsufficientLiquidity { available: 0, .. }) => (),
                    Err(error) => panic!("order {id} was refused: {error}"),
                }
            }
        }
    }
}

#[inline]
fn note(trades: &[Trade], tape: &mut Tape) {
    for trade in trades {
        let maker = trade.maker_order_id().as_u64().expect("ids are numbers");
        let taker = trade.taker_order_id().as_u64().expect("ids are numbers");
        let price = trade.price().as_u128() as u64;
        tape.note(maker, taker, price, trade.quantity().as_u64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run;
    use crate::stream::Stream;

    #[test]
    fn the_yardstick_trades_as_the_reference() {
        for seed in 0..8 {
            let stream = Stream::generate(200, 20_000, seed, 50.0);
            assert_eq!(run::<Yardstick>(&stream).tape, stream.expectation.tape, "seed {seed}");
        }
    }
}
