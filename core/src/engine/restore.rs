//! Restores the engine from its leaves.
//!
//! Leaves arrive in ascending order of their keys. Orders are put aside until the end, since the
//! queue of a price level is in order of ids, whereas order leaves are sorted by account. Whether
//! the leaves are consistent with each other is not checked here: the caller recounts all
//! invariants, or compares the root with one that it trusts.

use alloc::vec::Vec;

use super::engine::Engine;
use crate::state::{
    Balance, Counters, Latest, LeafKey, OrderDetails, OrderLeaf, RestingOrder, SessionKey, Timer,
    Withdrawal,
};
use crate::types::limits::NONCES_KEPT;
use crate::types::{ByteReader, Corrupt, MarketIndex, PublicKey};

impl Engine {
    /// Restores one leaf. Orders are added to `orders`, for [`Self::open_stored`].
    pub(crate) fn load_leaf(
        &mut self,
        leaf: LeafKey,
        value: &[u8],
        orders: &mut Vec<StoredOrder>,
    ) -> Result<(), Corrupt> {
        match leaf {
            LeafKey::Order(account, id) => {
                orders.push(self.read_order(id, &account, value)?);
                Ok(())
            }
            leaf => self.load(leaf, value),
        }
    }

    /// Puts the orders into their books.
    pub(crate) fn open_stored(&mut self, mut orders: Vec<StoredOrder>) -> Result<(), Corrupt> {
        // Ids give the order of arrival (I4), and no two orders share one.
        orders.sort_unstable_by_key(|stored| stored.order.id);
        if orders.windows(2).any(|pair| matches!(pair, [a, b] if a.order.id == b.order.id)) {
            return Err(Corrupt("two stored orders have the same id"));
        }
        for StoredOrder { market, order, details } in orders {
            self.open(market, &order, details)?;
        }
        Ok(())
    }

    fn load(&mut self, leaf: LeafKey, value: &[u8]) -> Result<(), Corrupt> {
        let mut reader = ByteReader(value);
        match leaf {
            LeafKey::Counters => {
                self.counters = Counters {
                    batch: reader.u64()?,
                    body_chain: reader.array::<32>()?,
                    order: reader.u64()?,
                    trade: reader.u64()?,
                    withdrawal: reader.u64()?,
                    time: reader.u64()?,
                };
            }
            // A value that the engine never writes, like a supply of zero, passes here.
            // `Restore::finish` refuses it: it compares every leaf with what the engine writes.
            LeafKey::Supply(token) => self.ledger.set_supply(token, reader.atoms()?)?,
            LeafKey::Balance(account, token) => {
                let balance = Balance { available: reader.atoms()?, locked: reader.atoms()? };
                let index = self.ledger.intern(&account)?;
                self.ledger.set_balance(index, token, balance)?;
            }
            LeafKey::Nonces(key) => {
                let index = self.ledger.intern(&key)?;
                let mut previous = None;
                let mut count = 0_usize;
                while !reader.0.is_empty() {
                    let nonce = reader.u64()?;
                    count = count.wrapping_add(1);
                    // `use_nonce` would sort the nonces and drop the lowest, and so accept many
                    // forms of one leaf.
                    if previous.is_some_and(|previous| previous >= nonce) || count > NONCES_KEPT {
                        return Err(Corrupt("stored nonces are out of order or too many"));
                    }
                    previous = Some(nonce);
                    self.ledger.account_mut(index)?.use_nonce(nonce);
                }
            }
            LeafKey::Reference(token, reference) => {
                self.references.insert((token, reference));
            }
            LeafKey::GuideSignature(hash) => {
                self.guide_signatures.insert(hash);
            }
            LeafKey::SessionKey(account, key) => {
                let session = SessionKey::read(&mut reader)?;
                self.set_session_key(account, key, session);
            }
            LeafKey::Withdrawal(number) => {
                // Keys arrive in ascending order, so each number must be the next.
                let last = u64::try_from(self.withdrawals.len()).unwrap_or(u64::MAX);
                if last.checked_add(1) != Some(number) {
                    return Err(Corrupt("a stored withdrawal is missing"));
                }
                self.withdrawals.push(Withdrawal::read(value)?);
                return Ok(());
            }
            LeafKey::Replica(replica) => {
                let latest = Latest { batch: reader.u64()?, clock: reader.u64()? };
                self.attestations.latest.insert(replica, latest);
            }
            LeafKey::Vote(batch, replica) => {
                self.attestations.votes.insert((batch, replica), reader.array()?);
            }
            LeafKey::Certified(batch) => {
                self.attestations.certified.insert(batch, reader.array()?);
            }
            LeafKey::Switch(account) => {
                let time = reader.u64()?;
                self.switches.insert(account, time);
                // Timers have no leaves. Whatever has a time adds its own.
                self.timers.add(time, Timer::Switch(account));
            }
            LeafKey::Order(..) => {}
        }
        reader.finish()
    }

    fn read_order(
        &mut self,
        id: u64,
        account: &PublicKey,
        value: &[u8],
    ) -> Result<StoredOrder, Corrupt> {
        let OrderLeaf {
            market,
            side,
            price,
            quantity,
            rested,
            remaining,
            hash,
            expires,
            client_id,
        } = OrderLeaf::read(value)?;
        let account = self.ledger.intern(account)?;
        let order = RestingOrder { id, account, side, price, quantity, rested, remaining, hash };
        Ok(StoredOrder { market, order, details: OrderDetails { expires, client_id } })
    }
}

/// An open order as read from its leaf.
pub(crate) struct StoredOrder {
    market: MarketIndex,
    order: RestingOrder,
    details: OrderDetails,
}
