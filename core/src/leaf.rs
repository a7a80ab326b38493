//! The leaves of the state: their keys and values in bytes, and loading a state from them.
//!
//! A leaf's key starts with one byte for its kind. Numbers are big endian. What is not stored as a
//! leaf is derived: books and open orders from the orders, priority from their ids, timers from what
//! has a time.

use alloc::string::String;
use alloc::vec::Vec;

use crate::attestation::Latest;
use crate::book::RestingOrder;
use crate::engine::{Counters, Engine, OrderDetails};
use crate::event::Corrupt;
use crate::funds::Withdrawal;
use crate::genesis::ReplicaIndex;
use crate::key::PublicKey;
use crate::ledger::Balance;
use crate::limits::{NO_INDEX, NONCES_KEPT};
use crate::listing::{MarketIndex, TokenIndex};
use crate::order_leaf::OrderLeaf;
use crate::session::{SessionKey, Spending};
use crate::timer::Timer;
use crate::transaction::{Side, TransactionHash};
use crate::units::Atoms;

/// Which leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafKey {
    /// `0`: batch, body chain, last order, last trade, last withdrawal, time.
    Counters,
    /// `1 token`: what exists of it.
    Supply(TokenIndex),
    /// `2 account token`: available and locked. Gone when both are zero.
    Balance(PublicKey, TokenIndex),
    /// `3 key`: the nonces kept, ascending.
    Nonces(PublicKey),
    /// `4 account id`: an open order.
    Order(PublicKey, u64),
    /// `5 token reference`: a deposit that was credited. Its value is empty.
    Reference(TokenIndex, String),
    /// `6 hash`: a signature in the guide's format that was used. Its value is empty.
    GuideSignature(TransactionHash),
    /// `7 account key`: what a session key may do.
    SessionKey(PublicKey, PublicKey),
    /// `8 number`: a withdrawal.
    Withdrawal(u64),
    /// `9 replica`: the last batch that it attested to, and its clock.
    Replica(ReplicaIndex),
    /// `10 batch replica`: a root that it attested to, of a batch that is not certified.
    Vote(u64, ReplicaIndex),
    /// `11 batch`: a certified root.
    Certified(u64),
    /// `12 account`: when all its orders are cancelled.
    Switch(PublicKey),
}

impl LeafKey {
    /// The key in bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let join = |kind: u8, parts: &[&[u8]]| {
            let mut bytes = alloc::vec![kind];
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            bytes
        };
        match self {
            Self::Counters => join(0, &[]),
            Self::Supply(token) => join(1, &[&token.0.to_be_bytes()]),
            Self::Balance(account, token) => join(2, &[account.as_bytes(), &token.0.to_be_bytes()]),
            Self::Nonces(key) => join(3, &[key.as_bytes()]),
            Self::Order(account, id) => join(4, &[account.as_bytes(), &id.to_be_bytes()]),
            Self::Reference(token, reference) => {
                join(5, &[&token.0.to_be_bytes(), reference.as_bytes()])
            }
            Self::GuideSignature(hash) => join(6, &[&hash.0]),
            Self::SessionKey(account, key) => join(7, &[account.as_bytes(), key.as_bytes()]),
            Self::Withdrawal(number) => join(8, &[&number.to_be_bytes()]),
            Self::Replica(replica) => join(9, &[&replica.0.to_be_bytes()]),
            Self::Vote(batch, replica) => {
                join(10, &[&batch.to_be_bytes(), &replica.0.to_be_bytes()])
            }
            Self::Certified(batch) => join(11, &[&batch.to_be_bytes()]),
            Self::Switch(account) => join(12, &[account.as_bytes()]),
        }
    }

    /// Reads a key back.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader(bytes);
        let key = match reader.u8()? {
            0 => Self::Counters,
            1 => Self::Supply(TokenIndex(reader.u16()?)),
            2 => Self::Balance(reader.public_key()?, TokenIndex(reader.u16()?)),
            3 => Self::Nonces(reader.public_key()?),
            4 => Self::Order(reader.public_key()?, reader.u64()?),
            5 => Self::Reference(TokenIndex(reader.u16()?), reader.text()?),
            6 => Self::GuideSignature(TransactionHash(reader.array()?)),
            7 => Self::SessionKey(reader.public_key()?, reader.public_key()?),
            8 => Self::Withdrawal(reader.u64()?),
            9 => Self::Replica(ReplicaIndex(reader.u16()?)),
            10 => Self::Vote(reader.u64()?, ReplicaIndex(reader.u16()?)),
            11 => Self::Certified(reader.u64()?),
            12 => Self::Switch(reader.public_key()?),
            _ => return Err(Corrupt("a stored leaf has an unknown kind")),
        };
        reader.finish()?;
        Ok(key)
    }
}

/// A value with nothing in it: the leaf's being there says all.
fn present(is_there: bool) -> Option<Vec<u8>> {
    is_there.then(Vec::new)
}

fn balance_bytes(balance: Balance) -> Option<Vec<u8>> {
    (balance != Balance::default())
        .then(|| [balance.available.0.to_be_bytes(), balance.locked.0.to_be_bytes()].concat())
}

