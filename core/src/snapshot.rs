//! The whole state in bytes, with its root. Equal states give equal bytes.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use thiserror::Error;

use crate::event::Corrupt;
use crate::exchange::Exchange;
use crate::genesis::{NetworkId, Rules};
use crate::leaf::Reader;
use crate::state_root::Hash;

/// What every snapshot begins with; the number is the version of the format.
const MAGIC: &[u8; 20] = b"ZELLBOOK SNAPSHOT 1\n";

/// Why bytes are no snapshot of this network's state.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// It does not begin as a snapshot of this version does.
    #[error("this is no Zellbook snapshot of version 1")]
    Magic,
    /// It is of another genesis.
    #[error("this snapshot is of network {found}, not of {expected}")]
    Network {
        /// What the snapshot says.
        found: NetworkId,
        /// The hash of our genesis.
        expected: NetworkId,
    },
    /// It ends early, goes on too long, or a leaf is not in its one form.
    #[error("this snapshot is damaged: {0}")]
    Leaves(Corrupt),
    /// Its leaves have another root than it says.
    #[error("this snapshot says that its root is {said}, but its leaves have the root {found}")]
    Root {
        /// What the snapshot says, in hex.
        said: String,
        /// What its leaves have, in hex.
        found: String,
    },
    /// No sequence of batches leads to this state.
    #[error("this snapshot holds a state that cannot be: {0}")]
    Invariant(String),
}

/// What a snapshot of so many leaves begins with.
pub fn header(network: NetworkId, root: &Hash, leaves: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&network.0);
    bytes.extend_from_slice(root);
    bytes.extend_from_slice(&leaves.to_be_bytes());
    bytes
}

/// Adds a leaf, of which each has a higher key than the one before.
pub fn push_leaf(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Keys and values are short: texts in them are bounded.
    bytes.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
}

/// The parts of a snapshot, which are as it says and nothing more.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// Its network.
    pub network: NetworkId,
    /// The root that it says it has.
    pub root: Hash,
    /// Keys and values.
    pub leaves: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Parts<'a> {
    /// Takes a snapshot apart.
    pub fn read(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::Magic)?;
        let mut reader = Reader(rest);
        let network = NetworkId(reader.array()?);
        let root: Hash = reader.array()?;
        let count = reader.u64()?;
        let mut leaves: Vec<(&[u8], &[u8])> = Vec::new();
        for _ in 0..count {
            let length = reader.u16()?;
            let key = reader.bytes(usize::from(length))?;
            let length = reader.u32()?;
            let value = reader.bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
            leaves.push((key, value));
        }
        reader.finish()?;
        Ok(Self { network, root, leaves })
    }
}

impl Exchange {
    /// The whole state in bytes: see *Snapshots* in `docs/protocol.md`.
    pub fn to_snapshot(&mut self) -> Vec<u8> {
        let leaves = self.engine().leaves();
        let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let mut bytes = header(self.rules().network, &self.root(), count);
        for (key, value) in leaves {
            push_leaf(&mut bytes, &key, &value);
        }
        bytes
    }

    /// Reads a snapshot, computes its root again and recounts all invariants. Whether the root is one
    /// to trust is for the caller to know.
    pub fn from_snapshot(rules: Arc<Rules>, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let Parts { network, root: said, leaves } = Parts::read(bytes)?;
        if network != rules.network {
            return Err(SnapshotError::Network { found: network, expected: rules.network });
        }
        let mut exchange = Self::from_leaves(rules, leaves)?;
        let found = exchange.root();
        if found != said {
            let (said, found) = (hex::encode(said), hex::encode(found));
            return Err(SnapshotError::Root { said, found });
        }
        exchange.recount().map_err(SnapshotError::Invariant)?;
        Ok(exchange)
    }
}

impl From<Corrupt> for SnapshotError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Leaves(corrupt)
    }
}
