//! The keys of the state's leaves.
//!
//! The first byte of a key is the kind of leaf, and the rest names the leaf. Numbers are
//! big-endian, so keys of one kind are in ascending order of their numbers. See *State* in
//! `docs/protocol.md`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::types::{
    ByteReader, Corrupt, NO_POINT, PublicKey, ReplicaIndex, TokenIndex, TransactionHash,
};

/// The key of a leaf. Each variant shows the key's bytes, then the value of the leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafKey {
    /// `0`: batch, body chain, last order, last trade, last withdrawal, time.
    Counters,
    /// `1 token`: the supply of a token.
    Supply(TokenIndex),
    /// `2 account token`: available and locked balance. No leaf when both are zero.
    Balance(PublicKey, TokenIndex),
    /// `3 key`: the stored nonces of a signing key, ascending.
    Nonces(PublicKey),
    /// `4 account id`: an open order.
    Order(PublicKey, u64),
    /// `5 token reference`: a deposit reference that was credited. The value is empty.
    Reference(TokenIndex, String),
    /// `6 hash`: a used signature in the guide's format. The value is empty.
    GuideSignature(TransactionHash),
    /// `7 account key`: the limits of a session key.
    SessionKey(PublicKey, PublicKey),
    /// `8 number`: a withdrawal.
    Withdrawal(u64),
    /// `9 replica`: the last batch that the replica attested to, and its clock.
    Replica(ReplicaIndex),
    /// `10 batch replica`: the root that the replica attested to, for a batch after the last
    /// certified one.
    Vote(u64, ReplicaIndex),
    /// `11 batch`: the certified root of a batch.
    Certified(u64),
    /// `12 account`: the time at which the dead-man's switch cancels all orders of the account.
    Switch(PublicKey),
}

impl LeafKey {
    /// The key in bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // The kinds are numbers written out, and not the positions of the variants: they are part of consensus.
        let join = |kind: u8, parts: &[&[u8]]| {
            let length = parts.iter().fold(1, |sum: usize, part| sum.wrapping_add(part.len()));
            let mut bytes = Vec::with_capacity(length);
            bytes.push(kind);
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            bytes
        };
        match self {
            Self::Counters => join(0, &[]),
            Self::Supply(token) => join(1, &[&token.0.to_be_bytes()]),
            Self::Balance(account, token) => join(2, &[account.as_bytes(), &token.0.to_be_bytes()]),
            Self::Nonces(key) => join(3, &[key.as_bytes()]),
            Self::Order(account, id) => join(4, &[account.as_bytes(), &id.to_be_bytes()]),
            // Only the last part may have a variable length. So no two leaves have one key, without any lengths
            // or separators.
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

    /// Reads a key. Fails if the bytes are not exactly what [`Self::to_bytes`] writes for some key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let key = Self::from_bytes_unchecked(bytes)?;
        let public_keys = match &key {
            Self::Balance(key, _) | Self::Nonces(key) | Self::Order(key, _) | Self::Switch(key) => {
                [Some(key), None]
            }
            Self::SessionKey(account, key) => [Some(account), Some(key)],
            _ => [None; 2],
        };
        let are_points = public_keys.into_iter().flatten().all(PublicKey::is_on_curve);
        if are_points { Ok(key) } else { Err(NO_POINT) }
    }

    /// Reads a key whose public keys may be no points of the curve.
    pub(crate) fn from_bytes_unchecked(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = ByteReader(bytes);
        // Indexes and texts are not compared with genesis here: the restore and `recount` do that.
        let key = match reader.u8()? {
            0 => Self::Counters,
            1 => Self::Supply(TokenIndex(reader.u16()?)),
            2 => Self::Balance(reader.unchecked_key()?, TokenIndex(reader.u16()?)),
            3 => Self::Nonces(reader.unchecked_key()?),
            4 => Self::Order(reader.unchecked_key()?, reader.u64()?),
            5 => Self::Reference(TokenIndex(reader.u16()?), reader.text()?),
            6 => Self::GuideSignature(TransactionHash(reader.array()?)),
            7 => Self::SessionKey(reader.unchecked_key()?, reader.unchecked_key()?),
            8 => Self::Withdrawal(reader.u64()?),
            9 => Self::Replica(ReplicaIndex(reader.u16()?)),
            10 => Self::Vote(reader.u64()?, ReplicaIndex(reader.u16()?)),
            11 => Self::Certified(reader.u64()?),
            12 => Self::Switch(reader.unchecked_key()?),
            _ => return Err(Corrupt("a stored leaf has an unknown kind")),
        };
        reader.finish()?;
        Ok(key)
    }
}