impl Engine {
    /// The present value of a leaf, or `None` if the state does not have it.
    pub fn leaf_value(&self, key: &LeafKey) -> Option<Vec<u8>> {
        match key {
            LeafKey::Counters => {
                let Counters { batch, body_chain, order, trade, withdrawal, time } = self.counters;
                let numbers = [order, trade, withdrawal, time].map(u64::to_be_bytes).concat();
                Some([&batch.to_be_bytes()[..], &body_chain, &numbers].concat())
            }
            LeafKey::Supply(token) => {
                let supply = self.ledger.supply(*token);
                (supply > Atoms::ZERO).then(|| supply.0.to_be_bytes().into())
            }
            LeafKey::Balance(account, token) => {
                balance_bytes(self.ledger.find(account)?.balance(*token))
            }
            LeafKey::Nonces(key) => {
                let nonces = self.ledger.find(key)?.nonces();
                let bytes = nonces.iter().flat_map(|nonce| nonce.to_be_bytes());
                (!nonces.is_empty()).then(|| bytes.collect())
            }
            LeafKey::Order(account, id) => {
                let (market, _, order) = self.open_order(self.ledger.find(account)?, *id)?;
                Some(self.order_bytes(market, &order))
            }
            LeafKey::Reference(token, reference) => {
                present(self.references.contains(&(*token, reference.clone())))
            }
            LeafKey::GuideSignature(hash) => present(self.guide_signatures.contains(hash)),
            LeafKey::SessionKey(account, key) => {
                self.session_key(account, key).map(|session| session.to_bytes())
            }
            LeafKey::Withdrawal(number) => {
                let Withdrawal { account, token, amount, destination } =
                    self.withdrawal(*number)?;
                let (token, amount) = (token.0.to_be_bytes(), amount.0.to_be_bytes());
                let destination = destination.as_bytes();
                Some([&account.as_bytes()[..], &token, &amount, destination].concat())
            }
            LeafKey::Replica(replica) => {
                let Latest { batch, clock } = self.attestations.latest(*replica)?;
                Some([batch.to_be_bytes(), clock.to_be_bytes()].concat())
            }
            LeafKey::Vote(batch, replica) => {
                self.attestations.votes.get(&(*batch, *replica)).map(|root| root.to_vec())
            }
            LeafKey::Certified(batch) => {
                self.attestations.certified(*batch).map(|root| root.to_vec())
            }
            LeafKey::Switch(account) => {
                self.switches.get(account).map(|time| time.to_be_bytes().into())
            }
        }
    }

    fn order_bytes(&self, market: MarketIndex, order: &RestingOrder) -> Vec<u8> {
        let side = match order.side {
            Side::Buy => 0,
            Side::Sell => 1,
        };
        let numbers = [order.price.0, order.quantity.0, order.rested.0, order.remaining.0];
        let OrderDetails { expires, client_id } = self.details(order.id);
        [
            &market.0.to_be_bytes()[..],
            &[side],
            &numbers.map(u64::to_be_bytes).concat(),
            &order.hash,
            &expires.unwrap_or(0).to_be_bytes(),
            client_id.unwrap_or_default().as_bytes(),
        ]
        .concat()
    }

    /// The keys of all leaves, kind by kind in ascending order of their keys, in each kind in no order.
    fn leaf_keys(&self) -> impl Iterator<Item = LeafKey> {
        let accounts = || self.ledger.accounts();
        let balances = accounts().flat_map(|account| {
            account.balances().map(|(token, _)| LeafKey::Balance(account.key, token))
        });
        let sides =
            self.books.iter().flat_map(|book| [Side::Buy, Side::Sell].map(|side| (book, side)));
        let orders = sides.flat_map(|(book, side)| book.orders(side)).filter_map(|order| {
            let account = self.ledger.get(order.account)?;
            Some(LeafKey::Order(account.key, order.id))
        });
        let references = self.references.iter().cloned();
        let sessions = self.session_keys.keys();
        let votes = self.attestations.votes.keys();
        core::iter::once(LeafKey::Counters)
            .chain((0..self.ledger.tokens()).map(|token| LeafKey::Supply(TokenIndex(token))))
            .chain(balances)
            .chain(accounts().map(|account| LeafKey::Nonces(account.key)))
            .chain(orders)
            .chain(references.map(|(token, reference)| LeafKey::Reference(token, reference)))
            .chain(self.guide_signatures.iter().copied().map(LeafKey::GuideSignature))
            .chain(sessions.map(|(account, key)| LeafKey::SessionKey(*account, *key)))
            .chain((1..).zip(&self.withdrawals).map(|(number, _)| LeafKey::Withdrawal(number)))
            .chain(self.attestations.latest.keys().copied().map(LeafKey::Replica))
            .chain(votes.map(|(batch, replica)| LeafKey::Vote(*batch, *replica)))
            .chain(self.attestations.certified.keys().copied().map(LeafKey::Certified))
            .chain(self.switches.keys().copied().map(LeafKey::Switch))
    }

