//! Restores the engine from its leaves.
//!
//! Leaves arrive in ascending order of their keys. Orders are put aside until the end, since the
//! queue of a price level is in order of ids, whereas order leaves are sorted by account. Whether
//! the leaves are consistent with each other is not checked here: the caller recounts all
//! invariants, or compares the root with one that it trusts.

use alloc::vec::Vec;

use super::engine::Engine;
use crate::cores::map_chunks;
use crate::signatures::are_on_curve;
use crate::state::{
    Balance, Counters, Latest, LeafKey, OrderDetails, OrderLeaf, RestingOrder, SessionKey, Timer,
    Withdrawal,
};
use crate::types::limits::NONCES_KEPT;
use crate::types::{ByteReader, Corrupt, MarketIndex, NO_POINT, PublicKey};

/// What is wrong with a leaf that the restored state would write in another way.
pub(crate) const OTHER_FORM: Corrupt = Corrupt("a stored leaf is not in its only form");

/// The number of keys whose points are checked together.
const KEYS_TOGETHER: usize = 1 << 14;

impl Engine {
    /// Restores one leaf, whose public keys [`Self::check_keys`] will check. Orders are added to `orders`, for
    /// [`Self::open_stored`].
    pub(crate) fn load_leaf(
        &mut self,
        leaf: &LeafKey,
        value: &[u8],
        orders: &mut Vec<StoredOrder>,
    ) -> Result<(), Corrupt> {
        if let LeafKey::Order(account, id) = leaf {
            orders.push(self.read_order(*id, account, value)?);
            return Ok(());
        }
        self.load(leaf, value)?;
        // A leaf with a second form for the same content would give one state many snapshots.
        let is_only_form = match leaf {
            // Most leaves are of these two kinds. Every other form of a nonce list is out of order, and every other form of a
            // balance has another length, which `load` refuses. Only what stands for no leaf is left.
            LeafKey::Balance(..) => value.iter().any(|byte| *byte != 0),
            LeafKey::Nonces(_) => !value.is_empty(),
            _ => self.leaf_value(leaf).as_deref() == Some(value),
        };
        if is_only_form { Ok(()) } else { Err(OTHER_FORM) }
    }

    /// Checks that all keys in the state are points of the curve, on all cores.
    pub(crate) fn check_keys(&self) -> Result<(), Corrupt> {
        let accounts = self.ledger.accounts().map(|account| account.key);
        let sessions = self.session_keys.keys().flat_map(|(account, key)| [*account, *key]);
        let switches = self.switches.keys().copied();
        let withdrawals = self.withdrawals.iter().map(|withdrawal| withdrawal.account);
        let keys = accounts.chain(sessions).chain(switches).chain(withdrawals);
        let verdicts = map_chunks(keys, KEYS_TOGETHER, |keys| are_on_curve(&keys));
        if verdicts.into_iter().all(|are_points| are_points) { Ok(()) } else { Err(NO_POINT) }
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

    fn load(&mut self, leaf: &LeafKey, value: &[u8]) -> Result<(), Corrupt> {
        let mut reader = ByteReader(value);
        match *leaf {
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
            // A value that the engine never writes, like a supply of zero, passes here. `load_leaf` refuses it.
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
            LeafKey::Reference(token, ref reference) => {
                self.references.insert((token, reference.clone()));
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
                self.withdrawals.push(Withdrawal::read_unchecked(value)?);
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
        let leaf = OrderLeaf::read(value)?;
        if leaf.to_bytes() != value {
            return Err(OTHER_FORM);
        }
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
        } = leaf;
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
