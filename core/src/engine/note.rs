//! Notes: events in a compact form.
//!
//! A busy batch can have tens of thousands of accepted orders, fills and cancellations. While matching
//! runs, they are stored with account indices instead of keys and without allocations, and become
//! [`Event`]s when the transaction is done. Rare events are stored as they are.

use crate::protocol::{CancelReason, Event, Fill};
use crate::types::{
    AccountIndex, Atoms, Corrupt, Lots, MarketIndex, PublicKey, Side, Ticks, TimeInForce,
};

/// An event in compact form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// [`Event::Accepted`] without a client id.
    Accepted {
        /// The order id.
        order: u64,
        /// The account of the order.
        account: AccountIndex,
        /// The market.
        market: MarketIndex,
        /// Buy or sell.
        side: Side,
        /// The limit price.
        price: Ticks,
        /// The quantity in lots, filled or not.
        quantity: Lots,
        /// How long the order stays.
        time_in_force: TimeInForce,
    },
    /// [`Event::Filled`].
    Filled {
        /// The number of the trade.
        trade: u64,
        /// The market.
        market: MarketIndex,
        /// The maker's price.
        price: Ticks,
        /// The traded quantity in lots.
        quantity: Lots,
        /// Id and account of the resting order.
        maker: (u64, AccountIndex),
        /// Id and account of the incoming order.
        taker: (u64, AccountIndex),
        /// The side of the incoming order.
        taker_side: Side,
        /// The fees of maker and taker, in quote atoms.
        fees: [Atoms; 2],
    },
    /// [`Event::Cancelled`].
    Cancelled {
        /// The order id.
        order: u64,
        /// The account of the order.
        account: AccountIndex,
        /// The market.
        market: MarketIndex,
        /// Buy or sell.
        side: Side,
        /// The limit price.
        price: Ticks,
        /// The cancelled quantity.
        remaining: Lots,
        /// Why it was cancelled.
        reason: CancelReason,
    },
    /// Any other event: the next one in the list of full events.
    Other,
}

impl Note {
    /// The event of this note. `others` has the full events in order, `key` the public key of an
    /// account.
    pub(crate) fn resolve(
        self,
        key: impl Fn(AccountIndex) -> Result<PublicKey, Corrupt>,
        others: &mut impl Iterator<Item = Event>,
    ) -> Result<Event, Corrupt> {
        Ok(match self {
            Self::Accepted { order, account, market, side, price, quantity, time_in_force } => {
                Event::Accepted {
                    order,
                    account: key(account)?,
                    market,
                    side,
                    price,
                    quantity,
                    time_in_force,
                    client_id: None,
                }
            }
            Self::Filled { trade, market, price, quantity, maker, taker, taker_side, fees } => {
                let [maker_fee, taker_fee] = fees;
                Event::Filled(Fill {
                    trade,
                    market,
                    price,
                    quantity,
                    maker_order: maker.0,
                    taker_order: taker.0,
                    maker: key(maker.1)?,
                    taker: key(taker.1)?,
                    taker_side,
                    maker_fee,
                    taker_fee,
                })
            }
            Self::Cancelled { order, account, market, side, price, remaining, reason } => {
                let account = key(account)?;
                Event::Cancelled { order, account, market, side, price, remaining, reason }
            }
            Self::Other => others.next().ok_or(Corrupt("a noted event is missing"))?,
        })
    }
}