    /// All leaves, keys and values, nearly in ascending order of their keys. They are made one by one.
    pub fn leaves_one_by_one(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.leaf_keys().filter_map(|key| Some((key.to_bytes(), self.leaf_value(&key)?)))
    }

    /// All leaves, keys and values, in ascending order of their keys.
    pub fn leaves(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut leaves: Vec<(Vec<u8>, Vec<u8>)> = self.leaves_one_by_one().collect();
        leaves.sort_unstable();
        leaves
    }

    /// Forgets what was touched and names it, each leaf once.
    pub(crate) fn take_touched(&mut self) -> Result<Vec<LeafKey>, Corrupt> {
        let mut touched = core::mem::take(&mut self.touched);
        touched.balances.sort_unstable();
        touched.balances.dedup();
        touched.nonces.sort_unstable();
        touched.nonces.dedup();
        touched.orders.sort_unstable();
        touched.orders.dedup();
        let mut leaves: Vec<LeafKey> = touched.others.into_iter().collect();
        for (account, token) in touched.balances {
            leaves.push(LeafKey::Balance(self.key(account)?, token));
        }
        for account in touched.nonces {
            leaves.push(LeafKey::Nonces(self.key(account)?));
        }
        for (account, id) in touched.orders {
            leaves.push(LeafKey::Order(self.key(account)?, id));
        }
        Ok(leaves)
    }

    /// Loads a leaf. Orders are put aside: they are opened when all else is there.
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

    /// Opens the orders that were put aside.
    pub(crate) fn open_stored(&mut self, mut orders: Vec<StoredOrder>) -> Result<(), Corrupt> {
        // Priority within a level is the order of ids, and no two orders have one.
        orders.sort_unstable_by_key(|stored| stored.order.id);
        if orders.windows(2).any(|pair| matches!(pair, [a, b] if a.order.id == b.order.id)) {
            return Err(Corrupt("two stored orders have one id"));
        }
        for StoredOrder { market, order, details } in orders {
            self.open(market, &order, details)?;
        }
        Ok(())
    }

    fn load(&mut self, leaf: LeafKey, value: &[u8]) -> Result<(), Corrupt> {
        let mut reader = Reader(value);
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
                // Their keys ascend, so each is the next.
                let last = u64::try_from(self.withdrawals.len()).unwrap_or(u64::MAX);
                if last.checked_add(1) != Some(number) {
                    return Err(Corrupt("a stored withdrawal is missing"));
                }
                self.withdrawals.push(Withdrawal {
                    account: reader.public_key()?,
                    token: TokenIndex(reader.u16()?),
                    amount: reader.atoms()?,
                    destination: reader.text()?,
                });
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

/// An open order, as its leaf has it.
pub(crate) struct StoredOrder {
    market: MarketIndex,
    order: RestingOrder,
    details: OrderDetails,
}

impl SessionKey {
    fn to_bytes(self) -> Vec<u8> {
        let market = self.market.map_or(NO_INDEX, |market| market.0);
        let (token, limit, spent) =
            self.spending.map_or((NO_INDEX, Atoms::ZERO, Atoms::ZERO), |spending| {
                (spending.token.0, spending.limit, spending.spent)
            });
        [
            &self.expires.to_be_bytes()[..],
            &market.to_be_bytes(),
            &token.to_be_bytes(),
            &limit.0.to_be_bytes(),
            &spent.0.to_be_bytes(),
        ]
        .concat()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let expires = reader.u64()?;
        let market = Some(reader.u16()?).filter(|market| *market != NO_INDEX).map(MarketIndex);
        let token = Some(reader.u16()?).filter(|token| *token != NO_INDEX).map(TokenIndex);
        let (limit, spent) = (reader.atoms()?, reader.atoms()?);
        let spending = token.map(|token| Spending { token, limit, spent });
        Ok(Self { expires, market, spending })
    }
}

/// Reads big-endian numbers off the front of bytes.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, rest) =
            self.0.split_first_chunk::<N>().ok_or(Corrupt("stored bytes are too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (head, rest) =
            self.0.split_at_checked(length).ok_or(Corrupt("stored bytes are too short"))?;
        self.0 = rest;
        Ok(head)
    }

    pub fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Corrupt> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_be_bytes)
    }

    fn atoms(&mut self) -> Result<Atoms, Corrupt> {
        self.array().map(u128::from_be_bytes).map(Atoms)
    }

    fn public_key(&mut self) -> Result<PublicKey, Corrupt> {
        PublicKey::from_sec1(&self.array::<33>()?).map_err(|_| Corrupt("a stored key is no point"))
    }

    /// All the rest, as text.
    pub fn text(&mut self) -> Result<String, Corrupt> {
        let text = core::str::from_utf8(core::mem::take(&mut self.0));
        text.map(Into::into).map_err(|_| Corrupt("a stored name is no text"))
    }

    pub fn finish(&self) -> Result<(), Corrupt> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt("stored bytes are too long")) }
    }
}
