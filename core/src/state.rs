//! The leaves of the state: their keys and values in bytes, and loading a state from them.
//!
//! A leaf's key starts with one byte for its kind. Numbers are big endian. What is not stored as a
//! leaf is derived: books and open orders from the orders, priority from their ids.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::book::RestingOrder;
use crate::event::Corrupt;
use crate::exchange::{Counters, Exchange};
use crate::genesis::{MarketIndex, Rules, TokenIndex};
use crate::key::PublicKey;
use crate::ledger::Balance;
use crate::limits::NONCES_KEPT;
use crate::state_root::StateTree;
use crate::transaction::{Side, TransactionHash};
use crate::units::{Atoms, Lots, Ticks};

/// Which leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafKey {
    /// `0`: batch, body chain, last order, last trade.
    Counters,
    /// `1 token`: what exists of it.
    Supply(TokenIndex),
    /// `2 account token`: available and locked. Gone when both are zero.
    Balance(PublicKey, TokenIndex),
    /// `3 account`: the nonces kept, ascending.
    Nonces(PublicKey),
    /// `4 id`: an open order.
    Order(u64),
    /// `5 token reference`: a deposit that was credited. Its value is empty.
    Reference(TokenIndex, String),
    /// `6 hash`: a signature in the guide's format that was used. Its value is empty.
    GuideSignature(TransactionHash),
}

impl LeafKey {
    /// The key in bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Counters => [0].into(),
            Self::Supply(token) => [&[1][..], &token.0.to_be_bytes()].concat(),
            Self::Balance(account, token) => {
                [&[2][..], account.as_bytes(), &token.0.to_be_bytes()].concat()
            }
            Self::Nonces(account) => [&[3][..], account.as_bytes()].concat(),
            Self::Order(id) => [&[4][..], &id.to_be_bytes()].concat(),
            Self::Reference(token, reference) => {
                [&[5][..], &token.0.to_be_bytes(), reference.as_bytes()].concat()
            }
            Self::GuideSignature(hash) => [&[6][..], &hash.0].concat(),
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
            4 => Self::Order(reader.u64()?),
            5 => {
                let token = TokenIndex(reader.u16()?);
                let text = core::str::from_utf8(core::mem::take(&mut reader.0));
                Self::Reference(token, text.map_err(|_| Corrupt("a reference is no text"))?.into())
            }
            6 => Self::GuideSignature(TransactionHash(reader.array()?)),
            _ => return Err(Corrupt("a stored leaf has an unknown kind")),
        };
        reader.finish()?;
        Ok(key)
    }
}

impl Exchange {
    /// The present value of a leaf, or `None` if the state does not have it.
    pub fn leaf_value(&self, key: &LeafKey) -> Option<Vec<u8>> {
        match key {
            LeafKey::Counters => {
                let Counters { batch, body_chain, order, trade } = self.counters;
                let numbers = [order.to_be_bytes(), trade.to_be_bytes()].concat();
                Some([&batch.to_be_bytes()[..], &body_chain, &numbers].concat())
            }
            LeafKey::Supply(token) => {
                let supply = self.ledger.supply(*token);
                (supply > Atoms::ZERO).then(|| supply.0.to_be_bytes().into())
            }
            LeafKey::Balance(account, token) => {
                let balance = self.balance(account, *token);
                (balance != Balance::default()).then(|| {
                    [balance.available.0.to_be_bytes(), balance.locked.0.to_be_bytes()].concat()
                })
            }
            LeafKey::Nonces(account) => {
                let nonces = self.ledger.find(account)?.nonces();
                let bytes = nonces.iter().flat_map(|nonce| nonce.to_be_bytes());
                (!nonces.is_empty()).then(|| bytes.collect())
            }
            LeafKey::Order(id) => {
                let (market, order) = self.order(*id)?;
                let account = self.ledger.get(order.account)?;
                let side = [match order.side {
                    Side::Buy => 0,
                    Side::Sell => 1,
                }];
                Some(
                    [
                        &market.0.to_be_bytes()[..],
                        account.key.as_bytes(),
                        &side,
                        &order.price.0.to_be_bytes(),
                        &order.quantity.0.to_be_bytes(),
                        &order.remaining.0.to_be_bytes(),
                    ]
                    .concat(),
                )
            }
            LeafKey::Reference(token, reference) => {
                self.reference_is_used(*token, reference).then(Vec::new)
            }
            LeafKey::GuideSignature(hash) => self.guide_signatures.contains(hash).then(Vec::new),
        }
    }

    /// Builds the state from all of its leaves, in ascending order of their keys, each key once. The
    /// caller compares the root, which commits to every leaf.
    pub fn from_leaves<'a>(
        rules: Arc<Rules>,
        leaves: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, Corrupt> {
        let mut exchange = Self::new(rules);
        exchange.tree = StateTree::default();
        let mut orders: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut previous: Option<&[u8]> = None;
        for (key, value) in leaves {
            if previous.is_some_and(|previous| previous >= key) {
                return Err(Corrupt("stored leaves are out of order or repeated"));
            }
            previous = Some(key);
            exchange.tree.set(key, Some(value));
            match LeafKey::from_bytes(key)? {
                LeafKey::Order(id) => orders.push((id, value.into())),
                leaf => exchange.load(leaf, value)?,
            }
        }
        // Their keys ascend with their ids, and priority within a level is the order of ids.
        for (id, value) in orders {
            exchange.load_order(id, &value)?;
        }
        Ok(exchange)
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
                };
            }
            LeafKey::Supply(token) => self.ledger.set_supply(token, reader.atoms()?)?,
            LeafKey::Balance(account, token) => {
                let balance = Balance { available: reader.atoms()?, locked: reader.atoms()? };
                let index = self.ledger.intern(&account)?;
                self.ledger.set_balance(index, token, balance)?;
            }
            LeafKey::Nonces(account) => {
                let index = self.ledger.intern(&account)?;
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
            LeafKey::Order(_) => {}
        }
        reader.finish()
    }

    fn load_order(&mut self, id: u64, value: &[u8]) -> Result<(), Corrupt> {
        let mut reader = Reader(value);
        let market = MarketIndex(reader.u16()?);
        let account = self.ledger.intern(&reader.public_key()?)?;
        let side = match reader.u8()? {
            0 => Side::Buy,
            1 => Side::Sell,
            _ => return Err(Corrupt("a stored order has an unknown side")),
        };
        let order = RestingOrder {
            id,
            account,
            side,
            price: Ticks(reader.u64()?),
            quantity: Lots(reader.u64()?),
            remaining: Lots(reader.u64()?),
        };
        reader.finish()?;
        let slot = self.book_mut(market)?.insert(order)?;
        self.orders.insert(id, (market, slot));
        self.ledger.account_mut(account)?.open_order(market, id);
        Ok(())
    }
}

/// Reads big-endian numbers off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, rest) =
            self.0.split_first_chunk::<N>().ok_or(Corrupt("a stored leaf is too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Corrupt> {
        self.array().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_be_bytes)
    }

    fn atoms(&mut self) -> Result<Atoms, Corrupt> {
        self.array().map(u128::from_be_bytes).map(Atoms)
    }

    fn public_key(&mut self) -> Result<PublicKey, Corrupt> {
        PublicKey::from_sec1(&self.array::<33>()?).map_err(|_| Corrupt("a stored key is no point"))
    }

    fn finish(&self) -> Result<(), Corrupt> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt("a stored leaf is too long")) }
    }
}
