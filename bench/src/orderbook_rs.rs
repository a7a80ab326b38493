//! The yardstick: the order book of the crate `orderbook-rs`.

use std::sync::Arc;

use orderbook_rs::{Id, OrderBook, OrderBookError, StubClock, TimeInForce};
use pricelevel::{Hash32, Trade};

use crate::engine::Engine;
use crate::operation::{Kind, Operation, Side};
use crate::tape::Tape;

/// `orderbook-rs` driven by one thread, in the way that costs it least:
///
/// - No listener, risk limit, fee schedule, order tracker or self-trade prevention is installed, as in
///   its own benchmarks.
/// - Trades come back from the call that made them, which spares a listener's queue. An
///   immediate-or-cancel order goes through `match_limit_order`, which returns them without a copy and
///   makes no error of an unfilled rest; `add_order` would.
/// - Its clock is a counter, which spares a system call for each order.
/// - Ids are its plain numbers, so the stream's ids need no table.
pub struct Yardstick {
    book: OrderBook<()>,
}

/// An operation with its values as the book's calls want them.
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
    /// It takes nearly a kilobyte for each resting order, so ten million of them fit no small machine.
    const PRELOAD_MAX: u64 = 1_000_000;
    type Input = Call;

    fn new() -> Self {
        Self { book: OrderBook::with_clock("BENCH", Arc::new(StubClock::new())) }
    }

    fn prepare(&mut self, operation: &Operation) -> Call {
        // The user of number 0 must not be the null owner that stands for nobody.
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
