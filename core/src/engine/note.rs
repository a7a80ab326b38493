//! Events as the engine notes them.

use crate::protocol::{CancelReason, Event, Fill};
use crate::types::{
    AccountIndex, Atoms, Corrupt, Lots, MarketIndex, PublicKey, Side, Ticks, TimeInForce,
};

/// An event as the engine notes it: what happens all the time is kept small, with accounts by index,
/// and needs no memory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// [`Event::Accepted`] without a client id.
    Accepted {
        /// Its id.
        order: u64,
        /// Whose.
        account: AccountIndex,
        /// Market.
        market: MarketIndex,
        /// Side.
        side: Side,
        /// Limit price.
        price: Ticks,
        /// Quantity.
        quantity: Lots,
        /// Time in force.
        time_in_force: TimeInForce,
    },
    /// [`Event::Filled`].
    Filled {
        /// Sequence number of the trade.
        trade: u64,
        /// Market.
        market: MarketIndex,
        /// The maker's price.
        price: Ticks,
        /// Quantity.
        quantity: Lots,
        /// Id of the resting order, and whose it is.
        maker: (u64, AccountIndex),
        /// Id of the incoming order, and whose it is.
        taker: (u64, AccountIndex),
        /// Side of the incoming order.
        taker_side: Side,
        /// What maker and taker pay.
        fees: [Atoms; 2],
    },
    /// [`Event::Cancelled`].
    Cancelled {
        /// Its id.
        order: u64,
        /// Whose.
        account: AccountIndex,
        /// Market.
        market: MarketIndex,
        /// Side.
        side: Side,
        /// Limit price.
        price: Ticks,
        /// What was left of it.
        remaining: Lots,
        /// Why.
        reason: CancelReason,
    },
    /// Any other: the next one of those that are kept apart.
    Other,
}

impl Note {
    /// The event that it stands for. `others` has those that are kept apart.
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
            Self::Other => others.next().ok_or(Corrupt("an event was noted and is not there"))?,
        })
    }
}
