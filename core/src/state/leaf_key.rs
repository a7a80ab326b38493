//! The keys of the state's leaves, in bytes.

use alloc::string::String;
use alloc::vec::Vec;

use crate::types::{ByteReader, Corrupt, PublicKey, ReplicaIndex, TokenIndex, TransactionHash};

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
        let mut reader = ByteReader(bytes);
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
